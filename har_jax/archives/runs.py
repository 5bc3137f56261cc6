"""Rows with clocks and labels become recordings: what the readers of irregular archives share.

n rows, m rows kept.
"""

import collections
import contextlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped

from har_jax.errors import UserError, shorten
from har_jax.signal import segments
from har_jax.signal.recording import Recording, Samples, Span

# Five times the resampler's limit: shorter gaps do not end a recording, they end a piece within it.
MAX_GAP_S = 1.0
# Bursts come every 0.1 s. If the time to the next one is over twice as long, one may be missing.
_MAX_BURST_S = 0.2


@contextlib.contextmanager
def expecting(name: str, layout: str) -> Iterator[None]:
  """Turns a parser's error about malformed text into a UserError that names the file and its layout."""
  try:
    yield
  except (ValueError, KeyError) as error:  # pandas' ParserError and EmptyDataError are ValueErrors
    reason = shorten(' '.join(str(error).split()))
    raise UserError(f'{shorten(name)}: expected {layout}, but: {reason}') from error


def check_activities(where: str, found: Iterable[Any], known: Collection[Any]) -> None:
  """Raises UserError for codes of activities that an archive's authors do not list."""
  if unknown := sorted(set(found).difference(known)):
    listed, others = (', '.join(map(str, codes)) for codes in (unknown, known))
    raise UserError(f'{where} has activities {shorten(listed)}; known are {others}')


def sorted_rows(
  rows: Shaped[np.ndarray, 'n *c'],
  time: Shaped[np.ndarray, 'n'],
  dropped: collections.Counter[str],
  unit: str = 'rows',  # what was out of order
) -> Shaped[np.ndarray, 'n *c']:
  """The rows by time, all of them; counts those that were out of order."""
  if misplaced := int((np.diff(time) < 0).sum()):
    dropped[f'{unit} out of order, sorted'] += misplaced
    return rows[np.argsort(time, kind='stable')]
  return rows


def in_order(time_s: Float[np.ndarray, 'n'], dropped: collections.Counter[str]) -> Int[np.ndarray, 'm']:
  """Indices that sort the rows by time and keep the first of each time; counts both repairs."""
  order = sorted_rows(np.arange(len(time_s)), time_s, dropped)
  repeats = segments.repeats(time_s[order])
  if repeats.any():
    dropped['rows at the same moment as another'] += int(repeats.sum())
  return order[~repeats]


def even_clock(time_s: Float[np.ndarray, 'n']) -> Float[np.ndarray, 'n']:
  """Times of rows that a device samples evenly but stamps as it delivers them, in bursts.

  Fits a line to time over row number by least squares. All rows have one rate, and each stretch has one
  offset. A stretch ends at a gap over 0.2 s, where rows may be lost.
  `time_s` must not decrease, and the result does not either.
  A sample's mean delay, half the length of a burst, remains; it is the same for two sensors of one device.
  """
  stretch = np.concatenate([[0], np.cumsum(np.diff(time_s) > _MAX_BURST_S)])
  row = np.arange(len(time_s), dtype=np.float64)
  counts = np.bincount(stretch)
  mean_row, mean_s = (np.bincount(stretch, values)[stretch] / counts[stretch] for values in (row, time_s))
  row -= mean_row
  if not row.any():  # no two rows lie together
    return time_s
  step_s = row @ (time_s - mean_s) / (row @ row)
  return np.maximum.accumulate(mean_s + step_s * row)


def recordings(
  subject: str,
  position: str,
  acc: Samples,
  gyro: Samples,
  spans: Sequence[Span],
  dropped: collections.Counter[str],
) -> Iterator[Recording]:
  """One recording for each overlap of the sensors' unbroken segments; its time starts at 0.

  Sensors are paired by their clocks, never by row. Rows of one sensor alone are left out and counted.
  """
  rows = Recording(subject, position, acc, gyro, tuple(spans))
  both = (segments.unbroken(samples.time_s, MAX_GAP_S) for samples in (acc, gyro))
  paired = 0
  for start_s, stop_s in segments.overlaps(*both):
    recording = segments.extract(rows, start_s, stop_s)
    paired += len(recording.acc.time_s) + len(recording.gyro.time_s)
    yield recording
  if alone := len(acc.time_s) + len(gyro.time_s) - paired:
    dropped['rows of one sensor while the other was silent'] += alone

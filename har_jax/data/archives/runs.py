"""From rows with clocks and labels to recordings: what the readers of irregular archives share.

n rows, m rows kept.
"""

import collections
import contextlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int, Integer

from har_jax.data.recording import Recording, Samples, Span
from har_jax.errors import UserError

# A longer pause ends a recording. What to do about shorter ones is the resampler's concern.
GAP_S = 1.0


@contextlib.contextmanager
def expecting(name: str, layout: str) -> Iterator[None]:
  """Turns a parser's complaint about malformed text into a UserError that names the file and its layout."""
  try:
    yield
  except (ValueError, KeyError) as error:  # pandas' ParserError and EmptyDataError are ValueErrors
    raise UserError(f'{name}: expected {layout}, but: {" ".join(str(error).split())}') from error


def in_order(time_s: Float[np.ndarray, 'n'], dropped: collections.Counter) -> Int[np.ndarray, 'm']:
  """Which rows to take so that time rises: sorted, the first of each moment; both repairs are counted."""
  fell = int((np.diff(time_s) < 0).sum())
  order = np.argsort(time_s, kind='stable')
  again = np.concatenate([[False], np.diff(time_s[order]) == 0])
  if fell:
    dropped['rows out of order, sorted'] += fell
  if again.any():
    dropped['rows at the same moment as another'] += int(again.sum())
  return order[~again]


def labeled_spans(
  time_s: Float[np.ndarray, 'n'], labels: Integer[np.ndarray, 'n'], words: Mapping[int, str]
) -> list[Span]:
  """Each stretch of one label; a label without a word is no activity.

  A stretch ends where the next begins, the last one a median step after its last row. Time must rise.
  """
  if len(time_s) < 2:
    return []
  starts = np.flatnonzero(np.concatenate([[True], np.diff(labels) != 0]))
  edges = np.append(time_s[starts], time_s[-1] + np.median(np.diff(time_s)))
  return [
    Span(float(start), float(stop), words[int(label)])
    for start, stop, label in zip(edges[:-1], edges[1:], labels[starts], strict=True)
    if int(label) in words
  ]


def recordings(
  subject: str,
  position: str,
  acc: Samples,
  gyro: Samples,
  spans: Sequence[Span],
  dropped: collections.Counter,
) -> Iterator[Recording]:
  """One recording for each stretch in which both sensors run without a pause of GAP_S; its time starts at 0.

  Sensors are paired by their clocks, never by row. Rows of one sensor alone are left out and counted.
  """
  kept = 0
  for acc_start, acc_stop in _stretches(acc.time_s):
    for gyro_start, gyro_stop in _stretches(gyro.time_s):
      start, stop = max(acc_start, gyro_start), min(acc_stop, gyro_stop)
      if start < stop:
        run = Recording(
          subject,
          position,
          _between(acc, start, stop),
          _between(gyro, start, stop),
          tuple(
            Span(max(span.start_s, start) - start, min(span.stop_s, stop) - start, span.activity)
            for span in spans
            if span.start_s < stop and start < span.stop_s
          ),
        )
        kept += len(run.acc.time_s) + len(run.gyro.time_s)
        yield run
  alone = len(acc.time_s) + len(gyro.time_s) - kept
  if alone:
    dropped['rows of one sensor while the other was silent'] += alone


def _stretches(time_s: Float[np.ndarray, 'n']) -> list[tuple[float, float]]:
  """First and last moment of each part without a pause."""
  if not len(time_s):
    return []
  ends = np.flatnonzero(np.diff(time_s) > GAP_S)
  first = time_s[np.concatenate([[0], ends + 1])]
  last = time_s[np.append(ends, len(time_s) - 1)]
  return list(zip(first.tolist(), last.tolist(), strict=True))


def _between(samples: Samples, start_s: float, stop_s: float) -> Samples:
  """From `start_s` to `stop_s`, both included, with time counted from `start_s`."""
  first, stop = (
    np.searchsorted(samples.time_s, start_s),
    np.searchsorted(samples.time_s, stop_s, side='right'),
  )
  return Samples(samples.time_s[first:stop] - start_s, samples.values[first:stop])

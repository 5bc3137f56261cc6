"""A reading → windows of a model's length and rate."""

import collections
import dataclasses
from collections.abc import Iterator

import numpy as np

from har_jax.config import Windowing
from har_jax.errors import UserError
from har_jax.recordings.reading import Reading
from har_jax.signal import segments
from har_jax.signal.cutting import Window, cut, resample
from har_jax.signal.recording import Recording, Span

# Resampling holds some 150 bytes a sample, gigabytes for a day: windows are cut from an hour at a time.
_SLICE_S = 3600.0


def to_windows(
  reading: Reading,
  windowing: Windowing,
  *,
  unlabeled: bool = False,
  dropped: collections.Counter[str] | None = None,
) -> list[Window]:
  """Windows within labeled spans; with `unlabeled` all windows, of activity '', whatever the labels.

  A window's `recording` indexes reading.recordings, its `start_s` is on that recording's clock.
  `dropped` counts what is left out, by reason.
  """
  counts = collections.Counter() if dropped is None else dropped
  return list(_windows(reading, windowing, unlabeled, counts))


def overlapping_windows(reading: Reading, windowing: Windowing) -> Iterator[Window]:
  """Windows without a gap, which overlap by half. One resampled hour is in memory at a time.

  Raises UserError at the end if there was none.
  """
  windows = _windows(reading, windowing, True, collections.Counter())
  first = next(windows, None)
  if first is None:
    raise UserError(
      f'no window of {windowing.seconds:g} s without a gap in {reading.seconds:.1f} s of recording: '
      'is its rate 5 Hz or less, or is it too short?'
    )
  yield first
  yield from windows


def _windows(
  reading: Reading, windowing: Windowing, unlabeled: bool, dropped: collections.Counter[str]
) -> Iterator[Window]:
  for number, recording in enumerate(reading.recordings):
    if unlabeled:
      end_s = float(recording.acc.time_s[-1]) + 1 / windowing.rate_hz
      recording = dataclasses.replace(recording, spans=(Span(0.0, end_s, ''),))
    for part in _slices(recording, windowing):
      yield from cut(part, resample(part, dropped, windowing), dropped, windowing, number=number)


def _slices(recording: Recording, windowing: Windowing) -> Iterator[Recording]:
  """Slices of about an hour and half a window of the next, so that each window lies in one."""
  # A multiple of the windows' step, so that windows are the same with and without slices.
  samples = max(int(_SLICE_S / windowing.step_s), 1) * windowing.step_samples
  slice_s = samples / windowing.rate_hz
  overlap_s = (windowing.samples - windowing.step_samples) / windowing.rate_hz
  end_s = float(recording.acc.time_s[-1])
  if end_s <= 1.5 * slice_s:
    yield recording
    return
  for start_s in np.arange(0.0, end_s, slice_s).tolist():
    stop_s = start_s + slice_s + overlap_s
    spans = segments.clip(recording.spans, start_s, stop_s)
    # A nanosecond, for a sample that rounding moved behind the start.
    acc, gyro = (
      segments.extract_around(samples, start_s + 1e-9, stop_s) for samples in (recording.acc, recording.gyro)
    )
    if spans and len(acc.time_s) > 1 and len(gyro.time_s) > 1:
      yield dataclasses.replace(recording, acc=acc, gyro=gyro, spans=spans)

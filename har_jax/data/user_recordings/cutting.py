"""From a user's recordings to windows at 50 Hz, an hour at a time."""

import collections
import dataclasses
from collections.abc import Iterator

import numpy as np

from har_jax.config import WINDOW_SAMPLES
from har_jax.data.recording import RATE_HZ, STEP_SAMPLES, Recording, Samples, Span
from har_jax.data.resample import resample
from har_jax.data.user_recordings.reading import Reading
from har_jax.data.windows import Window, cut

# Resampling holds some 150 bytes a sample: a day at once would be gigabytes. A multiple of the windows' step, so that
# windows go on over the seam as if there were none.
_SLICE_S = 2812 * STEP_SAMPLES / RATE_HZ
_SHARED_S = (WINDOW_SAMPLES - STEP_SAMPLES) / RATE_HZ


def to_windows(
  reading: Reading, *, unlabeled: bool = False, dropped: collections.Counter | None = None
) -> list[Window]:
  """Windows within labeled spans; with `unlabeled` those of all that was recorded, activity '', whatever its labels.

  A window's `recording` indexes reading.recordings, its `start_s` is on that recording's clock.
  `dropped` counts what is left out, under a reason a person can read.
  """
  dropped = collections.Counter() if dropped is None else dropped
  windows: list[Window] = []
  for number, recording in enumerate(reading.recordings):
    if unlabeled:
      end_s = float(recording.acc.time_s[-1]) + 1 / RATE_HZ
      recording = dataclasses.replace(recording, spans=(Span(0.0, end_s, ''),))
    for part in _slices(recording):
      windows += cut(part, resample(part, dropped), dropped, number=number)
  return windows


def _slices(recording: Recording) -> Iterator[Recording]:
  """About an hour each, on the recording's own clock, and half a window of the next, so that none is lost or twice.

  A span that goes on over a seam begins anew there.
  """
  end_s = float(recording.acc.time_s[-1])
  if end_s <= 1.5 * _SLICE_S:
    yield recording
    return
  for begin_s in np.arange(0.0, end_s, _SLICE_S).tolist():
    stop_s = begin_s + _SLICE_S + _SHARED_S
    spans = tuple(
      Span(max(span.start_s, begin_s), min(span.stop_s, stop_s), span.activity)
      for span in recording.spans
      if max(span.start_s, begin_s) < min(span.stop_s, stop_s)
    )
    acc, gyro = (_within(samples, begin_s, stop_s) for samples in (recording.acc, recording.gyro))
    if spans and len(acc.time_s) > 1 and len(gyro.time_s) > 1:
      yield dataclasses.replace(recording, acc=acc, gyro=gyro, spans=spans)


def _within(samples: Samples, begin_s: float, stop_s: float) -> Samples:
  """From the last sample at or before the begin, so that the grid can begin there, to the first at or after the stop."""
  first = max(int(np.searchsorted(samples.time_s, begin_s + 1e-9, side='right')) - 1, 0)
  stop = int(np.searchsorted(samples.time_s, stop_s)) + 1
  return Samples(samples.time_s[first:stop], samples.values[first:stop])

"""Recordings at their own rates → unbroken pieces at 50 Hz with both sensors on one clock.

n samples, r sensor rows, g grid points.
"""

import collections
import dataclasses
import math
from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float, Float32

from har_jax.config import WINDOW_SAMPLES
from har_jax.data.recording import RATE_HZ, Recording, Samples

# A longer hole in a sensor breaks the run. Under half a step of a walk (about 2 a second), so no step is made
# up; up to three lost samples of the slowest archive (20 Hz). WISDM's phones stall by up to 0.26 s.
MAX_GAP_S = 0.2
_HOLE_TICKS = 2.0  # a wider interval is bridged by a straight line: a curve would overshoot there
_SAME_TIME_S = 1e-6
_SLACK = 1e-3  # of a sample: a stop that rounding moved still counts its sample
# A clock that runs this much fast, or by half a tick a second, still counts as the integer rate below it.
_FASTER = 0.01


@dataclasses.dataclass(frozen=True)
class Piece:
  """An unbroken run at 50 Hz: accelerometer x y z in m/s² with gravity, gyroscope x y z in rad/s.

  Sample i is taken at `start_s` + i / 50 on the recording's clock.
  """

  start_s: float
  signal: Float32[np.ndarray, 'n 6']


def resample(recording: Recording, dropped: collections.Counter) -> list[Piece]:
  """A recording's pieces in order of time, from where both sensors have begun until one ends or breaks off.

  Sensors pair by time. Where both tick at 50 Hz on one clock, their values come through bit for bit.
  Otherwise each is brought onto an even grid of the integer rate at or next to its own median one, then to 50 Hz
  by a polyphase filter: a tone above 29 Hz aliases by 0.3 % at most; one below 20 Hz, or 0.4 of a slower
  sensor's rate, keeps its amplitude to 0.3 %.
  `dropped` counts rows with NaN, rows of a time already seen, gaps that break a run, pieces too short to cut.
  Raises ValueError where a sensor's time falls: readers sort.
  """
  acc = _clean(recording.acc, dropped)
  gyro = _clean(recording.gyro, dropped)
  if not len(acc.time_s) or not len(gyro.time_s):
    dropped['recordings without samples of both sensors'] += 1
    return []
  if acc.time_s[-1] < gyro.time_s[0] or gyro.time_s[-1] < acc.time_s[0]:
    dropped['recordings whose sensors do not overlap in time'] += 1
    return []
  pieces = []
  for start_s, stop_s in _overlaps(_unbroken(acc, dropped), _unbroken(gyro, dropped)):
    if _ticks(start_s, stop_s, RATE_HZ) < WINDOW_SAMPLES:
      dropped['unbroken pieces shorter than a window'] += 1
      continue
    both = [_at_50_hz(samples, start_s, stop_s) for samples in (acc, gyro)]
    pieces.append(Piece(start_s, np.concatenate(both, axis=1)))
  return pieces


def _clean(samples: Samples, dropped: collections.Counter) -> Samples:
  time_s, values = samples.time_s, samples.values
  known = ~np.isnan(values).any(axis=1)
  if not known.all():
    dropped['rows with NaN'] += int((~known).sum())
    time_s, values = time_s[known], values[known]
  step_s = np.diff(time_s)
  if (step_s < 0).any():
    raise ValueError('a sensor runs back in time: its reader has to sort')
  if (step_s == 0).any():
    first = np.r_[True, step_s > 0]
    dropped['rows of a time already seen'] += int((~first).sum())
    time_s, values = time_s[first], values[first]
  return Samples(time_s, values)


def _unbroken(samples: Samples, dropped: collections.Counter) -> list[tuple[float, float]]:
  """First and last time of each run without a gap."""
  breaks = np.flatnonzero(np.diff(samples.time_s) > MAX_GAP_S)
  if len(breaks):
    dropped[f'gaps in a sensor longer than {MAX_GAP_S} s, cut out'] += len(breaks)
  starts_s = samples.time_s[np.r_[0, breaks + 1]]
  stops_s = samples.time_s[np.r_[breaks, -1]]
  return list(zip(starts_s.tolist(), stops_s.tolist(), strict=True))


def _overlaps(a: list[tuple[float, float]], b: list[tuple[float, float]]) -> Iterator[tuple[float, float]]:
  i = j = 0
  while i < len(a) and j < len(b):
    start_s, stop_s = max(a[i][0], b[j][0]), min(a[i][1], b[j][1])
    if start_s < stop_s:
      yield start_s, stop_s
    if a[i][1] < b[j][1]:
      i += 1
    else:
      j += 1


def _at_50_hz(samples: Samples, start_s: float, stop_s: float) -> Float32[np.ndarray, 'n 3']:
  """One sensor from start to stop, both within its unbroken run."""
  # From the row at or before the start to the row at or after the stop: not one beyond the run.
  first = int(np.searchsorted(samples.time_s, start_s + _SAME_TIME_S, side='right')) - 1
  last = int(np.searchsorted(samples.time_s, stop_s - _SAME_TIME_S)) + 1
  time_s, values = samples.time_s[first:last], samples.values[first:last]
  median_hz = 1 / float(np.median(np.diff(time_s)))
  rate_hz = max(round(median_hz), math.ceil((1 - _FASTER) * median_hz))
  grid_s = start_s + np.arange(_ticks(start_s, stop_s, rate_hz)) / rate_hz
  even = _on_grid(time_s, values, grid_s)
  if even is None:
    even = _interpolate(time_s, values.astype(np.float64), grid_s)
  if rate_hz != RATE_HZ:
    import scipy.signal  # here: a second of import that `--help` does not pay

    # The filter's phases weigh a constant differently, by 0.05 %: gravity would become a tone at 25 Hz, so
    # the mean goes round the filter. What is left runs on beyond the ends in a straight line.
    mean = even.mean(axis=0, dtype=np.float64)
    even = scipy.signal.resample_poly(even - mean, RATE_HZ, rate_hz, axis=0, padtype='line') + mean
  return np.asarray(even[: _ticks(start_s, stop_s, RATE_HZ)], np.float32)  # the filter runs on past the stop


def _ticks(start_s: float, stop_s: float, rate_hz: int) -> int:
  return int((stop_s - start_s) * rate_hz + _SLACK) + 1


def _on_grid(
  time_s: Float[np.ndarray, 'r'], values: Float[np.ndarray, 'r 3'], grid_s: Float[np.ndarray, 'g']
) -> Float[np.ndarray, 'g 3'] | None:
  """The samples themselves, where they were taken at the grid's times."""
  first = int(np.searchsorted(time_s, grid_s[0] - _SAME_TIME_S))
  own_s = time_s[first : first + len(grid_s)]
  if len(own_s) < len(grid_s) or np.abs(own_s - grid_s).max() > _SAME_TIME_S:
    return None
  return values[first : first + len(grid_s)]


def _interpolate(
  time_s: Float[np.ndarray, 'r'], values: Float[np.ndarray, 'r 3'], grid_s: Float[np.ndarray, 'g']
) -> Float[np.ndarray, 'g 3']:
  """Modified Akima: at a fifth of the rate its error is 4 % of a tone, a straight line's 14 %.

  A cubic spline's is 0.7 %, but phones deliver bursts of rows microseconds apart, on which a spline explodes.
  """
  import scipy.interpolate

  curve = scipy.interpolate.Akima1DInterpolator(time_s, values, method='makima')(grid_s)
  hole = _in_hole(time_s, grid_s)
  for axis in range(values.shape[1]):
    curve[hole, axis] = np.interp(grid_s[hole], time_s, values[:, axis])
  return curve


def _in_hole(time_s: Float[np.ndarray, 'r'], grid_s: Float[np.ndarray, 'g']) -> Bool[np.ndarray, 'g']:
  step_s = np.diff(time_s)
  interval = np.searchsorted(time_s, grid_s, side='right').clip(1, len(step_s)) - 1
  return step_s[interval] > _HOLE_TICKS * np.median(step_s)

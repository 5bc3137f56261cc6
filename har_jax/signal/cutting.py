"""Recordings at any rate → unbroken pieces at the rate of windows, with both sensors on one clock → windows.

n samples, r sensor rows, g grid points.
"""

import collections
import dataclasses
import math
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float, Float32

from har_jax.errors import UserError
from har_jax.signal import Windowing, physics, segments
from har_jax.signal.recording import Recording, Samples, Span

# A longer gap breaks the signal. Under half a step of a walk (about 2 a second): no step is invented.
# It bridges up to three lost samples of the slowest archive (20 Hz). WISDM's phones stall by up to 0.26 s.
MAX_GAP_S = 0.2
_HOLE_STEPS = 2.0  # of the median: longer steps are bridged by a straight line, as a curve would overshoot
_SAME_TIME_S = 1e-6
_SLACK = 1e-3  # samples: rounding of a span's edge, or of a stop, must not lose a sample
# The grid has the integer rate nearest to the sensor's, or the next one if that is over 1 % too slow.
_TOO_SLOW = 0.01
# Rows delivered in bursts may lie microseconds apart: their median rate would make a grid of gigabytes.
_MAX_BURST = 10.0  # times the mean rate


@dataclasses.dataclass(frozen=True)
class Piece:
  """An unbroken signal at the windows' rate: accelerometer x y z in m/s² with gravity, gyroscope in rad/s.

  Sample i is at `start_s` + i / rate on the recording's clock.
  """

  start_s: float
  signal: Float32[np.ndarray, 'n 6']


def resample(recording: Recording, dropped: collections.Counter[str], windowing: Windowing) -> list[Piece]:
  """Pieces in which both sensors run without a gap, in order of time.

  Sensors pair by time. Where both tick at the windows' rate on one clock, their values come through bit for
  bit. Otherwise each is interpolated onto an even grid near its median rate, then filtered to the windows'
  rate (polyphase). At 50 Hz, a tone above 29 Hz aliases by 0.3 % at most. One below 20 Hz, or 0.4 of the
  rate of a slower sensor, keeps its amplitude to 0.3 %. Other rates scale these figures.
  `dropped` counts values that no motion gives (`physics`), rows with NaN, rows of a repeated time, gaps, and
  pieces shorter than a window.
  Raises ValueError where a sensor's time falls: readers sort.
  """
  acc = _clean(recording.acc, physics.MAX_ACC_M_S2, dropped)
  gyro = _clean(recording.gyro, physics.MAX_GYRO_RAD_S, dropped)
  if not len(acc.time_s) or not len(gyro.time_s):
    dropped['recordings without samples of both sensors'] += 1
    return []
  if acc.time_s[-1] < gyro.time_s[0] or gyro.time_s[-1] < acc.time_s[0]:
    dropped['recordings whose sensors do not overlap in time'] += 1
    return []
  pieces = []
  for start_s, stop_s in segments.overlaps(_unbroken(acc, dropped), _unbroken(gyro, dropped)):
    if _ticks(start_s, stop_s, windowing.rate_hz) < windowing.samples:
      dropped['unbroken pieces shorter than a window'] += 1
      continue
    both = [_at_rate(samples, windowing.rate_hz, start_s, stop_s, dropped) for samples in (acc, gyro)]
    pieces.append(Piece(start_s, np.concatenate(both, axis=1)))
  return pieces


def _clean(samples: Samples, limit: float, dropped: collections.Counter[str]) -> Samples:
  values, impossible = physics.drop_impossible(samples.values, limit)
  if impossible:
    dropped[f'values {physics.RULE}, taken as NaN'] += impossible
  time_s = samples.time_s
  is_present = ~np.isnan(values).any(axis=1)
  if not is_present.all():
    dropped['rows with NaN'] += int((~is_present).sum())
    time_s, values = time_s[is_present], values[is_present]
  if (np.diff(time_s) < 0).any():
    raise ValueError('the time of a sensor falls: its reader has to sort')
  repeats = segments.repeats(time_s)
  if repeats.any():
    dropped['rows of a time already seen'] += int(repeats.sum())
    time_s, values = time_s[~repeats], values[~repeats]
  return Samples(time_s, values)


def _unbroken(samples: Samples, dropped: collections.Counter[str]) -> list[segments.Segment]:
  unbroken = segments.unbroken(samples.time_s, MAX_GAP_S)
  if len(unbroken) > 1:
    dropped[f'gaps in a sensor longer than {MAX_GAP_S} s, cut out'] += len(unbroken) - 1
  return unbroken


def _at_rate(
  samples: Samples, windows_hz: int, start_s: float, stop_s: float, dropped: collections.Counter
) -> Float32[np.ndarray, 'n 3']:
  """One sensor from start to stop, both within its segment."""
  samples = segments.extract_around(samples, start_s + _SAME_TIME_S, stop_s - _SAME_TIME_S)
  time_s, values = samples.time_s, samples.values
  median_hz, mean_hz = 1 / samples.step_s, (len(time_s) - 1) / (time_s[-1] - time_s[0])
  if median_hz > _MAX_BURST * mean_hz:
    dropped['pieces with a clock in bursts, put on an even one (kept)'] += 1
    time_s, median_hz = np.linspace(time_s[0], time_s[-1], len(time_s)), mean_hz
  rate_hz = max(round(median_hz), math.ceil((1 - _TOO_SLOW) * median_hz))
  grid_s = start_s + np.arange(_ticks(start_s, stop_s, rate_hz)) / rate_hz
  first = int(np.searchsorted(time_s, grid_s[0] - _SAME_TIME_S))
  part = slice(first, first + len(grid_s))
  is_on_grid = len(time_s[part]) == len(grid_s) and np.abs(time_s[part] - grid_s).max() <= _SAME_TIME_S
  even = values[part] if is_on_grid else _interpolate(time_s, values.astype(np.float64), grid_s)
  if rate_hz != windows_hz:
    import scipy.signal  # takes a second to import, which `--help` should not pay

    # The filter's phases differ by 0.05 % in their gain of a constant: gravity would become a tone.
    # So the mean bypasses the filter. The rest is extended beyond the ends by a straight line.
    mean = even.mean(axis=0, dtype=np.float64)
    even = scipy.signal.resample_poly(even - mean, windows_hz, rate_hz, axis=0, padtype='line') + mean
  return np.asarray(even[: _ticks(start_s, stop_s, windows_hz)], np.float32)  # the filter may exceed the stop


def _ticks(start_s: float, stop_s: float, rate_hz: int) -> int:
  return int((stop_s - start_s) * rate_hz + _SLACK) + 1


def _interpolate(
  time_s: Float[np.ndarray, 'r'], values: Float[np.ndarray, 'r 3'], grid_s: Float[np.ndarray, 'g']
) -> Float[np.ndarray, 'g 3']:
  """Modified Akima, whose error at a fifth of the rate is 4 % of a tone; a straight line's is 14 %.

  A cubic spline's is 0.7 %, but it explodes on bursts of rows microseconds apart, which phones deliver.
  """
  import scipy.interpolate

  grid_s = grid_s.clip(time_s[0], time_s[-1])  # a tick that rounding moved outside would be NaN
  curves = (scipy.interpolate.Akima1DInterpolator(time_s, axis, method='makima') for axis in values.T)
  curve = np.stack([curve_of(grid_s) for curve_of in curves], axis=1)
  step_s = np.diff(time_s)
  interval = np.searchsorted(time_s, grid_s, side='right').clip(1, len(step_s)) - 1
  hole = step_s[interval] > _HOLE_STEPS * np.median(step_s)
  for axis in range(values.shape[1]):
    curve[hole, axis] = np.interp(grid_s[hole], time_s, values[:, axis])
  return curve


@dataclasses.dataclass(frozen=True)
class Window:
  """One window and its origin."""

  signal: Float32[np.ndarray, 'n 6']
  activity: str
  subject: str
  recording: int
  start_s: float
  position: str = ''


def cut(
  recording: Recording,
  pieces: Sequence[Piece],
  dropped: collections.Counter[str],
  windowing: Windowing,
  *,
  number: int,
  majority_label: bool = False,
) -> Iterator[Window]:
  """Windows that lie within one labeled span and one piece, span after span; `number` is the recording's.

  The first window starts with the span or the piece, whichever is later; each next one half a window after.
  With `majority_label`, spans that follow one another count as one, and a window has the label of the
  activity that lasts longest in it.
  Raises UserError if a value is NaN or infinite.
  """
  rate_hz, samples = windowing.rate_hz, windowing.samples
  for spans in _chains(recording.spans, rate_hz) if majority_label else [(span,) for span in recording.spans]:
    count = 0
    span_start_s, span_stop_s = spans[0].start_s, spans[-1].stop_s
    for piece in pieces:
      # Samples at or after the start, before the stop.
      first = max(math.ceil((span_start_s - piece.start_s) * rate_hz - _SLACK), 0)
      end = min(math.ceil((span_stop_s - piece.start_s) * rate_hz - _SLACK), len(piece.signal))
      for begin in range(first, end - samples + 1, windowing.step_samples):
        signal = piece.signal[begin : begin + samples]
        start_s = piece.start_s + begin / rate_hz
        lasts_s: dict[str, float] = collections.defaultdict(float)
        for span in segments.clip(spans, start_s, start_s + windowing.seconds) if len(spans) > 1 else spans:
          lasts_s[span.activity] += span.stop_s - span.start_s
        activity = max(lasts_s, key=lasts_s.__getitem__)
        if not np.isfinite(signal).all():
          raise UserError(
            f'recording {number} (subject {recording.subject}, {activity}) has a NaN or infinite value '
            f'in the {windowing.seconds:g} s from {start_s:.2f} s: is the archive damaged?'
          )
        yield Window(signal, activity, recording.subject, number, start_s, recording.position)
        count += 1
    if not count:
      is_short = span_stop_s - span_start_s < windowing.seconds - _SLACK / rate_hz
      dropped['spans shorter than a window' if is_short else 'spans without a window free of gaps'] += 1


def _chains(spans: Sequence[Span], rate_hz: int) -> list[tuple[Span, ...]]:
  """The spans, each with those that begin where it stops."""
  chains: list[tuple[Span, ...]] = []
  for span in spans:
    if chains and abs(chains[-1][-1].stop_s - span.start_s) * rate_hz < _SLACK:
      chains[-1] += (span,)
    else:
      chains.append((span,))
  return chains

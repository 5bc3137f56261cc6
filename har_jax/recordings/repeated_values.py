"""Values that stand for missing ones: those repeated until the next one comes, or one number on all axes.

n rows.
"""

import numpy as np
from jaxtyping import Bool, Float, Float32

from har_jax.recordings import infer
from har_jax.recordings.infer import Findings
from har_jax.recordings.tables import count_of
from har_jax.signal import segments
from har_jax.signal.recording import Samples

_BUSY = 0.95  # quantile of seconds, by their number of new values: at rest, a coarse sensor has few
# Of the rows that have new values then: half if each is there twice. A sensor as recorded has over 0.75.
_HELD = 0.65
_LONGEST_S = 0.15  # windows end at gaps of 0.2 s

_FEW_ROWS, _FEW_OF_ALL = 5, 0.002  # that may hold one number on all axes by chance
# A gyroscope at rest may be 0 on all axes, but does not jump there and back again and again. Over 1,900 clips
# of six archives, at most 0.5 % of rows begin such a jump; of zeros between measured rows, at least 4 %.
_JUMPS, _SHORT_ROWS, _COARSE_STEPS = 0.01, 20, 5


def measure_rates_hz(samples: Samples) -> tuple[float, float]:
  """Rates of the rows, and of those with new values, while the device moves."""
  second = np.floor(samples.time_s[1:])
  starts = np.flatnonzero(np.r_[True, np.diff(second) > 0])
  new = np.add.reduceat(_is_new(samples.values), starts, dtype=np.int64)
  rows = np.diff(np.r_[starts, len(second)])
  return float(np.quantile(rows, _BUSY)), float(np.quantile(new, _BUSY))


def find_held_rows(samples: Samples) -> Bool[np.ndarray, 'n']:
  """Finds rows that repeat one of the last 0.15 s, as an app or a merge of tables writes them; else none."""
  rate_hz, new_hz = measure_rates_hz(samples)
  if not 1 / _LONGEST_S < new_hz < _HELD * rate_hz:
    return np.zeros(len(samples.time_s), bool)
  is_new = np.r_[True, _is_new(samples.values)]
  since_s = samples.time_s - samples.time_s[is_new][np.cumsum(is_new) - 1]
  return ~is_new & (since_s < _LONGEST_S)


def _is_new(values: Float[np.ndarray, 'n 3']) -> Bool[np.ndarray, 'm']:
  return (np.diff(values, axis=0) != 0).any(axis=1)


def drop_acc_filler(values: dict[str, Float32[np.ndarray, 'n 3']], findings: Findings) -> None:
  """Sets all sensors to NaN where acceleration is again and again one number that is no gravity."""
  acc = values['acc']
  number, is_filler = _most_frequent(acc)
  if is_filler.sum() <= max(_FEW_ROWS, _FEW_OF_ALL * len(acc)):
    return
  lengths = infer.lengths(acc[~is_filler & np.isfinite(acc).all(axis=1)])
  if len(lengths) and not 0.5 < abs(number) * 3**0.5 / max(float(np.median(lengths)), 1e-12) < 1.5:
    for sensor in values.values():
      sensor[is_filler & (sensor == number).all(axis=1)] = np.nan
    findings.warn(
      f'{count_of(is_filler)} with {number:g} on all axes of the accelerometer, which no motion gives: '
      'left out, as if missing.'
    )


def drop_gyro_filler(gyro: Float32[np.ndarray, 'n 3'], findings: Findings) -> None:
  """Sets angular velocity to NaN where it jumps again and again to one number and back."""
  number, is_filler = _most_frequent(gyro)
  distances = np.abs(gyro - np.float32(number))
  away = distances.max(axis=1)
  if not is_filler.any() or not (away > 0).any():  # a missing value is not
    return
  step = float(distances[distances > 0].min())
  far = away > max(float(np.median(away[away > 0])), _COARSE_STEPS * step)
  first, stop = segments.runs(is_filler).T
  inner = (first > 0) & (stop < len(gyro)) & (stop - first <= _SHORT_ROWS)
  jumps = int((far[first[inner] - 1] & far[stop[inner]]).sum())
  if jumps > max(_FEW_ROWS, _JUMPS * len(gyro)):
    gyro[is_filler] = np.nan
    findings.warn(
      f'{count_of(is_filler)} with {number:g} on all axes of the gyroscope, to which it jumps and back '
      f'{jumps} times: left out, as if missing.'
    )


def _most_frequent(values: Float32[np.ndarray, 'n 3']) -> tuple[float, Bool[np.ndarray, 'n']]:
  """The number that most often stands on all axes, and where."""
  is_equal = (values[:, 0] == values[:, 1]) & (values[:, 1] == values[:, 2])
  numbers, counts = np.unique(values[is_equal, 0], return_counts=True)
  if not len(numbers):
    return 0.0, is_equal
  number = numbers[counts.argmax()]
  return float(number), is_equal & (values[:, 0] == number)

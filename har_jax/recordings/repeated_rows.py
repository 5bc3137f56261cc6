"""One number that stands on all axes in place of what is missing, such as 0 or -999.   n rows."""

import numpy as np
from jaxtyping import Bool, Float32

from har_jax.recordings import infer
from har_jax.recordings.infer import Findings
from har_jax.recordings.tables import count_of

_FEW_ROWS, _FEW_OF_ALL = 5, 0.002  # that may hold one number on all axes by chance
# A gyroscope at rest may be 0 on all axes, but does not jump there and back again and again. Over 1,900 clips
# of six archives, at most 0.5 % of rows begin such a jump; of zeros between measured rows, at least 4 %.
_JUMPS, _SHORT_ROWS, _COARSE_STEPS = 0.01, 20, 5


def drop_acc(values: dict[str, Float32[np.ndarray, 'n 3']], findings: Findings) -> None:
  """NaN, in place, where acceleration is again and again one number that is no gravity; in all sensors."""
  acc = values['acc']
  number, is_filler = _most_frequent(acc)
  if is_filler.sum() <= max(_FEW_ROWS, _FEW_OF_ALL * len(acc)):
    return
  rest = infer.lengths(acc[~is_filler & np.isfinite(acc).all(axis=1)])
  if len(rest) and not 0.5 < abs(number) * 3**0.5 / max(float(np.median(rest)), 1e-12) < 1.5:
    for each in values.values():
      each[is_filler & (each == number).all(axis=1)] = np.nan
    findings.warn(
      f'{count_of(is_filler)} with {number:g} on all axes of the accelerometer, which no motion gives: '
      'left out, as if missing.'
    )


def drop_gyro(gyro: Float32[np.ndarray, 'n 3'], findings: Findings) -> None:
  """NaN, in place, where angular velocity jumps again and again to one number and back."""
  number, is_filler = _most_frequent(gyro)
  each_away = np.abs(gyro - np.float32(number))
  away = each_away.max(axis=1)
  if not is_filler.any() or not (away > 0).any():  # a missing value is not
    return
  step = float(each_away[each_away > 0].min())
  far = away > max(float(np.median(away[away > 0])), _COARSE_STEPS * step)
  first, stop = np.flatnonzero(np.diff(np.r_[False, is_filler, False].astype(np.int8))).reshape(-1, 2).T
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

"""Windows without movement, and what they tell of an accelerometer: noise, bias and gain.

w windows, n samples, c channels, k stretches.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from har_jax.signal.recording import STANDARD_GRAVITY_M_S2, Samples

_STRETCH_S = 2.56
# Source: van Hees et al., PLoS ONE 8(4):e61691, 2013: a device is still if two of three axes deviate by less.
_STILL_M_S2, _STILL_AXES = 0.013 * STANDARD_GRAVITY_M_S2, 2
# Source: van Hees et al., J Appl Physiol 117:738, 2014, as in GGIR's `spherecrit`: both ends of each axis.
_REACH_M_S2, DIRECTIONS = 0.3 * STANDARD_GRAVITY_M_S2, 6
_STEPS, _TOLERANCE, _LARGEST_WEIGHT = 1000, 1e-10, 100.0


def is_still(signals: Float[np.ndarray, 'w n c']) -> Bool[np.ndarray, 'w']:
  """Windows in which the device does not move, by their first three channels: acceleration in m/s²."""
  return (signals[..., :3].std(axis=1) < _STILL_M_S2).sum(axis=1) >= _STILL_AXES


def stretches(samples: Samples, length_s: float, *, least: int) -> Float[np.ndarray, 'k n 3']:
  """Stretches of this length, side by side, each of at least so many samples; a shorter rest is left out."""
  size = max(round(length_s / samples.step_s), least)
  return samples.values[: len(samples.values) // size * size].reshape(-1, size, 3)


def moments(
  time_s: Float[np.ndarray, 'n'], values: Float[np.ndarray, 'n c'], step_s: float
) -> tuple[Float[np.ndarray, 'k c'], Float[np.ndarray, 'k']]:
  """Mean, and standard deviation over all channels, in each step from second 0; NaN without samples."""
  step = (time_s / step_s).astype(int)
  counts = np.bincount(step).astype(np.float64)
  counts[counts == 0] = np.nan
  mean, square = (
    np.stack([np.bincount(step, power(axis, dtype=np.float64)) / counts for axis in values.T], axis=1)
    for power in (np.positive, np.square)
  )
  return mean, np.sqrt((square - mean**2).clip(0).sum(axis=1))


class Rest(NamedTuple):
  """Mean and standard deviation of acceleration, m/s², in stretches without movement."""

  means: Float[np.ndarray, 'k 3']
  deviations: Float[np.ndarray, 'k 3']

  @property
  def errors(self) -> Float[np.ndarray, 'k']:
    """Excess of the length of gravity over 9.81."""
    return np.linalg.norm(self.means, axis=1) - STANDARD_GRAVITY_M_S2

  @property
  def noise_m_s2(self) -> float | None:
    """Standard deviation of an axis in the quietest tenth; None without rest."""
    deviations = self.deviations.mean(axis=1)
    return float(np.quantile(deviations, 0.1)) if len(deviations) else None


def find_rest(accelerometers: Iterable[Samples]) -> Rest:
  """Finds stretches of 2.56 s, at each sensor's own rate."""
  parts = []
  for acc in accelerometers:
    values = stretches(acc, _STRETCH_S, least=2)
    values = values[is_still(values)]
    parts.append([values.mean(axis=1), values.std(axis=1)])
  return Rest(*(np.concatenate(column).astype(np.float64) for column in zip(*parts, strict=True)))


def count_directions(means_m_s2: Float[np.ndarray, 'w 3']) -> int:
  """Ends of axes, of six, that pointed up in some window without movement."""
  return int(sum((sign * means_m_s2 > _REACH_M_S2).any(axis=0).sum() for sign in (1, -1)))


class Calibration(NamedTuple):
  """An accelerometer's errors: it measures `gain` × acceleration + `bias`, on x, y and z.

  `before`, `after`: mean distance, m/s², of the length of gravity from 9.81, as measured and as corrected.
  """

  gain: Float[np.ndarray, '3']
  bias_m_s2: Float[np.ndarray, '3']
  before: float
  after: float


def calibrate(means_m_s2: Float[np.ndarray, 'w 3']) -> Calibration | None:
  """Fits gravity at rest to a sphere; None if the device did not lie in all six directions.

  Each mean is drawn to the nearest point of the sphere, by weighted least squares again and again.
  Source: van Hees et al., 2014, as in GGIR's `g.calibrate` and in actipy.
  """
  if count_directions(means_m_s2) < DIRECTIONS:
    return None
  measured = means_m_s2.astype(np.float64) / STANDARD_GRAVITY_M_S2
  scale, offset, weights = np.ones(3), np.zeros(3), np.ones(len(measured))
  errors = before = np.abs(np.linalg.norm(measured, axis=1) - 1)
  for _ in range(_STEPS):
    corrected = scale * measured + offset
    nearest = corrected / np.linalg.norm(corrected, axis=1, keepdims=True)
    for axis in range(3):
      columns = np.stack([np.ones(len(measured)), corrected[:, axis]], axis=1)
      products = columns.T * weights
      added, factor = np.linalg.lstsq(products @ columns, products @ nearest[:, axis], rcond=None)[0]
      scale[axis], offset[axis] = factor * scale[axis], factor * offset[axis] + added
    last = errors
    errors = np.abs(np.linalg.norm(scale * measured + offset, axis=1) - 1)
    weights = np.minimum(1 / np.maximum(errors, 1e-9), _LARGEST_WEIGHT)
    if abs(errors.mean() - last.mean()) < _TOLERANCE:
      break
  if errors.mean() > before.mean():
    return None
  mean_before, mean_after = (float(error.mean()) * STANDARD_GRAVITY_M_S2 for error in (before, errors))
  return Calibration(1 / scale, -offset / scale * STANDARD_GRAVITY_M_S2, mean_before, mean_after)

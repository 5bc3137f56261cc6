"""Normalizing signals to mean 0 and standard deviation 1 per sensor.   w windows, n samples."""

import dataclasses

import numpy as np
from jaxtyping import Float

from har_jax.config import CHANNELS
from har_jax.signal.recording import STANDARD_GRAVITY_M_S2

_CHUNK = 4096  # windows read at a time from a memory map
_MIN_DEVIATION = 1e-6
_MIN_GYRO_STD_RAD_S = 1e-5  # the noise of a gyroscope is a hundred times that: below, there was none


@dataclasses.dataclass(frozen=True)
class Normalizer:
  """One mean and one standard deviation per sensor, over all three axes.

  This keeps the proportions of the axes and the direction of gravity.
  """

  mean: Float[np.ndarray, '2']
  deviation: Float[np.ndarray, '2']

  def __call__(self, signals: Float[np.ndarray, 'w n 6']) -> Float[np.ndarray, 'w n 6']:
    axes = CHANNELS // 2
    mean, deviation = np.repeat(self.mean, axes), np.repeat(self.deviation, axes)
    normalized = ((signals - mean) / deviation).astype(np.float32)
    if not self.has_gyro:
      normalized[..., axes:] = 0  # training had no angular velocity
    return normalized

  @property
  def has_gyro(self) -> bool:
    """Returns whether the windows that it was fitted on have angular velocity."""
    return bool(self.deviation[1] > _MIN_GYRO_STD_RAD_S)

  def origins(self, windows: int) -> Float[np.ndarray, 'w 2']:
    """The normalized value of a zero reading per sensor: the origin of rotation augmentation. Equal rows."""
    return np.tile((-self.mean / self.deviation).astype(np.float32), (windows, 1))


# Acceleration in g, angular velocity in rad/s: a zero reading stays zero.
PHYSICAL = Normalizer(np.zeros(2), np.array([STANDARD_GRAVITY_M_S2, 1.0]))
AS_IS = 'as_is'  # m/s² and rad/s, for baselines


def physical(signals: Float[np.ndarray, 'w n 6'], acc_unit: float = STANDARD_GRAVITY_M_S2) -> Normalizer:
  """`PHYSICAL`; where these windows have no angular velocity, its deviation is tiny, as `fit` has it.

  acc_unit: of acceleration, in m/s².
  """
  has_gyro = any(
    signals[start : start + _CHUNK, :, CHANNELS // 2 :].any() for start in range(0, len(signals), _CHUNK)
  )
  return Normalizer(PHYSICAL.mean, np.array([acc_unit, 1.0 if has_gyro else _MIN_DEVIATION]))


def fit(signals: Float[np.ndarray, 'w n 6']) -> Normalizer:
  """The statistics of each sensor over these windows, summed in float64."""
  sums, squares = np.zeros(2), np.zeros(2)
  for start in range(0, len(signals), _CHUNK):
    triads = np.asarray(signals[start : start + _CHUNK], np.float64).reshape(-1, 2, CHANNELS // 2)
    sums += triads.sum(axis=(0, 2))
    squares += np.square(triads).sum(axis=(0, 2))
  n = signals.size / 2
  mean = sums / n
  deviation = np.sqrt(np.maximum(squares / n - mean**2, 0))
  return Normalizer(mean, np.maximum(deviation, _MIN_DEVIATION))


def make(signals: Float[np.ndarray, 'w n 6'], normalize: str) -> Normalizer:
  """Makes the normalizer of these windows, by `config.Protocol.normalize`, or AS_IS."""
  if normalize == AS_IS:
    return physical(signals, 1.0)
  return physical(signals) if normalize == 'none' else fit(signals)

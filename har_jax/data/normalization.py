"""Bringing each dataset's sensors to mean nought and deviation one.   w windows, n samples."""

import dataclasses

import numpy as np
from jaxtyping import Float

from har_jax.config import CHANNELS

_CHUNK = 4096  # windows read at a time from a memory map
_LEAST_DEVIATION = 1e-6


@dataclasses.dataclass(frozen=True)
class Normalizer:
  """One mean and one deviation a sensor triad, so that the axes keep their proportions and gravity its direction."""

  mean: Float[np.ndarray, '2']
  deviation: Float[np.ndarray, '2']

  def __call__(self, signals: Float[np.ndarray, 'w n 6']) -> Float[np.ndarray, 'w n 6']:
    axes = CHANNELS // 2
    mean, deviation = np.repeat(self.mean, axes), np.repeat(self.deviation, axes)
    return ((signals - mean) / deviation).astype(np.float32)

  def origins(self, windows: int) -> Float[np.ndarray, 'w 2']:
    """Where, after this, a reading of nought lies on each axis of the triads: about it a window is turned. The same for each."""
    return np.tile((-self.mean / self.deviation).astype(np.float32), (windows, 1))


def fit(signals: Float[np.ndarray, 'w n 6']) -> Normalizer:
  """The triads' statistics over these windows, in float64."""
  sums, squares = np.zeros(2), np.zeros(2)
  for start in range(0, len(signals), _CHUNK):
    triads = np.asarray(signals[start : start + _CHUNK], np.float64).reshape(-1, 2, CHANNELS // 2)
    sums += triads.sum(axis=(0, 2))
    squares += np.square(triads).sum(axis=(0, 2))
  n = signals.size / 2
  mean = sums / n
  deviation = np.sqrt(np.maximum(squares / n - mean**2, 0))
  return Normalizer(mean, np.maximum(deviation, _LEAST_DEVIATION))

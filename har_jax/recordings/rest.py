"""Moments of rest in a reading's recordings: the accelerometer's noise, bias and gain.   k stretches."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from har_jax.recordings.reading import Reading
from har_jax.signal import segments
from har_jax.signal.recording import STANDARD_GRAVITY_M_S2
from har_jax.signal.still import is_still

_STRETCH_S = 2.56


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


def find_rest(reading: Reading) -> Rest:
  """Finds stretches of 2.56 s, at each sensor's own rate."""
  parts = []
  for recording in reading.recordings:
    size = max(round(_STRETCH_S / segments.step_s(recording.acc)), 2)
    values = recording.acc.values[: len(recording.acc.values) // size * size].reshape(-1, size, 3)
    parts.append([values[is_still(values)].mean(axis=1), values[is_still(values)].std(axis=1)])
  return Rest(*(np.concatenate(column).astype(np.float64) for column in zip(*parts, strict=True)))

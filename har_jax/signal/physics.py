"""Values that no motion of a person gives: faults of a file or of a sensor.   n samples, c channels."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from har_jax.signal.recording import STANDARD_GRAVITY_M_S2

# Inertial units on people measure up to 16 or 32 g and 2,000 or 4,000 °/s; beyond, nothing is measured.
MAX_ACC_M_S2 = 50 * STANDARD_GRAVITY_M_S2
MAX_GYRO_RAD_S = float(np.deg2rad(5000))
RULE = 'beyond 50 g or 5,000 °/s'
_FEW, _FEW_OF_ALL = 100, 0.001  # samples, and fraction of them; two seconds of a fall or a drop are 100


def drop_impossible(values: Float[np.ndarray, 'n c'], limit: float) -> tuple[Float[np.ndarray, 'n c'], int]:
  """One sensor's values with NaN in place of those beyond a limit, and how many these were.

  limit: MAX_ACC_M_S2 or MAX_GYRO_RAD_S. Without such a value, the same array comes back; the argument is
  never changed. Infinite values are beyond any limit; NaN stays and is not counted.
  One value can then move no statistic far: among 8,000 samples, 50 g adds 3.2 m/s² to a deviation at most.
  """
  beyond = np.abs(values) > limit
  count = int(np.count_nonzero(beyond))
  return (np.where(beyond, np.float32(np.nan), values), count) if count else (values, 0)


def scale_of_few(sensor: str, parts: Sequence[Float[np.ndarray, '... c']]) -> str | None:
  """A sentence if few samples of one sensor have more than half of its variance, else None.

  sensor: its name. parts: its values, in any number of arrays; NaN is left out. Few: 0.1 % or 100, whichever
  is fewer. Normalization divides by the deviation: such samples would make all others small.
  """
  mean = sum(np.nansum(part, dtype=np.float64) for part in parts) / max(
    sum(np.count_nonzero(~np.isnan(part)) for part in parts), 1
  )
  deviations = (part - np.float32(mean) for part in parts)
  squares = np.concatenate([np.square(part, out=part).sum(axis=-1).ravel() for part in deviations])
  squares = squares[~np.isnan(squares)]
  few = min(_FEW, math.ceil(_FEW_OF_ALL * len(squares)))
  if not few:
    return None
  largest = np.sort(np.partition(squares, -few)[-few:])[::-1].cumsum(dtype=np.float64)
  half = squares.sum(dtype=np.float64) / 2
  if largest[-1] <= half:
    return None
  count = int(np.searchsorted(largest, half, side='right')) + 1
  return (
    f'Over half of the variance of the {sensor} is in {count} of {len(squares):,} samples, which so set its '
    'scale: look at its largest values, and leave out what is a fault.'
  )

"""Values that no motion of a person gives: faults of a file or of a sensor.   n samples, c channels."""

import numpy as np
from jaxtyping import Float

from har_jax.data.recording import STANDARD_GRAVITY_M_S2

# Inertial units on people measure up to 16 or 32 g and 2,000 or 4,000 °/s; beyond, a value is no measurement.
MAX_ACC_M_S2 = 50 * STANDARD_GRAVITY_M_S2
MAX_GYRO_RAD_S = float(np.deg2rad(5000))
RULE = 'beyond 50 g or 5,000 °/s'


def drop_impossible(values: Float[np.ndarray, 'n c'], limit: float) -> tuple[Float[np.ndarray, 'n c'], int]:
  """One sensor's values with NaN in place of those beyond a limit, and how many these were.

  limit: MAX_ACC_M_S2 or MAX_GYRO_RAD_S. Without such a value, the same array comes back; the argument is
  never changed. Infinite values are beyond any limit; NaN stays and is not counted.
  One value can then move no statistic far: among 8,000 samples, 50 g adds 3.2 m/s² to a deviation at most.
  """
  beyond = np.abs(values) > limit
  count = int(np.count_nonzero(beyond))
  return (np.where(beyond, np.float32(np.nan), values), count) if count else (values, 0)

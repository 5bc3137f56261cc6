"""What gravity says of the gyroscope's unit: as a device turns, gravity turns against it in its axes.

n samples, b moments.
"""

import math

import numpy as np
from jaxtyping import Float, Int

from har_jax.data.recording import Samples
from har_jax.data.user_recordings import units

_MOMENT_S = 0.25
# By the readers' own recordings (130 of MotionSense, HAPT, WISDM and DSADS that correlate by over 0.3): the slope is 0.17
# to 1.32 in rad/s, below 1 where motion hides gravity, and a 57th of that in deg/s.
_SLOPE = (0.12, 1.5)
_CORRELATION = 0.3
_BY_CHANCE = 5.0  # deviations of a correlation by chance


def unit(acc: Samples, gyro: Samples) -> str:
  """'rad/s', 'deg/s', or empty where nothing turns enough, or what turns is not the same device.

  d(acc)/dt = acc × gyro for gravity at rest in the world; means of a quarter second stand for acc and gyro.
  """
  acc_at, acc_means = _means(acc)
  gyro_at, gyro_means = _means(gyro)
  at, of_acc, of_gyro = np.intersect1d(acc_at, gyro_at, assume_unique=True, return_indices=True)
  pulls, turns = acc_means[of_acc], gyro_means[of_gyro]
  whole = at[2:] - at[:-2] == 2
  found = ((pulls[2:] - pulls[:-2]) / (2 * _MOMENT_S))[whole]
  due = np.cross(pulls, turns)[1:-1][whole]
  both, squares = float((found * due).sum()), float((due * due).sum())
  if not squares or both <= 0:
    return ''
  correlation = both / math.sqrt(squares * float((found * found).sum()))
  if correlation < max(_CORRELATION, _BY_CHANCE / math.sqrt(due.size)):
    return ''
  slope = both / squares
  return next((name for name, rad in units.GYRO.items() if _SLOPE[0] < slope / rad < _SLOPE[1]), '')


def _means(samples: Samples) -> tuple[Int[np.ndarray, 'b'], Float[np.ndarray, 'b 3']]:
  """Which quarter seconds were sampled, and the mean of each."""
  at = np.floor(samples.time_s / _MOMENT_S).astype(np.int64)
  starts = np.flatnonzero(np.r_[True, np.diff(at) > 0])
  sums = np.add.reduceat(samples.values, starts, axis=0, dtype=np.float64)
  return at[starts], sums / np.diff(np.r_[starts, len(at)])[:, None]

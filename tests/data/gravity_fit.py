"""Whether gravity turns as the gyroscope says, which shows wrong signs, axes, units and pairing in time.

r rows.
"""

from collections.abc import Sequence

import numpy as np
import scipy.signal

from har_jax.data.recording import RATE_HZ, STANDARD_GRAVITY_M_S2

_CUTOFF_HZ = 0.5  # below steps: accelerations of the body would hide gravity
_EDGE = RATE_HZ // 2  # samples at each end, which the filter distorts


def rotation(signals: Sequence[np.ndarray]) -> np.ndarray:
  """The 3 × 3 matrix M of the best fit da/dt = a × M ω, to low-passed signals at 50 Hz.

  The identity where both sensors agree; the filter and the body's acceleration make it smaller (HAPT: 0.87 to
  0.90 of the identity).
  """
  low_pass = scipy.signal.butter(2, _CUTOFF_HZ, fs=RATE_HZ, output='sos')
  effects, changes = [], []
  for signal in signals:
    smooth = scipy.signal.sosfiltfilt(low_pass, signal, axis=0)
    acc, gyro = smooth[:, :3], smooth[:, 3:]
    change = np.gradient(acc, 1 / RATE_HZ, axis=0)
    is_turning = np.linalg.norm(gyro, axis=1) > 0.5
    is_turning &= np.abs(np.linalg.norm(acc, axis=1) - STANDARD_GRAVITY_M_S2) < 0.5
    is_turning[:_EDGE] = is_turning[-_EDGE:] = False
    cross = np.cross(acc[is_turning, None, :], np.eye(3))  # [r, axis of M ω, axis of the change]
    effects.append(np.einsum('rij,rk->rjik', cross, gyro[is_turning]).reshape(-1, 9))
    changes.append(change[is_turning].reshape(-1))
  solution, *_ = np.linalg.lstsq(np.concatenate(effects), np.concatenate(changes), rcond=None)
  return solution.reshape(3, 3)

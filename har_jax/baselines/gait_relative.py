"""Features of windows relative to the walking in the same recording.

How one activity differs from another carries over to other people and devices better than either does.
w windows, n samples, f features.
"""

import numpy as np
from jaxtyping import Bool, Float

from har_jax.baselines.features import in_chunks, names, statistics
from har_jax.data import alignment

CHANNELS = ('acc norm', 'acc along', 'acc across', 'gyro norm', 'gyro along', 'gyro across')
_ANGLE = 'angle of gravity to that of walking, degrees'
NAMES = [*names(CHANNELS), _ANGLE]
OF_GYRO = np.array(['gyro' in name for name in NAMES])


def features(
  signals: Float[np.ndarray, 'w n 6'], walking: Bool[np.ndarray, 'w']
) -> Float[np.ndarray, 'w f'] | None:
  """Of one recording's windows in m/s² and rad/s; None if too few of them are walking.

  Statistics of each sensor's length, and of its parts along and across gravity: they do not depend on how
  the device is turned. The mean of the walking windows is subtracted. Without rotation its columns are 0.
  """
  upright = alignment.mean_gravity(signals, walking)
  if upright is None:
    return None
  of_windows = in_chunks(signals, lambda chunk: statistics(_relative_to_gravity(chunk)))
  means = signals[..., :3].mean(axis=1, dtype=np.float64)
  cosine = means @ upright / np.maximum(np.linalg.norm(means, axis=1), 1e-6)
  angle = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
  relative = of_windows - of_windows[walking].mean(axis=0)
  return np.concatenate([relative, angle[:, None]], axis=1)


def _relative_to_gravity(signals: Float[np.ndarray, 'w n 6']) -> Float[np.ndarray, 'w n 6']:
  """CHANNELS. Gravity is the mean acceleration of the window."""
  triads = np.asarray(signals, np.float64).reshape(*signals.shape[:2], 2, 3)
  gravity = triads[:, :, 0].mean(axis=1)
  gravity /= np.maximum(np.linalg.norm(gravity, axis=1, keepdims=True), 1e-6)
  length = np.linalg.norm(triads, axis=-1)
  along = np.einsum('wnsc,wc->wns', triads, gravity)
  across = np.sqrt(np.maximum(length**2 - along**2, 0))
  return np.stack([length, along, across], axis=-1).reshape(signals.shape)

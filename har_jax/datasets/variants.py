"""Windows of the sources as other devices and other movements would give them.   w windows, n samples."""

import numpy as np

from har_jax.datasets.batches import Batch, concatenate

_ROTATED = 0.5  # of the windows
# Standard deviation of an axis of acceleration, in the windows' unit: g, or about one of the axis itself.
_MOVES = 0.15


def vary(windows: Batch, classes: int, *, seed: int) -> Batch:
  """Half of the windows as a device in any orientation gives them; then each moving one again, in reverse.

  A movement in reverse is another activity, so its label is that of the movement, plus `classes`.
  In reverse, acceleration is the same, and rotation has the opposite sign.
  windows: signal [w, n, 6], origin [w, 2] and label [w]; `origin` is the physical zero of each sensor.
  """
  from scipy.spatial.transform import Rotation  # late: importing it takes a while, and few need it

  rng = np.random.default_rng(seed)
  origin = windows['origin'][:, None, :, None]
  triads = windows['signal'].reshape(*windows['signal'].shape[:2], 2, 3) - origin
  is_rotated = rng.random(len(triads)) < _ROTATED
  rotations = Rotation.random(int(is_rotated.sum()), rng).as_matrix().astype(np.float32)
  triads[is_rotated] = np.einsum('wij,wnsj->wnsi', rotations, triads[is_rotated])
  moves = triads[:, :, 0].std(axis=1).max(axis=1) > _MOVES
  backward = triads[moves, ::-1] * np.array([[1], [-1]], np.float32)
  moving = {name: rows[moves] for name, rows in windows.items()}
  reverse = moving | {
    'signal': (backward + origin[moves]).reshape(moving['signal'].shape),
    'label': moving['label'] + classes,
  }
  forward = windows | {'signal': (triads + origin).reshape(windows['signal'].shape)}
  return concatenate([forward, reverse], tuple(windows))

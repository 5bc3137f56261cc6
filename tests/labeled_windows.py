"""Windows of three activities by four subjects, easy to classify."""

import numpy as np

LABELS = np.tile(np.array(['walking', 'lying', 'still']), 24)
SUBJECTS = np.repeat(['Ann', 'Bob', 'Cem', 'Dov'], 18)


def _signals() -> np.ndarray:
  """Walking has large noise; lying has gravity along another axis."""
  noise = np.random.default_rng(0).standard_normal((len(LABELS), 128, 6))
  signals = np.where(LABELS == 'walking', 3.0, 0.3)[:, None, None] * noise
  signals[..., 2] += np.where(LABELS == 'lying', 0.0, 9.8)[:, None]
  signals[..., 0] += np.where(LABELS == 'lying', 9.8, 0.0)[:, None]
  return signals


SIGNALS = _signals()

"""Made-up recordings of walking, standing and lying with a device that is worn at any angle."""

import numpy as np

WALKING, STANDING, LYING = range(3)
UPRIGHT = np.array([0.0, 1.0, 0.0])


def random_rotation(rng: np.random.Generator) -> np.ndarray:
  turn, _ = np.linalg.qr(rng.standard_normal((3, 3)))
  return turn * np.linalg.det(turn)


def rotated(windows: np.ndarray, turn: np.ndarray) -> np.ndarray:
  """Both sensors."""
  return (windows.reshape(-1, 128, 2, 3) @ turn.T.astype(windows.dtype)).reshape(windows.shape)


def recording(rng: np.random.Generator, turn: np.ndarray, count: int = 8) -> tuple[np.ndarray, np.ndarray]:
  """Windows in m/s² and rad/s, `each` of each activity, and their labels."""
  time = np.arange(128)[:, None] / 50
  labels = np.repeat([WALKING, STANDING, LYING], count)
  windows = 0.05 * rng.standard_normal((len(labels), 128, 6))
  windows[..., :3] += 9.8 * np.where(labels == LYING, 0, 1)[:, None, None] * UPRIGHT
  windows[labels == LYING, :, 2] += 9.8
  steps = np.sin(2 * np.pi * 2 * time + rng.uniform(0, 6, (count, 1, 1)))
  windows[labels == WALKING] += steps * np.array([0.5, 3, 0.5, 0.2, 1, 0.2])
  return rotated(windows.astype(np.float32), turn), labels

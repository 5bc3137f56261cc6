"""Random weights for tests."""

import numpy as np

SHAPES = [(), (1,), (63,), (64,), (65,), (3, 5), (24, 48), (2, 3, 7), (1, 129)]


def weights(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
  return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)

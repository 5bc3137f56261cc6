"""Weights that tests pack."""

import numpy as np

SHAPES = [(), (1,), (2,), (63,), (64,), (65,), (3, 5), (24, 48), (2, 3, 7), (1, 129), (2, 2, 2, 17)]


def weights(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
  return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)

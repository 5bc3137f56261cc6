"""Random weights for tests."""

import jax
import numpy as np

from har_jax import nf4

SHAPES = [(), (1,), (63,), (64,), (65,), (3, 5), (24, 48), (2, 3, 7), (1, 129)]

# One program per shape; eagerly, each operation is a program.
quantize = jax.jit(nf4.quantize, static_argnames=('block', 'double'))
dequantize = jax.jit(nf4.dequantize, static_argnames='dtype')


def weights(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
  return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)

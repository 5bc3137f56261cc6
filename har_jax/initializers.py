"""Initial weights with the numbers of Flax's initializers, bit for bit, from few compiled programs.

Flax's compile several programs for each shape, which takes longer than a short training.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Array

# Draws have 2¹⁶, 2¹⁸, … numbers: to compile takes longer than to draw.
_FEWEST_BITS, _STEP_BITS = 16, 2


def draw(sampler: Callable[..., Array], key: Array, shape: Sequence[int], **options: Any) -> Any:
  """`sampler(key, shape)`, of `jax.random`, for samplers that make a number of each 32 random bits.

  They are the first numbers of a longer draw: with partitionable Threefry, JAX's default, number n depends on
  the key and n alone.
  """
  if isinstance(key, jax.core.Tracer) or not jax.config.values['jax_threefry_partitionable']:
    return sampler(key, tuple(shape), **options)
  size = math.prod(shape)
  bits = max(_FEWEST_BITS, (size - 1).bit_length())
  bits += (_FEWEST_BITS - bits) % _STEP_BITS
  with jax.disable_jit(False):
    drawn = np.asarray(sampler(key, (1 << bits,), **options))
  return drawn[:size].reshape(shape)


def xavier_uniform(key: Array, shape: Sequence[int], dtype: Any = np.float32) -> Array:
  """Equals `flax.linen.initializers.xavier_uniform()`, of a kernel [i, o]."""
  variance = np.float32(2 / sum(shape))
  return jax.device_put(
    draw(jax.random.uniform, key, shape, dtype=dtype, minval=-1.0) * np.sqrt(3 * variance)
  )


def normal(std: float) -> Callable[..., Array]:
  """Equals `flax.linen.initializers.normal(std)`."""
  sampler = jax.nn.initializers.normal(std)  # with its factor, whose rounding differs between versions of JAX

  def drawn(key: Array, shape: Sequence[int], dtype: Any = np.float32) -> Array:
    return jax.device_put(draw(sampler, key, shape, dtype=dtype))

  return drawn


def zeros(_: Any, shape: Sequence[int], dtype: Any = np.float32) -> Array:
  return jax.device_put(np.zeros(shape, dtype))


def ones(_: Any, shape: Sequence[int], dtype: Any = np.float32) -> Array:
  return jax.device_put(np.ones(shape, dtype))

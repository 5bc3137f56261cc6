"""Layer normalization whose gradient is fast on CPU.   b batch, c channels."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from har_jax import initializers


class LayerNorm(nn.Module):
  """Computes what `flax.linen.LayerNorm` computes, with the same variables.   Source: arXiv:1607.06450."""

  @nn.compact
  def __call__(self, x: Float[Array, '*b c']) -> Float[Array, '*b c']:
    scale = self.param('scale', initializers.ones, x.shape[-1:])
    bias = self.param('bias', initializers.zeros, x.shape[-1:])
    return _normalize(x, scale, bias)


@jax.custom_vjp
def _normalize(x: Float[Array, '*b c'], scale: Float[Array, 'c'], bias: Float[Array, 'c']) -> Array:
  """Normalizes over the channels.

  The gradient that JAX derives passes through mean and mean square apart. Written as one formula, it takes
  half the time: a tenth of a training step with the convolutional stem.
  """
  return _forward(x, scale, bias)[0]


def _forward(x: Array, scale: Array, bias: Array) -> tuple[Array, tuple[Array, ...]]:
  mean = jnp.mean(x, axis=-1, keepdims=True)
  variance = jnp.maximum(0, jnp.mean(jnp.square(x), axis=-1, keepdims=True) - jnp.square(mean))
  factor = jax.lax.rsqrt(variance + nn.LayerNorm.epsilon)
  scale, bias = row(scale, x), row(bias, x)
  return (x - mean) * (factor * scale) + bias, (x, mean, factor, scale)


def _backward(residuals: tuple[Array, ...], dy: Array) -> tuple[Array, Array, Array]:
  x, mean, factor, scale = residuals
  normalized = (x - mean) * factor
  scaled = dy * scale
  across = jnp.mean(scaled * normalized, axis=-1, keepdims=True)
  dx = factor * (scaled - jnp.mean(scaled, axis=-1, keepdims=True) - normalized * across)
  leading = tuple(range(x.ndim - 1))
  return dx, jnp.sum(dy * normalized, axis=leading), jnp.sum(dy, axis=leading)


_normalize.defvjp(_forward, _backward)


def row(vector: Float[Any, 'c'], x: Float[Array, '*b d']) -> Any:
  """The vector, of JAX or NumPy, with as many axes as x, so that it lines up with the last one."""
  return vector.reshape((1,) * (x.ndim - 1) + vector.shape)

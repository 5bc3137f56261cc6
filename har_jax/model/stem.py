"""The convolutional stem: windows to tokens by residual convolutions, written as slices and dense products.

So LoRA, NF4 and merging reach every kernel, and no XLA convolution is needed, which is slow on CPU.

b batch, n samples, m samples after a stage, c channels, t tokens, d token width, q values per kernel.
Source: arXiv:1512.03385 (residual stages), arXiv:2205.03892 (masked convolution).
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from har_jax import config
from har_jax.model.layers import Dense
from har_jax.model.normalization import LayerNorm
from har_jax.model.tokens import relative_to_gravity

FIRST_KERNEL, KERNEL, SECOND_KERNEL = 7, 5, 3
# Typical mean and standard deviation of each channel, in g and rad/s, over several public archives.
MEAN = (0.0,) * 6 + (1.05, 0.9, 1.0, 0.0, 0.2, 0.7)
STD = (0.6,) * 3 + (0.9,) * 3 + (0.4, 1.2, 0.4, 1.0, 0.3, 1.0)


class Stem(nn.Module):
  """One residual stage per width; each halves the time axis, so a token covers 2 ** stages samples.

  With `is_visible`, hidden samples count as zero before each convolution. No visible token then depends on
  a hidden one.
  """

  widths: tuple[int, ...]
  token_width: int
  precision: config.Precision = config.Precision()

  @nn.compact
  def __call__(
    self, signal: Float[Array, 'b n 6'], is_visible: Bool[Array, 'b t'] | None = None
  ) -> Float[Array, 'b t d']:
    x = self._standardized(signal, is_visible)
    for i, width in enumerate(self.widths):
      x = _hide(x, is_visible)
      dtype = self.precision.dtype
      neighbors = _neighbors(x, KERNEL if i else FIRST_KERNEL, 2, dtype)
      y = Dense(width, self.precision, name=f'down_{i}')(neighbors)
      y = _hide(nn.relu(LayerNorm(name=f'norm_down_{i}')(y)), is_visible)
      y = Dense(width, self.precision, name=f'conv_{i}')(_neighbors(y, SECOND_KERNEL, 1, dtype))
      pairs = jnp.mean(x.reshape(*x.shape[:-2], -1, 2, x.shape[-1]), axis=2)
      shortcut = Dense(width, self.precision, name=f'shortcut_{i}')(pairs)
      x = nn.relu(LayerNorm(name=f'norm_conv_{i}')(y) + shortcut)
    return Dense(self.token_width, self.precision, name='project')(x)

  def _standardized(
    self, signal: Float[Array, 'b n 6'], is_visible: Bool[Array, 'b t'] | None
  ) -> Float[Array, 'b n 12']:
    channels = jnp.concatenate([signal, invariant_features(signal, is_visible)], axis=-1)
    return (channels - jnp.array(MEAN)[None, None]) / jnp.array(STD)[None, None]


def invariant_features(
  signal: Float[Array, 'b n 6'], is_visible: Bool[Array, 'b t'] | None = None
) -> Float[Array, 'b n 6']:
  """Channels that do not change with device orientation, from a signal whose zero is physical.

  For each sensor: its norm, its component along gravity, and the norm of its component across gravity.
  Gravity is the mean acceleration of the visible samples of the window.
  """
  triads = signal.reshape(*signal.shape[:2], 2, 3)
  weight = jnp.ones((*signal.shape[:2], 1)) if is_visible is None else _over_samples(is_visible, signal)
  gravity = jnp.sum(triads[:, :, 0] * weight, axis=1) / jnp.sum(weight, axis=1)
  return relative_to_gravity(triads, gravity)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1, 2, 3))
def _neighbors(x: Float[Array, 'b n c'], size: int, stride: int, dtype: str) -> Float[Array, 'b m q']:
  """Each `stride`-th sample beside its neighbors, `size` samples in all; zero beyond the window.

  Numbers are cast to the dtype first, which is `size` times fewer casts. Gradients are added in float32.
  """
  return _shifted(x.astype(dtype), size, stride)


def _neighbors_forward(x: Array, size: int, stride: int, dtype: str) -> tuple[Array, None]:
  return _neighbors(x, size, stride, dtype), None


def _neighbors_backward(size: int, stride: int, dtype: str, _: None, gradient: Array) -> tuple[Array]:
  batch, count, values = gradient.shape
  x = jax.ShapeDtypeStruct((batch, count * stride, values // size), jnp.float32)
  return tuple(jax.linear_transpose(lambda x: _shifted(x, size, stride), x)(gradient.astype(jnp.float32)))


_neighbors.defvjp(_neighbors_forward, _neighbors_backward)


def _shifted(x: Float[Array, 'b n c'], size: int, stride: int) -> Float[Array, 'b m q']:
  count = x.shape[1] // stride
  before = (size - 1) // 2
  padded = jnp.pad(x, ((0, 0), (before, size - 1 - before), (0, 0)))
  shifted = [
    jax.lax.slice_in_dim(padded, first, first + (count - 1) * stride + 1, stride, axis=1)
    for first in range(size)
  ]
  # With JAX 0.10, XLA stacks on CPU twice as fast as it concatenates along the last axis. Later versions
  # do not differ.
  return jnp.stack(shifted, axis=2).reshape(x.shape[0], count, size * x.shape[2])


def _hide(x: Float[Array, 'b n c'], is_visible: Bool[Array, 'b t'] | None) -> Float[Array, 'b n c']:
  return x if is_visible is None else x * _over_samples(is_visible, x)


def _over_samples(is_visible: Bool[Array, 'b t'], x: Float[Array, 'b n c']) -> Float[Array, 'b n 1']:
  """1 where a sample belongs to a visible token, else 0."""
  return jnp.repeat(is_visible, x.shape[1] // is_visible.shape[1], axis=1)[..., None].astype(jnp.float32)

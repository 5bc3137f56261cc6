"""Layers whose variables determine what they compute.

b batch, t tokens, s tokens attended to, d width, h heads, k head width, i in, o out, r rank.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from har_jax import config, nf4
from har_jax.model.product import product


class Dense(nn.Module):
  """A dense layer: y = x W + bias, plus (scale · x A) B if the collection `lora` holds a pair A, B.

  W is the packed kernel of the collection `nf4` if it exists, otherwise the kernel of `params`. The
  collection `lora_scale` holds the scale, alpha / rank: not a weight, but needed to merge or store an
  adapter. Products are computed in the precision's dtype and returned as float32.
  Source: arXiv:2106.09685 (LoRA), section 4.1; arXiv:2305.14314 (QLoRA), section 3.
  """

  features: int
  precision: config.Precision = config.Precision()

  @nn.compact
  def __call__(self, x: Float[Array, '*b i']) -> Float[Array, '*b o']:
    shape, dtype = (x.shape[-1], self.features), self.precision.dtype
    x = x.astype(dtype)
    if self.has_variable('nf4', 'codes'):
      packed = nf4.from_leaves(self.variables['nf4'], shape)
      y = nf4.matmul(x, packed, self.precision.nf4_kernel)
    else:
      y = product(x, self.param('kernel', nn.initializers.xavier_uniform(), shape).astype(dtype))
    if self.has_variable('lora', 'a'):
      a: Array = self.get_variable('lora', 'a')
      b: Array = self.get_variable('lora', 'b')
      scale: Array = self.get_variable('lora_scale', 'value')
      y = y + product(scale.astype(dtype) * product(x, a.astype(dtype)), b.astype(dtype))
    bias = self.param('bias', nn.initializers.zeros, (self.features,))
    return y.astype(jnp.float32) + bias.reshape((1,) * (y.ndim - 1) + bias.shape)


class Attention(nn.Module):
  """Multi-head attention over tokens.   Source: arXiv:1706.03762, section 3.2."""

  num_heads: int
  precision: config.Precision = config.Precision()

  @nn.compact
  def __call__(self, x: Float[Array, 'b t d']) -> Float[Array, 'b t d']:
    width = x.shape[-1]
    q, k, v = (
      Dense(width, self.precision, name=name)(x).reshape(
        *x.shape[:-1], self.num_heads, width // self.num_heads
      )
      for name in ('query', 'key', 'value')
    )
    dtype = self.precision.dtype
    q, k, v = (each.astype(dtype) for each in (q, k, v))
    scores = jnp.einsum('bthk,bshk->bhts', q, k).astype(jnp.float32) * (width // self.num_heads) ** -0.5
    attended = jnp.einsum('bhts,bshk->bthk', jax.nn.softmax(scores).astype(dtype), v)
    return Dense(width, self.precision, name='output')(attended.reshape(x.shape))


class Block(nn.Module):
  """A pre-norm Transformer block. With two streams, each half of the width has a separate attention."""

  mlp_dim: int
  num_heads: int
  streams: int
  precision: config.Precision = config.Precision()

  @nn.compact
  def __call__(self, x: Float[Array, 'b t d']) -> Float[Array, 'b t d']:
    halves = jnp.split(nn.LayerNorm(name='norm_attention')(x), self.streams, axis=-1)
    attended = [
      Attention(
        self.num_heads // self.streams, self.precision, name=stream_name('attention', i, self.streams)
      )(half)
      for i, half in enumerate(halves)
    ]
    x = x + jnp.concatenate(attended, axis=-1)
    hidden = Dense(self.mlp_dim, self.precision, name='up')(nn.LayerNorm(name='norm_ffn')(x))
    return x + Dense(x.shape[-1], self.precision, name='down')(nn.gelu(hidden))


def stream_name(name: str, stream: int, streams: int) -> str:
  """A module's name: `name`, or with two streams `name` and the stream's sensor."""
  return name if streams == 1 else f'{name}_{("acc", "gyro")[stream]}'

"""Layers whose variables determine what they compute.

b batch, t tokens, s tokens attended to, d width, h heads, k head width, i in, o out.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from har_jax import config, initializers, nf4
from har_jax.model import adapted
from har_jax.model.normalization import LayerNorm, row
from har_jax.model.product import low_rank_product, product


class Dense(nn.Module):
  """A dense layer: y = x W + bias, changed by the collections that a fine-tuning method adds (`adapted`).

  W is the packed kernel of the collection `nf4` if it exists, otherwise the kernel of `params`. A pair A, B
  of `lora`, `adalora` or `vera` is added to W; `dora` sets the norms of the columns of the sum. `ia3` scales
  inputs or outputs, and `adapter` adds a hidden layer after it.
  Products are computed in the precision's dtype and returned as float32.
  Source: arXiv:2106.09685 (LoRA), section 4.1; arXiv:2305.14314 (QLoRA), section 3.
  """

  features: int
  precision: config.Precision = config.Precision()

  @nn.compact
  def __call__(self, x: Float[Array, '*b i']) -> Float[Array, '*b o']:
    shape, dtype = (x.shape[-1], self.features), self.precision.dtype
    x = adapted.scaled_input(self, x).astype(dtype)
    pair = adapted.low_rank_pair(self, *shape)
    if self.has_variable('nf4', 'codes'):
      packed = nf4.from_leaves(self.variables['nf4'], shape)
      y = self._packed_product(x, packed, pair)
      y = adapted.normalized_columns(self, y, lambda: nf4.dequantize(packed), pair)
    else:
      kernel = self.param('kernel', initializers.xavier_uniform, shape)
      y = product(x, kernel.astype(dtype)) if pair is None else low_rank_product(x, kernel, *pair)
      y = adapted.normalized_columns(self, y, lambda: kernel, pair)
    bias = self.param('bias', initializers.zeros, (self.features,))
    y = y.astype(jnp.float32) + row(bias, y)
    return adapted.adapted_output(self, y)

  def _packed_product(
    self, x: Float[Array, '*b i'], packed: nf4.Nf4, pair: adapted.Pair | None
  ) -> Float[Array, '*b o']:
    nf4_kernel = self.precision.nf4_kernel
    if pair is None:
      return nf4.matmul(x, packed, nf4_kernel)
    if not nf4.fused_kernels(x, packed, nf4_kernel):
      return low_rank_product(x, packed, *pair)
    left, right = (factor.astype(x.dtype) for factor in pair)  # a fused kernel takes packed weights alone
    return nf4.matmul(x, packed, nf4_kernel) + product(product(x, left), right)


class Attention(nn.Module):
  """Multi-head attention of tokens over a context.   Source: arXiv:1706.03762, section 3.2."""

  num_heads: int
  precision: config.Precision = config.Precision()

  @nn.compact
  def __call__(self, x: Float[Array, 'b t d'], context: Float[Array, 'b s d']) -> Float[Array, 'b t d']:
    width = x.shape[-1]
    q, k, v = (
      Dense(width, self.precision, name=name)(attended).reshape(
        *attended.shape[:-1], self.num_heads, width // self.num_heads
      )
      for name, attended in (('query', x), ('key', context), ('value', context))
    )
    dtype = self.precision.dtype
    q, k, v = (each.astype(dtype) for each in (q, k, v))
    scores = jnp.einsum('bthk,bshk->bhts', q, k).astype(jnp.float32) * (width // self.num_heads) ** -0.5
    attended = jnp.einsum('bhts,bshk->bthk', jax.nn.softmax(scores).astype(dtype), v)
    return Dense(width, self.precision, name='output')(attended.reshape(x.shape))


class Block(nn.Module):
  """A pre-norm Transformer block. With two streams, each half of the width has a separate attention.

  If the collection `prompt` holds tokens, the block attends to them, too.   Source: arXiv:2203.12119, section
  3.2 (deep prompts). What the block would compute at their places is dropped there, so it is left out here.
  """

  mlp_dim: int
  num_heads: int
  streams: int
  precision: config.Precision = config.Precision()

  @nn.compact
  def __call__(self, x: Float[Array, 'b t d']) -> Float[Array, 'b t d']:
    tokens = x
    if self.has_variable('prompt', 'tokens'):
      prompt: Array = self.get_variable('prompt', 'tokens')
      tokens = jnp.concatenate([x, jnp.broadcast_to(prompt, (len(x), *prompt.shape[1:]))], axis=1)
    contexts = jnp.split(LayerNorm(name='norm_attention')(tokens), self.streams, axis=-1)
    attended = [
      Attention(
        self.num_heads // self.streams, self.precision, name=stream_name('attention', i, self.streams)
      )(context[:, : x.shape[1]], context)
      for i, context in enumerate(contexts)
    ]
    x = x + jnp.concatenate(attended, axis=-1)
    hidden = Dense(self.mlp_dim, self.precision, name='up')(LayerNorm(name='norm_ffn')(x))
    return x + Dense(x.shape[-1], self.precision, name='down')(nn.gelu(hidden))


def stream_name(name: str, stream: int, streams: int) -> str:
  """A module's name: `name`, or with two streams `name` and the stream's sensor."""
  return name if streams == 1 else f'{name}_{("acc", "gyro")[stream]}'

"""What the collections of fine-tuning methods change in a dense layer. Without them, a layer is plain.

b batch, i in, o out, r rank.
"""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from har_jax.model.normalization import row
from har_jax.model.product import product

Pair = tuple[Float[Array, 'i r'], Float[Array, 'r o']]


def scaled_input(layer: nn.Module, x: Float[Array, '*b i']) -> Float[Array, '*b i']:
  """The input, times the collection `ia3`'s factor per input.   Source: arXiv:2205.05638, section 3.3."""
  return x * row(layer.get_variable('ia3', 'input'), x) if layer.has_variable('ia3', 'input') else x


def low_rank_pair(layer: nn.Module, fan_in: int, fan_out: int) -> Pair | None:
  """Two factors whose product `lora`, `adalora` or `vera` adds to the kernel; None without any of them.

  Source: arXiv:2106.09685, section 4.1; arXiv:2303.10512, section 3.1; arXiv:2310.11454, section 3.1.
  """
  if layer.has_variable('lora', 'a'):
    a, b = _leaves(layer, 'lora', 'a', 'b')
    return layer.get_variable('lora_scale', 'value') * a, b
  if layer.has_variable('adalora', 'a'):
    a, e, b = _leaves(layer, 'adalora', 'a', 'e', 'b')
    return a * (layer.get_variable('adalora_scale', 'value') * e)[None], b
  if layer.has_variable('vera', 'd'):
    d, gain = _leaves(layer, 'vera', 'd', 'b')
    shared = layer.scope.root.get_variable('vera_shared', layer.path[0])  # type: ignore[union-attr]
    return shared['a'][:fan_in] * d[None], shared['b'][:, :fan_out] * gain[None]
  return None


def normalized_columns(
  layer: nn.Module, y: Float[Array, '*b o'], kernel: Callable[[], Float[Array, 'i o']], pair: Pair | None
) -> Float[Array, '*b o']:
  """`dora`: y as if each column of the adapted kernel had the trained length.

  kernel: gives the frozen kernel in float32.   Source: arXiv:2402.09353, section 4.
  """
  if pair is None or not layer.has_variable('dora', 'magnitude'):
    return y
  left, right = pair
  # Its source treats the norm as a constant, which saves its gradient (section 4.3).
  norm = jax.lax.stop_gradient(jnp.linalg.norm(kernel() + left @ right, axis=0))
  return y * row((layer.get_variable('dora', 'magnitude') / norm).astype(y.dtype), y)


def adapted_output(layer: nn.Module, y: Float[Array, '*b o']) -> Float[Array, '*b o']:
  """The layer's output, times the factor of `ia3`, plus the bottleneck of `adapter`.

  Source: arXiv:2205.05638, section 3.3; arXiv:1902.00751, section 2.1.
  """
  if layer.has_variable('ia3', 'output'):
    y = y * row(layer.get_variable('ia3', 'output'), y)
  if layer.has_variable('adapter', 'down'):
    down, down_bias, up, up_bias = _leaves(layer, 'adapter', 'down', 'down_bias', 'up', 'up_bias')
    dtype = layer.precision.dtype  # type: ignore[attr-defined]
    hidden = product(y.astype(dtype), down.astype(dtype)).astype(jnp.float32) + row(down_bias, y)
    change = product(nn.gelu(hidden).astype(dtype), up.astype(dtype)).astype(jnp.float32)
    y = y + (change + row(up_bias, y))
  return y


def _leaves(layer: nn.Module, collection: str, *names: str) -> list[Array]:
  return [layer.get_variable(collection, name) for name in names]  # type: ignore[misc]

"""What the collections of fine-tuning methods change in a dense layer. Without them, a layer is plain.

b batch, i in, o out, r rank.
"""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from har_jax.model.product import product


def scaled_input(layer: nn.Module, x: Float[Array, '*b i']) -> Float[Array, '*b i']:
  """The input, times the collection `ia3`'s factor per input.   Source: arXiv:2205.05638, section 3.3."""
  return _scaled(x, layer.get_variable('ia3', 'input')) if layer.has_variable('ia3', 'input') else x


def adapted_product(
  layer: nn.Module,
  x: Float[Array, '*b i'],
  y: Float[Array, '*b o'],
  kernel: Callable[[], Float[Array, 'i o']],
) -> Float[Array, '*b o']:
  """The product y = x W with the low-rank products of `lora`, `adalora` and `vera`, rescaled by `dora`.

  kernel: gives the frozen W in float32, which `dora` alone needs.
  """
  if layer.has_variable('lora', 'a'):
    a, b = _leaves(layer, 'lora', 'a', 'b')
    (scale,) = _leaves(layer, 'lora_scale', 'value')
    y = y + product(scale.astype(x.dtype) * product(x, a.astype(x.dtype)), b.astype(x.dtype))
    if layer.has_variable('dora', 'magnitude'):
      # Its source treats the norm as a constant, which saves its gradient (section 4.3).
      norm = jax.lax.stop_gradient(jnp.linalg.norm(kernel() + scale * (a @ b), axis=0))
      y = _scaled(y, (layer.get_variable('dora', 'magnitude') / norm).astype(y.dtype))
  if layer.has_variable('adalora', 'a'):
    a, e, b = (leaf.astype(x.dtype) for leaf in _leaves(layer, 'adalora', 'a', 'e', 'b'))
    (scale,) = _leaves(layer, 'adalora_scale', 'value')
    y = y + product(_scaled(product(x, a), scale.astype(x.dtype) * e), b)
  if layer.has_variable('vera', 'd'):
    shared = layer.scope.root.get_variable('vera_shared', layer.path[0])  # type: ignore[union-attr]
    a, b = shared['a'][: x.shape[-1]], shared['b'][:, : y.shape[-1]]
    d, gain = (leaf.astype(x.dtype) for leaf in _leaves(layer, 'vera', 'd', 'b'))
    y = y + _scaled(product(_scaled(product(x, a.astype(x.dtype)), d), b.astype(x.dtype)), gain)
  return y


def adapted_output(layer: nn.Module, y: Float[Array, '*b o']) -> Float[Array, '*b o']:
  """The layer's output, times the factor of `ia3`, plus the bottleneck of `adapter`.

  Source: arXiv:2205.05638, section 3.3; arXiv:1902.00751, section 2.1.
  """
  if layer.has_variable('ia3', 'output'):
    y = _scaled(y, layer.get_variable('ia3', 'output'))
  if layer.has_variable('adapter', 'down'):
    down, down_bias, up, up_bias = _leaves(layer, 'adapter', 'down', 'down_bias', 'up', 'up_bias')
    dtype = layer.precision.dtype  # type: ignore[attr-defined]
    hidden = nn.gelu(_shifted(product(y.astype(dtype), down.astype(dtype)).astype(jnp.float32), down_bias))
    y = y + _shifted(product(hidden.astype(dtype), up.astype(dtype)).astype(jnp.float32), up_bias)
  return y


def _leaves(layer: nn.Module, collection: str, *names: str) -> list[Array]:
  return [layer.get_variable(collection, name) for name in names]  # type: ignore[misc]


def _scaled(x: Float[Array, '*b i'], factor: Float[Array, 'i']) -> Float[Array, '*b i']:
  return x * factor.reshape((1,) * (x.ndim - 1) + factor.shape)


def _shifted(x: Float[Array, '*b i'], bias: Float[Array, 'i']) -> Float[Array, '*b i']:
  return x + bias.reshape((1,) * (x.ndim - 1) + bias.shape)

"""Kernels in four bits: the collection `nf4`.   Source: arXiv:2305.14314, section 3."""

import re
from collections.abc import Callable, Collection
from typing import Any

import jax
import numpy as np

from har_jax import nf4
from har_jax.errors import UserError
from har_jax.variables import Variables, modules_with

_PACKED_KERNEL = re.compile(r'params/encoder/(block_\d+|embed)/.+/kernel')


def is_packed(path: str) -> bool:
  """Returns whether the leaf is a kernel of an encoder block or of the convolutional stem."""
  return bool(_PACKED_KERNEL.fullmatch(path))


def rounded(kernel: jax.Array, *, double: bool) -> jax.Array:
  """The kernel's values in four bits, as float32."""
  return nf4.dequantize(nf4.quantize(kernel, double=double))


def pack(variables: Variables, *, double: bool = False, kept: Collection[str] = ()) -> Variables:
  """Packs every kernel of every encoder block and of the convolutional stem, except for those in `kept`.

  A linear embedding, positions, norms, biases and head stay in float32.
  Raises UserError where a kernel holds a weight that is not finite: it would spoil its whole block.
  """
  packed: Variables = {}
  for path, leaf in variables.items():
    if is_packed(path) and path not in kept:
      _check_finite(path, leaf)
      module = path.removeprefix('params/').removesuffix('/kernel')
      packed |= nf4.to_leaves(nf4.quantize(leaf, double=double), f'nf4/{module}/')
    else:
      packed[path] = leaf
  return packed


@jax.jit  # op by op, each shape of kernel is compiled: seconds instead of tenths
def unpack(variables: Variables) -> Variables:
  """Turns every packed kernel into a float32 kernel again."""
  return _unpacked(variables, nf4.dequantize)


def unpack_on_host(variables: Variables) -> Variables:
  """Unpacks by NumPy, which compiles nothing. Bit for bit as `unpack` without double quantization."""
  return _unpacked(variables, nf4.dequantize_on_host)


def _unpacked(variables: Variables, dequantize: Callable[[nf4.Nf4], Any]) -> Variables:
  unpacked = {path: leaf for path, leaf in variables.items() if not path.startswith('nf4/')}
  for module in modules_with(variables, 'nf4', 'codes'):
    prefix = f'nf4/{module}/'
    leaves = {path.removeprefix(prefix): leaf for path, leaf in variables.items() if path.startswith(prefix)}
    fan_out = variables[f'params/{module}/bias'].size
    shape = (2 * leaves['codes'].size // fan_out, fan_out)  # an odd last nibble is less than a row
    unpacked[f'params/{module}/kernel'] = dequantize(nf4.from_leaves(leaves, shape))
  return unpacked


def _check_finite(path: str, leaf: jax.Array) -> None:
  if isinstance(leaf, jax.core.Tracer):  # under jax.eval_shape there are no values
    return
  if bad := np.count_nonzero(~np.isfinite(leaf)):  # by NumPy: nothing to compile
    raise UserError(
      f'{path}: {bad} of {leaf.size} weights are not finite, so they cannot be quantized; pretrain again'
    )

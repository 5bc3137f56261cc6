"""Adapters folded into their kernels.   A B: a pair of `lora`."""

import jax.numpy as jnp

from har_jax import nf4
from har_jax.variables import Variables


def merge(variables: Variables) -> Variables:
  """Folds each adapter into its kernel: W + scale · A B. What comes back is a plain model of `params`.

  From packed kernels too: each is unpacked to the very float32 values that the adapter was trained against, so merged
  and unmerged differ by float32 rounding alone, about 2^-24 of a kernel's largest weight for the sum and some 1e-6
  of the largest logit. What packing took from the pretrained weights (a relative error of 0.09 where they are normally
  distributed) is not given back: it is part of the model that was trained.
  """
  merged = {
    path: leaf for path, leaf in unpack(variables).items() if not path.startswith(('lora/', 'lora_scale/'))
  }
  for path, a in variables.items():
    if path.startswith('lora/') and path.endswith('/a'):
      module = path.removeprefix('lora/').removesuffix('/a')
      b, scale = variables[f'lora/{module}/b'], variables[f'lora_scale/{module}/value']
      merged[f'params/{module}/kernel'] = merged[f'params/{module}/kernel'] + scale * (a @ b)
  return merged


def merge_and_pack(variables: Variables, *, double: bool = False) -> tuple[Variables, dict[str, float]]:
  """As `merge`, with the kernels that were packed packed again; and the error that this makes in each, by module.

  The error is ‖packed - merged‖ over ‖merged‖, in Frobenius' norm. It is made of what was learned as much as of the
  kernel: unpacked weights lie on the levels, and a change under half a step between them is rounded away. So measure
  the model that comes back before you ship it; `merge` loses nothing.
  """
  merged, errors = merge(variables), {}
  for module in packed_modules(variables):
    kernel = merged.pop(f'params/{module}/kernel')
    packed = nf4.quantize(kernel, double=double)
    merged |= nf4.to_leaves(packed, f'nf4/{module}/')
    errors[module] = float(jnp.linalg.norm(nf4.dequantize(packed) - kernel) / jnp.linalg.norm(kernel))
  return merged, errors


def unpack(variables: Variables) -> Variables:
  """Every packed kernel as a float32 one again."""
  unpacked = {path: leaf for path, leaf in variables.items() if not path.startswith('nf4/')}
  for module in packed_modules(variables):
    prefix = f'nf4/{module}/'
    leaves = {path.removeprefix(prefix): leaf for path, leaf in variables.items() if path.startswith(prefix)}
    fan_out = variables[f'params/{module}/bias'].size
    shape = (2 * leaves['codes'].size // fan_out, fan_out)  # an odd last nibble is less than a row
    unpacked[f'params/{module}/kernel'] = nf4.dequantize(nf4.from_leaves(leaves, shape))
  return unpacked


def packed_modules(variables: Variables) -> list[str]:
  """The modules whose kernel is packed."""
  paths = (path for path in variables if path.startswith('nf4/') and path.endswith('/codes'))
  return [path.removeprefix('nf4/').removesuffix('/codes') for path in paths]

"""QLoRA: LoRA over frozen kernels that are held in four bits.   Source: arXiv:2305.14314, section 3."""

import re

import jax
import jax.numpy as jnp

from har_jax import config, nf4
from har_jax.errors import UserError
from har_jax.methods import lora
from har_jax.methods.method import Method
from har_jax.variables import Variables

_BLOCK_KERNEL = re.compile(r'params/encoder/block_\d+/.*kernel')


def adapt(variables: Variables, experiment: config.Experiment, key: jax.Array) -> Variables:
  """LoRA's pairs, and every matrix of every encoder block packed: query, key, value, output, up, down.

  Embedding, positions, norms, biases and head stay in float32.
  Raises UserError where a kernel holds a weight that is not finite, naming it: its block would hold nothing else.
  """
  return pack(lora.adapt(variables, experiment, key), double=experiment.precision.nf4_double)


def pack(variables: Variables, *, double: bool = False) -> Variables:
  """Every matrix of every encoder block in four bits. Raises UserError as `adapt` does."""
  packed: Variables = {}
  for path, leaf in variables.items():
    if _BLOCK_KERNEL.fullmatch(path):
      _refuse_not_finite(path, leaf)
      module = path.removeprefix('params/').removesuffix('/kernel')
      packed |= nf4.to_leaves(nf4.quantize(leaf, double=double), f'nf4/{module}/')
    else:
      packed[path] = leaf
  return packed


def _refuse_not_finite(path: str, leaf: jax.Array) -> None:
  if isinstance(leaf, jax.core.Tracer):  # only shapes are asked for
    return
  if bad := int(jnp.sum(~jnp.isfinite(leaf))):
    raise UserError(
      f'{path}: {bad} of {leaf.size} weights are not finite and cannot be held in four bits; pretrain again'
    )


METHOD = Method(
  name='qlora',
  summary='as lora, with the frozen kernels of every block in four bits',
  adapt=adapt,
  trains=lora.trains,
)

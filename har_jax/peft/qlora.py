"""QLoRA: LoRA over frozen kernels that are held in four bits.   Source: arXiv:2305.14314, section 3."""

import re

import jax

from har_jax import config, nf4
from har_jax.peft import lora as plain_lora
from har_jax.peft.method import Method
from har_jax.variables import Variables

_BLOCK_KERNEL = re.compile(r'params/encoder/block_\d+/.*kernel')


def adapt(variables: Variables, lora: config.Lora, key: jax.Array) -> Variables:
  """LoRA's pairs, and every matrix of every encoder block packed: query, key, value, output, up, down.

  Embedding, positions, norms, biases and head stay in float32.
  """
  adapted: Variables = {}
  for path, leaf in plain_lora.adapt(variables, lora, key).items():
    if _BLOCK_KERNEL.fullmatch(path):
      packed = nf4.quantize(leaf)
      module = path.removeprefix('params/').removesuffix('/kernel')
      adapted |= {f'nf4/{module}/codes': packed.codes, f'nf4/{module}/scales': packed.scales}
    else:
      adapted[path] = leaf
  return adapted


METHOD = Method(
  name='qlora',
  summary='as lora, with the frozen kernels of every block in four bits',
  adapt=adapt,
  trains=plain_lora.trains,
)

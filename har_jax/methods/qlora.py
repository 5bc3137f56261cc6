"""QLoRA: LoRA over frozen kernels in four bits.   Source: arXiv:2305.14314, section 3."""

import jax

from har_jax.methods import lora, packing
from har_jax.methods.method import Method, Settings
from har_jax.variables import Variables


def adapt(variables: Variables, settings: Settings, key: jax.Array) -> Variables:
  """Adds LoRA's pairs and packs the kernels of every encoder block and of the stem.

  Raises UserError as `packing.pack` does.
  """
  return packing.pack(lora.adapt(variables, settings, key), double=settings.precision.nf4_double)


def merge(variables: Variables) -> Variables:
  """LoRA's merge, on unpacked kernels: the float32 values that the adapter was trained against.

  The quantization error (relative error of 0.09 for normally distributed weights) stays: the trained model
  includes it.
  """
  return lora.merge(packing.unpack(variables))


METHOD = Method(
  name='qlora',
  summary='like lora, with the frozen kernels of stem and blocks in four bits',
  adapt=adapt,
  trains=lora.trains,
  collections=(*lora.COLLECTIONS, 'nf4'),
  rebuilt=('nf4',),
  merge=merge,
  peft_type='LORA',
)

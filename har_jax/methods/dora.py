"""DoRA: LoRA, and a trained norm for each column of the adapted kernel.

Source: arXiv:2402.09353, section 4.   i in, o out.
"""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from har_jax.methods import lora
from har_jax.methods.method import Method, Settings, target_modules, without
from har_jax.variables import Variables, modules_with


def adapt(variables: Variables, settings: Settings, key: jax.Array) -> Variables:
  """Adds LoRA's pairs, and the norms of the columns of each base kernel. Raises as LoRA's."""
  magnitudes = {
    f'dora/{module}/magnitude': _norms(jnp.asarray(variables[f'params/{module}/kernel']))
    for module in target_modules(variables, settings.lora.targets)
  }
  return lora.adapt(variables, settings, key) | magnitudes


def merge(variables: Variables) -> Variables:
  """Folds each pair into its kernel, and gives each column its trained norm."""
  merged = lora.merge(without(variables, 'dora'))
  for module in modules_with(variables, 'dora', 'magnitude'):
    kernel = f'params/{module}/kernel'
    merged[kernel] = merged[kernel] * (variables[f'dora/{module}/magnitude'] / _norms(merged[kernel]))[None]
  return merged


def _norms(kernel: Float[Array, 'i o']) -> Float[Array, 'o']:
  return jnp.linalg.norm(kernel, axis=0)


METHOD = Method(
  name='dora',
  summary='like lora, and trains the norm of each column',
  adapt=adapt,
  trains=lambda path, settings: lora.trains(path, settings, ('lora', 'dora')),
  collections=(*lora.COLLECTIONS, 'dora'),
  merge=merge,
  optimizer=lora.optimizer,
  pairs='lora',
  peft=dataclasses.replace(
    lora.PEFT,
    keys={**lora.PEFT.keys, 'dora/magnitude': 'lora_magnitude_vector'},
    config=lambda settings: lora.peft_config(settings) | {'use_dora': True},
  ),
)

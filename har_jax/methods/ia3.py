"""(IA)³: a factor per key, per value and per hidden unit of the feed-forward layer.

Source: arXiv:2205.05638, section 3.3.   i in, o out.
"""

import jax
import jax.numpy as jnp

from har_jax.methods.method import Method, PeftLayout, Settings, in_head, target_modules, without
from har_jax.variables import Variables, modules_with

_SCALED_OUTPUTS, _SCALED_INPUTS = ('key', 'value'), ('down',)  # `down` reads the hidden units


def adapt(variables: Variables, settings: Settings, key: jax.Array) -> Variables:
  """Adds factors of one."""
  outputs = {
    f'ia3/{module}/output': jnp.ones(variables[f'params/{module}/kernel'].shape[1])
    for module in target_modules(variables, _SCALED_OUTPUTS)
  }
  inputs = {
    f'ia3/{module}/input': jnp.ones(variables[f'params/{module}/kernel'].shape[0])
    for module in target_modules(variables, _SCALED_INPUTS)
  }
  return variables | outputs | inputs


def merge(variables: Variables) -> Variables:
  """Multiplies the rows or the columns of each kernel, and the bias of scaled outputs."""
  merged = without(variables, 'ia3')
  for module in modules_with(variables, 'ia3', 'input'):
    merged[f'params/{module}/kernel'] *= variables[f'ia3/{module}/input'][:, None]
  for module in modules_with(variables, 'ia3', 'output'):
    factor = variables[f'ia3/{module}/output']
    merged[f'params/{module}/kernel'] *= factor[None]
    merged[f'params/{module}/bias'] *= factor
  return merged


METHOD = Method(
  name='ia3',
  summary='trains a factor per key, value and hidden unit, and the head',
  adapt=adapt,
  trains=lambda path, settings: in_head(path) or path.startswith('ia3/'),
  collections=('ia3',),
  merge=merge,
  peft=PeftLayout(
    {'ia3/output': 'ia3_l', 'ia3/input': 'ia3_l'},
    lambda settings: {
      'peft_type': 'IA3',
      'target_modules': sorted((*_SCALED_OUTPUTS, *_SCALED_INPUTS)),
      'feedforward_modules': list(_SCALED_INPUTS),
      'fan_in_fan_out': False,
    },
    columns=('ia3/output',),
    rows=('ia3/input',),
  ),
)

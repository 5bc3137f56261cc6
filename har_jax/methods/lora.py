"""LoRA: frozen kernels, each with a trained low-rank pair.

Source: arXiv:2106.09685, section 4.1.   i in, o out, r rank.
"""

import zlib

import jax
import jax.numpy as jnp

from har_jax.errors import UserError
from har_jax.methods.method import Method, Settings, in_head
from har_jax.variables import Variables

COLLECTIONS = ('lora', 'lora_scale')


def adapt(variables: Variables, settings: Settings, key: jax.Array) -> Variables:
  """Adds a pair to each kernel under a target module. A starts uniform, like a dense layer; B starts at zero.

  So the adapted model starts equal to the pretrained one, bit for bit. With two streams, a target also stands
  for the module of each stream: `embed` for `embed_acc` and `embed_gyro`.
  Raises UserError where a target matches no kernel: a misspelled target would silently train nothing.
  """
  lora = settings.lora
  kernels = {
    path: leaf for path, leaf in variables.items() if path.startswith('params/') and path.endswith('/kernel')
  }
  adapted = dict(variables)
  for target in lora.targets:
    names = {target, f'{target}_acc', f'{target}_gyro'}
    matching = [path for path in kernels if not names.isdisjoint(path.split('/')[1:-1])]
    if not matching:
      modules = sorted({part for path in kernels for part in path.split('/')[1:-1]})
      raise UserError(f'LoRA target {target!r} matches no kernel; the modules are {", ".join(modules)}')
    for path in matching:
      module = path.removeprefix('params/').removesuffix('/kernel')
      fan_in, fan_out = kernels[path].shape
      path_key = jax.random.fold_in(key, zlib.crc32(module.encode()))
      bound = fan_in**-0.5
      adapted[f'lora/{module}/a'] = jax.random.uniform(
        path_key, (fan_in, lora.rank), minval=-bound, maxval=bound
      )
      adapted[f'lora/{module}/b'] = jnp.zeros((lora.rank, fan_out))
      adapted[f'lora_scale/{module}/value'] = jnp.float32(lora.alpha / lora.rank)
  return adapted


def trains(path: str, settings: Settings) -> bool:
  """Adapters and the head.

  If the head itself is adapted, as in the paper, only scale and bias of its norms train.
  """
  if 'head' in settings.lora.targets and in_head(path):
    return '/norm_' in path
  return path.startswith('lora/') or in_head(path)


def merge(variables: Variables) -> Variables:
  """Folds each pair into its kernel: W + scale · A B.

  Merged and unmerged outputs differ by float32 rounding alone, about 1e-6 of the largest logit.
  """
  merged = {path: leaf for path, leaf in variables.items() if not path.startswith(('lora/', 'lora_scale/'))}
  for path, a in variables.items():
    if path.startswith('lora/') and path.endswith('/a'):
      module = path.removeprefix('lora/').removesuffix('/a')
      b, scale = variables[f'lora/{module}/b'], variables[f'lora_scale/{module}/value']
      merged[f'params/{module}/kernel'] = merged[f'params/{module}/kernel'] + scale * (a @ b)
  return merged


METHOD = Method(
  name='lora',
  summary='trains low-rank adapters and the head; kernels stay frozen in float32',
  adapt=adapt,
  trains=trains,
  collections=COLLECTIONS,
  merge=merge,
  peft_type='LORA',
)

"""LoRA: frozen kernels, and a trained low-rank pair beside each of them.

Source: arXiv:2106.09685, section 4.1.   i in, o out, r rank.
"""

import zlib

import jax
import jax.numpy as jnp

from har_jax import config
from har_jax.errors import UserError
from har_jax.methods.method import Method, in_head
from har_jax.variables import Variables


def adapt(variables: Variables, experiment: config.Experiment, key: jax.Array) -> Variables:
  """Adds a pair to each kernel under a target module: A uniform as a dense layer's start, B zero.

  So the adapted model starts as the pretrained one, bit for bit.
  Raises UserError where a target matches no kernel: a misspelt one would otherwise train nothing, in silence.
  """
  lora = experiment.lora
  kernels = {
    path: leaf for path, leaf in variables.items() if path.startswith('params/') and path.endswith('/kernel')
  }
  adapted = dict(variables)
  for target in lora.targets:
    matching = [path for path in kernels if target in path.split('/')[1:-1]]
    if not matching:
      modules = sorted({part for path in kernels for part in path.split('/')[1:-1]})
      raise UserError(
        f'no kernel of the model lies under the LoRA target {target!r}; it has {", ".join(modules)}'
      )
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


def trains(path: str, experiment: config.Experiment) -> bool:
  """Adapters and the head; of a head that is itself adapted, as the paper's is, only its norms' scale and bias."""
  if 'head' in experiment.lora.targets and in_head(path):
    return '/norm_' in path
  return path.startswith('lora/') or in_head(path)


METHOD = Method(
  name='lora',
  summary='low-rank adapters and the head move, kernels stay in float32',
  adapt=adapt,
  trains=trains,
)

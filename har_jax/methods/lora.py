"""LoRA: frozen kernels, each with a trained low-rank pair.

Source: arXiv:2106.09685, section 4.1.   i in, o out, r rank.
"""

import jax
import jax.numpy as jnp
import optax

from har_jax.methods import initial_pairs
from har_jax.methods.method import (
  Method,
  PeftLayout,
  Settings,
  Transform,
  in_head,
  module_key,
  target_modules,
  without,
)
from har_jax.variables import Variables, modules_with

COLLECTIONS = ('lora', 'lora_scale')


def adapt(variables: Variables, settings: Settings, key: jax.Array) -> Variables:
  """Adds a pair to each kernel under a target module.

  With `start` zero, the adapted model starts equal to the pretrained one, bit for bit.
  Raises UserError if a target matches no kernel: a misspelled target would silently train nothing.
  """
  adapted, lora = dict(variables), settings.lora
  for module in target_modules(variables, lora.targets):
    path = f'params/{module}/kernel'
    adapted[path], adapted[f'lora/{module}/a'], adapted[f'lora/{module}/b'] = initial_pairs.start(
      jnp.asarray(variables[path]), path, settings, module_key(module, key)
    )
    adapted[f'lora_scale/{module}/value'] = jnp.float32(lora.scale)
  return adapted


def trains(path: str, settings: Settings, collections: tuple[str, ...] = ('lora',)) -> bool:
  """Adapters and the head.

  If the head itself is adapted, as in the paper, only scale and bias of its norms train.
  """
  if 'head' in settings.lora.targets and in_head(path):
    return '/norm_' in path
  return path.partition('/')[0] in collections or in_head(path)


def optimizer(transform: Transform, settings: Settings) -> Transform:
  """LoRA+: B trains at a multiple of A's rate.   Source: arXiv:2402.12354, section 4."""
  ratio = settings.lora.rate_ratio
  if ratio == 1:
    return transform

  def is_b(path: str) -> bool:
    return path.startswith('lora/') and path.endswith('/b')

  def scaled(updates: Variables, params: Variables | None = None) -> Variables:
    return {path: update * ratio if is_b(path) else update for path, update in updates.items()}

  return optax.chain(transform, optax.stateless(scaled))


def merge(variables: Variables) -> Variables:
  """Folds each pair into its kernel: W + scale · A B.

  Merged and unmerged outputs differ by float32 rounding alone, about 1e-6 of the largest logit.
  """
  merged = without(variables, *COLLECTIONS)
  for module in modules_with(variables, 'lora', 'a'):
    a, b = (variables[f'lora/{module}/{leaf}'] for leaf in 'ab')
    scale, kernel = variables[f'lora_scale/{module}/value'], f'params/{module}/kernel'
    merged[kernel] = merged[kernel] + scale * (a @ b)
  return merged


def peft_config(settings: Settings) -> dict[str, object]:
  lora = settings.lora
  alpha = int(lora.alpha) if lora.alpha == int(lora.alpha) else lora.alpha
  common = {'peft_type': 'LORA', 'r': lora.rank, 'lora_alpha': alpha, 'lora_dropout': 0.0, 'bias': 'none'}
  return common | {'use_rslora': lora.scaling == 'root', 'fan_in_fan_out': False}


PEFT = PeftLayout(
  {'lora/a': 'lora_A.weight', 'lora/b': 'lora_B.weight'},
  peft_config,
  scales=('lora_scale',),
  plain=initial_pairs.plain_start,
)
METHOD = Method(
  name='lora',
  summary='trains low-rank adapters, and the head; kernels stay frozen in float32',
  adapt=adapt,
  trains=trains,
  collections=COLLECTIONS,
  merge=merge,
  optimizer=optimizer,
  pairs='lora',
  peft=PEFT,
  budget_place=2,
)

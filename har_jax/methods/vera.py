"""VeRA: one random low-rank pair for all layers, and two trained vectors a layer.

Source: arXiv:2310.11454, section 3.   i in, o out, r rank.
"""

import jax
import jax.numpy as jnp
import numpy as np

from har_jax.methods import lora
from har_jax.methods.method import Method, PeftLayout, Settings, target_modules, without
from har_jax.variables import Variables, modules_with

_D_START = 0.1  # as in the source's experiments


def adapt(variables: Variables, settings: Settings, key: jax.Array) -> Variables:
  """Adds d and b to each layer, where b is zero, and the shared pair: one for the encoder, one for the head.

  Each layer takes as many rows and columns of the pair as it has inputs and outputs. The pair does not depend
  on the run's seed, so that no adapter file need hold it.
  Raises UserError if a target matches no kernel.
  """
  rank = settings.methods.vera_rank
  added: Variables = {}
  shapes: dict[str, list[tuple[int, int]]] = {}
  for module in target_modules(variables, settings.lora.targets):
    fan_in, fan_out = variables[f'params/{module}/kernel'].shape
    shapes.setdefault(_part(module), []).append((fan_in, fan_out))
    added |= {f'vera/{module}/d': jnp.full(rank, _D_START), f'vera/{module}/b': jnp.zeros(fan_out)}
  for part, sizes in shapes.items():
    rng = np.random.default_rng(0)
    most_in, most_out = map(max, zip(*sizes, strict=True))
    added[f'vera_shared/{part}/a'] = _kaiming_uniform(rng, (most_in, rank))
    added[f'vera_shared/{part}/b'] = _kaiming_uniform(rng, (rank, most_out))
  return variables | added


def _part(module: str) -> str:
  return module.partition('/')[0]


def _kaiming_uniform(rng: np.random.Generator, shape: tuple[int, int]) -> jax.Array:
  bound = (6 / shape[0]) ** 0.5
  return jnp.asarray(rng.uniform(-bound, bound, shape), jnp.float32)


def merge(variables: Variables) -> Variables:
  """Folds the products into the kernels: W + A diag(d) B diag(b)."""
  merged = without(variables, 'vera', 'vera_shared')
  for module in modules_with(variables, 'vera', 'd'):
    d, gain = (variables[f'vera/{module}/{leaf}'] for leaf in 'db')
    a, b = (variables[f'vera_shared/{_part(module)}/{leaf}'] for leaf in 'ab')
    kernel = f'params/{module}/kernel'
    fan_in, fan_out = merged[kernel].shape
    merged[kernel] = merged[kernel] + (a[:fan_in] * d[None]) @ (b[:, :fan_out] * gain[None])
  return merged


METHOD = Method(
  name='vera',
  summary='trains two vectors per layer on a shared random pair, and the head',
  adapt=adapt,
  trains=lambda path, settings: lora.trains(path, settings, ('vera',)),
  collections=('vera', 'vera_shared'),
  rebuilt=('vera_shared',),
  merge=merge,
  peft=PeftLayout(
    {
      'vera/d': 'vera_lambda_d',
      'vera/b': 'vera_lambda_b',
      'vera_shared/a': 'vera_A',
      'vera_shared/b': 'vera_B',
    },
    lambda settings: {
      'peft_type': 'VERA',
      'r': settings.methods.vera_rank,
      'vera_dropout': 0.0,
      'bias': 'none',
      'fan_in_fan_out': False,
      'save_projection': True,
    },
  ),
)

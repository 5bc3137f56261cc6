"""AdaLoRA: pairs with a diagonal between them, whose entries are pruned to a budget that all layers share.

Source: arXiv:2303.10512, section 3.   i in, o out, r rank.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from har_jax.methods import lora
from har_jax.methods.method import Method, PeftLayout, Settings, module_key, target_modules, without
from har_jax.variables import Variables, modules_with

_START_RATIO = 1.5  # rank at the start over rank at the end, as in the source's experiments
_PRUNED_FROM, _PRUNED_UNTIL = 0.1, 0.6  # of the steps: between them the budget falls from start to end
_DECAY = 0.85  # of both moving averages
_ORTHOGONALITY = 0.1  # weight of the penalty


def adapt(variables: Variables, settings: Settings, key: jax.Array) -> Variables:
  """Adds A with orthonormal columns, B with orthonormal rows, and a diagonal of zeros.

  Raises UserError if a target matches no kernel.
  """
  adapted, rank = dict(variables), math.ceil(_START_RATIO * settings.lora.rank)
  draw = jax.nn.initializers.orthogonal()
  for module in target_modules(variables, settings.lora.targets):
    fan_in, fan_out = variables[f'params/{module}/kernel'].shape
    a_key, b_key = jax.random.split(module_key(module, key))
    adapted |= {
      f'adalora/{module}/a': draw(a_key, (fan_in, rank)),
      f'adalora/{module}/e': jnp.zeros(rank),
      f'adalora/{module}/b': draw(b_key, (rank, fan_out)),
      f'adalora_scale/{module}/value': jnp.float32(settings.lora.scale),
    }
  return adapted


def merge(variables: Variables) -> Variables:
  """Folds each product into its kernel: W + scale · A diag(e) B."""
  merged = without(variables, 'adalora', 'adalora_scale')
  for module in modules_with(variables, 'adalora', 'e'):
    a, e, b = (variables[f'adalora/{module}/{leaf}'] for leaf in 'aeb')
    scale, kernel = variables[f'adalora_scale/{module}/value'], f'params/{module}/kernel'
    merged[kernel] = merged[kernel] + scale * ((a * e[None]) @ b)
  return merged


class _State(NamedTuple):
  sensitivity: Variables  # moving average of |weight · gradient|
  uncertainty: Variables  # moving average of its deviation
  inner: Any


def optimizer(
  transform: optax.GradientTransformationExtraArgs, settings: Settings
) -> optax.GradientTransformationExtraArgs:
  """Adds the penalty's gradient, and sets the least important diagonal entries to zero after each step."""
  final = settings.lora.rank / math.ceil(_START_RATIO * settings.lora.rank)

  def init(params: Variables) -> _State:
    def zeros() -> Variables:  # not the same arrays twice: the training step donates its state
      return {path: jnp.zeros_like(leaf) for path, leaf in params.items() if path.startswith('adalora/')}

    return _State(zeros(), zeros(), transform.init(params))

  def update(
    gradients: Variables, state: _State, params: Variables, *, step: Array, total_steps: Array
  ) -> tuple[Variables, _State]:
    product = {path: jnp.abs(params[path] * gradients[path]) for path in state.sensitivity}
    sensitivity = _averaged(state.sensitivity, product)
    deviation = {path: jnp.abs(product[path] - sensitivity[path]) for path in product}
    uncertainty = _averaged(state.uncertainty, deviation)
    penalized = {path: leaf + _penalty_gradient(path, params[path]) for path, leaf in gradients.items()}
    updates, inner = transform.update(penalized, state.inner, params, step=step, total_steps=total_steps)
    scores = _scores({path: sensitivity[path] * uncertainty[path] for path in product})
    count = sum(score.size for score in scores.values())
    budget = jnp.round(count * _fraction(step / total_steps, final)).astype(jnp.int32)
    least = jnp.sort(jnp.concatenate(list(scores.values())))[count - budget]
    pruned = {path: jnp.where(score >= least, updates[path], -params[path]) for path, score in scores.items()}
    return updates | pruned, _State(sensitivity, uncertainty, inner)

  return optax.GradientTransformationExtraArgs(init, update)


def _averaged(before: Variables, now: Variables) -> Variables:
  return {path: _DECAY * before[path] + (1 - _DECAY) * now[path] for path in now}


def _penalty_gradient(path: str, leaf: Array) -> Array | float:
  """The gradient of the squared distance of AᵀA or BBᵀ from the identity."""
  if not path.startswith('adalora/') or leaf.ndim < 2:
    return 0.0
  columns = leaf if path.endswith('/a') else leaf.T
  gradient = 4 * _ORTHOGONALITY * columns @ (columns.T @ columns - jnp.eye(columns.shape[1]))
  return gradient if path.endswith('/a') else gradient.T


def _scores(importance: Variables) -> dict[str, Float[Array, 'r']]:
  """Importance of each diagonal entry, with the mean over its column of A and its row of B."""
  return {
    path: score
    + jnp.mean(importance[f'{path[:-1]}a'], axis=0)
    + jnp.mean(importance[f'{path[:-1]}b'], axis=1)
    for path, score in importance.items()
    if path.endswith('/e')
  }


def _fraction(progress: Array, final: float) -> Array:
  """The fraction of diagonal entries to keep: a cubic from one to `final`."""
  left = 1 - jnp.clip((progress - _PRUNED_FROM) / (_PRUNED_UNTIL - _PRUNED_FROM), 0, 1)
  return final + (1 - final) * left**3


def _peft_config(settings: Settings) -> dict[str, object]:
  rank = math.ceil(_START_RATIO * settings.lora.rank)
  sizes = {'peft_type': 'ADALORA', 'r': rank, 'init_r': rank, 'target_r': settings.lora.rank}
  # peft divides alpha by the rank at the start, whatever the rank at the end.
  scale = {'lora_alpha': settings.lora.scale * rank, 'lora_dropout': 0.0, 'bias': 'none'}
  return sizes | scale | {'fan_in_fan_out': False, 'total_step': 1, 'tinit': 0, 'tfinal': 0}


METHOD = Method(
  name='adalora',
  summary='like lora, with a rank for each layer that training finds',
  adapt=adapt,
  trains=lambda path, settings: lora.trains(path, settings, ('adalora',)),
  collections=('adalora', 'adalora_scale'),
  merge=merge,
  optimizer=optimizer,
  peft=PeftLayout(
    {'adalora/a': 'lora_A', 'adalora/e': 'lora_E', 'adalora/b': 'lora_B'},
    _peft_config,
    columns=('adalora/e',),
    scales=('adalora_scale',),
  ),
)

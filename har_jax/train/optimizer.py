"""AdamW with linear warm-up, cosine decay, and a separate rate for a pretrained encoder's own weights."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from har_jax import config
from har_jax.variables import Variables

# What a fine-tuning method makes of the optimizer, as `methods.Wrapped`.
Wrap = Callable[[optax.GradientTransformationExtraArgs], optax.GradientTransformationExtraArgs]


def unchanged(transform: optax.GradientTransformationExtraArgs) -> optax.GradientTransformationExtraArgs:
  return transform


def build(
  training: config.Training, *, pretrained: bool, wrap: Wrap = unchanged
) -> optax.GradientTransformationExtraArgs:
  """AdamW with a schedule, as `wrap` changes it. Its update takes `step` and `total_steps`, both traced.

  With `pretrained`, a pretrained encoder's own weights (`params/encoder/...`) train at
  `encoder_learning_rate`; adapters, head and all other variables at `learning_rate`.
  """

  def rate_of(path: str) -> str:
    return 'encoder' if pretrained and path.startswith('params/encoder/') else 'default'

  def adamw(rate: float) -> optax.GradientTransformationExtraArgs:
    return optax.adamw(rate, weight_decay=training.weight_decay, mask=_is_decayed)

  by_rate = optax.partition(
    {'default': adamw(training.learning_rate), 'encoder': adamw(training.encoder_learning_rate)},
    lambda trainable: {path: rate_of(path) for path in trainable},
  )
  clipped = [optax.clip_by_global_norm(training.grad_clip_norm)] if training.grad_clip_norm else []
  return wrap(optax.chain(*clipped, by_rate, _scheduled(training.warmup)))


def _scheduled(warmup: float) -> optax.GradientTransformationExtraArgs:
  """Scales updates by `rate_fraction`."""

  def update(
    updates: Variables, state: optax.EmptyState, params: Variables, *, step: Array, total_steps: Array
  ) -> tuple[Variables, optax.EmptyState]:
    fraction = rate_fraction(step, total_steps, warmup)
    return jax.tree.map(lambda leaf: fraction * leaf, updates), state

  return optax.GradientTransformationExtraArgs(lambda _: optax.EmptyState(), update)


def _is_decayed(trainable: Variables) -> dict[str, bool]:
  """Matrices of any method decay; biases, norms, positions and mask tokens do not."""
  # optax.partition hides the other group's leaves behind placeholders without a shape.
  return {path: getattr(leaf, 'ndim', 0) == 2 for path, leaf in trainable.items()}


def rate_fraction(step: Array, total_steps: Array, warmup: float) -> Float[Array, '']:
  """The fraction of the peak rate at a step, counted from 0: linear warm-up, then cosine decay to 0.

  The number of steps is traced, so that runs of different lengths share one compiled step.
  """
  progress = (step + 1) / total_steps
  rise = progress / max(warmup, 1e-9)
  fall = 0.5 * (1 + jnp.cos(jnp.pi * (progress - warmup) / (1 - warmup)))
  return jnp.where(progress < warmup, rise, fall)

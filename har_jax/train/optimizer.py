"""AdamW with linear warm-up, cosine decay, and a separate rate for a pretrained encoder's own weights."""

from collections.abc import Callable

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

  def rate_of(path: str) -> float:
    is_pretrained = pretrained and path.startswith('params/encoder/')
    return training.encoder_learning_rate if is_pretrained else training.learning_rate

  clipped = [optax.clip_by_global_norm(training.grad_clip_norm)] if training.grad_clip_norm else []
  return wrap(
    optax.chain(
      # On all leaves as one vector: a fourth less to compile than a program for each.
      optax.flatten(optax.chain(*clipped, optax.scale_by_adam())),
      optax.add_decayed_weights(training.weight_decay, mask=_is_decayed),
      _scheduled(rate_of, training.warmup),
    )
  )


def _scheduled(rate_of: Callable[[str], float], warmup: float) -> optax.GradientTransformationExtraArgs:
  """Steps down each leaf's update by its rate, at its path, times `rate_fraction`."""

  def update(
    updates: Variables, state: optax.EmptyState, params: Variables, *, step: Array, total_steps: Array
  ) -> tuple[Variables, optax.EmptyState]:
    fraction = rate_fraction(step, total_steps, warmup)
    return {path: -rate_of(path) * fraction * leaf for path, leaf in updates.items()}, state

  return optax.GradientTransformationExtraArgs(lambda _: optax.EmptyState(), update)


def _is_decayed(trainable: Variables) -> dict[str, bool]:
  """Matrices of any method decay; biases, norms, positions and mask tokens do not."""
  return {path: leaf.ndim == 2 for path, leaf in trainable.items()}


def rate_fraction(step: Array, total_steps: Array, warmup: float) -> Float[Array, '']:
  """The fraction of the peak rate at a step, counted from 0: linear warm-up, then cosine decay to 0.

  The number of steps is traced, so that runs of different lengths share one compiled step.
  """
  progress = (step + 1) / total_steps
  rise = progress / max(warmup, 1e-9)
  fall = 0.5 * (1 + jnp.cos(jnp.pi * (progress - warmup) / (1 - warmup)))
  return jnp.where(progress < warmup, rise, fall)

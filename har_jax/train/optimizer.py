"""AdamW with linear warm-up, cosine decay, and a separate rate for a pretrained encoder's own weights."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from har_jax import config
from har_jax.variables import Variables

# What a fine-tuning method makes of the optimizer, as `methods.Wrapped`.
Wrap = Callable[[optax.GradientTransformation], optax.GradientTransformation]


def unchanged(transform: optax.GradientTransformation) -> optax.GradientTransformation:
  return transform


def build(
  training: config.Training, *, pretrained: bool, wrap: Wrap = unchanged
) -> optax.GradientTransformation:
  """AdamW at peak rates, as `wrap` changes it; `rate_fraction` scales its updates.

  With `pretrained`, a pretrained encoder's own weights (`params/encoder/...`) train at
  `encoder_learning_rate`; adapters, head and all other variables at `learning_rate`.
  """

  def rate_of(path: str) -> str:
    return 'encoder' if pretrained and path.startswith('params/encoder/') else 'default'

  def adamw(rate: float) -> optax.GradientTransformation:
    return optax.adamw(rate, weight_decay=training.weight_decay, mask=_is_decayed)

  by_rate = optax.partition(
    {'default': adamw(training.learning_rate), 'encoder': adamw(training.encoder_learning_rate)},
    lambda trainable: {path: rate_of(path) for path in trainable},
  )
  return wrap(
    optax.chain(optax.clip_by_global_norm(training.grad_clip_norm), by_rate)
    if training.grad_clip_norm
    else by_rate
  )


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


def apply(updates: Variables, trainable: Variables, fraction: Float[Array, '']) -> Variables:
  """The trainable variables after a step."""
  return optax.apply_updates(trainable, jax.tree.map(lambda update: fraction * update, updates))

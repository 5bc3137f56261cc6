"""AdamW with a warm-up and a cosine, and rates of their own for pretrained and for newly started weights."""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from har_jax import config
from har_jax.variables import Variables

_DECAYED = ('kernel', 'a', 'b')  # matrices; biases, norms, positions and tokens are left alone


def build(training: config.Training, *, pretrained: bool) -> optax.GradientTransformation:
  """The optimizer of a run's trainable variables, at peak rates; `rate_fraction` scales its updates.

  With `pretrained`, the encoder's own weights move at `encoder_learning_rate`, all else at `learning_rate`.
  """

  def rate_of(path: str) -> str:
    return 'pretrained' if pretrained and path.startswith('params/encoder/') else 'fresh'

  def adamw(rate: float) -> optax.GradientTransformation:
    return optax.adamw(rate, weight_decay=training.weight_decay, mask=_is_decayed)

  by_rate = optax.partition(
    {'fresh': adamw(training.learning_rate), 'pretrained': adamw(training.encoder_learning_rate)},
    lambda trainable: {path: rate_of(path) for path in trainable},
  )
  return (
    optax.chain(optax.clip_by_global_norm(training.grad_clip_norm), by_rate)
    if training.grad_clip_norm
    else by_rate
  )


def _is_decayed(trainable: Variables) -> dict[str, bool]:
  return {path: path.rpartition('/')[2] in _DECAYED for path in trainable}


def rate_fraction(step: Array, steps: Array, warmup: float) -> Float[Array, '']:
  """The share of the peak rate at a step from 0: a straight rise, then half a cosine down to nought.

  The number of steps is traced, so that runs of different length share one compiled step.
  """
  progress = (step + 1) / steps
  rise = progress / max(warmup, 1e-9)
  fall = 0.5 * (1 + jnp.cos(jnp.pi * (progress - warmup) / (1 - warmup)))
  return jnp.where(progress < warmup, rise, fall)


def apply(updates: Variables, trainable: Variables, share: Float[Array, '']) -> Variables:
  """The trainable variables after a step."""
  return optax.apply_updates(trainable, jax.tree.map(lambda update: share * update, updates))

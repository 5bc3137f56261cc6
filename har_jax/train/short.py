"""Short trainings, without validation, checkpoint or log.   s steps."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from har_jax import config
from har_jax.datasets import batches as data_batches
from har_jax.datasets.batches import Batch
from har_jax.train import optimizer
from har_jax.train.loop import steps_per_call
from har_jax.train.objective import Classify
from har_jax.train.step import compiled_start, compiled_steps
from har_jax.variables import Variables, split_statistics


def train(
  objective: Classify,
  variables: Variables,
  frozen: Variables,
  windows: Batch,
  *,
  training: config.Training,
  pretrained: bool,
  wrap: optimizer.Wrap = optimizer.unchanged,
  seed: int,
  first: int = 0,
  steps: int,
  total: int,
) -> tuple[Variables, Float[np.ndarray, 's']]:
  """Variables after these steps, in NumPy, and the loss of each.

  variables: those that training changes: the trainable leaves, and BatchNorm's statistics.
  `first` of `total` steps are done already: the rate follows its schedule over all. The optimizer's averages
  start anew.
  """
  start = compiled_start(training, pretrained=pretrained, wrap=wrap)
  train_steps = compiled_steps(objective, training, pretrained=pretrained, wrap=wrap)
  statistics, trainable = split_statistics(variables)
  state = dataclasses.replace(start(trainable, statistics), step=jnp.int32(first))
  read = data_batches.training_batches(windows, batch=training.batch, steps=steps, seed=seed)
  size = min(steps, steps_per_call(training.batch))
  key, losses = jax.random.key(seed), []
  for begin in range(0, steps, size):
    count = min(size, steps - begin)
    stacked = data_batches.stack([next(read) for _ in range(count)], size)
    state, step_losses = train_steps(state, frozen, stacked, key, np.int32(total), np.int32(count))
    losses.append(np.asarray(step_losses)[:count])
  return as_arrays(state.trainable | state.statistics), np.concatenate(losses)


def as_arrays(variables: Variables) -> Variables:
  """Variables as NumPy arrays, in sorted order."""
  return {path: np.asarray(variables[path]) for path in sorted(variables)}

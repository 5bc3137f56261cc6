"""Short trainings of one method on one base, without validation, checkpoint or log."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from har_jax import files, methods
from har_jax.datasets import batches as data_batches
from har_jax.datasets.batches import Batch
from har_jax.datasets.normalization import PHYSICAL
from har_jax.errors import UserError
from har_jax.recognizer.parameters import Parameters, check
from har_jax.train import loop
from har_jax.train.objective import Classify
from har_jax.train.step import compiled_start, compiled_steps
from har_jax.variables import Variables, split_statistics


class ShortTraining:
  """State that many trainings of the same shapes share: they are one compiled program.

  prepared: the variables before any training. start: those that training changes, in NumPy, by path: the
  trainable leaves and BatchNorm's statistics. Raises UserError where the base takes normalized windows.
  """

  def __init__(self, classes: Sequence[Any], parameters: Parameters):
    base, experiment = check(parameters)
    self.method = methods.METHODS[parameters.method]
    if self.method.fits_head:
      raise UserError(
        f'{parameters.method} is fitted to all windows at once, not in steps; give a method that trains '
        'in steps, such as probe or lora'
      )
    if base is None or not base.model.stem:
      raise UserError('the base needs statistics of all windows for its inputs; give a base with a stem')
    self.base, self.training, self.seed = base, experiment.finetune, int(parameters.random_state)
    self.settings = methods.Settings.from_experiment(experiment)
    self.objective = Classify(self.method.model(experiment.model), len(classes), experiment.precision)
    self.prepared = files.prepare(
      base, self.objective, self.method, self.settings, self.seed, classes=tuple(classes)
    )
    self.start = _as_arrays(self.prepared.trainable | self.prepared.statistics)

  def run(
    self,
    variables: Variables,
    windows: Batch,
    *,
    seed: int,
    first: int = 0,
    steps: int,
    total: int,
  ) -> tuple[Variables, np.ndarray]:
    """The trained variables and statistics after these steps, and the loss of each.

    `first` of `total` steps are done already: the rate follows its schedule over all. The optimizer's
    averages start anew.
    """
    training, pretrained, frozen = self.training, self.method.pretrained, self.prepared.frozen
    wrap = methods.Wrapped(self.method, self.settings)
    start = compiled_start(training, pretrained=pretrained, wrap=wrap)
    train_steps = compiled_steps(self.objective, training, pretrained=pretrained, wrap=wrap)
    statistics, trainable = split_statistics(variables)
    state = dataclasses.replace(start(trainable, statistics), step=jnp.int32(first))
    read = data_batches.training_batches(windows, batch=training.batch, steps=steps, seed=seed)
    size = min(steps, loop.steps_per_call(training.batch))
    key, losses = jax.random.key(seed), []
    for begin in range(0, steps, size):
      count = min(size, steps - begin)
      stacked = data_batches.stack([next(read) for _ in range(count)], size)
      state, step_losses = train_steps(state, frozen, stacked, key, np.int32(total), np.int32(count))
      losses.append(np.asarray(step_losses)[:count])
    return _as_arrays(state.trainable | state.statistics), np.concatenate(losses)

  def adapter(self, variables: Variables, classes: Sequence[Any], **entries: Any) -> files.Adapter:
    """The adapter of all of an adapted model's variables. entries: more of its card."""
    card = {
      **files.method_entries(self.method.name, self.settings, self.objective.model),
      'classes': list(classes),
      'normalizer': {'mean': PHYSICAL.mean.tolist(), 'deviation': PHYSICAL.deviation.tolist()},
      'signals': self.base.card.signals,
      **entries,
    }
    return files.make_adapter(self.base, variables, card)


def _as_arrays(variables: Variables) -> Variables:
  """Variables as NumPy arrays, in sorted order."""
  return {path: np.asarray(variables[path]) for path in sorted(variables)}

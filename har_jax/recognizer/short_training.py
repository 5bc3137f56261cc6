"""Short trainings of one method on one base, without validation, checkpoint or log."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from har_jax import files, methods
from har_jax.datasets.batches import Batch
from har_jax.datasets.normalization import PHYSICAL
from har_jax.errors import UserError
from har_jax.recognizer.parameters import Parameters, check
from har_jax.train import short
from har_jax.train.objective import Classify
from har_jax.variables import Variables


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
        f'{parameters.method} ends with a fit to all windows at once; give a method that only trains in '
        'steps, such as probe or lora'
      )
    if base is None or not base.model.stem:
      raise UserError('the base needs statistics of all windows for its inputs; give a base with a stem')
    self.base, self.training, self.seed = base, experiment.finetune, int(parameters.random_state)
    self.settings = methods.Settings.from_experiment(experiment)
    self.objective = Classify(self.method.model(experiment.model), len(classes), experiment.precision)
    self.prepared = files.prepare(
      base, self.objective, self.method, self.settings, self.seed, classes=tuple(classes)
    )
    self.start = short.as_arrays(self.prepared.trainable | self.prepared.statistics)

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
    """`train.short.train`, by this method."""
    return short.train(
      self.objective,
      variables,
      self.prepared.frozen,
      windows,
      training=self.training,
      pretrained=self.method.pretrained,
      wrap=methods.Wrapped(self.method, self.settings),
      seed=seed,
      first=first,
      steps=steps,
      total=total,
    )

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

"""Training of a small encoder alone, whose features a linear head then takes next to those of the frozen one.

Source: side-tuning, arXiv:1912.13503.
"""

import dataclasses

import jax
import numpy as np

from har_jax import config
from har_jax.datasets.batches import Batch
from har_jax.errors import UserError
from har_jax.train import short
from har_jax.train.loop import planned_bytes
from har_jax.train.objective import Classify
from har_jax.train.optimizer import unchanged
from har_jax.train.run import Run, count_steps
from har_jax.train.step import compiled_start
from har_jax.variables import Variables, resident, split_statistics

_SIDE, _ALONE = 'params/side_encoder/', 'params/encoder/'


def train(objective: Classify, run: Run, training: config.Training) -> Variables:
  """The leaves of the side encoder, after all steps on a run's windows.

  Raises UserError where a loss is not finite.
  """
  alone, start = _alone(objective, run.trainable, run.seed)
  steps = count_steps(training, len(run.windows['label']))
  trained, losses = short.train(
    alone,
    start,
    {},
    run.windows,
    training=training,
    pretrained=False,
    seed=run.seed,
    steps=steps,
    total=steps,
  )
  if not np.isfinite(losses).all():
    raise UserError(f'{run.title}: the loss is not finite; a lower learning rate may help')
  return {_SIDE + path.removeprefix(_ALONE): leaf for path, leaf in trained.items() if _ALONE in path}


def memory_bytes(objective: Classify, trainable: Variables, training: config.Training, windows: Batch) -> int:
  """Bytes of a step: weights, the optimizer's state, and what the compiler plans in addition."""
  alone, variables = _alone(objective, trainable, seed=0)
  statistics, weights = split_statistics(variables)
  state = jax.eval_shape(compiled_start(training, pretrained=False, wrap=unchanged), weights, statistics)
  return resident(state) + planned_bytes(alone, training, state, {}, windows, pretrained=False)


def _alone(objective: Classify, trainable: Variables, seed: int) -> tuple[Classify, Variables]:
  """The side encoder as a model of its own, with a head that is drawn; and its variables."""
  model = objective.model
  assert model.side is not None
  alone = dataclasses.replace(model.side, head=config.Model.head, window_statistics=False)
  small = Classify(alone, objective.classes, objective.precision)
  encoder = {_ALONE + path.removeprefix(_SIDE): leaf for path, leaf in trainable.items() if _SIDE in path}
  return small, encoder | small.init_new(jax.random.key(seed))

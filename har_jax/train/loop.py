"""The one training loop: pretraining and fine-tuning differ in their objective alone."""

import dataclasses
import math
import pathlib
import time

import jax
import numpy as np

from har_jax import config
from har_jax.data import batches as data_batches
from har_jax.data.batches import Batch
from har_jax.errors import UserError
from har_jax.train import optimizer
from har_jax.train.checkpoint import Checkpoints
from har_jax.train.log import Log
from har_jax.train.objective import Objective
from har_jax.train.step import compiled_predict, compiled_step, start
from har_jax.variables import Variables, resident

EVALUATION_BATCH = 256


@dataclasses.dataclass(frozen=True)
class Trained:
  """A run's end: the variables that the best validation saw, and how it came to them."""

  variables: Variables  # trainable and batch statistics
  step: int
  history: list[dict]  # an entry a validation: step, measures, seconds so far
  optimizer_bytes: int  # that its state holds
  seconds: float  # of training and validation, over all sittings, compilation included


def count_steps(training: config.Training, windows: int) -> int:
  steps = math.ceil(training.epochs * math.ceil(windows / training.batch))
  return min(steps, training.max_steps) if training.max_steps else steps


def train(
  objective: Objective,
  trainable: Variables,
  statistics: Variables,
  frozen: Variables,
  *,
  windows: Batch,
  validation: Batch,
  training: config.Training,
  seed: int,
  folder: pathlib.Path,
  title: str,
  pretrained: bool,
  progress: bool = True,
) -> Trained:
  """Trains until the steps are spent or patience is, or goes on where a killed run left off.

  The same arguments give the same numbers, bit for bit on CPU, however often the run was killed.
  Raises UserError where the loss is not finite, naming the step.
  """
  folder.mkdir(parents=True, exist_ok=True)
  size = len(windows['signal'])
  steps = count_steps(training, size)
  due = {math.ceil(steps * (i + 1) / training.evaluations) for i in range(training.evaluations)}
  key = jax.random.key(seed)
  step = compiled_step(objective, training, pretrained=pretrained)
  batches = data_batches.training_batches(windows, batch=training.batch, steps=steps, seed=seed)
  checkpoints = Checkpoints(folder / 'checkpoints')

  # Copies: the step uses its state up, and the caller's arrays may be shared.
  owned, moving = jax.tree.map(jax.numpy.copy, (trainable, statistics))
  state = start(owned, moving, optimizer.build(training, pretrained=pretrained))
  history: list[dict] = []
  if (found := checkpoints.newest(state, batches)) is not None:
    state, history = found
  done = int(state.step)
  earlier = history[-1]['seconds'] if history else 0.0
  started = time.monotonic()
  log = Log(folder, title=title, steps=steps, resumed=done, batch=training.batch, progress=progress)
  try:
    while done < steps and not _is_out_of_patience(history, training.patience):
      state, loss = step(state, frozen, next(batches), key, np.int32(steps))
      done += 1
      log.step(done, _finite(float(loss), done, title))
      if done in due:
        measured = evaluate(objective, state.trainable | state.statistics | frozen, validation)
        history.append({'step': done, **measured, 'seconds': earlier + time.monotonic() - started})
        log.validation(done, measured)
        checkpoints.save(state, batches, history, measured['score'])
  finally:
    log.close()
  # Of equals the later, as its checkpoint is kept.
  best = max(reversed(history), key=lambda entry: entry['score'])
  chosen = checkpoints.variables(best['step'], trainable | statistics)
  return Trained(chosen, best['step'], history, resident(state.optimizer), history[-1]['seconds'])


def evaluate(objective: Objective, variables: Variables, windows: Batch) -> dict[str, float]:
  """What the windows score, each counted once."""
  return objective.score(predict(objective, variables, windows), windows)


def predict(objective: Objective, variables: Variables, windows: Batch) -> np.ndarray:
  """Predictions in the windows' order."""
  compiled, key = compiled_predict(objective), jax.random.key(0)
  outputs = []
  for number, batch in enumerate(data_batches.evaluation_batches(windows, batch=EVALUATION_BATCH)):
    predicted = np.asarray(compiled(variables, batch, jax.random.fold_in(key, number)))
    outputs.append(predicted[batch['weight'] > 0])
  return np.concatenate(outputs)


def _is_out_of_patience(history: list[dict], patience: int) -> bool:
  scores = [entry['score'] for entry in history]
  return bool(patience and scores) and len(scores) - 1 - int(np.argmax(scores)) >= patience


def _finite(loss: float, step: int, title: str) -> float:
  if not math.isfinite(loss):
    raise UserError(f'{title}: the loss is {loss} at step {step}; a lower learning rate may help')
  return loss

"""The one training loop: pretraining and fine-tuning differ in their objective alone."""

import dataclasses
import math
import time
from collections.abc import Callable

import jax
import numpy as np

from har_jax import config
from har_jax.data import batches as data_batches
from har_jax.data.batches import Batch
from har_jax.errors import Stopped, UserError
from har_jax.results import Place
from har_jax.train import mesh, optimizer
from har_jax.train.checkpoint import Checkpoints
from har_jax.train.log import Log
from har_jax.train.objective import Objective
from har_jax.train.step import compiled_predict, compiled_step, start
from har_jax.variables import Variables, resident

EVALUATION_BATCH = 256  # and more where that is no multiple of the devices


@dataclasses.dataclass(frozen=True)
class Trained:
  """A run's end: the variables that the best validation saw, and how it came to them."""

  variables: Variables  # trainable and batch statistics
  step: int
  history: list[dict]  # an entry a validation: step, measures, seconds so far
  optimizer_bytes: int  # that its state holds, on each device
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
  folder: Place,
  title: str,
  pretrained: bool,
  progress: bool = True,
  stop: Callable[[], bool] = lambda: False,
) -> Trained:
  """Trains until the steps are spent or patience is, or goes on where a killed run left off.

  The same arguments give the same numbers, bit for bit on CPU, however often the run was killed. It runs on all devices;
  another number of them gives the same numbers but for rounding. Of several processes all call this, with the same
  arguments: whole arrays of their own, whole windows, a folder that they share.
  `stop` is asked after each step, equally often by each process; where it says yes, to all, the run is saved and Stopped
  raised. Raises UserError where the loss is not finite, naming the step, and where the devices do not divide the batch.
  """
  folder.mkdir(parents=True, exist_ok=True)
  devices = mesh.over_all_devices()
  mesh.refuse_uneven(training.batch, devices, flag='finetune_batch' if pretrained else 'pretrain_batch')
  size = len(windows['signal'])
  steps = count_steps(training, size)
  due = {math.ceil(steps * (i + 1) / training.evaluations) for i in range(training.evaluations)}
  key = jax.random.key(seed)
  step = compiled_step(objective, training, pretrained=pretrained, mesh=devices)
  batches = data_batches.training_batches(
    windows, batch=training.batch, steps=steps, seed=seed, **_own_part()
  )
  checkpoints = Checkpoints(folder / 'checkpoints')

  # Copies: the step uses its state up, and the caller's arrays may be shared.
  owned, moving = jax.tree.map(jax.numpy.copy, (trainable, statistics))
  state = start(owned, moving, optimizer.build(training, pretrained=pretrained))
  history: list[dict] = []
  earlier = 0.0
  if (found := checkpoints.newest(state, batches)) is not None:
    state, history, earlier = found
  done = int(state.step)
  state, frozen = mesh.replicate((state, frozen), devices)
  started = time.monotonic()
  log = Log(
    folder,
    title=title,
    steps=steps,
    resumed=done,
    batch=training.batch,
    progress=progress,
    silent=not mesh.leads(),
  )
  try:
    while done < steps and not _is_out_of_patience(history, training.patience):
      # The loss is fetched each step: many steps in flight on fake CPU devices hang for good (jaxlib before 0.12).
      state, loss = step(state, frozen, mesh.split(next(batches), devices), key, np.int32(steps))
      done += 1
      log.step(done, _finite(float(loss), done, title))
      if done in due:
        measured = evaluate(objective, state.trainable | state.statistics | frozen, validation)
        seconds = earlier + time.monotonic() - started
        history.append({'step': done, **measured, 'seconds': seconds})
        log.validation(done, measured)
        checkpoints.save(state, batches, history, measured['score'], seconds=seconds)
      if stop():
        if done not in due:
          checkpoints.save(state, batches, history, seconds=earlier + time.monotonic() - started)
        raise Stopped(f'{title}: stopped and saved at step {done}')
  finally:
    log.close()
  # Of equals the later, as its checkpoint is kept.
  best = max(reversed(history), key=lambda entry: entry['score'])
  chosen = checkpoints.variables(best['step'], trainable | statistics)
  optimizer_bytes = resident(mesh.held_by_one(state.optimizer))
  return Trained(chosen, best['step'], history, optimizer_bytes, history[-1]['seconds'])


def evaluate(objective: Objective, variables: Variables, windows: Batch) -> dict[str, float]:
  """What the windows score, each counted once."""
  return objective.score(predict(objective, variables, windows), windows)


def predict(objective: Objective, variables: Variables, windows: Batch) -> np.ndarray:
  """Predictions in the windows' order, all of them in each process."""
  devices = mesh.over_all_devices()
  compiled, key = compiled_predict(objective, devices), jax.random.key(0)
  variables = mesh.replicate(variables, devices)
  size = mesh.next_multiple(EVALUATION_BATCH, devices)
  outputs = []
  for number, batch in enumerate(data_batches.evaluation_batches(windows, batch=size, **_own_part())):
    predicted = compiled(variables, mesh.split(batch, devices), jax.random.fold_in(key, number))
    outputs.append(np.asarray(predicted))
  return np.concatenate(outputs)[: len(windows['signal'])]  # what fills up comes last


def _own_part() -> dict[str, int]:
  return {'process': jax.process_index(), 'processes': jax.process_count()}


def _is_out_of_patience(history: list[dict], patience: int) -> bool:
  scores = [entry['score'] for entry in history]
  return bool(patience and scores) and len(scores) - 1 - int(np.argmax(scores)) >= patience


def _finite(loss: float, step: int, title: str) -> float:
  if not math.isfinite(loss):
    raise UserError(f'{title}: the loss is {loss} at step {step}; a lower learning rate may help')
  return loss

"""One training run: what it starts from, its progress, and its result."""

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from har_jax import config
from har_jax.datasets import batches as data_batches
from har_jax.datasets.batches import Batch
from har_jax.errors import UserError
from har_jax.storage import Place
from har_jax.train import mesh
from har_jax.train.log import Log
from har_jax.train.metrics import find_best
from har_jax.train.step import State
from har_jax.variables import Variables, resident


@dataclasses.dataclass(frozen=True)
class Run:
  """Initial variables, data, and the folder of checkpoints and log. Without a folder, nothing is resumed."""

  trainable: Variables
  statistics: Variables
  frozen: Variables
  windows: Batch
  validation: Batch
  seed: int
  folder: Place | None
  title: str


@dataclasses.dataclass(frozen=True)
class Trained:
  """The result of a run: its last variables or, with patience, those with the best validation score."""

  variables: Variables  # trainable and batch statistics
  step: int
  history: list[dict]  # one entry per validation: step, metrics, seconds so far
  optimizer_bytes: int  # of the optimizer state, per device
  # Wall-clock seconds over all restarts, with compilation. Runs trained in one batch share this number.
  seconds: float


class InMemory:
  """`checkpoint.Checkpoints` of a run without a folder: the variables of the newest and the best."""

  def __init__(self) -> None:
    self._kept: dict[int, Variables] = {}  # by step

  def newest(self, *_: Any) -> None:
    return None

  def save(self, state: State, _: Any, history: list[dict], **more: Any) -> None:
    step = int(state.step)
    # Copies: the next step donates the state.
    self._kept[step] = jax.tree.map(np.array, state.trainable | state.statistics)
    best = find_best(history)['step'] if history else step
    self._kept = {each: self._kept[each] for each in {best, step}}

  def variables(self, step: int, _: Variables) -> Variables:
    return jax.device_put(self._kept[step])


def count_steps(training: config.Training, windows: int) -> int:
  """Training steps for a number of windows."""
  steps = math.ceil(training.epochs * math.ceil(windows / training.batch))
  return min(steps, training.max_steps) if training.max_steps else steps


class ActiveRun:
  """A run in training: restored from its newest checkpoint, it reads batches and records progress."""

  log: Log

  def __init__(self, run: Run, training: config.Training, start: Callable[[Variables, Variables], State]):
    self.inputs, self._batch, self._patience = run, training.batch, training.patience
    self.total_steps = count_steps(training, len(run.windows['signal']))
    self._validation_steps = {
      math.ceil(self.total_steps * (i + 1) / training.num_evals) for i in range(training.num_evals)
    }
    self._batches = data_batches.training_batches(
      run.windows,
      batch=training.batch,
      steps=self.total_steps,
      seed=run.seed,
      **mesh.process_rank(),
    )
    self._checkpoints: Any = InMemory()
    if run.folder is not None:
      from har_jax.train.checkpoint import Checkpoints  # late: it imports Orbax

      run.folder.mkdir(parents=True, exist_ok=True)
      self._checkpoints = Checkpoints(run.folder / 'checkpoints')
    # Of copies: the step donates its state, and the caller's arrays may be shared.
    self.initial_state = start(run.trainable, run.statistics)
    self._history: list[dict] = []
    self._seconds_before = 0.0
    if (restored := self._checkpoints.newest(self.initial_state, self._batches)) is not None:
      self.initial_state, self._history, self._seconds_before = restored
    self._optimizer_bytes = resident(self.initial_state.optimizer)
    self.step = int(self.initial_state.step)
    self._start_time = time.monotonic()

  def open_log(self, *, progress: bool) -> None:
    self.log = Log(
      self.inputs.folder,
      title=self.inputs.title,
      steps=self.total_steps,
      resumed=self.step,
      batch=self._batch,
      progress=progress,
      silent=not mesh.is_main_process(),
    )

  def is_active(self) -> bool:
    return self.step < self.total_steps and not _is_out_of_patience(self._history, self._patience)

  def is_validation_due(self) -> bool:
    return self.step in self._validation_steps

  def steps_to_validation(self) -> int:
    return min(step for step in self._validation_steps if step > self.step) - self.step

  def next_batch(self) -> Batch:
    """The next batch. A finished run repeats its last one, and its results are ignored."""
    if self.is_active():
      self._last_batch = next(self._batches)
    return self._last_batch

  def record_losses(self, losses: Sequence[float]) -> None:
    """Raises UserError where a loss is not finite."""
    for loss in losses:
      self.step += 1
      if not math.isfinite(loss):
        raise UserError(
          f'{self.inputs.title}: the loss is {loss} at step {self.step}; a lower learning rate may help'
        )
      self.log.step(self.step, loss)

  def record_validation(self, state: State, metrics: dict[str, float]) -> None:
    self._history.append({'step': self.step, **metrics, 'seconds': self._seconds()})
    self.log.validation(self.step, metrics)
    self.save(state)

  def save(self, state: State) -> None:
    self._checkpoints.save(state, self._batches, self._history, seconds=self._seconds())

  def _seconds(self) -> float:
    return self._seconds_before + time.monotonic() - self._start_time

  def result(self) -> Trained:
    chosen = find_best(self._history) if self._patience else self._history[-1]
    variables = self._checkpoints.variables(chosen['step'], self.inputs.trainable | self.inputs.statistics)
    return Trained(
      variables, chosen['step'], self._history, self._optimizer_bytes, self._history[-1]['seconds']
    )


def _is_out_of_patience(history: list[dict], patience: int) -> bool:
  scores = [entry['score'] for entry in history]
  return bool(patience and scores) and len(scores) - 1 - int(np.argmax(scores)) >= patience

"""The one training loop: pretraining and fine-tuning differ in their objective alone."""

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
import optax
from jax.sharding import Mesh

from har_jax import config
from har_jax.data import batches as data_batches
from har_jax.data.batches import Batch
from har_jax.errors import Stopped, UserError
from har_jax.storage import Place
from har_jax.train import mesh, optimizer
from har_jax.train.checkpoint import Checkpoints
from har_jax.train.log import Log
from har_jax.train.objective import Objective
from har_jax.train.step import State, compiled_predict, compiled_steps, start
from har_jax.variables import Variables, resident

# Steps that one program takes, and the windows in them, at most: enough that asking for memory costs little, and few enough that progress and
# SIGTERM come through within seconds on a CPU.
_STEPS_AT_ONCE, _WINDOWS_AT_ONCE = 16, 1024
EVALUATION_BATCH = 256  # and more where that is no multiple of the devices


@dataclasses.dataclass(frozen=True)
class Run:
  """What a run starts from and learns from, and where it leaves its checkpoints and log."""

  trainable: Variables
  statistics: Variables
  frozen: Variables
  windows: Batch
  validation: Batch
  seed: int
  folder: Place
  title: str


@dataclasses.dataclass(frozen=True)
class Trained:
  """A run's end: its last variables or, with patience, those that the best validation saw; and how it came to them."""

  variables: Variables  # trainable and batch statistics
  step: int
  history: list[dict]  # an entry a validation: step, measures, seconds so far
  optimizer_bytes: int  # that its state holds, on each device
  # Of training and validation, over all sittings, compilation included; and of the runs beside it, which it cannot be told from.
  seconds: float


def count_steps(training: config.Training, windows: int) -> int:
  steps = math.ceil(training.epochs * math.ceil(windows / training.batch))
  return min(steps, training.max_steps) if training.max_steps else steps


def steps_per_call(batch: int) -> int:
  """Steps that one program takes, of so many windows each."""
  return max(1, min(_STEPS_AT_ONCE, _WINDOWS_AT_ONCE // batch))


def train(
  objective: Objective,
  runs: Sequence[Run],
  *,
  training: config.Training,
  pretrained: bool,
  progress: bool = True,
  stop: Callable[[], bool] = lambda: False,
) -> list[Trained]:
  """Trains each run until its steps are spent or its patience is, or goes on where a killed one left off.

  Several runs go side by side, in one program: variables of the same names and shapes; frozen ones that are equal in all are
  held once. Each ends as it would alone, but for rounding.
  The same arguments give the same numbers, bit for bit on CPU, however often the run was killed. It runs on all devices;
  another number of them gives the same numbers but for rounding. Of several processes all call this, with the same
  arguments: whole arrays of their own, whole windows, a folder that they share.
  `stop` is asked after every few steps, equally often by each process; where it says yes, to all, the runs are saved and
  Stopped raised. Raises UserError where a loss is not finite, naming the step, and where the devices do not divide the batch.
  """
  devices = mesh.data_mesh()
  mesh.check_divisible(training.batch, devices, flag=f'{objective.part}_batch')
  transform = optimizer.build(training, pretrained=pretrained)
  active_runs = [_ActiveRun(run, training, transform, objective.together) for run in runs]
  if unfinished := [active_run for active_run in active_runs if active_run.is_active()]:
    for active_run in unfinished:
      active_run.open_log(progress=progress)
    try:
      _train_together(objective, unfinished, training, pretrained=pretrained, devices=devices, stop=stop)
    finally:
      for active_run in unfinished:
        active_run.log.close()
  return [active_run.end() for active_run in active_runs]


def _train_together(
  objective: Objective,
  active_runs: Sequence['_ActiveRun'],
  training: config.Training,
  *,
  pretrained: bool,
  devices: Mesh | None,
  stop: Callable[[], bool],
) -> None:
  """Takes every sitting to its end."""
  size = len(active_runs)
  frozen, per_run_paths = _share([active_run.run.frozen for active_run in active_runs])
  take = compiled_steps(
    objective,
    training,
    pretrained=pretrained,
    mesh=devices,
    per_run_paths=per_run_paths if size > 1 else None,
  )
  state, frozen = mesh.replicate((_stack([active_run.start for active_run in active_runs]), frozen), devices)
  keys = _stack([jax.random.key(active_run.run.seed) for active_run in active_runs])
  steps = _stack([np.int32(active_run.steps) for active_run in active_runs])
  at_once = steps_per_call(training.batch)
  while still_active := [active_run for active_run in active_runs if active_run.is_active()]:
    count = min(at_once, *(active_run.steps_to_validation() for active_run in still_active))
    drawn = [_stack_batches([active_run.next_batch() for active_run in active_runs]) for _ in range(count)]
    batches = mesh.split(data_batches.stack(drawn, at_once), devices, axis=1 if size == 1 else 2)
    state, losses = take(state, frozen, batches, keys, steps, np.int32(count))
    for active_run, of_run in zip(
      active_runs, np.asarray(losses)[:count].reshape(count, size).T, strict=True
    ):
      if active_run in still_active:
        active_run.record_losses(of_run.tolist())
    stopping = stop()
    for number, active_run in enumerate(active_runs):
      if active_run not in still_active or not (stopping or active_run.is_due()):
        continue
      its_state = _unstack(state, number, size)
      if active_run.is_due():
        its_frozen = {path: leaf[number] if path in per_run_paths else leaf for path, leaf in frozen.items()}
        variables = its_state.trainable | its_state.statistics | its_frozen
        active_run.record_validation(its_state, evaluate(objective, variables, active_run.run.validation))
      else:
        active_run.save(its_state)
    if stopping:
      told = [
        f'{active_run.run.title}: stopped and saved at step {active_run.done}' for active_run in still_active
      ]
      raise Stopped('; '.join(told))


class _ActiveRun:
  """One run while it trains: where it starts, its batches, what it has done so far and where that is told."""

  log: Log

  def __init__(
    self, run: Run, training: config.Training, transform: optax.GradientTransformation, together: int
  ):
    run.folder.mkdir(parents=True, exist_ok=True)
    self.run, self._batch, self._patience = run, training.batch, training.patience
    self.steps = count_steps(training, len(run.windows['signal']))
    self._due = {math.ceil(self.steps * (i + 1) / training.num_evals) for i in range(training.num_evals)}
    self._batches = data_batches.training_batches(
      run.windows,
      batch=training.batch,
      steps=self.steps,
      seed=run.seed,
      together=together,
      **_own_part(),
    )
    self._checkpoints = Checkpoints(run.folder / 'checkpoints')
    # Copies: the step uses its state up, and the caller's arrays may be shared.
    trainable, statistics = jax.tree.map(jax.numpy.copy, (run.trainable, run.statistics))
    self.start = start(trainable, statistics, transform)
    self._history: list[dict] = []
    self._earlier = 0.0
    if (found := self._checkpoints.newest(self.start, self._batches)) is not None:
      self.start, self._history, self._earlier = found
    self._optimizer_bytes = resident(self.start.optimizer)
    self.done = int(self.start.step)
    self._began = time.monotonic()

  def open_log(self, *, progress: bool) -> None:
    self.log = Log(
      self.run.folder,
      title=self.run.title,
      steps=self.steps,
      resumed=self.done,
      batch=self._batch,
      progress=progress,
      silent=not mesh.is_main_process(),
    )

  def is_active(self) -> bool:
    return self.done < self.steps and not _is_out_of_patience(self._history, self._patience)

  def steps_to_validation(self) -> int:
    return min(due for due in self._due if due > self.done) - self.done

  def next_batch(self) -> Batch:
    """The next batch. A run that has ended before those beside it goes along with its last, and none looks at it."""
    if self.is_active():
      self._drawn = next(self._batches)
    return self._drawn

  def record_losses(self, losses: Sequence[float]) -> None:
    for loss in losses:
      self.done += 1
      self.log.step(self.done, _finite(loss, self.done, self.run.title))

  def is_due(self) -> bool:
    return self.done in self._due

  def record_validation(self, state: State, measured: dict[str, float]) -> None:
    self._history.append({'step': self.done, **measured, 'seconds': self._seconds()})
    self.log.validation(self.done, measured)
    self.save(state, measured['score'])

  def save(self, state: State, score: float = -math.inf) -> None:
    self._checkpoints.save(state, self._batches, self._history, score, seconds=self._seconds())

  def _seconds(self) -> float:
    return self._earlier + time.monotonic() - self._began

  def end(self) -> Trained:
    if self._patience:
      # Of equals the later, as its checkpoint is kept.
      kept = max(reversed(self._history), key=lambda entry: entry['score'])
    else:
      kept = self._history[-1]
    chosen = self._checkpoints.variables(kept['step'], self.run.trainable | self.run.statistics)
    return Trained(chosen, kept['step'], self._history, self._optimizer_bytes, self._history[-1]['seconds'])


def _stack(trees: Sequence[Any]) -> Any:
  """An axis of runs in front of all leaves; a run alone has none."""
  return trees[0] if len(trees) == 1 else jax.tree.map(lambda *leaves: jax.numpy.stack(leaves), *trees)


def _stack_batches(batches: Sequence[Batch]) -> Batch:
  return batches[0] if len(batches) == 1 else data_batches.stack(batches, len(batches))


def _unstack(tree: Any, number: int, runs: int) -> Any:
  """What `_stack` was given at a place."""
  return tree if runs == 1 else jax.tree.map(lambda leaf: leaf[number], tree)


def _share(frozen: Sequence[Variables]) -> tuple[Variables, frozenset[str]]:
  """Variables that are equal in all runs, once, and the others stacked; and the paths of these."""
  first = frozen[0]
  per_run_paths = frozenset(
    path for path in first if not all(np.array_equal(first[path], other[path]) for other in frozen[1:])
  )
  return {
    path: _stack([each[path] for each in frozen]) if path in per_run_paths else first[path] for path in first
  }, per_run_paths


def evaluate(objective: Objective, variables: Variables, windows: Batch) -> dict[str, float]:
  """What the windows score, each counted once."""
  return objective.score(predict(objective, variables, windows), windows)


def predict(objective: Objective, variables: Variables, windows: Batch, *, tta_shifts: int = 1) -> np.ndarray:
  """Predictions in the windows' order, all of them in each process.

  Of several `shifts` the mean: of each window as it is, and moved on by so many parts of a token, its end joined to its start,
  so that tokens begin elsewhere.
  """
  if tta_shifts > 1:
    moves = [round(part * objective.model.patch_size / tta_shifts) for part in range(tta_shifts)]
    moved = [windows | {'signal': np.roll(windows['signal'], move, axis=1)} for move in moves]
    return np.mean([predict(objective, variables, each) for each in moved], axis=0)
  devices = mesh.data_mesh()
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

"""The training loop of pretraining and fine-tuning; they differ only in their objective.

Runs with the same shapes train side by side: one program, with an axis of runs in front of their arrays.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from har_jax import config
from har_jax.datasets import batches as data_batches
from har_jax.datasets.batches import Batch
from har_jax.errors import Stopped
from har_jax.train import mesh, optimizer
from har_jax.train.evaluation import evaluate
from har_jax.train.objective import Objective
from har_jax.train.run import ActiveRun, Run, Trained
from har_jax.train.step import State, Steps, compiled_start, compiled_steps
from har_jax.variables import Variables

# Limits per program call: enough steps to amortize memory allocation, few enough that progress and SIGTERM
# come through within seconds on a CPU.
_MAX_STEPS_PER_CALL, _MAX_WINDOWS_PER_CALL = 16, 1024


def steps_per_call(batch: int) -> int:
  """Training steps per program call, for a batch size."""
  return max(1, min(_MAX_STEPS_PER_CALL, _MAX_WINDOWS_PER_CALL // batch))


def planned_bytes(
  objective: Objective,
  training: config.Training,
  state: State,
  frozen: Variables,
  windows: Batch,
  *,
  pretrained: bool,
  wrap: optimizer.Wrap = optimizer.unchanged,
) -> int:
  """Temporary bytes of the program that trains one run, as its compiler plans them. `train` reuses it.

  state: or its shape.
  """
  devices = mesh.data_mesh()
  batch = next(data_batches.training_batches(windows, batch=training.batch, steps=1, seed=0))
  batches = mesh.split(data_batches.stack([batch], steps_per_call(training.batch)), devices, axis=1)
  steps: Any = compiled_steps(objective, training, pretrained=pretrained, wrap=wrap, mesh=devices)
  numbers = np.int32(1), np.int32(1)
  compiled = steps.lower(state, frozen, batches, jax.random.key(0), *numbers).compile()
  return compiled.memory_analysis().temp_size_in_bytes


def train(
  objective: Objective,
  runs: Sequence[Run],
  *,
  training: config.Training,
  pretrained: bool,
  wrap: optimizer.Wrap = optimizer.unchanged,
  progress: bool = True,
  stop: Callable[[], bool] = lambda: False,
) -> list[Trained]:
  """Trains each run until its steps or its patience are spent. Interrupted runs resume from their checkpoint.

  The runs train side by side, so their variables have the same names and shapes. Each run ends as it would
  alone, up to rounding. On CPU, the same arguments give the same bits, however often a run was interrupted.
  Training uses all devices; their number changes results by rounding only. With several processes, all call
  this with the same arguments: complete arrays, and a shared folder.
  `stop` is polled after every program call, equally often by each process, and must give all the same answer.
  If it is true, all runs are saved and Stopped is raised.
  Raises UserError where a loss is not finite, or the devices do not divide the batch.
  """
  devices = mesh.data_mesh()
  mesh.check_divisible(training.batch, devices, flag=f'{objective.part}_batch')
  start = compiled_start(training, pretrained=pretrained, wrap=wrap)
  active_runs = [ActiveRun(run, training, start) for run in runs]
  if unfinished := [active_run for active_run in active_runs if active_run.is_active()]:
    for active_run in unfinished:
      active_run.open_log(progress=progress)
    try:
      compiled = functools.partial(
        compiled_steps, objective, training, pretrained=pretrained, wrap=wrap, mesh=devices
      )
      _train_side_by_side(objective, unfinished, training, compiled, devices=devices, stop=stop)
    finally:
      for active_run in unfinished:
        active_run.log.close()
  return [active_run.result() for active_run in active_runs]


def _train_side_by_side(
  objective: Objective,
  runs: Sequence[ActiveRun],
  training: config.Training,
  compiled: Callable[..., Steps],
  *,
  devices: Mesh | None,
  stop: Callable[[], bool],
) -> None:
  """Trains until no run is active."""
  frozen, per_run_paths = _stack_frozen([run.inputs.frozen for run in runs])
  train_steps = compiled(per_run_paths=per_run_paths if len(runs) > 1 else None)
  state, frozen = mesh.replicate((_stack([run.initial_state for run in runs]), frozen), devices)
  keys = _stack([jax.random.key(run.inputs.seed) for run in runs])
  total_steps = _stack([np.int32(run.total_steps) for run in runs])
  max_steps = steps_per_call(training.batch)

  while active := [run for run in runs if run.is_active()]:
    count = min(max_steps, *(run.steps_to_validation() for run in active))
    batches = [_stack_batches([run.next_batch() for run in runs]) for _ in range(count)]
    sharded = mesh.split(data_batches.stack(batches, max_steps), devices, axis=1 if len(runs) == 1 else 2)
    state, losses = train_steps(state, frozen, sharded, keys, total_steps, np.int32(count))

    run_losses = np.asarray(losses)[:count].reshape(count, len(runs)).T
    for run, losses_of_run in zip(runs, run_losses, strict=True):
      if run in active:
        run.record_losses(losses_of_run.tolist())

    stopping = stop()
    for index, run in enumerate(runs):
      if run not in active or not (stopping or run.is_validation_due()):
        continue
      run_state = _unstack(state, index, len(runs))
      if run.is_validation_due():
        own = {path: leaf for path, leaf in frozen.items() if path in per_run_paths}
        run_frozen = frozen | _unstack(own, index, len(runs))
        variables = run_state.trainable | run_state.statistics | run_frozen
        run.record_validation(run_state, evaluate(objective, variables, run.inputs.validation))
      else:
        run.save(run_state)
    if stopping:
      raise Stopped('; '.join(f'{run.inputs.title}: stopped and saved at step {run.step}' for run in active))


def _stack(trees: Sequence[Any]) -> Any:
  """Stacks the leaves along a new first axis of runs; a single run gets no such axis."""
  return trees[0] if len(trees) == 1 else _stacked(trees)


@jax.jit  # one program, not some for each shape
def _stacked(trees: Sequence[Any]) -> Any:
  return jax.tree.map(lambda *leaves: jax.numpy.stack(leaves), *trees)


def _stack_batches(batches: Sequence[Batch]) -> Batch:
  return batches[0] if len(batches) == 1 else data_batches.stack(batches, len(batches))


def _unstack(tree: Any, index: int, runs: int) -> Any:
  """One run's tree out of what `_stack` returned."""
  return tree if runs == 1 else _one_of(tree, np.int32(index))


@jax.jit
def _one_of(tree: Any, index: Any) -> Any:
  return jax.tree.map(lambda leaf: leaf[index], tree)


def _stack_frozen(frozen: Sequence[Variables]) -> tuple[Variables, frozenset[str]]:
  """Frozen variables of all runs, and the paths that differ between runs.

  Those are stacked; variables that are equal in all runs are stored once.
  """
  first = frozen[0]
  per_run_paths = frozenset(
    path for path in first if not all(np.array_equal(first[path], other[path]) for other in frozen[1:])
  )
  differing = _stack([{path: each[path] for path in first if path in per_run_paths} for each in frozen])
  return first | differing, per_run_paths

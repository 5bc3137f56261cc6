"""Compiled programs to time: fine-tuning, pretraining, inference."""

import dataclasses
import functools
import itertools
import math
import pathlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.interpreters import partial_eval
from msgspec import structs

from har_jax import config, config_fields, methods, runtime, storage, variables
from har_jax.cli import command
from har_jax.datasets import batches
from har_jax.datasets.batches import Batch
from har_jax.errors import UserError
from har_jax.export import timing
from har_jax.train import loop, mesh, optimizer
from har_jax.train.objective import Classify, Objective, Reconstruct
from har_jax.train.step import compiled_predict, compiled_start, compiled_steps, training_step

CLASSES = 6
EPOCH_WINDOWS = 7209  # about 70 % of HAPT's 10,411


@dataclasses.dataclass
class Program:
  """`call` processes `windows` windows, in one step or several, and returns what to wait for."""

  call: Callable[[], Any]
  windows: int
  operations: int  # of matrix products per call: a multiplication and an addition count as two
  compile_s: float
  temporary_bytes: int  # that the compiler plans in addition to the arguments
  held_bytes: dict[str, int]  # of live variables: frozen, trainable, buffers, optimizer


def batch_sizes(words: Sequence[str]) -> list[int]:
  """The values of the flag `batches`. Raises UserError where one is not a whole number of at least 1."""
  numbers = command.whole_numbers('batches', words)
  if any(number < 1 for number in numbers):
    raise UserError(f'--batches={",".join(words)}: give numbers of at least 1')
  return list(numbers)


def summary(seconds: np.ndarray, reference: np.ndarray | None) -> dict[str, Any]:
  """A call's `timing.summary`; `ratio`: the median over turns of the ratio to the reference."""
  ratio = None if reference is None else float(np.median(seconds / reference))
  return timing.summary(seconds) | {'ratio': ratio}


def per_step(timed: Mapping[str, Any], fraction: float) -> dict[str, Any]:
  """The milliseconds of a step that is this fraction of a call, from the call's summary."""
  return {'ms': fraction * timed['ms'], 'ms_quartiles': [fraction * ms for ms in timed['ms_quartiles']]}


def save(
  path: pathlib.Path,
  table: Callable[[dict[str, Any]], str],
  experiment: config.Experiment,
  also: Sequence[str] = (),
  **measured: Any,
) -> dict[str, Any]:
  """Writes `path`.json and its table, `path`.md, and prints the table. Returns the content of the first.

  also: packages whose versions it has.
  """
  bench = {
    'experiment': config_fields.to_json(experiment),
    **measured,
    'versions': runtime.versions(also=also),
    'device': structs.asdict(runtime.device()),
  }
  storage.write(path.with_suffix('.json'), bench)
  text = table(bench)
  storage.write_text(path.with_suffix('.md'), text)
  print(text)
  return bench


def finetuning(experiment: config.Experiment, method: str, batch: int, runs: int = 1) -> Program:
  """Training steps of a method, from random weights; of several runs, side by side on one frozen encoder.

  `windows` counts those of all runs.
  """
  return _Training(*_prepare(experiment, method), experiment.finetune, batch, runs).program()


def pretraining(experiment: config.Experiment, batch: int) -> Program:
  """Training steps of the masked autoencoder."""
  objective = Reconstruct(experiment.model, experiment.precision)
  prepared = methods.Prepared(objective.init(jax.random.key(0)), {}, {})
  return _Training(objective, prepared, experiment.pretrain, batch).program()


def epoch(experiment: config.Experiment, batch: int) -> Program:
  """An epoch of LoRA over `EPOCH_WINDOWS` windows in random order, loading included."""
  training = _Training(*_prepare(experiment, 'lora'), experiment.finetune, batch)
  program = training.program()
  windows = _windows(EPOCH_WINDOWS, experiment.model)
  steps = -(-EPOCH_WINDOWS // batch)
  seeds = itertools.count()

  def call() -> Any:
    drawn = batches.training_batches(windows, batch=batch, steps=steps, seed=next(seeds))
    losses = []
    for first in range(0, steps, training.steps_per_call):
      count = min(training.steps_per_call, steps - first)
      losses.append(training.train([next(drawn) for _ in range(count)]))
    return losses

  return dataclasses.replace(
    program,
    call=call,
    windows=EPOCH_WINDOWS,
    operations=round(program.operations * EPOCH_WINDOWS / program.windows),
  )


def inference(experiment: config.Experiment, batch: int) -> Program:
  """Logits of one batch, by the plain model."""
  objective = Classify(experiment.model, CLASSES, experiment.precision)
  devices = mesh.data_mesh()
  model, key = mesh.replicate(objective.init(jax.random.key(0)), devices), jax.random.key(2)
  windows = _windows(batch, experiment.model)
  arguments = (model, mesh.split(windows, devices), np.int32(0))
  compiled, compile_s = _compile(compiled_predict(objective, devices), *arguments)
  return Program(
    lambda: compiled(*arguments),
    batch,
    count_operations(objective.predict, model, windows, key),
    compile_s,
    compiled.memory_analysis().temp_size_in_bytes,
    {'frozen': variables.resident(objective.init(jax.random.key(0)))},
  )


def _prepare(experiment: config.Experiment, method: str) -> tuple[Objective, methods.Prepared]:
  objective = Classify(experiment.model, CLASSES, experiment.precision)
  settings = methods.Settings.from_experiment(experiment)
  return objective, methods.prepare(objective.init, methods.METHODS[method], settings, seed=0)


class _Training:
  """Compiled training steps, as the training loop makes them, and the state that they change.

  Several runs share the frozen variables; all other arrays then have an axis of runs.
  """

  def __init__(
    self,
    objective: Objective,
    prepared: methods.Prepared,
    training: config.Training,
    batch: int,
    runs: int = 1,
  ):
    self._devices = mesh.data_mesh()
    self.steps_per_call, self._runs, self._batch = loop.steps_per_call(batch), runs, batch
    pretrained = bool(prepared.statistics)
    start = compiled_start(training, pretrained=pretrained, wrap=optimizer.unchanged)
    state = start(prepared.trainable, prepared.statistics)  # copies: a step deletes what it is given
    key: Any = jax.random.key(2)
    total_steps: Any = np.int32(10**6)
    step = training_step(objective, training, pretrained=pretrained)
    windows = _windows(batch, objective.model)
    self._operations = count_operations(step, state, prepared.frozen, windows, key, total_steps)
    if runs > 1:
      state, key, total_steps = jax.tree.map(lambda leaf: jnp.stack([leaf] * runs), (state, key, total_steps))
    self._held_bytes = {
      'frozen': variables.resident(prepared.frozen),
      'trainable': variables.resident(state.trainable),
      'buffers': variables.resident(state.statistics),
      'optimizer': variables.resident(state.optimizer),
    }
    self._state, self._frozen = mesh.replicate((state, prepared.frozen), self._devices)
    self._key, self._total_steps = key, total_steps
    lazy = compiled_steps(
      objective,
      training,
      pretrained=pretrained,
      mesh=self._devices,
      per_run_paths=frozenset() if runs > 1 else None,
    )
    placed = self._place([windows] * self.steps_per_call)
    self._compiled, self._compile_s = _compile(lazy, *self._arguments(placed, self.steps_per_call))
    self._call = functools.partial(self._train, placed, self.steps_per_call)

  def program(self) -> Program:
    steps = self.steps_per_call * self._runs
    temporary = self._compiled.memory_analysis().temp_size_in_bytes
    return Program(
      self._call, steps * self._batch, steps * self._operations, self._compile_s, temporary, self._held_bytes
    )

  def train(self, drawn: Sequence[Batch]) -> Any:
    """One step per batch; at most `steps_per_call`."""
    return self._train(self._place(drawn), len(drawn))

  def _train(self, placed: Any, count: int) -> Any:
    self._state, losses = self._compiled(*self._arguments(placed, count))
    return losses

  def _arguments(self, placed: Any, count: int) -> tuple:
    return (self._state, self._frozen, placed, self._key, self._total_steps, np.int32(count))

  def _place(self, drawn: Sequence[Batch]) -> Any:
    stacked = batches.stack(drawn, self.steps_per_call)
    if self._runs > 1:
      stacked = {name: np.stack([array] * self._runs, axis=1) for name, array in stacked.items()}
    return mesh.split(stacked, self._devices, axis=1 if self._runs == 1 else 2)


def _compile(function: Any, *arguments: Any) -> tuple[Any, float]:
  started = time.perf_counter()
  compiled = function.lower(*arguments).compile()
  return compiled, time.perf_counter() - started


def _windows(count: int, model: config.Model) -> Batch:
  rng = np.random.default_rng(0)
  return {
    'signal': rng.standard_normal((count, model.window_samples, config.CHANNELS), np.float32),
    'origin': np.zeros((count, 2), np.float32),
    'label': rng.integers(0, CLASSES, count, np.int32),
    'weight': np.ones(count, np.float32),
  }


def count_operations(function: Callable, *arguments: Any) -> int:
  """Operations of the matrix products that a function traces to; those without effect are not counted."""
  return sum(
    2 * equation.outvars[0].aval.size * contracted_size(equation)
    for equation in used_products(function, *arguments)
  )


def used_products(function: Callable, *arguments: Any) -> Iterator[Any]:
  """The equations of the matrix products that a function traces to, without those that nothing uses."""
  traced = jax.make_jaxpr(function)(*arguments).jaxpr
  # Removes the gradients of frozen variables.
  return products(partial_eval.dce_jaxpr(traced, [True] * len(traced.outvars))[0])


def contracted_size(product: Any) -> int:
  """The number of terms in each sum of a matrix product."""
  (contracted, _), _ = product.params['dimension_numbers']
  return math.prod(product.invars[0].aval.shape[axis] for axis in contracted)


def products(traced: Any) -> Iterator[Any]:
  """The equations of all matrix products in a traced program, and in the programs that it calls."""
  for equation in traced.eqns:
    if equation.primitive.name == 'dot_general':
      yield equation
    for inner in _inside(equation.params):
      yield from products(inner)


def _inside(parameters: dict[str, Any]) -> list[Any]:
  """The programs inside a traced operation: jit, custom derivatives; one of those for several platforms."""
  firsts = (value[0] if isinstance(value, tuple) and value else value for value in parameters.values())
  return [inner for first in firsts if hasattr(inner := getattr(first, 'jaxpr', first), 'eqns')]

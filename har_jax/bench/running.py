"""Compiled steps that can be called again and again: fine-tuning, pretraining, inference."""

import dataclasses
import functools
import itertools
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.interpreters import partial_eval

from har_jax import config, methods, variables
from har_jax.data import batches
from har_jax.data.batches import Batch
from har_jax.train import mesh, optimizer
from har_jax.train.loop import steps_per_call
from har_jax.train.objective import Classify, Objective, Reconstruct
from har_jax.train.step import State, compiled_predict, compiled_steps, start, training_step
from har_jax.variables import Variables

CLASSES = 6
EPOCH_WINDOWS = 7209  # about 70 % of HAPT's 10,411


@dataclasses.dataclass
class Running:
  """`call` goes through `windows` windows, in one step or several, and returns what to wait for."""

  call: Callable[[], Any]
  windows: int
  operations: int  # of matrix products in a call, two a multiplication
  compile_s: float
  temporary_bytes: int  # that the compiler plans beside the arguments
  held: dict[str, int]  # bytes of live variables: frozen, trainable, buffers, optimizer


def finetuning(experiment: config.Experiment, method: str, batch: int) -> Running:
  """Training steps of a method, from freshly drawn weights."""
  return _Training(_finetuned(experiment, method, 1), experiment.finetune, batch).running()


def together(experiment: config.Experiment, method: str, batch: int, runs: int) -> Running:
  """Training steps of several runs side by side, against one frozen backbone; windows are those of all."""
  return _Training(_finetuned(experiment, method, runs), experiment.finetune, batch, runs).running()


def pretraining(experiment: config.Experiment, batch: int) -> Running:
  """Training steps of the masked autoencoder."""
  objective = Reconstruct(experiment.model, experiment.precision)
  parts = _Parts(objective, objective.init(jax.random.key(0)), {}, {})
  return _Training(parts, experiment.pretrain, batch).running()


def epoch(experiment: config.Experiment, batch: int) -> Running:
  """A pass of LoRA over `EPOCH_WINDOWS` windows in an order drawn anew, loading included."""
  training = _Training(_finetuned(experiment, 'lora', 1), experiment.finetune, batch)
  windows = _windows(EPOCH_WINDOWS)
  steps = -(-EPOCH_WINDOWS // batch)
  seeds = itertools.count()
  compiled = training.running()

  def call() -> Any:
    drawn = batches.training_batches(windows, batch=batch, steps=steps, seed=next(seeds))
    losses = []
    for first in range(0, steps, training.at_once):
      count = min(training.at_once, steps - first)
      losses.append(training.take([next(drawn) for _ in range(count)]))
    return losses

  return dataclasses.replace(
    compiled,
    call=call,
    windows=EPOCH_WINDOWS,
    operations=round(compiled.operations * EPOCH_WINDOWS / compiled.windows),
  )


def inference(experiment: config.Experiment, batch: int) -> Running:
  """Logits of a batch, of the plain model."""
  objective = Classify(experiment.model, CLASSES, experiment.precision)
  devices = mesh.data_mesh()
  held, key = mesh.replicate(objective.init(jax.random.key(0)), devices), jax.random.key(2)
  windows = _windows(batch)
  arguments = (held, mesh.split(windows, devices), key)
  compiled, compile_s = _compile(compiled_predict(objective, devices), *arguments)
  return Running(
    lambda: compiled(*arguments),
    batch,
    count_operations(objective.predict, held, windows, key),
    compile_s,
    compiled.memory_analysis().temp_size_in_bytes,
    {'frozen': variables.resident(objective.init(jax.random.key(0)))},
  )


@dataclasses.dataclass(frozen=True)
class _Parts:
  objective: Objective
  trainable: Variables
  statistics: Variables
  frozen: Variables


def _finetuned(experiment: config.Experiment, method: str, runs: int) -> _Parts:
  """Freshly drawn weights; of several runs, all that moves with an axis of runs in front."""
  chosen = methods.METHODS[method]
  objective = Classify(experiment.model, CLASSES, experiment.precision)
  adapted = chosen.adapt(objective.init(jax.random.key(0)), experiment, jax.random.key(1))
  statistics, rest = variables.split(adapted, lambda path: path.startswith('batch_stats/'))
  trainable, frozen = variables.split(rest, lambda path: chosen.trains(path, experiment))
  if runs > 1:
    trainable, statistics = jax.tree.map(lambda leaf: jnp.stack([leaf] * runs), (trainable, statistics))
  return _Parts(objective, trainable, statistics, frozen)


class _Training:
  """Compiled training steps, as the loop takes them, and the state that they move."""

  def __init__(self, parts: _Parts, training: config.Training, batch: int, runs: int = 1):
    self._devices = mesh.data_mesh()
    self.at_once, self._runs, self._batch = steps_per_call(batch), runs, batch
    pretrained = bool(parts.statistics)
    transform = optimizer.build(training, pretrained=pretrained)

    def begin(trainable: Variables, statistics: Variables) -> State:
      return start(trainable, statistics, transform)

    state = (jax.vmap(begin) if runs > 1 else begin)(parts.trainable, parts.statistics)
    self._held = {
      'frozen': variables.resident(parts.frozen),
      'trainable': variables.resident(state.trainable),
      'buffers': variables.resident(state.statistics),
      'optimizer': variables.resident(state.optimizer),
    }
    one = training_step(parts.objective, training, pretrained=pretrained)
    first = jax.tree.map(lambda leaf: leaf[0], state) if runs > 1 else state
    key: Any = jax.random.key(2)
    steps: Any = np.int32(10**6)
    self._operations = count_operations(one, first, parts.frozen, _windows(batch), key, steps)
    if runs > 1:
      key, steps = jnp.stack([key] * runs), jnp.stack([steps] * runs)
    self._state, self._frozen = mesh.replicate((state, parts.frozen), self._devices)
    self._key, self._steps = key, steps
    lazily = compiled_steps(
      parts.objective,
      training,
      pretrained=pretrained,
      mesh=self._devices,
      per_run_paths=frozenset() if runs > 1 else None,
    )
    placed = self._place([_windows(batch)] * self.at_once)
    self._compiled, self._compile_s = _compile(lazily, *self._arguments(placed, self.at_once))
    self._call = functools.partial(self._take, placed, self.at_once)

  def _place(self, drawn: Sequence[Batch]) -> Any:
    stacked = batches.stack(drawn, self.at_once)
    if self._runs > 1:
      stacked = {name: np.stack([array] * self._runs, axis=1) for name, array in stacked.items()}
    return mesh.split(stacked, self._devices, axis=1 if self._runs == 1 else 2)

  def _arguments(self, placed: Any, count: int) -> tuple:
    return (self._state, self._frozen, placed, self._key, self._steps, np.int32(count))

  def _take(self, placed: Any, count: int) -> Any:
    self._state, losses = self._compiled(*self._arguments(placed, count))
    return losses

  def take(self, drawn: Sequence[Batch]) -> Any:
    """Steps over these batches, `at_once` of them at most."""
    return self._take(self._place(drawn), len(drawn))

  def running(self) -> Running:
    calls = self.at_once * self._runs
    temporary = self._compiled.memory_analysis().temp_size_in_bytes
    return Running(
      self._call, calls * self._batch, calls * self._operations, self._compile_s, temporary, self._held
    )


def _compile(function: Any, *arguments: Any) -> tuple[Any, float]:
  begun = time.perf_counter()
  compiled = function.lower(*arguments).compile()
  return compiled, time.perf_counter() - begun


def _windows(count: int) -> Batch:
  rng = np.random.default_rng(0)
  return {
    'signal': rng.standard_normal((count, config.WINDOW_SAMPLES, config.CHANNELS), np.float32),
    'origin': np.zeros((count, 2), np.float32),
    'label': rng.integers(0, CLASSES, count, np.int32),
    'weight': np.ones(count, np.float32),
  }


def count_operations(function: Callable, *arguments: Any) -> int:
  """Operations of a function's matrix products, a multiplication and an addition each, as traced."""
  traced = jax.make_jaxpr(function)(*arguments).jaxpr
  used, _ = partial_eval.dce_jaxpr(
    traced, [True] * len(traced.outvars)
  )  # gradients of what is frozen are not
  return _operations(used)


def _operations(traced: Any) -> int:
  total = 0
  for equation in traced.eqns:
    if equation.primitive.name == 'dot_general':
      (contracted, _), _ = equation.params['dimension_numbers']
      inner = math.prod(equation.invars[0].aval.shape[axis] for axis in contracted)
      total += 2 * equation.outvars[0].aval.size * inner
    total += sum(_operations(inner) for inner in _inside(equation.params))
  return total


def _inside(parameters: dict[str, Any]) -> list[Any]:
  """The programs within a traced operation: jit, custom derivatives; of alternatives, which are for platforms, one."""
  found = []
  for value in parameters.values():
    first = value[0] if isinstance(value, tuple) and value else value
    inner = getattr(first, 'jaxpr', first)
    if hasattr(inner, 'eqns'):
      found.append(inner)
  return found

"""Compiled steps that can be called again and again: fine-tuning, pretraining, inference."""

import dataclasses
import math
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from har_jax import config, peft, variables
from har_jax.train import optimizer
from har_jax.train.objective import Classify, Objective, Reconstruct
from har_jax.train.step import compiled_predict, compiled_step, start, training_step
from har_jax.variables import Variables

CLASSES = 6


@dataclasses.dataclass
class Running:
  """`call` makes one step and returns what to wait for."""

  call: Callable[[], Any]
  operations: int  # of matrix products, two a multiplication
  compile_s: float
  temporary_bytes: int  # that the compiler plans beside the arguments
  held: dict[str, int]  # bytes of live variables: frozen, trainable, buffers, optimizer


def finetuning(experiment: config.Experiment, method: str, batch: int) -> Running:
  """A training step of a method, from freshly drawn weights."""
  chosen = peft.METHODS[method]
  objective = Classify(experiment.model, CLASSES, experiment.precision)
  adapted = chosen.adapt(objective.init(jax.random.key(0)), experiment, jax.random.key(1))
  statistics, rest = variables.split(adapted, lambda path: path.startswith('batch_stats/'))
  trainable, frozen = variables.split(rest, lambda path: chosen.trains(path, experiment))
  return _training(objective, experiment.finetune, trainable, statistics, frozen, batch)


def pretraining(experiment: config.Experiment, batch: int) -> Running:
  """A training step of the masked autoencoder."""
  objective = Reconstruct(experiment.model, experiment.precision)
  return _training(objective, experiment.pretrain, objective.init(jax.random.key(0)), {}, {}, batch)


def inference(experiment: config.Experiment, batch: int) -> Running:
  """Logits of a batch, of the plain model."""
  objective = Classify(experiment.model, CLASSES, experiment.precision)
  arguments = (objective.init(jax.random.key(0)), _windows(batch), jax.random.key(2))
  compiled, compile_s = _compile(compiled_predict(objective), *arguments)
  return Running(
    lambda: compiled(*arguments),
    count_operations(objective.predict, *arguments),
    compile_s,
    compiled.memory_analysis().temp_size_in_bytes,
    {'frozen': variables.resident(arguments[0])},
  )


def _training(
  objective: Objective,
  training: config.Training,
  trainable: Variables,
  statistics: Variables,
  frozen: Variables,
  batch: int,
) -> Running:
  pretrained = bool(statistics)
  state = start(trainable, statistics, optimizer.build(training, pretrained=pretrained))
  arguments = (frozen, _windows(batch), jax.random.key(2), np.int32(10**6))
  operations = count_operations(training_step(objective, training, pretrained=pretrained), state, *arguments)
  held = {
    'frozen': variables.resident(frozen),
    'trainable': variables.resident(state.trainable),
    'buffers': variables.resident(state.statistics),
    'optimizer': variables.resident(state.optimizer),
  }
  compiled, compile_s = _compile(compiled_step(objective, training, pretrained=pretrained), state, *arguments)
  moving = [state]  # the step uses its state up

  def call() -> Any:
    moving[0], loss = compiled(moving[0], *arguments)
    return moving[0], loss

  return Running(call, operations, compile_s, compiled.memory_analysis().temp_size_in_bytes, held)


def _compile(function: Any, *arguments: Any) -> tuple[Any, float]:
  begun = time.perf_counter()
  compiled = function.lower(*arguments).compile()
  return compiled, time.perf_counter() - begun


def _windows(batch: int) -> dict[str, jax.Array]:
  rng = np.random.default_rng(0)
  return jax.device_put(
    {
      'signal': rng.standard_normal((batch, config.WINDOW_SAMPLES, config.CHANNELS), np.float32),
      'label': rng.integers(0, CLASSES, batch, np.int32),
      'weight': np.ones(batch, np.float32),
    }
  )


def count_operations(function: Callable, *arguments: Any) -> int:
  """Operations of a function's matrix products, a multiplication and an addition each, as traced."""
  return _operations(jax.make_jaxpr(function)(*arguments).jaxpr)


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

"""What four-bit weights cost and save: of a matrix, of a training step, of a model."""

import dataclasses
import time
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np

from har_jax import config, peft, variables
from har_jax.bench.stores import OPERATIONS, stores
from har_jax.bench.timing import side_by_side, summary
from har_jax.train import optimizer
from har_jax.train.objective import Classify
from har_jax.train.step import State, compiled_step, start

_CLASSES = 6
# Name → method, double quantisation. The first is what the others are measured against.
_ADAPTED = {'lora': ('lora', False), 'qlora': ('qlora', False), 'qlora double': ('qlora', True)}


def matrices(shapes: Sequence[tuple[int, int]], *, rows: int, repeats: int) -> Iterator[dict[str, Any]]:
  """Time, bits a weight and relative error (Frobenius) of each operation in each store, for [i, o] and [rows, i]."""
  rng = np.random.default_rng(0)
  for shape in shapes:
    weights = rng.standard_normal(shape, np.float32)
    held = list(stores(weights, rng.standard_normal((rows, shape[0]), np.float32)))
    for operation in OPERATIONS:
      calls = {store.name: store.calls[operation] for store in held if operation in store.calls}
      seconds = side_by_side(calls, repeats=repeats)
      for store in held:
        if store.name in seconds:
          timed = summary(seconds[store.name], seconds.get('float32'))
          yield {
            'operation': operation,
            'shape': list(shape),
            'rows': rows,
            'store': store.name,
            **timed,
            **_rate(operation, store.held_bytes, weights, rows, timed['ms'] / 1e3),
            'bits': 8 * store.held_bytes / weights.size,
            'error': float(np.linalg.norm(store.unpacked - weights) / np.linalg.norm(weights)),
          }


def _rate(
  operation: str, held_bytes: int, weights: np.ndarray, rows: int, seconds: float
) -> dict[str, float]:
  if operation in ('quantise', 'dequantise'):
    return {'gbyte_s': (held_bytes + weights.nbytes) / seconds / 1e9}
  products = 2 if operation == 'product and gradient' else 1
  return {'gflop_s': products * 2 * rows * weights.size / seconds / 1e9}


def steps(experiment: config.Experiment, *, batch: int, repeats: int) -> Iterator[dict[str, Any]]:
  """Whole training steps, LoRA and QLoRA in turn: time, and the bytes that the compiler plans beside the arguments."""
  running = {name: _Running.start(_experiment(experiment, name), name, batch) for name in _ADAPTED}
  seconds = side_by_side({name: run.step for name, run in running.items()}, repeats=repeats)
  for name, run in running.items():
    yield {
      'method': name,
      'batch': batch,
      **summary(seconds[name], seconds['lora']),
      'compile_s': run.compile_s,
      'temporary_bytes': run.temporary_bytes,
      'frozen_bytes': run.frozen_bytes,
    }


def memory(presets: Sequence[str]) -> Iterator[dict[str, Any]]:
  """Bytes that live variables hold, by what they are (the paper's Table IV), and the temporary ones of a step."""
  for preset in presets:
    for name in _ADAPTED:
      experiment = _experiment(config.PRESETS[preset](), name)
      run = _Running.start(experiment, name, experiment.finetune.batch)
      yield {
        'preset': preset,
        'method': name,
        'frozen': run.frozen_bytes,
        'trainable': variables.resident(run.state.trainable),
        'buffers': variables.resident(run.state.statistics),
        'optimizer': variables.resident(run.state.optimizer),
        'temporary': run.temporary_bytes,
        'batch': experiment.finetune.batch,
      }


def _experiment(experiment: config.Experiment, name: str) -> config.Experiment:
  precision = dataclasses.replace(experiment.precision, nf4_double=_ADAPTED[name][1])
  return dataclasses.replace(experiment, precision=precision)


@dataclasses.dataclass
class _Running:
  """A compiled step and its state, which each call moves on."""

  compiled: Any
  arguments: tuple
  state: State
  compile_s: float
  temporary_bytes: int
  frozen_bytes: int

  @classmethod
  def start(cls, experiment: config.Experiment, name: str, batch: int) -> '_Running':
    method = peft.METHODS[_ADAPTED[name][0]]
    objective = Classify(experiment.model, _CLASSES, experiment.precision)
    adapted = method.adapt(objective.init(jax.random.key(0)), experiment, jax.random.key(1))
    statistics, rest = variables.split(adapted, lambda path: path.startswith('batch_stats/'))
    trainable, frozen = variables.split(rest, lambda path: method.trains(path, experiment))
    state = start(trainable, statistics, optimizer.build(experiment.finetune, pretrained=True))
    rng = np.random.default_rng(0)
    windows = {
      'signal': rng.standard_normal((batch, config.WINDOW_SAMPLES, config.CHANNELS), np.float32),
      'label': rng.integers(0, _CLASSES, batch, np.int32),
      'weight': np.ones(batch, np.float32),
    }
    arguments = (frozen, jax.device_put(windows), jax.random.key(2), np.int32(10**6))
    step: Any = compiled_step(objective, experiment.finetune, pretrained=True)
    begun = time.perf_counter()
    compiled = step.lower(state, *arguments).compile()
    return cls(
      compiled,
      arguments,
      state,
      compile_s=time.perf_counter() - begun,
      temporary_bytes=compiled.memory_analysis().temp_size_in_bytes,
      frozen_bytes=variables.resident(frozen),
    )

  def step(self) -> Any:
    self.state, loss = self.compiled(self.state, *self.arguments)
    return self.state, loss

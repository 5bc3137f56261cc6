"""What four-bit weights cost and save: of a matrix, of a training step, of a model."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from har_jax import config
from har_jax.bench.running import Running, finetuning
from har_jax.bench.timing import of_a_step, side_by_side, summary
from har_jax.bench.weight_formats import OPERATIONS, stores

# Name → method, double quantization. The first is what the others are measured against.
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
  if operation in ('quantize', 'dequantize'):
    return {'gbyte_s': (held_bytes + weights.nbytes) / seconds / 1e9}
  products = 2 if operation == 'product and gradient' else 1
  return {'gflop_s': products * 2 * rows * weights.size / seconds / 1e9}


def steps(experiment: config.Experiment, *, batch: int, repeats: int) -> Iterator[dict[str, Any]]:
  """Whole training steps, LoRA and QLoRA in turn: time, and the bytes that the compiler plans beside the arguments."""
  running = {name: _adapted(experiment, name, batch) for name in _ADAPTED}
  seconds = side_by_side({name: run.call for name, run in running.items()}, repeats=repeats)
  for name, run in running.items():
    timed, share = summary(seconds[name], seconds['lora']), batch / run.windows  # a call is several steps
    yield {
      'method': name,
      'batch': batch,
      **timed,
      **of_a_step(timed, share),
      'compile_s': run.compile_s,
      'temporary_bytes': run.temporary_bytes,
      'frozen_bytes': run.held['frozen'],
    }


def memory(presets: Sequence[str]) -> Iterator[dict[str, Any]]:
  """Bytes that live variables hold, by what they are (the paper's Table IV), and the temporary ones of a step."""
  for preset in presets:
    for name in _ADAPTED:
      experiment = config.PRESETS[preset]()
      run = _adapted(experiment, name, experiment.finetune.batch)
      yield {
        'preset': preset,
        'method': name,
        **run.held,
        'temporary': run.temporary_bytes,
        'batch': experiment.finetune.batch,
      }


def _adapted(experiment: config.Experiment, name: str, batch: int) -> Running:
  method, double = _ADAPTED[name]
  precision = dataclasses.replace(experiment.precision, nf4_double=double)
  return finetuning(dataclasses.replace(experiment, precision=precision), method, batch)

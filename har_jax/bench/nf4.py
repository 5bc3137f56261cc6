"""Costs and savings of four-bit weights: for a matrix, a training step, a model."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from har_jax import config
from har_jax.bench.running import Program, finetuning
from har_jax.bench.timing import interleaved, per_step, summary
from har_jax.bench.weight_formats import OPERATIONS, weight_formats

# Name → method, double quantization. The first is the reference.
_METHODS = {'lora': ('lora', False), 'qlora': ('qlora', False), 'qlora double': ('qlora', True)}


def matrices(shapes: Sequence[tuple[int, int]], *, rows: int, repeats: int) -> Iterator[dict[str, Any]]:
  """Time, bits per weight and relative error (Frobenius) of each operation and format: [rows, i] @ [i, o]."""
  rng = np.random.default_rng(0)
  for shape in shapes:
    weights = rng.standard_normal(shape, np.float32)
    formats = list(weight_formats(weights, rng.standard_normal((rows, shape[0]), np.float32)))
    for operation in OPERATIONS:
      calls = {each.name: each.calls[operation] for each in formats if operation in each.calls}
      seconds = interleaved(calls, repeats=repeats)
      for each in formats:
        if each.name in seconds:
          timed = summary(seconds[each.name], seconds.get('float32'))
          yield {
            'operation': operation,
            'shape': list(shape),
            'rows': rows,
            'format': each.name,
            **timed,
            **_rate(operation, each.held_bytes, weights, rows, timed['ms'] / 1e3),
            'bits': 8 * each.held_bytes / weights.size,
            'error': float(np.linalg.norm(each.unpacked - weights) / np.linalg.norm(weights)),
          }


def _rate(
  operation: str, held_bytes: int, weights: np.ndarray, rows: int, seconds: float
) -> dict[str, float]:
  if operation in ('quantize', 'dequantize'):
    return {'gbyte_s': (held_bytes + weights.nbytes) / seconds / 1e9}
  products = 2 if operation == 'product and gradient' else 1
  return {'gflop_s': products * 2 * rows * weights.size / seconds / 1e9}


def steps(experiment: config.Experiment, *, batch: int, repeats: int) -> Iterator[dict[str, Any]]:
  """Training steps of LoRA and QLoRA: time, and the temporary bytes that the compiler plans."""
  programs = {name: _program(experiment, name, batch) for name in _METHODS}
  seconds = interleaved({name: program.call for name, program in programs.items()}, repeats=repeats)
  for name, program in programs.items():
    timed, fraction = summary(seconds[name], seconds['lora']), batch / program.windows
    yield {
      'method': name,
      'batch': batch,
      **timed,
      **per_step(timed, fraction),
      'compile_s': program.compile_s,
      'temporary_bytes': program.temporary_bytes,
      'frozen_bytes': program.held_bytes['frozen'],
    }


def memory(presets: Sequence[str]) -> Iterator[dict[str, Any]]:
  """Bytes of live variables by kind, as in Table IV of the paper, and temporary bytes of a step."""
  for preset in presets:
    for name in _METHODS:
      experiment = config.PRESETS[preset]()
      program = _program(experiment, name, experiment.finetune.batch)
      yield {
        'preset': preset,
        'method': name,
        **program.held_bytes,
        'temporary': program.temporary_bytes,
        'batch': experiment.finetune.batch,
      }


def _program(experiment: config.Experiment, name: str, batch: int) -> Program:
  method, double = _METHODS[name]
  precision = dataclasses.replace(experiment.precision, nf4_double=double)
  return finetuning(dataclasses.replace(experiment, precision=precision), method, batch)

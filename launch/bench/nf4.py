"""Measure what NF4 weights cost in time and save in memory.

python -m launch.bench.nf4 --out=runs/bench
python -m launch.bench.nf4 --shapes=192x576 --rows=64 --batches=64
"""

import pathlib
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tqdm

from har_jax import config, config_fields
from har_jax.cli import command, training
from har_jax.errors import UserError
from har_jax.export.timing import interleaved
from launch.bench import HELP, tables
from launch.bench.running import Program, batch_sizes, finetuning, per_step, save, summary
from launch.bench.weight_formats import OPERATIONS, weight_formats

COMMON = 'shapes rows batches repeats presets out'
FLAGS, _define = command.new_flags()
_SHAPES = _define('shapes', ['192x576', '1024x4096'], 'weight matrices to measure, inputs x outputs')
_ROWS = _define('rows', 2048, 'rows of the other factor', lower_bound=1)
_BATCHES = _define('batches', ['64', '256'], HELP['batches'])
_REPEATS = _define('repeats', 30, HELP['repeats'], lower_bound=2)
_PRESETS = _define(
  'presets', ['base', 'paper'], 'models whose memory to count: base, paper or both; empty: none'
)
_OUT = _define('out', 'runs/bench', 'folder for nf4.json and nf4.md')
_experiment = training.define_experiment(FLAGS, unused=('pretrain', 'methods', 'nf4_double'))
# Name → method, double quantization. The first is the reference.
_METHODS = {'lora': ('lora', False), 'qlora': ('qlora', False), 'qlora double': ('qlora', True)}


def main() -> None:
  experiment = _experiment()
  shapes = [_shape(text) for text in _SHAPES.value]
  batches = batch_sizes(_BATCHES.value)
  if _PRESETS.value:
    command.check_choices('presets', _PRESETS.value, list(config.PRESETS))
  matrix_rows = _measured(matrices(shapes, rows=_ROWS.value, repeats=_REPEATS.value), 'matrices')
  step_rows = [
    row
    for batch in batches
    for row in _measured(steps(experiment, batch=batch, repeats=_REPEATS.value), f'batch {batch}')
  ]
  model = experiment.model
  out = pathlib.Path(_OUT.value)
  save(
    out / 'nf4',
    tables.nf4,
    experiment,
    ('bitsandbytes', 'torch', 'qwix'),
    two_kernels_bytes=2 * 4 * model.width * max(model.width, model.mlp_dim),
    matrices=matrix_rows,
    steps=step_rows,
    memory=_measured(memory(_PRESETS.value), 'memory'),
  )
  print(out / 'nf4.md')


def _shape(text: str) -> tuple[int, int]:
  parts = text.split('x')
  if len(parts) != 2 or not all(part.isdigit() and int(part) >= 1 for part in parts):
    raise UserError(f'--shapes={text}: give inputs x outputs, such as 192x576')
  return int(parts[0]), int(parts[1])


def _measured(rows: Iterator[dict[str, Any]], title: str) -> list[dict[str, Any]]:
  return list(tqdm.tqdm(rows, desc=title, unit=' figures'))


def matrices(shapes: Sequence[tuple[int, int]], *, rows: int, repeats: int) -> Iterator[dict[str, Any]]:
  """Time, bits per weight and relative error (Frobenius) of each operation and format: [rows, i] @ [i, o]."""
  rng = np.random.default_rng(0)
  for shape in shapes:
    weights = rng.standard_normal(shape, np.float32)
    formats = list(weight_formats(weights, rng.standard_normal((rows, shape[0]), np.float32)))
    for operation in OPERATIONS:
      having = {form.name: form for form in formats if operation in form.calls}
      calls = {name: form.calls[operation] for name, form in having.items()}
      seconds = interleaved(calls, repeats=repeats)
      for name, form in having.items():
        timed = summary(seconds[name], seconds.get('float32'))
        yield {
          'operation': operation,
          'shape': list(shape),
          'rows': rows,
          'format': name,
          **timed,
          **_rate(operation, form.held_bytes, weights, rows, timed['ms'] / 1e3),
          'bits': 8 * form.held_bytes / weights.size,
          'error': float(np.linalg.norm(form.unpacked - weights) / np.linalg.norm(weights)),
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
  return finetuning(config_fields.replace(experiment, {('precision', 'nf4_double'): double}), method, batch)


if __name__ == '__main__':
  sys.exit(command.run(sys.modules[__name__], sys.argv[1:]))

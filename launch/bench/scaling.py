"""Growth of the cost per window with width, tokens, batch size and number of runs trained together."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from har_jax import config
from har_jax.export.timing import interleaved
from launch.bench import running
from launch.bench.running import Program, summary

# Sizes of each dimension; everything else is the experiment's. Growth is relative to the first.
SIZES: dict[str, tuple[int, ...]] = {
  'width': (96, 192, 384),  # mlp_dim grows in proportion
  'tokens': (4, 8, 16, 32),  # patch sizes 32, 16, 8 and 4
  'batch': (16, 64, 256, 1024),
  'runs': (1, 2, 4, 8),  # fine-tuned together on one frozen encoder
}
_DIMENSIONS = {'lora': ('width', 'tokens', 'batch', 'runs'), 'pretraining': ('width', 'tokens', 'batch')}


def measure(
  experiment: config.Experiment, sizes: Mapping[str, Sequence[int]], *, repeats: int
) -> Iterator[dict[str, Any]]:
  """A row per step, dimension and size: milliseconds and operations per window, and the rate.

  Calls of the sizes of one dimension are interleaved.
  """
  for step, dimensions in _DIMENSIONS.items():
    for dimension in dimensions:
      programs = {size: _program(experiment, step, dimension, size) for size in sizes.get(dimension, ())}
      calls = {str(size): program.call for size, program in programs.items()}
      seconds = interleaved(calls, repeats=repeats)
      for size, program in programs.items():
        timed = summary(seconds[str(size)], None)
        low, high = timed['ms_quartiles']
        yield {
          'step': step,
          'dimension': dimension,
          'size': size,
          'ms_window': timed['ms'] / program.windows,
          'ms_window_quartiles': [low / program.windows, high / program.windows],
          'operations_window': program.operations / program.windows,
          'gflop_s': program.operations / timed['ms'] / 1e6,
          'windows': program.windows,  # per call
          'repeats': timed['repeats'],
        }


def _stem(widths: tuple[int, ...], patch_size: int) -> tuple[int, ...]:
  """A stem for tokens of this size: stages are cut off, or the last one is repeated."""
  stages = patch_size.bit_length() - 1
  return (*widths, *widths[-1:] * (stages - len(widths)))[:stages] if widths else ()


def _program(experiment: config.Experiment, step: str, dimension: str, size: int) -> Program:
  model = experiment.model
  if dimension == 'width':
    model = dataclasses.replace(model, width=size, mlp_dim=model.mlp_dim * size // model.width)
  elif dimension == 'tokens':
    patch_size = model.window_samples // size
    model = dataclasses.replace(model, patch_size=patch_size, stem=_stem(model.stem, patch_size))
  scaled = dataclasses.replace(experiment, model=model)
  training = experiment.finetune if step == 'lora' else experiment.pretrain
  batch = size if dimension == 'batch' else training.batch
  if step == 'pretraining':
    return running.pretraining(scaled, batch)
  return running.finetuning(scaled, 'lora', batch, size if dimension == 'runs' else 1)

"""How the cost of a window grows with the width, the tokens, the batch and the runs side by side."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from har_jax import config
from har_jax.bench import running
from har_jax.bench.running import Running
from har_jax.bench.timing import side_by_side, summary

# Each dimension's sizes, all else as the experiment says; the first is what growth is counted from.
SIZES: dict[str, tuple[int, ...]] = {
  'width': (96, 192, 384),  # the feed-forward network keeps its share of it: in `base` three times
  'tokens': (4, 8, 16, 32),  # patches of 32, 16, 8 and 4 samples
  'batch': (16, 64, 256, 1024),
  'runs': (1, 2, 4, 8),  # of fine-tuning, side by side against one frozen backbone
}
_DIMENSIONS = {'lora': ('width', 'tokens', 'batch', 'runs'), 'pretraining': ('width', 'tokens', 'batch')}


def measure(
  experiment: config.Experiment, sizes: Mapping[str, Sequence[int]], *, repeats: int
) -> Iterator[dict[str, Any]]:
  """A row for each step, dimension and size: milliseconds and operations of a window, and the rate.

  The sizes of a dimension are measured in turn with one another.
  """
  for step, dimensions in _DIMENSIONS.items():
    for dimension in dimensions:
      held = {size: _running(experiment, step, dimension, size) for size in sizes.get(dimension, ())}
      seconds = side_by_side({str(size): run.call for size, run in held.items()}, repeats=repeats)
      for size, run in held.items():
        timed = summary(seconds[str(size)], None)
        low, high = timed['ms_quartiles']
        yield {
          'step': step,
          'dimension': dimension,
          'size': size,
          'ms_window': timed['ms'] / run.windows,
          'ms_window_quartiles': [low / run.windows, high / run.windows],
          'operations_window': run.operations / run.windows,
          'gflop_s': run.operations / timed['ms'] / 1e6,
          'windows': run.windows,  # of a call
          'repeats': timed['repeats'],
        }


def _running(experiment: config.Experiment, step: str, dimension: str, size: int) -> Running:
  model = experiment.model
  if dimension == 'width':
    model = dataclasses.replace(model, width=size, mlp_dim=model.mlp_dim * size // model.width)
  elif dimension == 'tokens':
    model = dataclasses.replace(model, patch_size=config.WINDOW_SAMPLES // size)
  scaled = dataclasses.replace(experiment, model=model)
  training = experiment.finetune if step == 'lora' else experiment.pretrain
  batch = size if dimension == 'batch' else training.batch
  if step == 'pretraining':
    return running.pretraining(scaled, batch)
  return running.together(scaled, 'lora', batch, size if dimension == 'runs' else 1)

"""Order of the windows, and batches.   w windows, b windows per batch.

Grain maps batch numbers to batches, so a single number resumes an iterator. Pipelines that handle single
windows are 20 to 200 times slower at these sizes.

With several processes, each reads its rows of a batch: process 0 the first rows, and so on. All processes
count the same batches in the same order, so they share one iterator state.
"""

import functools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int

# signal [b, n, c], label [b], weight [b] (0 for padding); in training sets also origin [b, 2].
Batch = dict[str, np.ndarray]


def training_batches(
  arrays: Batch,
  *,
  batch: int,
  steps: int,
  seed: int,
  process: int = 0,
  processes: int = 1,
) -> Any:  # grain.DatasetIterator
  """`steps` batches; each epoch has a new order, and its last batch is padded with weight 0.

  `batch` counts the windows of all processes, whose number must divide it.
  """
  size = len(next(iter(arrays.values())))
  epoch_batches = -(-size // batch)

  @functools.lru_cache(maxsize=2)  # of the current epoch, and of the next one while prefetching
  def order(epoch: int) -> Int[np.ndarray, 'w']:
    return np.random.default_rng([seed, epoch]).permutation(size)

  def read(step: int) -> Batch:
    epoch, number = divmod(step, epoch_batches)
    indices = order(epoch)[number * batch : (number + 1) * batch]
    return _padded(arrays, indices, batch, process, processes)

  import grain  # late: recognizing does not need it

  options = grain.ReadOptions(num_threads=1, prefetch_buffer_size=4)
  return iter(grain.MapDataset.range(steps).map(read).to_iter_dataset(options))


def evaluation_batches(arrays: Batch, *, batch: int, process: int = 0, processes: int = 1) -> Iterator[Batch]:
  """Every window once, in order; the last batch is padded with weight 0."""
  size = len(next(iter(arrays.values())))
  for start in range(0, size, batch):
    yield _padded(arrays, np.arange(start, min(start + batch, size)), batch, process, processes)


def stack(batches: Sequence[Batch], size: int) -> Batch:
  """Batches stacked along a new first axis. Repeats the first one up to `size`, so that shapes stay fixed."""
  filled = [*batches, *[batches[0]] * (size - len(batches))]
  return {name: np.stack([batch[name] for batch in filled]) for name in filled[0]}


def concatenate(parts: Sequence[Batch], names: Iterable[str] = ()) -> Batch:
  """Windows of several parts, one part after another. names: their arrays; none: all."""
  return {name: np.concatenate([part[name] for part in parts]) for name in names or parts[0]}


def _padded(arrays: Batch, indices: Int[np.ndarray, 'p'], batch: int, process: int, processes: int) -> Batch:
  """One process's rows of a batch. Padding repeats the first window, so it is finite, with weight 0."""
  rows = slice(process * batch // processes, (process + 1) * batch // processes)
  filled = np.concatenate([indices, np.full(batch - len(indices), indices[0])])[rows]
  weight = (np.arange(batch) < len(indices)).astype(np.float32)[rows]
  return {name: array[filled] for name, array in arrays.items()} | {'weight': weight}

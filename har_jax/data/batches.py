"""Order and batches.   w windows, b windows a batch.

Grain handles whole batches: a batch's number says which windows it holds, so that an iterator is resumed by a number.
Per-element pipelines are 20 to 200 times slower at these sizes.

Of several processes each draws its own rows of a batch: the first the first ones, and so on. All count the same batches, in
the same order, so that one iterator's state is every process's.
"""

import functools
from collections.abc import Iterator, Sequence

import grain
import numpy as np
from jaxtyping import Int

Batch = dict[
  str, np.ndarray
]  # signal [b, n, c]; of those to train on its origin [b, 2]; label [b]; weight [b], 0 for a window that only fills up


def training_batches(
  arrays: Batch,
  *,
  batch: int,
  steps: int,
  seed: int,
  together: int = 1,
  process: int = 0,
  processes: int = 1,
) -> grain.DatasetIterator:
  """So many batches, each pass in an order of its own. A pass's last batch is filled up at weight nought.

  `batch` counts the windows of all processes; their number divides it. Of the arrays so many windows in a row stay `together`,
  in their order; that number divides the windows and `batch`.
  """
  size = len(next(iter(arrays.values())))
  a_pass = -(-size // batch)

  @functools.lru_cache(maxsize=2)  # the order of the pass at hand, and of the one that prefetching has begun
  def order(number: int) -> Int[np.ndarray, 'w']:
    rows = np.random.default_rng([seed, number]).permutation(size // together)
    return (rows[:, None] * together + np.arange(together)).reshape(-1)

  def draw(step: int) -> Batch:
    number, place = divmod(step, a_pass)
    places = order(number)[place * batch : (place + 1) * batch]
    return _fill(arrays, places, batch, process, processes)

  options = grain.ReadOptions(num_threads=1, prefetch_buffer_size=4)
  return iter(grain.MapDataset.range(steps).map(draw).to_iter_dataset(options))


def evaluation_batches(arrays: Batch, *, batch: int, process: int = 0, processes: int = 1) -> Iterator[Batch]:
  """Every window once, in order; the last batch is filled up at weight nought."""
  size = len(next(iter(arrays.values())))
  for start in range(0, size, batch):
    yield _fill(arrays, np.arange(start, min(start + batch, size)), batch, process, processes)


def stack(batches: Sequence[Batch], size: int) -> Batch:
  """Batches with an axis in front, filled up to `size` of them: one program then takes any number, and heeds no more."""
  filled = [*batches, *[batches[0]] * (size - len(batches))]
  return {name: np.stack([batch[name] for batch in filled]) for name in filled[0]}


def _fill(arrays: Batch, places: Int[np.ndarray, 'p'], batch: int, process: int, processes: int) -> Batch:
  """A process's rows of the windows at these places. What fills up repeats the first: finite, and of weight nought."""
  own = slice(process * batch // processes, (process + 1) * batch // processes)
  filled = np.concatenate([places, np.full(batch - len(places), places[0])])[own]
  weight = (np.arange(batch) < len(places)).astype(np.float32)[own]
  return {name: array[filled] for name, array in arrays.items()} | {'weight': weight}

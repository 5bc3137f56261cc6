"""Order and batches.   w windows, b windows a batch.

Grain handles whole batches: a batch's number says which windows it holds, so that an iterator is resumed by a number.
Per-element pipelines are 20 to 200 times slower at these sizes.
"""

import functools
from collections.abc import Iterator

import grain
import numpy as np
from jaxtyping import Int

Batch = dict[str, np.ndarray]  # signal [b, n, c]; label [b]; weight [b], 0 for a window that only fills up


def training_batches(arrays: Batch, *, batch: int, steps: int, seed: int) -> grain.DatasetIterator:
  """So many batches, each pass in an order of its own. A pass's last batch is filled up at weight nought."""
  size = len(next(iter(arrays.values())))
  a_pass = -(-size // batch)

  @functools.lru_cache(maxsize=2)  # the order of the pass at hand, and of the one that prefetching has begun
  def order(number: int) -> Int[np.ndarray, 'w']:
    return np.random.default_rng([seed, number]).permutation(size)

  def draw(step: int) -> Batch:
    number, place = divmod(step, a_pass)
    return _fill(arrays, order(number)[place * batch : (place + 1) * batch], batch)

  options = grain.ReadOptions(num_threads=1, prefetch_buffer_size=4)
  return iter(grain.MapDataset.range(steps).map(draw).to_iter_dataset(options))


def evaluation_batches(arrays: Batch, *, batch: int) -> Iterator[Batch]:
  """Every window once, in order; the last batch is filled up at weight nought."""
  size = len(next(iter(arrays.values())))
  for start in range(0, size, batch):
    yield _fill(arrays, np.arange(start, min(start + batch, size)), batch)


def _fill(arrays: Batch, places: Int[np.ndarray, 'p'], batch: int) -> Batch:
  """The windows at these places. What fills up repeats the first: finite, and of weight nought."""
  filled = np.concatenate([places, np.full(batch - len(places), places[0])])
  weight = (np.arange(batch) < len(places)).astype(np.float32)
  return {name: array[filled] for name, array in arrays.items()} | {'weight': weight}

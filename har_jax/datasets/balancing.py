"""Training sets with equal parts of each class, or of each data source.   w windows."""

from collections.abc import Sequence

import numpy as np

from har_jax.datasets.batches import Batch

WINDOWS_PER_CLASS = 600  # about as many as a run has steps, and few next to an archive's windows
MAX_REPEATS = 20  # a handful of windows must not stand for a class
WINDOWS_PER_SOURCE = 12_000  # so that no archive outweighs the others; a few people have many windows


def balance_classes(windows: Batch, *, seed: int) -> Batch:
  """`WINDOWS_PER_CLASS` windows of each class, drawn at random.

  A class with fewer windows repeats them, each at most `MAX_REPEATS` times.
  """
  rng = np.random.default_rng(seed)
  drawn = [np.empty(0, int)]
  for label in np.unique(windows['label']):
    class_indices = rng.permutation(np.flatnonzero(windows['label'] == label))
    drawn.append(np.resize(class_indices, min(WINDOWS_PER_CLASS, MAX_REPEATS * len(class_indices))))
  indices = np.concatenate(drawn)
  return {name: values[indices] for name, values in windows.items()}


def draw_from_source(windows: Batch, *, seed: int) -> Batch:
  """Draws at most `WINDOWS_PER_SOURCE` windows, in order.

  A class with n windows weighs as √n, so that rare activities are seen, but not repeated.
  """
  label = windows['label']
  if len(label) <= WINDOWS_PER_SOURCE:
    return windows
  weights = 1 / np.sqrt(np.bincount(label))[label]
  rng = np.random.default_rng(seed)
  indices = np.sort(rng.choice(len(label), WINDOWS_PER_SOURCE, replace=False, p=weights / weights.sum()))
  return {name: values[indices] for name, values in windows.items()}


def concatenate_equally(parts: Sequence[Batch]) -> Batch:
  """All parts in one batch, each repeated up to the length of the longest; drops empty parts."""
  parts = [part for part in parts if len(part['label'])]
  longest = max(len(part['label']) for part in parts)
  part_indices = [np.resize(np.arange(len(part['label'])), longest) for part in parts]
  return {
    name: np.concatenate([part[name][indices] for part, indices in zip(parts, part_indices, strict=True)])
    for name in parts[0]
  }

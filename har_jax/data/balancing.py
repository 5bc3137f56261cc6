"""Windows of several parts, to be learned from side by side.   w windows."""

from collections.abc import Sequence

import numpy as np

from har_jax.data.batches import Batch

EACH = 600  # windows of a class: about as many as the steps of a run draw, and few beside an archive's
AGAIN = 20  # times that one window is given, at most: a handful of windows shall not stand for a class


def balanced(windows: Batch, *, seed: int) -> Batch:
  """`EACH` windows of every class among them, drawn at random; a class with fewer gives them again, `AGAIN` times at most."""
  rng = np.random.default_rng(seed)
  chosen = [np.empty(0, int)]
  for each in np.unique(windows['label']):
    of_class = rng.permutation(np.flatnonzero(windows['label'] == each))
    chosen.append(np.resize(of_class, min(EACH, AGAIN * len(of_class))))
  places = np.concatenate(chosen)
  return {name: values[places] for name, values in windows.items()}


def joined(parts: Sequence[Batch]) -> Batch:
  """All parts, each given again and again up to the length of the longest: a step draws from each alike. Empty ones are left out."""
  parts = [part for part in parts if len(part['label'])]
  longest = max(len(part['label']) for part in parts)
  places = [np.resize(np.arange(len(part['label'])), longest) for part in parts]
  return {
    name: np.concatenate([part[name][at] for part, at in zip(parts, places, strict=True)])
    for name in parts[0]
  }

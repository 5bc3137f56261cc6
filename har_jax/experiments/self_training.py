"""Self-training: what a run's end, as a teacher, gives the same run to learn from when it is made again.

w windows, y classes.   Source: D.-H. Lee, Pseudo-Label (ICML workshop 2013); arXiv:1911.04252 (as many of each class).
"""

import numpy as np
import scipy.special
from jaxtyping import Float

from har_jax.data import balancing
from har_jax.data.batches import Batch

_SUREST = 0.6  # of the windows taken for a class: what is wrong is mostly among the others


def self_labeled(windows: Batch, logits: Float[np.ndarray, 'w y'], *, seed: int) -> Batch:
  """Of the target's windows those that the teacher is surest of, under the labels that it gives them; as many of each class."""
  given = logits.argmax(axis=1)
  sureness = scipy.special.softmax(logits, axis=1).max(axis=1)
  kept = np.zeros(len(given), bool)
  for each in np.unique(given):
    of_class = np.flatnonzero(given == each)
    surest_first = of_class[np.argsort(-sureness[of_class], kind='stable')]
    kept[surest_first[: int(np.ceil(_SUREST * len(of_class)))]] = True
  chosen = {name: values[kept] for name, values in windows.items()}
  return balancing.balanced(chosen | {'label': given[kept].astype(np.int32)}, seed=seed)


def filter_by_teacher(windows: Batch, logits: Float[np.ndarray, 'w y'], *, seed: int) -> Batch:
  """Of the sources' windows those that the teacher takes for what they are labeled; as many of each class.

  The others come from another place on the body, or another way to hold the device, and would teach the target wrong.
  """
  kept = logits.argmax(axis=1) == windows['label']
  return balancing.balanced({name: values[kept] for name, values in windows.items()}, seed=seed)

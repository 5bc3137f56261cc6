"""A person's first windows of each activity are labeled, the later ones are for testing.   w windows."""

from collections.abc import Collection

import numpy as np
from jaxtyping import Int


def split(
  labels: Int[np.ndarray, 'w'], own: Int[np.ndarray, 'p'], count: int, lacks: Collection[int] = ()
) -> tuple[Int[np.ndarray, 'a'], Int[np.ndarray, 'b']]:
  """Those of a person's windows to train on and later ones, sorted, in recording order.

  own: where the person's windows are. count: windows per activity to train on; 0: the first half.
  lacks: activities without a window to train on. A window between the parts overlaps both: left out.
  """
  parts: tuple[list, list] = ([np.empty(0, int)], [np.empty(0, int)])
  for label in np.unique(labels[own]):
    indices = own[labels[own] == label]
    first = count or len(indices) // 2
    parts[0].append(indices[: 0 if label in lacks else first])
    parts[1].append(indices[first + 1 :])
  train, later = (np.sort(np.concatenate(part)) for part in parts)
  return train, later

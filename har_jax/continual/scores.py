"""The matrix of a stream: scores on domain j after training on domain i.   d domains."""

import numpy as np
from jaxtyping import Float


def average(matrix: Float[np.ndarray, 'd d']) -> float:
  """The mean over all domains after the last one."""
  return float(matrix[-1].mean())


def forgetting(matrix: Float[np.ndarray, 'd d']) -> float:
  """The mean over all domains but the last of the best score so far minus the last score.

  A row without scores, where nothing was trained yet, is NaN; NaN if there is no other than the last.
  Source: arXiv:1801.10112 (Riemannian walk), equation 3.
  """
  before = matrix[:-1, :-1]
  if np.isnan(before).all():
    return float('nan')
  return float((np.nanmax(matrix[:, :-1], axis=0) - matrix[-1, :-1]).mean())


def forward_transfer(matrix: Float[np.ndarray, 'd d'], start: Float[np.ndarray, 'd']) -> float:
  """The mean over all domains but the first of the score just before training on it, minus the start's.

  start: scores of the variables before any training, which answer the same activities.
  Source: arXiv:1706.08840 (GEM), section 2.
  """
  return float((np.diagonal(matrix, offset=1) - start[1:]).mean())

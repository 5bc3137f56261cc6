"""Windows of an activity that was never learned: they are far from the training windows of all classes.

w windows, f inputs of the head, y classes, s scores.

The score of a window is its squared distance from the nearest class, in the standardized inputs of the linear
head. It is refused if the score is above a quantile of those of held-out windows. docs/results/unknown.md
compares scores: the highest probability, which a window far from all classes may have, tells much less.
Source of the idea: Lee et al., arXiv:1807.03888, section 2.1, with one variance for all directions.
"""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from har_jax.recognizer import prediction_sets


def hidden(outputs: Float[np.ndarray, 'w o'], classes: int) -> Float[np.ndarray, 'w f']:
  """The head's inputs among the outputs of `Classify.with_hidden`."""
  return outputs[:, : -1 - classes]


def score(
  features: Float[np.ndarray, 'w f'], class_means: Float[np.ndarray, 'y f']
) -> Float[np.ndarray, 'w']:
  """Squared distances from the nearest class mean."""
  return np.min([((features - mean) ** 2).sum(axis=1) for mean in class_means], axis=0)


def refuse(
  scores: Float[np.ndarray, 'w'], held_out_scores: Sequence[float], rate: float | int
) -> Bool[np.ndarray, 'w']:
  """True: the window is of no class. At most this fraction of windows like those held out is refused.

  held_out_scores: sorted. None is refused if they are too few: 19 for a rate of 0.05.
  """
  rank = prediction_sets.rank(len(held_out_scores), 1 - rate)
  return scores > (held_out_scores[rank - 1] if rank <= len(held_out_scores) else np.inf)


def shortage(held_out_scores: Sequence[float], rate: float | int) -> str | None:
  """A sentence if there are too few scores for the rate, so that no window is refused."""
  if prediction_sets.rank(len(held_out_scores), 1 - rate) <= len(held_out_scores):
    return None
  return (
    f'No window is refused: a refusal rate of {100 * rate:g} % needs {math.ceil(1 / rate) - 1} labeled '
    f'windows outside the training set, and {len(held_out_scores)} calibrated the model. Label more windows.'
  )

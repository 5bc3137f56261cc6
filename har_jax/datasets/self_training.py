"""Self-training: windows with pseudo-labels of a teacher, for one more round of training.

w windows, y classes.
Source: D.-H. Lee, Pseudo-Label (ICML workshop 2013); arXiv:1911.04252 (balanced classes).
"""

import numpy as np
from jaxtyping import Float

from har_jax.datasets import balancing
from har_jax.datasets.batches import Batch

_CONFIDENT_FRACTION = 0.6  # of the windows predicted as a class: most wrong predictions are among the others


def pseudo_labeled(windows: Batch, logits: Float[np.ndarray, 'w y'], *, seed: int) -> Batch:
  """The target's windows with the most confident predictions, labeled with them; classes balanced."""
  predicted = logits.argmax(axis=1)
  from scipy import special

  confidence = special.softmax(logits, axis=1).max(axis=1)
  is_confident = np.zeros(len(predicted), bool)
  for label in np.unique(predicted):
    indices = np.flatnonzero(predicted == label)
    most_confident_first = indices[np.argsort(-confidence[indices], kind='stable')]
    is_confident[most_confident_first[: int(np.ceil(_CONFIDENT_FRACTION * len(indices)))]] = True
  confident = {name: values[is_confident] for name, values in windows.items()}
  return balancing.balance_classes(confident | {'label': predicted[is_confident].astype(np.int32)}, seed=seed)


def filter_by_teacher(windows: Batch, logits: Float[np.ndarray, 'w y'], *, seed: int) -> Batch:
  """The sources' windows whose label the teacher predicts; classes balanced.

  The others come from another body position or device orientation, and would mislead.
  """
  agrees = logits.argmax(axis=1) == windows['label']
  return balancing.balance_classes({name: values[agrees] for name, values in windows.items()}, seed=seed)

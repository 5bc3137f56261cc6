"""Temperature scaling of logits.   w windows, y classes.

Source: Guo et al., arXiv:1706.04599, section 4.2.
"""

import math

import numpy as np
from jaxtyping import Float, Int

_MIN_TEMPERATURE, _MAX_TEMPERATURE = 0.05, 20.0  # bounds of the search, far beyond what data give


def fit_temperature(logits: Float[np.ndarray, 'w y'], labels: Int[np.ndarray, 'w']) -> float:
  """Minimizes the cross-entropy of softmax(logits / temperature) with smoothed targets.

  The target of the true class is (w + 1) / (w + 2), as in Platt scaling; the others share the rest equally.
  Without smoothing, a few windows that are all correct would drive every later confidence to 100 %.
  For small w, confidences come out slightly too low.
  Source: Platt, Advances in Large Margin Classifiers, 1999, section 2.2.
  """
  from scipy import optimize, special

  windows, classes = logits.shape
  targets = np.full(logits.shape, 1 / (windows + 2) / (classes - 1))
  targets[np.arange(windows), labels] = (windows + 1) / (windows + 2)

  def loss(log_temperature: float) -> float:
    log_probabilities = special.log_softmax(logits / math.exp(log_temperature), axis=1)
    return float(-(targets * log_probabilities).sum(axis=1).mean())

  found = optimize.minimize_scalar(
    loss,
    bounds=(math.log(_MIN_TEMPERATURE), math.log(_MAX_TEMPERATURE)),
    method='bounded',
    options={'xatol': 1e-4},
  )
  return math.exp(float(found.x))

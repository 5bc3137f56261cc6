"""The temperature of a recognizer's probabilities.

w windows, y classes.

Source: Guo et al., arXiv:1706.04599, section 4.2.
"""

import math

import numpy as np
from jaxtyping import Float, Int

from har_jax import records
from har_jax.methods import METHODS

_MIN_TEMPERATURE, _MAX_TEMPERATURE = 0.05, 20.0  # bounds of the search, far beyond what data give
# The expected temperature counts as so many windows: that of two dozen is noise (docs/results/sets.md).
_PRIOR_WINDOWS = 100.0
# Of one labeled window of each activity, and for each factor of e more of them (docs/results/sets.md).
_OF_ONE_WINDOW, _OF_MORE = 0.5, 0.09


def fit(logits: Float[np.ndarray, 'w y'], labels: Int[np.ndarray, 'w']) -> float:
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

  bounds = math.log(_MIN_TEMPERATURE), math.log(_MAX_TEMPERATURE)
  minimum = optimize.minimize_scalar(loss, bounds=bounds, method='bounded', options={'xatol': 1e-4})
  return math.exp(float(minimum.x))


def expect(card: records.Adapter) -> float:
  """The temperature of an adapter before any window calibrates it.

  A linear head on a pretrained encoder is less sure than it should be, above all with few windows of each
  activity. Others have the temperature at which they adapt to a recording.
  """
  method = METHODS.get(card.method)
  if method is None or not method.pretrained or card.model.head or card.split is None:
    return card.adaptation_temperature
  windows = card.split.windows.get('train', 0) / len(card.classes)
  return min(_OF_ONE_WINDOW + _OF_MORE * math.log(max(windows, 1.0)), 1.0)


def shrink(fitted: float, windows: int, expected: float) -> float:
  """The temperature that was fitted to so many windows, closer to the expected one the fewer they are."""
  return expected * (fitted / expected) ** (windows / (windows + _PRIOR_WINDOWS))

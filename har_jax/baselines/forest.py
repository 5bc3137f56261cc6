"""Extremely randomized trees on window features.   w windows, n samples, y classes.

Source: Geurts, Ernst and Wehenkel, Machine Learning 63 (2006). Each window also has an augmented copy, as in
the encoder's training: trees split at thresholds, which another person's windows miss.
"""

from typing import Any

import numpy as np
from jaxtyping import Float, Int

from har_jax import config
from har_jax.signal.statistics import window_statistics

_TREES = 400
_ARRAYS = ('feature', 'threshold', 'children_left', 'children_right', 'value')


class Forest:
  """scikit-learn's ExtraTreesClassifier on `window_statistics`."""

  def __init__(self, random_state: int, rate_hz: int = config.Windowing.rate_hz):
    from sklearn.ensemble import ExtraTreesClassifier  # late: importing it takes a second

    self._seed, self._rate_hz = random_state, rate_hz
    self.estimator: Any = ExtraTreesClassifier(_TREES, random_state=random_state)

  def fit(self, X: Float[np.ndarray, 'w n 6'], y: Int[np.ndarray, 'w']) -> 'Forest':
    from har_jax.train.augment import augmented_copy  # late: prediction needs no JAX

    copies = augmented_copy(X, config.Experiment().finetune, self._seed)
    self.estimator.fit(window_statistics(np.concatenate([X, copies]), self._rate_hz), np.concatenate([y, y]))
    return self

  def predict_proba(self, X: Float[np.ndarray, 'w n 6']) -> Float[np.ndarray, 'w y']:
    return self.estimator.predict_proba(window_statistics(X, self._rate_hz))

  @property
  def arrays(self) -> list[np.ndarray]:
    return [getattr(tree.tree_, name) for tree in self.estimator.estimators_ for name in _ARRAYS]

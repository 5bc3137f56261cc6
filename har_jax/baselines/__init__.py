"""Baselines without a neural network: one file and one line each. They take windows in physical units."""

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from har_jax.baselines import forest, rocket


@runtime_checkable
class Baseline(Protocol):
  """A classifier of windows, with scikit-learn's methods.   w windows, n samples, y classes."""

  estimator: Any  # scikit-learn's

  def fit(self, X: Float[np.ndarray, 'w n 6'], y: Int[np.ndarray, 'w']) -> Any: ...

  def predict_proba(self, X: Float[np.ndarray, 'w n 6']) -> Float[np.ndarray, 'w y']: ...

  @property
  def arrays(self) -> list[np.ndarray]:
    """What was fitted and prediction reads, for the count of parameters and bytes."""


# Name → what makes one of `random_state` and the windows' `rate_hz`. Raises UserError without its package.
BASELINES: dict[str, Callable[..., Baseline]] = {'forest': forest.Forest, 'rocket': rocket.Rocket}

__all__ = ['BASELINES', 'Baseline']

"""Fits every installed baseline in seconds, however long the recording.   w windows, n samples, k kept."""

import dataclasses
import time

import numpy as np
from jaxtyping import Float, Int

from har_jax.baselines import BASELINES, Baseline
from har_jax.errors import UserError

MAX_WINDOWS = 2000  # bounds the seconds of a fit, and the bytes of the trees


@dataclasses.dataclass(frozen=True)
class Fit:
  """A fitted baseline, and the seconds that the fit took."""

  baseline: Baseline
  seconds: float


def fit_installed(
  X: Float[np.ndarray, 'w n 6'], y: Int[np.ndarray, 'w'], random_state: int
) -> tuple[dict[str, Fit], list[str]]:
  """The fits by name; and a line for each baseline whose package is missing, which says how to install it.

  Windows as a baseline takes them, in order of time. Above MAX_WINDOWS, evenly spaced ones of each class.
  """
  chosen = evenly_spaced(y, MAX_WINDOWS)
  fits, missing = {}, []
  for name, make in BASELINES.items():
    try:
      baseline = make(random_state)
    except UserError as error:
      missing.append(str(error))
      continue
    start_s = time.monotonic()
    baseline.fit(X[chosen], y[chosen])
    fits[name] = Fit(baseline, time.monotonic() - start_s)
  return fits, missing


def evenly_spaced(y: Int[np.ndarray, 'w'], limit: int) -> Int[np.ndarray, 'k']:
  """Indices of about `limit` windows: the same fraction of each class, at least one, evenly spaced."""
  fraction = min(1.0, limit / len(y))
  of_classes = [np.flatnonzero(y == label) for label in np.unique(y)]
  kept = [
    indices[np.linspace(0, len(indices) - 1, max(1, round(fraction * len(indices)))).astype(int)]
    for indices in of_classes
  ]
  return np.sort(np.concatenate(kept))

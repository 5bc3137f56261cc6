"""Fits every installed baseline in seconds, however long the recording.   w windows, n samples, k kept."""

import time

import numpy as np
from jaxtyping import Float, Int

from har_jax.baselines import BASELINES, Baseline
from har_jax.errors import UserError

MAX_WINDOWS = 2000  # bounds the seconds of a fit, and the bytes of the trees


def fit_installed(
  X: Float[np.ndarray, 'w n 6'], y: Int[np.ndarray, 'w'], random_state: int, rate_hz: int, *, but: str = ''
) -> tuple[dict[str, Baseline], dict[str, float], list[str]]:
  """The fitted baselines and the seconds of each fit, by name; and a line for each whose package is missing.

  but: the name of one to leave out.
  X: in order of time. Above MAX_WINDOWS, evenly spaced windows of each class are used.
  """
  indices = evenly_spaced(y, MAX_WINDOWS)
  fitted, seconds, missing = {}, {}, []
  for name, make in BASELINES.items():
    if name == but:
      continue
    try:
      baseline = make(random_state, rate_hz)
    except UserError as error:
      missing.append(str(error))
      continue
    start_s = time.monotonic()
    baseline.fit(X[indices], y[indices])
    fitted[name], seconds[name] = baseline, time.monotonic() - start_s
  return fitted, seconds, missing


def evenly_spaced(y: Int[np.ndarray, 'w'], limit: int) -> Int[np.ndarray, 'k']:
  """Indices of about `limit` windows: the same fraction of each class, at least one, evenly spaced."""
  fraction = min(1.0, limit / len(y))
  indices_by_class = [np.flatnonzero(y == label) for label in np.unique(y)]
  spaced = [
    indices[np.linspace(0, len(indices) - 1, max(1, round(fraction * len(indices)))).astype(int)]
    for indices in indices_by_class
  ]
  return np.sort(np.concatenate(spaced))

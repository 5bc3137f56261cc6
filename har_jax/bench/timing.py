"""Seconds of calls that are to be compared."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

_WARM_UPS = 2  # the first compiles, the second finds memory as later ones do


def side_by_side(calls: Mapping[str, Callable[[], Any]], *, repeats: int) -> dict[str, np.ndarray]:
  """Seconds of each call, `repeats` of them, taken in turn: what disturbs a moment of the machine disturbs all.

  The order within a turn is drawn anew each time. Each timed call follows one of its own that is not: as in training, where
  steps follow each other, it finds its caches as it left them, and another library's threads, which go on waiting for a
  while after their own call, asleep. A call that returns a float has timed itself, in another process.
  """
  for call in calls.values():
    for _ in range(_WARM_UPS):
      jax.block_until_ready(call())
  seconds: dict[str, list[float]] = {name: [] for name in calls}
  rng = np.random.default_rng(0)
  for _ in range(repeats):
    for name in rng.permutation(list(calls)).tolist():
      jax.block_until_ready(calls[name]())
      started = time.perf_counter()
      given = jax.block_until_ready(calls[name]())
      seconds[name].append(given if isinstance(given, float) else time.perf_counter() - started)
  return {name: np.array(taken) for name, taken in seconds.items()}


def summary(seconds: np.ndarray, against: np.ndarray | None) -> dict[str, Any]:
  """Median and quartiles in milliseconds, and the ratio to another call: the median of the ratios turn by turn."""
  low, median, high = (1e3 * np.quantile(seconds, [0.25, 0.5, 0.75])).tolist()
  ratio = None if against is None else float(np.median(seconds / against))
  return {'ms': median, 'ms_quartiles': [low, high], 'ratio': ratio, 'repeats': len(seconds)}


def of_a_step(timed: Mapping[str, Any], share: float) -> dict[str, Any]:
  """A summary's milliseconds, of the step that is this share of a call."""
  return {'ms': share * timed['ms'], 'ms_quartiles': [share * ms for ms in timed['ms_quartiles']]}

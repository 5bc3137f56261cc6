"""Times of calls that are compared with each other."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

_WARM_UPS = 2  # the first compiles, the second finds memory as later calls do


def interleaved(calls: Mapping[str, Callable[[], Any]], *, repeats: int) -> dict[str, np.ndarray]:
  """Seconds of each call, `repeats` times. Calls take turns, so that a disturbance affects all alike.

  The order within a turn is random. Each timed call follows an untimed one of the same kind, as steps do in
  training. So caches are warm, and threads of other libraries have stopped spinning.
  A call that returns a float has timed itself, in another process.
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
      output = jax.block_until_ready(calls[name]())
      seconds[name].append(output if isinstance(output, float) else time.perf_counter() - started)
  return {name: np.array(times) for name, times in seconds.items()}


def summary(seconds: np.ndarray) -> dict[str, Any]:
  """Median and quartiles in milliseconds, and the number of calls."""
  low, median, high = (1e3 * np.quantile(seconds, [0.25, 0.5, 0.75])).tolist()
  return {'ms': median, 'ms_quartiles': [low, high], 'repeats': len(seconds)}

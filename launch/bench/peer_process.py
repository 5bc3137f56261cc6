"""Other libraries in a second process: in one, libraries share memory and wait for each other's threads."""

import contextlib
import functools
import multiprocessing
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from har_jax import config
from har_jax.errors import UserError

_calls: dict[str, Callable[[], Any]] = {}  # in the second process


@contextlib.contextmanager
def peers(
  experiment: config.Experiment, kind: str, batch: int, steps: int
) -> Iterator[dict[str, Callable[[], float]]]:
  """The calls of `pytorch_baseline.variants`, in another process; each returns its seconds there.

  Raises what making them raises.
  """
  with ProcessPoolExecutor(1, multiprocessing.get_context('spawn')) as other:
    names = ask(other, _make_calls, experiment, kind, batch, steps)
    yield {name: functools.partial(ask, other, _time_call, name) for name in names}


def ask(other: ProcessPoolExecutor, task: Callable[..., Any], *arguments: Any) -> Any:
  """What the task returns there. Raises what it raises, and UserError if the process has ended."""
  try:
    return other.submit(task, *arguments).result()
  except BrokenProcessPool as error:
    raise UserError(
      'the process that times the other libraries has ended; its message is above, or it was killed for want '
      'of memory: use smaller --batches'
    ) from error


def _make_calls(experiment: config.Experiment, kind: str, batch: int, steps: int) -> list[str]:
  from launch.bench.pytorch_baseline import variants

  _calls.update(variants(experiment, kind, batch, steps))
  return list(_calls)


def _time_call(name: str) -> float:
  started = time.perf_counter()
  _calls[name]()
  return time.perf_counter() - started

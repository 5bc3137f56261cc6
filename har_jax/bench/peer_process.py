"""Peers in a process of their own: two libraries in one process share its memory and wait for each other's threads."""

import contextlib
import functools
import multiprocessing
import time
from collections.abc import Callable, Iterator
from typing import Any

from har_jax import config

_END_S = 10.0  # for the process to end by itself


@contextlib.contextmanager
def peers(
  experiment: config.Experiment, kind: str, batch: int, steps: int
) -> Iterator[dict[str, Callable[[], float]]]:
  """`bench.peers.variants`, made and called elsewhere; each call returns the seconds that it took there.

  Raises what making them raises.
  """
  here, there = multiprocessing.get_context('spawn').Pipe()
  process = multiprocessing.get_context('spawn').Process(
    target=_serve, args=(there, experiment, kind, batch, steps), daemon=True
  )
  process.start()
  there.close()
  try:
    names = _answer(here)
    yield {name: functools.partial(_ask, here, name) for name in names}
  finally:
    here.close()
    process.join(_END_S)
    process.kill()


def _ask(connection: Any, name: str) -> float:
  connection.send(name)
  return _answer(connection)


def _answer(connection: Any) -> Any:
  answer = connection.recv()
  if isinstance(answer, BaseException):
    raise answer
  return answer


def _serve(connection: Any, experiment: config.Experiment, kind: str, batch: int, steps: int) -> None:
  """Answers with the names, then each name with its seconds, until the other end closes."""
  with contextlib.suppress(EOFError, BrokenPipeError):
    try:
      from har_jax.bench.pytorch_baseline import variants

      calls = variants(experiment, kind, batch, steps)
      connection.send(list(calls))
      while True:
        call = calls[connection.recv()]
        started = time.perf_counter()
        call()
        connection.send(time.perf_counter() - started)
    except (EOFError, BrokenPipeError):
      raise
    except Exception as error:
      connection.send(error)

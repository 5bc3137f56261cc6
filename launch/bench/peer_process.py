"""Other libraries in a second process: in one, libraries share memory and wait for each other's threads."""

import contextlib
import functools
import multiprocessing
import time
from collections.abc import Callable, Iterator
from typing import Any

from har_jax import config
from har_jax.errors import UserError

_JOIN_S = 10.0


@contextlib.contextmanager
def peers(
  experiment: config.Experiment, kind: str, batch: int, steps: int
) -> Iterator[dict[str, Callable[[], float]]]:
  """The calls of `pytorch_baseline.variants`, in another process; each returns its seconds there.

  Raises what making them raises.
  """
  spawn = multiprocessing.get_context('spawn')
  connection, child_connection = spawn.Pipe()
  process = spawn.Process(target=_serve, args=(child_connection, experiment, kind, batch, steps), daemon=True)
  process.start()
  child_connection.close()
  try:
    names = _receive(connection)
    yield {name: functools.partial(_call, connection, name) for name in names}
  finally:
    connection.close()
    process.join(_JOIN_S)
    process.kill()


def _call(connection: Any, name: str) -> float:
  connection.send(name)
  return _receive(connection)


def _receive(connection: Any) -> Any:
  try:
    message = connection.recv()
  except EOFError as error:
    raise UserError(
      'the process that times the other libraries has ended; its message is above, or it was killed for want '
      'of memory: use smaller --batches'
    ) from error
  if isinstance(message, BaseException):
    raise message
  return message


def _serve(connection: Any, experiment: config.Experiment, kind: str, batch: int, steps: int) -> None:
  """Sends the names, then the seconds of each name that it receives, until the other end closes."""
  with contextlib.suppress(EOFError, BrokenPipeError):
    try:
      from launch.bench.pytorch_baseline import variants

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

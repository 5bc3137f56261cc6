"""One job a folder, and files that one process writes."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from har_jax import locks, results, storage
from har_jax.errors import Stopped, UserError
from har_jax.storage import Place
from har_jax.train import mesh

_LOOK_S = 1.0  # between two looks whether another job is done
_TELL_S = 60.0  # between two lines that say what is waited for


def exists(path: Place) -> bool:
  """As the leading process sees it. The others do not look: a network share would go on telling them of the past."""
  return mesh.broadcast_bool(mesh.is_main_process() and path.exists())


def finished(path: Place, identity: dict[str, Any]) -> dict[str, Any] | None:
  """The result in a file, None where there is none. Raises UserError where it is of another experiment."""
  if not exists(path):
    return None
  result = storage.read(path)
  _refuse_other(path, result.get('identity'), identity)
  return result


def write(path: Place, entries: dict[str, Any]) -> None:
  """One process writes; the others go on once the file is there."""
  if mesh.is_main_process():
    storage.write(path, entries)
  mesh.wait_for_all(str(path))


def _refuse_other(path: Place, made_with: Any, asked_for: Any) -> None:
  if lines := results.differences(made_with, asked_for):
    raise UserError(
      f'{path} is of another experiment; give another --out or delete it:\n  ' + '\n  '.join(lines[:10])
    )


@contextlib.contextmanager
def exclusive(
  folder: Place, identity: dict[str, Any], *, title: str, stop: Callable[[], bool]
) -> Iterator[Callable[[], bool]]:
  """Holds a run's folder, for what its run.json says: of all jobs that want it one goes on, and the others wait.

  Of several processes the leading one tries, again and again rather than waiting in the lock, so that the others meet it
  each time: nobody stays in a collective for long, and a stop comes through.
  Gives a `stop` to train with, which raises UserError once another job has taken the folder from a silent one.
  Raises UserError where the folder is another experiment's, Stopped where `stop` says so while it waits.
  """
  is_claimed(folder, identity)  # refused before it waits
  lock = locks.lock(folder) if mesh.is_main_process() else None
  began = time.monotonic()
  tell = began
  while not mesh.broadcast_bool(lock is not None and lock.take()):
    if stop():
      raise Stopped(f'{title}: stopped while another job is at it')
    if lock is not None and time.monotonic() >= tell:
      minutes = (time.monotonic() - began) / 60
      print(
        f'{title}: {lock.holder()} is at it; waiting, {minutes:.0f} min so far', file=sys.stderr, flush=True
      )
      tell += _TELL_S
    time.sleep(_LOOK_S)

  def still_ours() -> bool:
    if lock is not None and lock.is_lost():
      raise UserError(
        f'{title}: no sign of life from this job for {locks.LEASE_S:.0f} s, and another has taken {folder}; '
        'run again to go on with the rest'
      )
    return stop()

  try:
    if not is_claimed(folder, identity):
      _claim(folder, identity)
    yield still_ours
  finally:
    if lock is not None:
      lock.release()


def is_claimed(folder: Place, identity: dict[str, Any]) -> bool:
  """Whether a run's folder says what it is for. Raises UserError where that is something else."""
  path = folder / 'run.json'
  if not exists(path):
    return False
  # To be deleted whole: without its run.json alone, another run would go on from its checkpoints.
  _refuse_other(folder, storage.read(path), identity)
  return True


def _claim(folder: Place, identity: dict[str, Any]) -> None:
  path = folder / 'run.json'
  write(path, identity)
  if not path.exists():
    raise UserError(f'{path}, which process 0 wrote, is not there; give an --out that all processes share')

"""One job at a time per folder, and files that one process writes."""

import contextlib
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import msgspec
import tqdm
from msgspec import Struct

from har_jax import locks, records, storage
from har_jax.errors import Stopped, UserError
from har_jax.storage import Place
from har_jax.train import mesh

_POLL_S = 1.0  # between two attempts to take a lock
_REPORT_S = 60.0  # between two lines that say what a job waits for
_Kind = TypeVar('_Kind')


def exists(path: Place) -> bool:
  """Returns whether the main process sees a file. The others may see an old state of a network share."""
  return mesh.broadcast_bool(mesh.is_main_process() and path.exists())


def sweep(folder: Place) -> None:
  """Deletes the lock of a process that died after it had finished a folder."""
  if mesh.is_main_process():
    locks.sweep(folder)


def finished(path: Place, identity: Struct, kind: type[_Kind]) -> _Kind | None:
  """A result file's record; None if it is missing. Raises UserError if it is of another experiment."""
  if not exists(path):
    return None
  entries = storage.read(path)
  records.check_identity(entries.get('identity'), identity, path)
  return records.check(entries, kind, path, to_do=storage.RUN_AGAIN)


def write(path: Place, record: Struct) -> None:
  """One process writes; the others wait for the file."""
  if mesh.is_main_process():
    storage.write(path, msgspec.to_builtins(record))
  mesh.wait_for_all(str(path))


@contextlib.contextmanager
def exclusive(
  folder: Place, identity: Struct, *, title: str, stop: Callable[[], bool]
) -> Iterator[Callable[[], bool]]:
  """Holds a run's folder for the run that its run.json describes. Other jobs that need the folder wait.

  The main process polls instead of blocking in the lock, and all processes meet at each attempt. So no
  collective takes long, and a stop is noticed. Yields a `stop` to train with; it raises UserError once
  another job has taken the folder over.
  Raises UserError where the folder belongs to another experiment, Stopped where `stop` returns True while
  waiting.
  """
  is_claimed(folder, identity)  # fail before waiting
  lock = locks.lock(folder) if mesh.is_main_process() else None
  start = time.monotonic()
  next_report = start
  # One of several jobs of a terminal, whose cursor stands in the bar of all runs: only its own line is free.
  has_line = 'TQDM_POSITION' in os.environ and sys.stderr.isatty()
  with contextlib.ExitStack() as line:
    while not mesh.broadcast_bool(lock is not None and lock.take()):
      if stop():
        raise Stopped(f'{title}: stopped while another job is running it')
      if lock is not None and time.monotonic() >= next_report:
        if has_line:
          text = f'waiting for {lock.holder()}: {title}'
          line.enter_context(tqdm.tqdm(desc=text, bar_format='{desc}{bar}', leave=False))
          next_report = math.inf
        else:
          minutes = (time.monotonic() - start) / 60
          text = f'{title}: {lock.holder()} is running it; waiting for {minutes:.0f} min'
          print(text, file=sys.stderr, flush=True)
          next_report += _REPORT_S
      time.sleep(_POLL_S)

  def stop_if_lost() -> bool:
    if lock is not None and lock.is_lost():
      raise UserError(
        f'{title}: this job sent no heartbeat for {locks.LEASE_S:.0f} s, and another job has taken {folder}; '
        'run again to continue'
      )
    return stop()

  try:
    if not is_claimed(folder, identity):
      write(path := folder / 'run.json', identity)
      if not path.exists():
        raise UserError(
          f'{path} was written by process 0 and is missing here; give an --out that all processes share'
        )
    yield stop_if_lost
  finally:
    if lock is not None:
      lock.release()


def is_claimed(folder: Place, identity: Struct) -> bool:
  """Returns whether a folder has a run.json. Raises UserError where it describes another run."""
  path = folder / 'run.json'
  if not exists(path):
    return False
  # Users must delete the whole folder: without run.json alone, another run would resume from its checkpoints.
  entries = storage.read(path, to_do=f'delete {folder} to run again')
  records.check_identity(entries, identity, folder)
  return True

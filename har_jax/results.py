"""Files under --out: results, each written whole or not at all, on disk or in a bucket; and one job a folder. No JAX.

A place is a folder or a file: on a disk or a network share a `pathlib.Path`, in a bucket (gs://, s3://) an
`epath.Path`, which has the methods of one.
"""

import contextlib
import importlib.util
import json
import os
import pathlib
import re
import socket
import threading
import time
import typing
import uuid
from typing import Any

import filelock
from etils import epath

from har_jax.errors import UserError

FORMAT = 'har_jax result 1'
LEASE_S = 60.0  # without a sign of life from whoever holds a folder, before another job takes it
_SIGNS = 4  # of life within a lease: three may fail
_DRIVERS = {
  'gs': 'gcsfs',
  's3': 's3fs',
}  # by scheme: the package that fsspec opens it with, and our extra's name

if typing.TYPE_CHECKING:
  Place = pathlib.Path
else:
  Place = pathlib.Path | epath.Path


def place(text: str) -> Place:
  """The place that a flag names. Raises UserError where it is in a bucket and cannot be reached."""
  scheme, separator, _ = text.partition('://')
  if not separator:
    return pathlib.Path(text)
  if scheme not in _DRIVERS:
    raise UserError(f'{text}: neither a folder nor a bucket that we know, {" or ".join(_DRIVERS)}://…')
  if importlib.util.find_spec(_DRIVERS[scheme]) is None:
    raise UserError(f"{text} needs {_DRIVERS[scheme]}: pip install 'har_jax[{scheme}]'")
  path = epath.Path(text)
  try:
    # Once, here: later questions whether a file exists would take a missing permission for a no.
    filesystem, root = bucket(path)
    filesystem.info(root)
  except FileNotFoundError:
    pass  # to be made
  except Exception as error:  # each cloud's library has errors of its own
    raise UserError(f'{text} cannot be reached ({error}); are you logged in, and may you read it?') from error
  return path


def is_bucket(path: Place) -> bool:
  return '://' in str(path)


def bucket(path: Place) -> tuple[Any, str]:
  """The file system of a place in a bucket, and its name there; nothing remembered from before."""
  import fsspec

  filesystem, name = fsspec.url_to_fs(str(path))
  filesystem.invalidate_cache()
  return filesystem, name


def write(path: Place, result: dict[str, Any]) -> None:
  """A result's file. Raises UserError as `write_text` does."""
  text = json.dumps(result, indent=1, ensure_ascii=False)
  # A line a number would make most of the file. A string holds no line break, so none is touched.
  text = re.sub(r'\[\n[\s\d.,eE+-]*\]', lambda numbers: ' '.join(numbers[0].split()), text)
  write_text(path, text + '\n')


def write_text(path: Place, text: str) -> None:
  """Writes beside the file and renames. Raises UserError where the disk is full or the folder not ours to write.

  An object in a bucket appears when all of it is there, so it needs no renaming.
  """
  partial = path.with_name(f'.{path.name}.{os.getpid()}.partial')
  try:
    if is_bucket(path):
      path.write_bytes(text.encode())
      return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial.write_text(text, encoding='utf-8')
    os.replace(partial, path)
  except OSError as error:
    with contextlib.suppress(OSError):
      partial.unlink()
    raise UserError(
      f'cannot write {path}: {error.strerror or error}; free some space or give another --out'
    ) from error


def read(path: Place) -> dict[str, Any]:
  """Raises UserError where the file is no JSON object."""
  try:
    result = json.loads(path.read_bytes().decode())
  except (OSError, ValueError) as error:
    raise UserError(f'{path} cannot be read ({error}); delete it to run again') from error
  if not isinstance(result, dict):
    raise UserError(f'{path} holds no result; delete it to run again')
  return result


def find(folder: Place) -> list[dict[str, Any]]:
  """Every result under a folder, by path. Raises UserError where there is none."""
  found = [read(path) for path in _below(folder, 'seed*.json')]
  results = [result for result in found if result.get('format') == FORMAT]
  if not results:
    raise UserError(f'no results under {folder}; launch/lodo.py --out={folder} makes them')
  return results


def _below(folder: Place, pattern: str) -> list[Place]:
  """The files whose name fits, at any depth, sorted; of a bucket in one question."""
  if not is_bucket(folder):
    return sorted(folder.rglob(pattern))
  filesystem, root = bucket(folder)
  paths = [folder / name[len(root) :].lstrip('/') for name in filesystem.find(root)]
  return sorted(path for path in paths if path.match(pattern))


_ABSENT = object()


def differences(made_with: Any, asked_for: Any, name: str = '') -> list[str]:
  """What sets two JSON values apart, a line an entry."""
  if isinstance(made_with, dict) and isinstance(asked_for, dict):
    entries = sorted(made_with.keys() | asked_for.keys())
    lines = (
      differences(made_with.get(key, _ABSENT), asked_for.get(key, _ABSENT), f'{name}.{key}'.lstrip('.'))
      for key in entries
    )
    return [line for part in lines for line in part]
  if made_with == asked_for:
    return []
  made, now = ('without' if value is _ABSENT else f'with {value!r}' for value in (made_with, asked_for))
  return [f'{name}: made {made}, now {now}']


# --- one job a folder


class FolderLock:
  """On a disk or a network share: a file that exists while the lock is held. Needs no locking by the file system."""

  def __init__(self, folder: pathlib.Path, lease_s: float):
    self._path = folder / 'lock'
    self._lease = filelock.SoftFileLease(
      self._path, lease_duration=lease_s, heartbeat_interval=lease_s / _SIGNS
    )

  def take(self) -> bool:
    try:
      self._lease.acquire(timeout=0)
    except filelock.Timeout:
      return False
    except OSError as error:
      raise UserError(f'cannot write {self._path}: {error.strerror or error}; give another --out') from error
    return True

  def holder(self) -> str:
    owner = self._lease.owner
    return f'process {owner.pid} on {owner.hostname.partition("?")[0]}' if owner else 'another job'

  def is_lost(self) -> bool:
    return self._lease.compromise is not None

  def release(self) -> None:
    self._lease.release()


class BucketLock:
  """In a bucket: objects lock-0, lock-1 …, of which the last tells who holds it; he writes it anew as a sign of life.

  To take the lock is to create the next one, which a bucket lets only one job do. None is ever deleted, so a waiter who
  judged too late, by an object that is no longer the last, finds the next one there. An empty one is a lock released.
  """

  def __init__(self, folder: Place, lease_s: float):
    self._folder, self._lease_s = folder, lease_s
    self._seen: tuple[int, bytes] = (-1, b'')
    self._since = time.monotonic()
    self._name = ''
    self._lost = False
    self._stopped = threading.Event()
    self._thread: threading.Thread | None = None

  def take(self) -> bool:
    seen = self._last()
    if seen != self._seen:
      self._seen, self._since = seen, time.monotonic()
    number, content = seen
    if content and time.monotonic() - self._since < self._lease_s:
      return False
    filesystem, root = bucket(self._folder)
    self._name = f'{root}/lock-{number + 1}'
    try:
      filesystem.pipe_file(self._name, self._sign(), mode='create')
    except FileExistsError:
      return False
    except OSError as error:
      raise UserError(f'cannot write to {self._folder}: {error}; give another --out') from error
    self._seen, self._lost, self._stopped = (number + 1, b''), False, threading.Event()
    self._thread = threading.Thread(target=self._live, name='har_jax-lock', daemon=True)
    self._thread.start()
    return True

  def holder(self) -> str:
    return self._seen[1].decode().rpartition(' ')[0] or 'another job'

  def is_lost(self) -> bool:
    return self._lost

  def release(self) -> None:
    self._stopped.set()
    if self._thread is not None and not self._lost:
      self._thread.join()
      # Left as it is where the bucket is out of reach: it ages.
      with contextlib.suppress(Exception):
        bucket(self._folder)[0].pipe_file(self._name, b'')
    self._thread = None

  def _last(self) -> tuple[int, bytes]:
    """The number of the last object, -1 where there is none, and its content."""
    filesystem, root = bucket(self._folder)
    try:
      names = [name.rpartition('/')[2] for name in filesystem.ls(root, detail=False)]
    except FileNotFoundError:
      names = []
    number = max((int(name[5:]) for name in names if name.startswith('lock-')), default=-1)
    return number, filesystem.cat_file(f'{root}/lock-{number}') if number >= 0 else b''

  def _sign(self) -> bytes:
    return f'process {os.getpid()} on {socket.gethostname()} {uuid.uuid4().hex}'.encode()

  def _live(self) -> None:
    """A sign of life now and then, until stopped or overtaken."""
    alive = time.monotonic()
    while not self._stopped.wait(self._lease_s / _SIGNS):
      # Each cloud's library has errors of its own; they count as silence.
      with contextlib.suppress(Exception):
        if self._last()[0] != self._seen[0]:
          break
        bucket(self._folder)[0].pipe_file(self._name, self._sign())
        alive = time.monotonic()
      # Earlier than a waiter would: it sees a sign later than it was given.
      if time.monotonic() - alive > self._lease_s * (1 - 1 / _SIGNS):
        break
    else:
      return
    self._lost = True


def lock(folder: Place, *, lease_s: float = LEASE_S) -> FolderLock | BucketLock:
  """A folder's lock, a small file in it, held by one job of all that try to `take` it.

  `take` tries once. Whoever waits keeps his lock and tries again: it is what sees time pass. The holder gives
  signs of life from a thread. Another job takes over when it has seen none for `lease_s` by its own clock, or at once where the holder is a dead process of the same machine (not in a bucket). The lock of a
  job that was overtaken `is_lost`: nothing but its asking stops it. All jobs must agree on `lease_s`.
  Raises UserError where the folder cannot be made.
  """
  if is_bucket(folder):
    return BucketLock(folder, lease_s)
  try:
    folder.mkdir(parents=True, exist_ok=True)
  except OSError as error:
    raise UserError(f'cannot write {folder}: {error.strerror}; give another --out') from error
  return FolderLock(folder, lease_s)

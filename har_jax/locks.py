"""One job a folder: locks on disks, network shares and buckets."""

import contextlib
import os
import pathlib
import socket
import threading
import time
import uuid

import filelock

from har_jax.errors import UserError
from har_jax.storage import Place, bucket, is_bucket

LEASE_S = 60.0  # without a sign of life from whoever holds a folder, before another job takes it
_SIGNS = 4  # of life within a lease: three may fail


class FolderLock:
  """On a disk or a network share: a file that exists while the lock is held.

  Needs no locking by the file system.
  """

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
  """In a bucket: objects lock-0, lock-1 …, of which the last tells who holds it; he writes it anew as a sign
  of life.

  To take the lock is to create the next one, which a bucket lets only one job do. None is ever deleted, so a
  waiter who judged too late, by an object that is no longer the last, finds the next one there. An empty one
  is a lock released.
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
  signs of life from a thread. Another job takes over when it has seen none for `lease_s` by its own clock, or
  at once where the holder is a dead process of the same machine (not in a bucket). The lock of a job that was
  overtaken `is_lost`: nothing but its asking stops it. All jobs must agree on `lease_s`.
  Raises UserError where the folder cannot be made.
  """
  if is_bucket(folder):
    return BucketLock(folder, lease_s)
  try:
    folder.mkdir(parents=True, exist_ok=True)
  except OSError as error:
    raise UserError(f'cannot write {folder}: {error.strerror}; give another --out') from error
  return FolderLock(folder, lease_s)

"""One job per folder: locks on disks, network shares and buckets."""

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

LEASE_S = 60.0  # without a heartbeat from the holder, before another job takes the folder
_HEARTBEATS = 4  # per lease: three may fail


class FolderLock:
  """Lock on a disk or a network share: a file that exists while it is held. No file system locks needed."""

  def __init__(self, folder: pathlib.Path, lease_s: float):
    self._path, self._lease_s = folder / 'lock', lease_s
    self._lease = self._make_lease(lease_s)
    self._empty_since: float | None = None

  def _make_lease(self, lease_s: float) -> filelock.SoftFileLease:
    return filelock.SoftFileLease(
      self._path, lease_duration=lease_s, heartbeat_interval=lease_s / _HEARTBEATS
    )

  def take(self) -> bool:
    try:
      self._lease.acquire(timeout=0)
    except filelock.Timeout:
      self._delete_empty()
      return False
    except filelock.LeaseSettingsMismatch:  # of another version: its own lease decides when it is over
      if (owner := self._lease.owner) is not None and owner.lease_duration is not None:
        self._lease = self._make_lease(owner.lease_duration)
      return False
    except OSError as error:
      raise UserError(f'cannot write {self._path}: {error.strerror or error}; give another --out') from error
    return True

  def holder(self) -> str:
    owner = self._lease.owner
    return f'process {owner.pid} on {owner.hostname.partition("?")[0]}' if owner else 'another job'

  def is_lost(self) -> bool:
    """Reads the file, as no heartbeat may have come since this process was paused."""
    # A waiting job may move the file away for a moment, to look at it.
    if self._lease.token is None:  # released
      return self._lease.compromise is not None
    return self._lease.compromise is not None or (self._is_anothers() and self._is_anothers(after_s=0.1))

  def _is_anothers(self, after_s: float = 0.0) -> bool:
    time.sleep(after_s)
    owner = self._lease.owner
    return not self._path.exists() if owner is None else owner.token != self._lease.token

  def release(self) -> None:
    self._lease.release()

  def _delete_empty(self) -> None:
    """Deletes a file that stays empty for a lease, which a full disk or a power cut left: nobody holds it."""
    with contextlib.suppress(OSError):
      if self._path.stat().st_size:
        self._empty_since = None
      elif self._empty_since is None:
        self._empty_since = time.monotonic()
      elif time.monotonic() - self._empty_since > self._lease_s:
        left = self._path.with_name(f'lock.{uuid.uuid4().hex}')
        self._path.rename(left)
        if left.stat().st_size:  # another job took it just now
          left.rename(self._path)
        else:
          left.unlink()


class BucketLock:
  """Lock in a bucket: objects lock-0, lock-1, ... The last names the holder, who rewrites it as a heartbeat.

  Taking the lock means creating the next object, which a bucket allows one job only. No object is ever
  deleted, so a job that decides on an outdated object finds the next one taken. An empty object is a released
  lock.
  """

  def __init__(self, folder: Place, lease_s: float):
    self._folder, self._lease_s = folder, lease_s
    self._seen: tuple[int, bytes] = (-1, b'')
    self._since = time.monotonic()
    self._name = ''
    self._lost, self._alive_s = False, 0.0
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
      filesystem.pipe_file(self._name, self._heartbeat(), mode='create')
    except FileExistsError:
      return False
    except OSError as error:
      raise UserError(f'cannot write to {self._folder}: {error}; give another --out') from error
    self._seen, self._lost, self._stopped = (number + 1, b''), False, threading.Event()
    self._alive_s = time.time()
    self._thread = threading.Thread(target=self._live, name='har_jax-lock', daemon=True)
    self._thread.start()
    return True

  def holder(self) -> str:
    return self._seen[1].decode().rpartition(' ')[0] or 'another job'

  def is_lost(self) -> bool:
    """Looks into the bucket if a heartbeat is overdue, as after a pause of this process."""
    if not self._lost and abs(time.time() - self._alive_s) > 2 * self._lease_s / _HEARTBEATS:
      with contextlib.suppress(Exception):  # the heartbeats tell whether the bucket can be reached
        self._lost = self._last()[0] != self._seen[0]
    return self._lost

  def release(self) -> None:
    self._stopped.set()
    if self._thread is not None and not self._lost:
      self._thread.join()
      # If the bucket cannot be reached, the lock expires.
      with contextlib.suppress(Exception):
        bucket(self._folder)[0].pipe_file(self._name, b'')
    self._thread = None

  def _last(self) -> tuple[int, bytes]:
    """The number of the last object, -1 if there is none, and its content."""
    filesystem, root = bucket(self._folder)
    try:
      names = [name.rpartition('/')[2] for name in filesystem.ls(root, detail=False)]
    except FileNotFoundError:
      names = []
    number = max((int(name[5:]) for name in names if name.startswith('lock-')), default=-1)
    return number, filesystem.cat_file(f'{root}/lock-{number}') if number >= 0 else b''

  def _heartbeat(self) -> bytes:
    return f'process {os.getpid()} on {socket.gethostname()} {uuid.uuid4().hex}'.encode()

  def _live(self) -> None:
    """Sends heartbeats until stopped or overtaken."""
    alive = time.monotonic()
    while not self._stopped.wait(self._lease_s / _HEARTBEATS):
      # Every cloud library has its own errors; each counts as a missed heartbeat.
      with contextlib.suppress(Exception):
        if self._last()[0] != self._seen[0]:
          break
        bucket(self._folder)[0].pipe_file(self._name, self._heartbeat())
        alive, self._alive_s = time.monotonic(), time.time()
      # Earlier than a waiting job would: it sees a heartbeat later than it was sent.
      if time.monotonic() - alive > self._lease_s * (1 - 1 / _HEARTBEATS):
        break
    else:
      return
    self._lost = True


def lock(folder: Place, *, lease_s: float = LEASE_S) -> FolderLock | BucketLock:
  """A folder's lock: a small file in it, held by one job of all that try to `take` it.

  `take` tries once. A waiting job keeps its lock object and tries again: the object measures the time. The
  holder sends heartbeats from a thread. Another job takes over after `lease_s` without one, by its own clock.
  It does so at once, if the holder is a dead process of the same machine (not in a bucket). The lock of the
  former holder then `is_lost`. That job must ask for it: nothing else stops it.
  All jobs must use the same `lease_s`.
  Raises UserError where the folder cannot be created.
  """
  if is_bucket(folder):
    return BucketLock(folder, lease_s)
  try:
    folder.mkdir(parents=True, exist_ok=True)
  except OSError as error:
    raise UserError(f'cannot write {folder}: {error.strerror}; give another --out') from error
  return FolderLock(folder, lease_s)


def sweep(folder: Place) -> None:
  """Deletes the lock that a dead process of this machine left in a folder, where nothing is to be done."""
  if not is_bucket(folder) and (folder / 'lock').exists():
    with contextlib.suppress(UserError):  # a folder of someone else's
      left = lock(folder)
      if left.take():
        left.release()

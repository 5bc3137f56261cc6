"""One job a folder, on disk and in a bucket."""

import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
import types

import pytest

from har_jax import locks, storage
from har_jax.storage import Place

_ROOT = pathlib.Path(__file__).parents[1]

pytestmark = pytest.mark.slow  # leases last a second
_LEASE_S = 1.0


def _wait_for(lock: locks.FolderLock | locks.BucketLock) -> float:
  """Seconds until the lock could be taken."""
  began = time.monotonic()
  while not lock.take():
    assert time.monotonic() < began + 20 * _LEASE_S
    time.sleep(0.01)
  return time.monotonic() - began


def test_one_of_two_jobs_holds_a_folder_until_its_release(place):
  one, other = (locks.lock(place, lease_s=_LEASE_S) for _ in range(2))
  assert one.take()
  until = time.monotonic() + 1.5 * _LEASE_S  # heartbeats keep it
  while time.monotonic() < until:
    assert not other.take()
    time.sleep(0.02)
  assert f'process {os.getpid()} on ' in other.holder()
  one.release()
  assert other.take()
  assert not one.take()
  other.release()
  assert not one.is_lost()
  assert not other.is_lost()


_HOLDER = """
import pathlib, sys, time
from har_jax import locks
lock = locks.lock(pathlib.Path(sys.argv[1]))
assert lock.take()
print('held', flush=True)
time.sleep(600)
"""


@pytest.mark.linux
def test_the_lock_of_a_killed_local_process_is_taken_at_once(tmp_path):
  lock = locks.lock(tmp_path)
  with subprocess.Popen(
    [sys.executable, '-c', _HOLDER, str(tmp_path)], cwd=_ROOT, stdout=subprocess.PIPE, text=True
  ) as holder:
    assert holder.stdout is not None
    assert holder.stdout.readline() == 'held\n'
    assert not lock.take()
    assert lock.holder().startswith(f'process {holder.pid} on ')
    locks.sweep(tmp_path)  # not of a living process
    assert (tmp_path / 'lock').exists()
    holder.send_signal(signal.SIGKILL)
  left = (tmp_path / 'lock').read_bytes()
  locks.sweep(tmp_path)
  assert list(tmp_path.iterdir()) == []
  (tmp_path / 'lock').write_bytes(left)
  began = time.monotonic()
  assert lock.take()
  assert time.monotonic() - began < locks.LEASE_S / 10
  lock.release()


def test_the_lock_of_a_silent_machine_is_taken_after_its_lease(place):
  # A file holds the lease of whoever has it; all jobs of a bucket have the same one.
  lease_s = _LEASE_S if storage.is_bucket(place) else 2 * _LEASE_S
  gone, waiting = locks.lock(place, lease_s=lease_s), locks.lock(place, lease_s=_LEASE_S)
  assert gone.take()
  assert not waiting.take()
  _silence(gone)
  assert _wait_for(waiting) >= 0.9 * lease_s
  waiting.release()


def _silence(lock: locks.FolderLock | locks.BucketLock) -> None:
  """As if its machine were cut off: no more heartbeats, and its process cannot be checked."""
  if isinstance(lock, locks.FolderLock):
    lock._lease._stop_heartbeat()
    path = lock._path
    host = next(line for line in path.read_text().splitlines() if line.startswith('host='))
    path.write_text(path.read_text().replace(host, 'host=elsewhere'))
  else:
    lock._stopped.set()


def test_an_overtaken_job_notices_and_leaves_the_lock(place):
  slow, waiting = (locks.lock(place, lease_s=_LEASE_S) for _ in range(2))
  assert slow.take()
  _overtake(place)
  until = time.monotonic() + 20 * _LEASE_S
  while not slow.is_lost():
    assert time.monotonic() < until
    time.sleep(0.01)
  slow.release()
  assert _wait_for(waiting) >= 0.5 * _LEASE_S
  waiting.release()


def test_a_job_that_slept_notices_at_once_that_another_has_been_there(place):
  slept, other = (locks.lock(place, lease_s=_LEASE_S) for _ in range(2))
  assert slept.take()
  _silence(slept)  # no heartbeat tells it
  if isinstance(slept, locks.BucketLock):
    slept._alive_s -= 100
  assert not slept.is_lost()
  _wait_for(other)
  assert slept.is_lost()
  other.release()
  assert slept.is_lost()


def test_an_empty_lock_is_taken_after_a_lease(tmp_path):
  (tmp_path / 'lock').touch()
  lock = locks.lock(tmp_path, lease_s=_LEASE_S)
  assert _wait_for(lock) >= 0.9 * _LEASE_S
  assert [path.name for path in tmp_path.iterdir()] == ['lock']
  lock.release()
  assert not list(tmp_path.iterdir())


def test_a_file_that_a_waiting_job_moves_for_a_moment_is_not_lost(tmp_path):
  lock = locks.lock(tmp_path)
  assert lock.take()
  (tmp_path / 'lock').rename(tmp_path / 'moved')
  back = threading.Timer(0.02, (tmp_path / 'moved').rename, [tmp_path / 'lock'])
  back.start()
  assert not lock.is_lost()
  back.join()
  lock.release()


def test_a_job_that_decides_on_an_outdated_object_finds_the_next_one_taken(bucket, monkeypatch):
  one, late = (locks.lock(bucket, lease_s=_LEASE_S) for _ in range(2))
  seen = late._last()
  assert one.take()
  monkeypatch.setattr(late, '_last', lambda: seen)
  assert not late.take()
  one.release()


def test_a_job_that_cannot_reach_its_bucket_gives_up_before_another_takes_over(bucket, monkeypatch):
  lock = locks.lock(bucket, lease_s=_LEASE_S)
  assert lock.take()

  def refuse() -> None:
    raise OSError('no network')

  monkeypatch.setattr(lock, '_last', refuse)
  time.sleep(0.5 * _LEASE_S)
  assert not lock.is_lost()
  time.sleep(_LEASE_S)  # up to 1.5 leases: this machine may be busy
  assert lock.is_lost()
  lock.release()
  assert locks.BucketLock(bucket, _LEASE_S)._last()[1]  # the bucket is not waited for: the lock expires


def _overtake(place: Place) -> None:
  """As another machine does that saw no heartbeat."""
  if storage.is_bucket(place):
    (place / 'lock-1').write_bytes(b'process 1 on elsewhere 0')
  else:
    old = (place / 'lock').read_text()
    (place / 'other').write_text(old.replace('host=', 'host=else').replace('token=', 'token=0')[:-1] + '\n')
    os.replace(place / 'other', place / 'lock')


def test_one_of_many_waiting_jobs_gets_a_bucket_lock(bucket):
  first, *others = (locks.lock(bucket, lease_s=_LEASE_S) for _ in range(5))
  assert first.take()
  _silence(first)
  taken: list = []
  until = time.monotonic() + 1.5 * _LEASE_S
  while time.monotonic() < until:
    taken += [lock for lock in others if lock.take()]
    time.sleep(0.01)
  assert len(taken) == 1
  taken[0].release()


def _clocked(monkeypatch: pytest.MonkeyPatch) -> tuple[locks.BucketLock, list[float]]:
  """A lock of four seconds that is held, and a clock that waiting moves on."""
  now_s = [0.0]
  lock = locks.BucketLock(pathlib.Path('unused'), 4.0)
  lock._seen = 0, b''
  monkeypatch.setattr(locks, 'time', types.SimpleNamespace(monotonic=lambda: now_s[0], time=lambda: now_s[0]))

  def wait(seconds: float) -> None:
    now_s[0] += seconds

  monkeypatch.setattr(lock, '_stopped', types.SimpleNamespace(wait=wait))
  return lock, now_s


def test_a_holder_that_cannot_reach_its_bucket_gives_up_before_its_lease_is_over(monkeypatch):
  lock, now_s = _clocked(monkeypatch)
  monkeypatch.setattr(lock, '_last', lambda: (_ for _ in ()).throw(OSError('no network')))
  lock._live()
  assert lock.is_lost()
  assert now_s[0] <= 4.0


@pytest.mark.parametrize(('paused_s', 'looks'), [(1.9, False), (2.1, True)])
def test_a_holder_looks_into_its_bucket_once_two_heartbeats_are_overdue(monkeypatch, paused_s, looks):
  lock, now_s = _clocked(monkeypatch)
  monkeypatch.setattr(lock, '_last', lambda: (1, b'another'))
  now_s[0] = paused_s
  assert lock.is_lost() == looks

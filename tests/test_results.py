"""Result files: whole or not at all, on disk and in a bucket, and errors that say what to do; one job a folder."""

import dataclasses
import errno
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import ClassVar

import fsspec
import numpy as np
import pytest
from etils import epath
from fsspec.implementations.memory import MemoryFileSystem

from har_jax import locks, results, storage
from har_jax.data import windows as store
from har_jax.errors import UserError
from har_jax.storage import Place

_ROOT = pathlib.Path(__file__).parents[1]


class _Bucket(MemoryFileSystem):
  """A bucket in memory, for gs://."""

  protocol = ('gs', 'gcs')
  store: ClassVar = {}
  pseudo_dirs: ClassVar = ['']

  @classmethod
  def _strip_protocol(cls, path: str) -> str:
    return super()._strip_protocol(path.removeprefix('gs:/').removeprefix('gcs:/'))


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> Iterator[Place]:
  for protocol in _Bucket.protocol:
    fsspec.register_implementation(protocol, _Bucket, clobber=True)
  monkeypatch.setattr(results, '_DRIVERS', {'gs': 'fsspec'})
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
  yield storage.place('gs://bucket/out')
  _Bucket.store.clear()
  _Bucket.pseudo_dirs[:] = ['']


@pytest.fixture(params=['folder', 'bucket'])
def folder(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Place:
  return tmp_path / 'out' if request.param == 'folder' else request.getfixturevalue('bucket')


def test_a_result_is_read_as_it_was_written(tmp_path: pathlib.Path):
  path = tmp_path / 'a' / 'b' / 'seed0.json'
  storage.write(path, {'format': results.FORMAT, 'target': 'pampã', 'x': [1, 2.5, None]})
  assert storage.read(path) == {'format': results.FORMAT, 'target': 'pampã', 'x': [1, 2.5, None]}
  assert os.listdir(path.parent) == ['seed0.json']


def test_a_full_disk_is_the_users_error_and_leaves_nothing(
  tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
):
  def full(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

  path = tmp_path / 'seed0.json'
  storage.write(path, {'old': 1})
  monkeypatch.setattr(os, 'replace', full)
  with pytest.raises(UserError, match='No space left on device; free some space'):
    storage.write(path, {'new': 2})
  assert os.listdir(tmp_path) == ['seed0.json']
  assert storage.read(path) == {'old': 1}


def test_a_file_in_the_way_of_a_folder_is_the_users_error(tmp_path: pathlib.Path):
  (tmp_path / 'out').write_text('')
  with pytest.raises(UserError, match='give another --out'):
    storage.write(tmp_path / 'out' / 'target' / 'seed0.json', {})


@pytest.mark.parametrize('text', ['', '{"a": 1', '[1]', '\udcff'.encode(errors='surrogateescape')])
def test_a_damaged_result_says_delete_it(tmp_path: pathlib.Path, text: str | bytes):
  path = tmp_path / 'seed0.json'
  path.write_bytes(text.encode() if isinstance(text, str) else text)
  with pytest.raises(UserError, match='delete it to run again'):
    storage.read(path)


def test_results_are_found_at_any_depth_and_others_passed_over(tmp_path: pathlib.Path):
  for name in ('b/lora/seed1.json', 'a/full/window/seed0.json'):
    storage.write(tmp_path / name, {'format': results.FORMAT, 'name': name})
  storage.write(tmp_path / 'a' / 'seed9.json', {'format': 'another'})
  storage.write(tmp_path / 'a' / 'pretrained.json', {'format': results.FORMAT})
  found = results.find(tmp_path)
  assert [result['name'] for result in found.values()] == ['a/full/window/seed0.json', 'b/lora/seed1.json']


def test_no_results_is_the_users_error(tmp_path: pathlib.Path):
  with pytest.raises(UserError, match='no results under'):
    results.find(tmp_path)


def test_differences_name_the_entry_and_both_values():
  made, asked = {'a': {'b': 1, 'c': [1]}, 'd': 2}, {'a': {'b': 2, 'c': [1]}, 'e': 2}
  assert results.differences(made, asked) == [
    'a.b: made with 1, now with 2',
    'd: made with 2, now without',
    'e: made without, now with 2',
  ]
  assert results.differences(made, made) == []


# --- buckets


def test_a_local_path_stays_a_plain_path(tmp_path: pathlib.Path):
  assert storage.place(str(tmp_path)) == tmp_path
  assert type(storage.place('results/lodo')) is type(pathlib.Path())


def test_results_in_a_bucket_are_written_read_and_found(bucket: Place):
  assert isinstance(bucket, epath.Path)
  for name in ('b/lora/seed1.json', 'a/full/window/seed0.json'):
    storage.write(bucket / name, {'format': results.FORMAT, 'name': name, 'x': 'pampã'})
  storage.write(bucket / 'a' / 'pretrained.json', {'format': results.FORMAT})
  assert storage.read(bucket / 'b' / 'lora' / 'seed1.json')['x'] == 'pampã'
  assert (bucket / 'b' / 'lora' / 'seed1.json').exists()
  assert not (bucket / 'b' / 'lora' / 'seed2.json').exists()
  found = [result['name'] for result in results.find(bucket).values()]
  assert found == ['a/full/window/seed0.json', 'b/lora/seed1.json']
  assert len(_Bucket.store) == 3  # nothing partial beside them


def test_a_write_that_a_bucket_refuses_is_the_users_error(bucket: Place, monkeypatch: pytest.MonkeyPatch):
  def refuse(*_, **__):
    raise PermissionError('no')

  monkeypatch.setattr(_Bucket, '_open', refuse)
  with pytest.raises(UserError, match=r'cannot write gs://bucket/out/seed0.json: no'):
    storage.write(bucket / 'seed0.json', {})


def test_a_bucket_that_cannot_be_used_is_refused_where_it_is_named(
  bucket: Place, monkeypatch: pytest.MonkeyPatch
):
  with pytest.raises(UserError, match='neither a folder nor a bucket that we know, gs://'):
    storage.place('ftp://host/out')
  monkeypatch.setattr(_Bucket, 'info', lambda *_: (_ for _ in ()).throw(RuntimeError('no credentials')))
  with pytest.raises(UserError, match=r'cannot be reached \(no credentials\); are you logged in'):
    storage.place('gs://bucket/out')
  monkeypatch.setattr(results, '_DRIVERS', {'s3': 'no_such_driver'})
  with pytest.raises(UserError, match=r"needs no_such_driver: pip install 'har_jax\[s3\]'"):
    storage.place('s3://bucket/out')


def _windows(size: float) -> store.Windows:
  signal = np.full((128, 6), size, np.float32)
  window = store.Window(signal, 'walking', 'someone', 0, 0.0)
  return store.gather([window], {'archive': 'alpha', 'checksum': 'sum'})


def test_windows_in_a_bucket_come_to_the_disk_once_and_again_when_they_changed(
  bucket: Place, tmp_path: pathlib.Path
):
  windows = storage.place('gs://bucket/windows')
  with pytest.raises(UserError, match='gs://bucket/windows'):
    store.local(windows)
  store.save(_windows(1.0), windows / 'alpha')
  assert store.read_meta(windows / 'alpha')['archive'] == 'alpha'
  copy = store.local(windows)
  loaded = store.load(copy / 'alpha')
  np.testing.assert_array_equal(loaded.signals, _windows(1.0).signals)
  assert dataclasses.replace(loaded, signals=loaded.signals[:]).meta == _windows(1.0).meta
  assert store.local(windows) == copy
  store.save(_windows(2.0), windows / 'alpha')
  again = store.local(windows)
  assert again != copy
  np.testing.assert_array_equal(store.load(again / 'alpha').signals, _windows(2.0).signals)
  assert store.local(tmp_path) == tmp_path
  storage.write(bucket / 'alpha' / 'other.json', {})
  with pytest.raises(UserError, match='exists and is not a windows folder'):
    store.save(_windows(1.0), bucket / 'alpha')


# --- one job a folder

_LEASE_S = 1.0


def _wait_for(lock: locks.FolderLock | locks.BucketLock) -> float:
  """Seconds until it could be taken."""
  began = time.monotonic()
  while not lock.take():
    assert time.monotonic() < began + 20 * _LEASE_S
    time.sleep(0.01)
  return time.monotonic() - began


def test_one_of_two_jobs_has_a_folder_until_it_lets_go(folder: Place):
  one, other = (locks.lock(folder, lease_s=_LEASE_S) for _ in range(2))
  assert one.take()
  until = time.monotonic() + 1.5 * _LEASE_S  # signs of life keep it
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
from har_jax import locks, results, storage
lock = locks.lock(pathlib.Path(sys.argv[1]))
assert lock.take()
print('held', flush=True)
time.sleep(600)
"""


def test_the_lock_of_a_killed_process_of_this_machine_is_taken_at_once(tmp_path: pathlib.Path):
  lock = locks.lock(tmp_path)
  with subprocess.Popen(
    [sys.executable, '-c', _HOLDER, str(tmp_path)], cwd=_ROOT, stdout=subprocess.PIPE, text=True
  ) as holder:
    assert holder.stdout is not None
    assert holder.stdout.readline() == 'held\n'
    assert not lock.take()
    assert lock.holder().startswith(f'process {holder.pid} on ')
    holder.send_signal(signal.SIGKILL)
  began = time.monotonic()
  assert lock.take()
  assert time.monotonic() - began < locks.LEASE_S / 10
  lock.release()


def test_the_lock_of_a_machine_that_went_silent_is_taken_after_the_lease(folder: Place):
  gone, waiting = (locks.lock(folder, lease_s=_LEASE_S) for _ in range(2))
  assert gone.take()
  _silence(gone)
  assert _wait_for(waiting) >= 0.9 * _LEASE_S
  waiting.release()


def _silence(lock: locks.FolderLock | locks.BucketLock) -> None:
  """As if its machine were cut off: no sign of life from here on, and no knowing whether its process lives."""
  if isinstance(lock, locks.FolderLock):
    lock._lease._stop_heartbeat()
    path = lock._path
    host = next(line for line in path.read_text().splitlines() if line.startswith('host='))
    path.write_text(path.read_text().replace(host, 'host=elsewhere'))
  else:
    lock._stopped.set()


def test_a_job_that_was_overtaken_can_tell_and_leaves_the_lock_to_the_other(folder: Place):
  slow, waiting = (locks.lock(folder, lease_s=_LEASE_S) for _ in range(2))
  assert slow.take()
  _overtake(folder)
  until = time.monotonic() + 20 * _LEASE_S
  while not slow.is_lost():
    assert time.monotonic() < until
    time.sleep(0.01)
  slow.release()
  assert _wait_for(waiting) >= 0.5 * _LEASE_S
  waiting.release()


def _overtake(folder: Place) -> None:
  """As another machine does that saw no sign of life."""
  if storage.is_bucket(folder):
    (folder / 'lock-1').write_bytes(b'process 1 on elsewhere 0')
  else:
    old = (folder / 'lock').read_text()
    (folder / 'other').write_text(old.replace('host=', 'host=else').replace('token=', 'token=0')[:-1] + '\n')
    os.replace(folder / 'other', folder / 'lock')


def test_of_many_that_wait_for_a_bucket_lock_one_gets_it(bucket: Place):
  first, *rest = (locks.lock(bucket, lease_s=_LEASE_S) for _ in range(5))
  assert first.take()
  _silence(first)
  taken: list = []
  until = time.monotonic() + 1.5 * _LEASE_S
  while time.monotonic() < until:
    taken += [lock for lock in rest if lock.take()]
    time.sleep(0.01)
  assert len(taken) == 1
  taken[0].release()

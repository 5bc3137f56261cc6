"""Files on disk and in a bucket: complete or not at all, and errors that say what to do."""

import dataclasses
import errno
import io
import os
import pathlib

import numpy as np
import pytest
from etils import epath
from memory_bucket import Bucket

from har_jax import storage
from har_jax.config import DEFAULT_WINDOWING
from har_jax.datasets import windows as store
from har_jax.errors import UserError
from har_jax.signal import cutting


def test_a_file_is_read_as_it_was_written(place):
  path = place / 'a' / 'b' / 'seed0.json'
  storage.write(path, {'target': 'pampã', 'x': [1, 2.5, None]})
  assert storage.read(path) == {'target': 'pampã', 'x': [1, 2.5, None]}
  assert [entry.name for entry in path.parent.iterdir()] == ['seed0.json']
  assert path.exists()
  assert not path.with_name('seed1.json').exists()


@pytest.mark.parametrize(
  ('platform', 'variables', 'folder'),
  [
    ('linux', {}, '~/.cache/har_jax'),
    ('darwin', {}, '~/Library/Caches/har_jax'),
    ('win32', {}, '~/AppData/Local/har_jax/cache'),
    ('win32', {'LOCALAPPDATA': '/local'}, '/local/har_jax/cache'),
    ('win32', {'LOCALAPPDATA': '/local', 'XDG_CACHE_HOME': '/other'}, '/other/har_jax'),
  ],
)
def test_caches_are_where_the_platform_has_them(platform, variables, folder, monkeypatch):
  monkeypatch.setattr(storage.sys, 'platform', platform)
  for name in ('LOCALAPPDATA', 'XDG_CACHE_HOME'):
    monkeypatch.setenv(name, variables.get(name, ''))
  assert storage.cache_folder() == pathlib.Path(folder).expanduser()


@pytest.mark.linux
def test_a_folder_that_cannot_be_written_is_found_before_it_is_needed(tmp_path):
  storage.check_writable(tmp_path / 'not' / 'there' / 'yet')
  assert os.listdir(tmp_path) == []
  (tmp_path / 'file').write_text('')
  for folder in (tmp_path / 'file', tmp_path / 'file' / 'out'):
    with pytest.raises(UserError, match=r'Not a directory; something else is in the way'):
      storage.check_writable(folder)
    with pytest.raises(UserError, match='something else is in the way: move it, or give another --out'):
      storage.write(folder / 'seed0.json', {})
  with pytest.raises(UserError, match='cannot write to /proc/out'):
    storage.check_writable(pathlib.Path('/proc/out'))


@pytest.mark.parametrize(
  ('number', 'words'),
  [
    (errno.ENOSPC, 'No space left on device; free some space'),
    (errno.EDQUOT, 'free some space'),
    (errno.EROFS, 'check the permissions'),
    (errno.EEXIST, 'something else is in the way'),
    (errno.ENAMETOOLONG, 'give another --out'),
  ],
)
def test_a_failed_write_leaves_the_old_file_and_its_advice_is_that_of_the_error(
  tmp_path, monkeypatch, number, words
):
  def fails(*_):
    raise OSError(number, os.strerror(number))

  path = tmp_path / 'seed0.json'
  storage.write(path, {'old': 1})
  monkeypatch.setattr(os, 'replace', fails)
  with pytest.raises(UserError, match=words) as raised:
    storage.write(path, {'new': 2})
  assert ('space' in str(raised.value)) == (number in (errno.ENOSPC, errno.EDQUOT))
  assert os.listdir(tmp_path) == ['seed0.json']
  assert storage.read(path) == {'old': 1}


@pytest.mark.parametrize(
  'text', ['', '{"a": 1', '{"a": NaN}', '[1]', '\udcff'.encode(errors='surrogateescape')]
)
def test_a_damaged_file_is_to_be_deleted(tmp_path, text):
  path = tmp_path / 'seed0.json'
  path.write_bytes(text.encode() if isinstance(text, str) else text)
  with pytest.raises(UserError, match='delete it to run again'):
    storage.read(path)


def test_what_no_card_is_is_neither_written_nor_parsed(tmp_path, monkeypatch):
  path = tmp_path / 'seed0.json'
  with pytest.raises(ValueError, match='not JSON compliant'):
    storage.write(path, {'score': float('nan')})
  path.write_text('{"x": "a card"}')
  monkeypatch.setattr(storage, '_MAX_CARD_BYTES', 15)
  assert storage.read(path) == {'x': 'a card'}
  monkeypatch.setattr(storage, '_MAX_CARD_BYTES', 14)
  with pytest.raises(UserError, match='it has 15 bytes, and a card at most 14'):
    storage.read(path)


def test_files_are_all_written_and_a_card_is_read_without_their_sums(place):
  card = storage.card({'target': 'hapt'}, {'a.bin': '1'})
  storage.write_files({place / 'a.bin': b'a', place / 'b.bin': b'b', place / 'card.json': card}, 'them')
  assert [(place / name).read_bytes() for name in ('a.bin', 'b.bin')] == [b'a', b'b']
  assert storage.read(place / 'card.json') == {'target': 'hapt'}


def test_a_file_is_no_folder_even_to_overwrite(tmp_path):
  storage.refuse_used(tmp_path, overwrite=False)  # it is empty
  (tmp_path / 'file').touch()
  with pytest.raises(UserError, match='file is a file: give a folder'):
    storage.refuse_used(tmp_path / 'file', overwrite=True)


def test_a_full_disk_is_found_before_it_is_needed(tmp_path, monkeypatch):
  class Full(io.BytesIO):
    def write(self, content):
      raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) if content else None

  monkeypatch.setattr(storage.tempfile, 'TemporaryFile', lambda dir: Full())
  with pytest.raises(UserError, match=r'cannot write to .*: No space left on device; free some space'):
    storage.check_writable(tmp_path)


def test_a_bucket_is_listed_anew_each_time(bucket, monkeypatch):
  forgotten = []
  monkeypatch.setattr(Bucket, 'invalidate_cache', lambda self, path=None: forgotten.append(path))
  for _ in range(2):
    storage.files_below(bucket, '*.json')
  assert len(forgotten) == 2


def test_a_local_path_stays_a_plain_path(tmp_path, bucket):
  assert isinstance(bucket, epath.Path)
  assert storage.place(str(tmp_path)) == tmp_path
  assert type(storage.place('results/lodo')) is type(pathlib.Path())


def test_a_refused_write_to_a_bucket_is_a_user_error(bucket, monkeypatch):
  def refuse(*_, **__):
    raise PermissionError('no')

  monkeypatch.setattr(Bucket, '_open', refuse)
  with pytest.raises(UserError, match=r'cannot write gs://bucket/out/seed0.json: no'):
    storage.write(bucket / 'seed0.json', {})


def test_an_unusable_bucket_is_refused_by_its_address(bucket, monkeypatch):
  with pytest.raises(UserError, match=r'ftp://host/out.*gs://'):
    storage.place('ftp://host/out')
  monkeypatch.setattr(Bucket, 'info', lambda *_: (_ for _ in ()).throw(RuntimeError('no credentials')))
  with pytest.raises(UserError, match=r'cannot be reached \(no credentials\); check your login'):
    storage.place('gs://bucket/out')
  monkeypatch.setattr(storage, '_DRIVERS', {'s3': 'no_such_driver'})
  with pytest.raises(UserError, match=r"needs no_such_driver: pip install 'har_jax\[s3\]'"):
    storage.place('s3://bucket/out')


def _windows(size: float) -> store.Windows:
  signal = np.full((128, 6), size, np.float32)
  window = cutting.Window(signal, 'walking', 'someone', 0, 0.0)
  return store.gather([window], {'archive': 'alpha', 'checksum': 'sum'}, DEFAULT_WINDOWING)


def test_windows_in_a_bucket_are_copied_again_when_they_change(bucket, tmp_path):
  windows = storage.place('gs://bucket/windows')
  with pytest.raises(UserError, match='gs://bucket/windows'):
    store.local(windows)
  store.save(_windows(1.0), windows / 'alpha')
  assert store.read_card(windows / 'alpha')[0].archive == 'alpha'
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

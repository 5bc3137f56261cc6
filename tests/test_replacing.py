"""Files and folders that appear at once: what a kill leaves, and what is never deleted."""

import contextlib
import errno
import os
import pathlib
import signal
import subprocess
import sys
import types

import pytest

from har_jax import replacing

_KILLED_AT = """
import os, pathlib, signal, sys
from har_jax import replacing

def die(*_):
  os.kill(os.getpid(), signal.SIGKILL)

folder, at = pathlib.Path(sys.argv[1]), sys.argv[2]
if at == 'file':
  os.replace = die
  replacing.write({folder / 'a.json': b'new'})
else:
  with replacing.folder(folder / 'w', ('a',)) as partial:
    (partial / 'a').write_text('new')
    if at == 'write':
      die()
    calls, rename = [], pathlib.Path.rename
    def count(path, target):
      calls.append(path)
      return die() if len(calls) == int(at) else rename(path, target)
    pathlib.Path.rename = count
"""


def _killed(folder: pathlib.Path, at: str) -> None:
  root = pathlib.Path(__file__).parents[1]
  died = subprocess.run(
    [sys.executable, '-c', _KILLED_AT, folder, at], env=os.environ | {'PYTHONPATH': str(root)}, check=False
  )
  assert died.returncode == -signal.SIGKILL


def _old_folder(tmp_path: pathlib.Path) -> pathlib.Path:
  (tmp_path / 'w').mkdir()
  (tmp_path / 'w' / 'a').write_text('old')
  (tmp_path / 'w' / 'notes.txt').write_text('mine')
  return tmp_path / 'w'


def _replace(folder: pathlib.Path) -> None:
  with replacing.folder(folder, ('a',)) as partial:
    (partial / 'a').write_text('newer')


@pytest.mark.linux
@pytest.mark.parametrize('write', [lambda path: replacing.write({path: b''}), _replace])
def test_an_interrupt_as_soon_as_a_temporary_file_is_made_leaves_none(tmp_path, monkeypatch, write):
  def interrupt(_: int) -> None:
    raise KeyboardInterrupt

  monkeypatch.setattr(replacing, '_lock', interrupt)
  with pytest.raises(KeyboardInterrupt):
    write(tmp_path / 'w')
  assert not list(tmp_path.iterdir())


@pytest.fixture
def as_windows(monkeypatch) -> None:
  """Windows has no locks of files, opens no folder, and neither renames nor deletes what is open."""
  opened: dict[int, str] = {}

  def open_file(path: pathlib.Path, flags: int) -> int:
    if path.is_dir():
      raise PermissionError(errno.EACCES, 'Permission denied', str(path))
    handle = os.open(path, flags)
    opened[handle] = str(path)
    return handle

  def close(handle: int) -> None:
    os.close(handle)
    del opened[handle]

  def refuse_open(name: str) -> None:
    done = getattr(os, name)

    def do(path: pathlib.Path, *more: object, **options: object) -> None:
      if str(path) in opened.values():
        raise PermissionError(errno.EACCES, 'The process cannot access the file', str(path))
      done(path, *more, **options)

    monkeypatch.setattr(os, name, do)

  for name in ('replace', 'rename', 'unlink'):
    refuse_open(name)
  monkeypatch.setattr(replacing, 'fcntl', None)
  windows = types.SimpleNamespace(**vars(os) | {'open': open_file, 'close': close})
  monkeypatch.setattr(replacing, 'os', windows)


@pytest.mark.usefixtures('as_windows')
def test_windows_replaces_files_and_folders_too(tmp_path):
  replacing.write({tmp_path / 'a.json': b'new'})
  replacing.write({tmp_path / 'a.json': b'newer'})
  folder = _old_folder(tmp_path)
  _replace(folder)
  assert (tmp_path / 'a.json').read_bytes() == b'newer'
  assert {path.name: path.read_text() for path in folder.iterdir()} == {'a': 'newer', 'notes.txt': 'mine'}
  with contextlib.suppress(ZeroDivisionError), replacing.folder(folder, ('a',)):
    raise ZeroDivisionError
  assert sorted(os.listdir(tmp_path)) == ['a.json', 'w']


@pytest.mark.parametrize('at', ['write', '1', '2', '3'])
@pytest.mark.linux
def test_the_next_writer_sweeps_what_a_killed_one_left_of_a_folder(tmp_path, at):
  folder = _old_folder(tmp_path)
  _killed(tmp_path, at)
  assert len(os.listdir(tmp_path)) == 2
  _replace(folder)
  assert os.listdir(tmp_path) == ['w']
  assert {path.name: path.read_text() for path in folder.iterdir()} == {'a': 'newer', 'notes.txt': 'mine'}


@pytest.mark.linux
def test_an_old_folder_returns_where_a_killed_writer_had_moved_it_away(tmp_path):
  folder = _old_folder(tmp_path)
  _killed(tmp_path, '2')
  assert not folder.exists()
  with contextlib.suppress(ZeroDivisionError), replacing.folder(folder, ('a',)):
    assert (folder / 'a').read_text() == 'old'
    raise ZeroDivisionError
  assert os.listdir(tmp_path) == ['w']
  assert (folder / 'a').read_text() == 'old'


@pytest.mark.linux
def test_the_next_writer_sweeps_what_a_killed_one_left_of_a_file(tmp_path):
  _killed(tmp_path, 'file')
  for name in ('b.json', 'a-json'):
    (tmp_path / f'.{name}.0123abcd.partial').write_text('of another file')
  (tmp_path / '.a.json.17.partial').write_text('of a process with the same number')
  replacing.write({tmp_path / 'a.json': b'newer'})
  others = ['.a-json.0123abcd.partial', '.b.json.0123abcd.partial']
  assert sorted(os.listdir(tmp_path)) == [*others, 'a.json']
  assert (tmp_path / 'a.json').read_bytes() == b'newer'


def test_what_a_living_writer_holds_is_left_alone(tmp_path):
  folder = _old_folder(tmp_path)
  with replacing.folder(folder, ('a',)) as first:
    (first / 'a').write_text('first')
    _replace(folder)
    assert first.exists()
  assert {path.name: path.read_text() for path in folder.iterdir()} == {'a': 'first', 'notes.txt': 'mine'}
  assert os.listdir(tmp_path) == ['w']


def test_a_file_of_the_users_is_not_put_over_a_new_one_of_its_name(tmp_path):
  folder = _old_folder(tmp_path)
  with replacing.folder(folder, ('a',)) as partial:
    (partial / 'notes.txt').write_text('new')
  (left,) = tmp_path.glob('.w.*.replaced')
  assert [(kept / 'notes.txt').read_text() for kept in (folder, left)] == ['new', 'mine']


def test_a_file_system_that_refuses_every_lock_is_written_to(tmp_path, monkeypatch):
  monkeypatch.setattr(replacing, '_lock', lambda handle: False)
  folder = _old_folder(tmp_path)
  _replace(folder)
  replacing.write({tmp_path / 'a.json': b'1'})
  assert sorted(os.listdir(tmp_path)) == ['a.json', 'w']
  assert (folder / 'a').read_text() == 'newer'


@pytest.mark.linux
def test_without_locks_of_files_what_is_left_is_swept(tmp_path, monkeypatch):
  def refuse(*_: object) -> None:
    raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

  monkeypatch.setattr(replacing.fcntl, 'flock', refuse)
  (tmp_path / '.a.json.0123abcd.partial').touch()
  replacing.write({tmp_path / 'a.json': b'1'})
  assert os.listdir(tmp_path) == ['a.json']


@pytest.mark.linux
def test_files_appear_in_their_order_and_none_stays_open(tmp_path, monkeypatch):
  renamed, replace = [], os.replace

  def count(partial: pathlib.Path, target: pathlib.Path) -> None:
    renamed.append(target.name)
    replace(partial, target)

  monkeypatch.setattr(os, 'replace', count)
  opened = len(os.listdir('/proc/self/fd'))
  replacing.write({tmp_path / name: b'' for name in ('weights', 'arrays', 'card.json')})
  assert renamed == ['weights', 'arrays', 'card.json']
  assert len(os.listdir('/proc/self/fd')) == opened


def test_links_are_followed(tmp_path):
  folder = _old_folder(tmp_path)
  (tmp_path / 'link').symlink_to(folder)
  (tmp_path / 'link.txt').symlink_to(folder / 'notes.txt')
  _replace(tmp_path / 'link')
  replacing.write({tmp_path / 'link.txt': b'newer'})
  assert (tmp_path / 'link').is_symlink()
  assert (tmp_path / 'link.txt').is_symlink()
  assert {path.name: path.read_text() for path in folder.iterdir()} == {'a': 'newer', 'notes.txt': 'newer'}


def test_files_are_written_all_or_none(tmp_path):
  (tmp_path / 'b').mkdir()
  (tmp_path / 'b' / 'in the way').write_text('')
  replacing.write({tmp_path / 'a': b'1', tmp_path / 'c': b'2'})
  with pytest.raises(OSError, match='exist'):
    replacing.write({tmp_path / 'c': b'3', tmp_path / 'a' / 'under a file': b''})
  assert sorted(os.listdir(tmp_path)) == ['a', 'b', 'c']
  assert (tmp_path / 'c').read_bytes() == b'2'

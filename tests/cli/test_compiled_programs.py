"""Compiled programs in the user's cache folder: where, and what becomes of damaged ones."""

import os
import pathlib
import subprocess
import sys
import warnings

import pytest

from har_jax.cli.compiled_programs import keep

_PROGRAM = """
from har_jax.cli.compiled_programs import keep
with keep():
  import jax
  print(jax.jit(lambda x: x + 1)(1.5))
"""


@pytest.fixture
def folder(tmp_path, monkeypatch) -> pathlib.Path:
  """The folder that a user's command takes, who has set nothing."""
  for name in [name for name in os.environ if name.startswith('JAX_')]:
    monkeypatch.delenv(name)
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  return tmp_path / 'har_jax' / 'programs'


def test_a_command_keeps_programs_in_the_users_cache_folder_and_leaves_the_environment(folder):
  before = dict(os.environ)
  with keep():
    assert os.environ['JAX_COMPILATION_CACHE_DIR'] == str(folder)
    assert int(os.environ['JAX_COMPILATION_CACHE_MAX_SIZE']) > 0
    assert os.name == 'nt' or folder.stat().st_mode & 0o777 == 0o700  # programs are run: nobody else writes
  assert dict(os.environ) == before


@pytest.mark.parametrize('reason', ['the user has a folder', 'no folder can be made'])
def test_nothing_is_kept_where(folder, monkeypatch, reason):
  if reason == 'the user has a folder':
    monkeypatch.setenv('JAX_COMPILATION_CACHE_DIR', 'mine')
  else:
    folder.parent.write_text('a file')
  before = dict(os.environ)
  with keep():
    assert dict(os.environ) == before
  assert not folder.exists()


def test_what_the_user_has_set_stays(folder, monkeypatch):
  monkeypatch.setenv('JAX_COMPILATION_CACHE_MAX_SIZE', '7')
  before = dict(os.environ)
  with keep():
    assert os.environ['JAX_COMPILATION_CACHE_MAX_SIZE'] == '7'
  assert dict(os.environ) == before


def test_what_a_killed_process_left_is_deleted(folder):
  folder.mkdir(parents=True)
  for name in ('whole-cache', 'whole-atime', 'killed-cache'):
    (folder / name).write_text('')
  with keep():
    assert {path.name for path in folder.iterdir()} - {'.lockfile'} == {'whole-cache', 'whole-atime'}


def test_other_warnings_are_shown(folder):
  with pytest.warns(UserWarning, match='another'), keep():
    warnings.warn('another', stacklevel=1)


@pytest.mark.slow
def test_a_damaged_program_is_compiled_again_and_deleted(folder):
  environment = os.environ | {
    'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0',
    'JAX_PLATFORMS': 'cpu',
    'PYTHONPATH': os.pathsep.join(sys.path),
  }

  def run() -> tuple[str, str]:
    done = subprocess.run(
      [sys.executable, '-c', _PROGRAM], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout, done.stderr

  assert run() == ('2.5\n', '')
  whole = {path.name: path.read_bytes() for path in folder.glob('*-cache')}
  assert whole
  for path in folder.glob('*-cache'):
    path.write_bytes(path.read_bytes()[:-100])
  assert run() == ('2.5\n', '')
  assert {path.name for path in folder.iterdir()} == {'.lockfile'}  # the next run keeps them again

"""The walks in docs/: each command, in the order in which a reader meets them."""

import os
import pathlib
import shlex
import subprocess
import sys

import pytest

_ROOT = pathlib.Path(__file__).parents[1]
_WALKS = ('reproduce', 'adapt', 'export')  # each goes on from what the one before left


def _commands(walk: str) -> list[str]:
  """Those that a reader can run as they stand: indented. What needs an archive or a package is fenced."""
  text = (_ROOT / 'docs' / f'{walk}.md').read_text(encoding='utf-8')
  return [line.strip() for line in text.splitlines() if line.startswith('    .venv/bin/python ')]


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  """As a clone of the project, in which what is made stays apart."""
  clone = tmp_path_factory.mktemp('clone')
  for name in ('docs', 'launch', 'har_jax'):
    (clone / name).symlink_to(_ROOT / name)
  return clone


@pytest.mark.parametrize(
  ('walk', 'command'), [(walk, command) for walk in _WALKS for command in _commands(walk)]
)
def test_a_command_of_a_walk_does_what_it_says(walk: str, command: str, folder: pathlib.Path):
  words = [sys.executable if word == '.venv/bin/python' else word for word in shlex.split(command)]
  done = subprocess.run(
    words,
    cwd=folder,
    env=os.environ | {'PYTHONPATH': str(folder), 'JAX_PLATFORMS': 'cpu'},
    capture_output=True,
    encoding='utf-8',
  )
  assert done.returncode == 0, done.stderr[-2000:]
  out = next((word.partition('=')[2] for word in words if word.startswith('--out=')), None)
  assert done.stdout
  assert out is None or (folder / out).exists()


def test_every_walk_has_commands_and_the_readme_names_it():
  readme = (_ROOT / 'README.md').read_text(encoding='utf-8')
  for walk in _WALKS:
    assert _commands(walk)
    assert f'docs/{walk}.md' in readme

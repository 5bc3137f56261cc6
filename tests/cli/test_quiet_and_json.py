"""--quiet and --json: what goes to which stream."""

import inspect
import io
import json
import os
import pathlib
import sys
import types

import numpy as np
import pytest

from har_jax.cli import command, main
from har_jax.errors import UserError


def _module(*, fails: bool = False) -> types.ModuleType:
  """A command that prints, warns, and returns a result or fails."""
  module = types.ModuleType('toy', 'Do something.')

  def run() -> dict:
    print('a table')
    print('warning: much', file=sys.stderr)
    if fails:
      raise UserError('broken')
    bars = [os.environ.get('TQDM_DISABLE'), module.FLAGS['progress'].value]
    return {'out': pathlib.Path('a'), 'score': np.float32(0.5), 'bars': bars}

  module.main = run  # type: ignore[attr-defined]
  module.FLAGS, define = command.new_flags(with_json=True)  # type: ignore[attr-defined]
  define('progress', True)
  return module


@pytest.mark.parametrize(
  ('arguments', 'out', 'err'),
  [
    ([], 'a table\n', 'warning: much\n'),
    (['--quiet'], '', 'warning: much\n'),
    (['--json'], {'out': 'a', 'score': 0.5, 'bars': [None, True]}, 'a table\nwarning: much\n'),
    (['--quiet', '--json'], {'out': 'a', 'score': 0.5, 'bars': ['1', False]}, 'warning: much\n'),
  ],
)
def test_results_warnings_and_the_object_go_to_their_streams(arguments, out, err, capsys):
  assert command.run(_module(), arguments) == 0
  printed = capsys.readouterr()
  assert (json.loads(printed.out) if isinstance(out, dict) else printed.out) == out
  assert printed.err == err
  assert 'TQDM_DISABLE' not in os.environ


def test_a_letter_that_the_terminal_lacks_is_replaced(monkeypatch):
  printed = io.BytesIO()
  monkeypatch.setattr(sys, 'stdout', io.TextIOWrapper(printed, 'ascii', write_through=True))
  module = _module()
  module.main = lambda: print('±')  # type: ignore[attr-defined]
  assert command.run(module, []) == 0
  assert printed.getvalue() == b'?\n'


def test_an_error_leaves_the_standard_output_empty(capsys):
  assert command.run(_module(fails=True), ['--json']) == 1
  printed = capsys.readouterr()
  assert printed.out == ''
  assert printed.err.splitlines()[-1] == 'error: broken'


@pytest.mark.parametrize('name', main.COMMANDS)
def test_every_command_has_quiet_and_those_with_a_result_have_json(name):
  module = main.load(name)
  has_result = inspect.signature(module.main).return_annotation is not None
  assert ('quiet' in module.FLAGS, 'json' in module.FLAGS) == (True, has_result)

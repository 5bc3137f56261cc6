"""Faults of a file, the tests that are chosen for them, and a whole run on a tiny package."""

import ast
import os
import pathlib
import shutil
import signal
import subprocess
import sys

import mutants
import outcomes
import pytest
from faults import Fault, faults

_SOURCE = '''
"""A docstring."""
import os

LIMIT = 3


def clipped(value: float, low: float = 0.0) -> float:
  """Between the limits."""
  if value > LIMIT and not low:
    raise ValueError(f'{value + 1} is too large')
  return max(low, -value) + pow(value, low, key='abs', strict=True)


__all__ = ['clipped']
Kind = Literal['clipped']
if TYPE_CHECKING:
  import typing
'''
_POWER = "pow(value, low, key='abs', strict=True)"
_CHANGES = [
  '3 → 4',
  '0.0 → 1.0',
  'value > LIMIT and not low → (value > LIMIT or not low)',
  'value > LIMIT and not low → (not (value > LIMIT and (not low)))',
  'value > LIMIT → (value >= LIMIT)',
  'value → low',
  'not low → low',
  'low → value',
  f'max(low, -value) + {_POWER} → (max(low, -value) - {_POWER})',
  'low → value',
  '-value → value',
  'value → low',
  f'{_POWER} → pow(value, low, strict=True)',
  f"{_POWER} → pow(low, value, key='abs', strict=True)",
  'value → low',
  'low → value',
  "'abs' → 'abs_'",
]


def test_a_fault_changes_one_operator_constant_comparison_argument_or_name():
  made = faults(_SOURCE, 'a.py')
  assert sorted(fault.change for fault in made) == sorted(_CHANGES)
  for fault in made:
    changed = fault.put_into(_SOURCE)
    assert changed != _SOURCE
    ast.parse(changed)


def test_equal_arguments_are_not_swapped_and_no_check_is_left_out():
  source = 'clipped(LIMIT, LIMIT)\nclass Card(Struct, kw_only=True):\n  pass\n'
  assert faults(source, 'a.py') == []


@pytest.mark.parametrize('line', [5, 9, 10, 11])  # the first is in no function, the second runs at import
def test_tests_that_reach_the_line_come_first_then_others_of_their_files(line, tmp_path, monkeypatch):
  (tmp_path / 'a.py').write_text(_SOURCE)
  monkeypatch.setattr(mutants, 'ROOT', tmp_path)
  seconds = {
    't/test_a.py::slow': 3.0,
    't/test_a.py::fast': 1.0,
    't/test_b.py::other': 0.0,
    't/test_a.py::x': 99,
  }
  both = ['t/test_a.py::slow', 't/test_a.py::fast']
  reached = {'a.py': {5: ['t/test_a.py::slow'], 9: [], 10: ['t/test_a.py::slow'], 11: both}}
  map_ = mutants.Map(seconds, reached, {'a.py': mutants._checksum('a.py')})
  chosen = map_.tests(Fault('a.py', line, line, line, 0, 1, 'a', 'b'))
  assert chosen == (both if line == 10 else both[::-1])  # x takes too long
  assert map_.tests(Fault('a.py', 12, 12, 12, 0, 1, 'a', 'b')) == []  # it never runs
  assert map_.tests(Fault('b.py', 1, 1, 1, 0, 1, 'a', 'b')) == []


def test_tests_of_the_files_own_room_come_before_faster_ones(tmp_path, monkeypatch):
  path = 'har_jax/room/part/a.py'
  (tmp_path / path).parent.mkdir(parents=True)
  (tmp_path / path).write_text(_SOURCE)
  monkeypatch.setattr(mutants, 'ROOT', tmp_path)
  seconds = {'tests/other/test_a.py::fast': 0.0, 'tests/room/test_a.py::slow': 3.0}
  map_ = mutants.Map(seconds, {path: {1: [*seconds]}}, {path: ''})
  chosen = map_.tests(Fault(path, 1, 1, 1, 0, 1, 'a', 'b'))
  assert chosen == ['tests/room/test_a.py::slow', 'tests/other/test_a.py::fast']


def test_a_larger_sample_begins_with_the_smaller_and_has_few_names(tmp_path, monkeypatch):
  (tmp_path / 'a.py').write_text(_SOURCE)
  monkeypatch.setattr(mutants, 'ROOT', tmp_path)
  small, large = (mutants.sample(['a.py'], count, 0) for count in (6, 99))
  assert large[:6] == small
  assert sorted(large, key=str) == sorted(faults(_SOURCE, 'a.py'), key=str)
  assert mutants.sample(['a.py'], 6, 1) != small
  assert sum(fault.is_name for fault in large[:10]) == 2


def test_each_equivalent_is_one_fault_of_its_file(monkeypatch):
  monkeypatch.chdir(pathlib.Path(__file__).parents[2])
  for path, entry in outcomes.equivalents():
    made = faults(pathlib.Path(path).read_text(), path)
    assert sum(outcomes.names(path, entry, fault) for fault in made) == 1, entry


def test_a_process_that_waits_forever_ends_as_one_that_takes_too_long(monkeypatch):
  ended, taken = [], iter([0.0, 2.0, 2.5])
  monkeypatch.setattr(mutants.os, 'times', lambda: (next(taken), 0, 0, 0, 99))
  monkeypatch.setattr(mutants.os, 'kill', lambda process, number: ended.append((process, number)))
  monkeypatch.setattr(mutants, '_IDLE_S', 0.0)
  mutants.end_if_idle()
  assert ended == [(os.getpid(), signal.SIGXCPU)]
  assert next(taken, None) is None


@pytest.mark.slow
def test_a_run_lists_what_no_test_sees_and_goes_on_where_it_was_stopped(tmp_path):
  pytest.importorskip('coverage')
  files = {
    'har_jax/__init__.py': '',
    'har_jax/signs.py': 'def is_large(value):\n  return value > 2 + 1\n\n\ndef unused():\n  return 1\n',
    'tests/test_signs.py': 'from har_jax.signs import is_large\n\n\ndef test_large():\n  assert is_large(9)\n'
    '  assert not is_large(2)\n\n\ndef test_broken():\n  assert False\n'  # which is left out
    # So this one fails whenever a fault is tried, and says nothing of it.
    '\n\ndef test_with_others(request):\n  assert len(request.session.items) > 2 and is_large(9)\n',
    'pyproject.toml': '[tool.pytest.ini_options]\n',
  }
  for name, text in files.items():
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text)
  subprocess.run(['git', 'init', '-q'], cwd=tmp_path, check=True)

  def run(*arguments: str) -> list[str]:
    command = [sys.executable, mutants.__file__, '--jobs=1', f'--out={tmp_path}/out', *arguments]
    printed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    return printed.splitlines()

  first, whole = run('--sample=2'), run('--sample=99')
  tried = [line for line in (*first, *whole) if line.startswith(('killed: ', 'survived: ', 'unreached: '))]
  assert len(set(tried)) == len(tried) == 5
  assert 'killed: har_jax/signs.py:2: 2 + 1 → (2 - 1)' in tried
  assert 'unreached: har_jax/signs.py:6: 1 → 2' in tried
  assert '| signs.py | 5 | 1 (20%) | 1 (20%) | 85 % |' in whole
  assert '- har_jax/signs.py:2: `value > 2 + 1 → (value >= 2 + 1)` (survived)' in whole
  with (tmp_path / 'tests/test_signs.py').open('a') as file:
    file.write('\n\ndef test_limit():\n  assert not is_large(3)\n')
  shutil.rmtree(tmp_path / 'out' / 'maps')
  again = run('--sample=99', '--again')
  assert '| signs.py | 5 | 1 (20%) | 2 (40%) | 85 % |' in again
  assert not any('2 + 1 → (2 - 1)' in line for line in again)

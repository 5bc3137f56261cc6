"""Every example in a docstring of the package runs as pasted, in fresh globals."""

import doctest
import importlib
import pathlib

import pytest

_ROOT = pathlib.Path(__file__).parents[1]
_MODULES = [
  '.'.join(path.relative_to(_ROOT).with_suffix('').parts)
  for path in sorted((_ROOT / 'har_jax').rglob('*.py'))
  if '>>> ' in path.read_text(encoding='utf-8')
]


@pytest.mark.slow
@pytest.mark.parametrize('module', _MODULES)
def test_examples_of_docstrings_run_in_fresh_globals(module: str):
  # Not doctest.testmod: its globals are the module's, where a forgotten import is not noticed.
  tests = doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(module), globs={})
  runner = doctest.DocTestRunner()
  for test in tests:
    runner.run(test)
  assert runner.tries > 0
  assert runner.failures == 0


def test_the_recognizer_has_an_example():
  assert 'har_jax.inference.recognizer' in _MODULES

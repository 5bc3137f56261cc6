"""The project uses the words of the field, and no coined ones, for what it names."""

import ast
import pathlib
import re
from collections.abc import Iterator

import pytest

_ROOT = pathlib.Path(__file__).parents[1]
_COINED = (
  '[Kk]nobs?',
  '[Ll]evers',
  'unlabell?ed_steps',
  'source_label_steps',
  'contrast_steps',
  'contrasted',
  'test_shifts',
  'finetune_(rotation|roll)',
  'model_(descriptors|deviations|spectrum|described)',
  '_?Sitting',
  'goes_on',
  'leaders_word',
  'over_all_devices',
  'refuse_uneven',
  'LOOKALIKES',
  'WEIGHTLESS',
  'told',
  'nought',
  'heeded',
  'strangers?',
)
_BRITISH = (
  'labelled(?!by)',  # aria-labelledby is HTML
  'normalis',
  'behaviour',
  'neighbour',
  'quantis',
  'recognis',
  'favour',
  'colour',
)
_OF_THE_FIELD = (
  'test-time augmentation',
  'contrastive pretraining',
  'supervised pretraining',
  'hyperparameter',
  'linear probe',
  'frozen-encoder probe',
  'task-adaptive',
  'domain-adaptive',
  'subject-wise',
  'window-wise',
  'pseudo-label',
)
# First words of a fragment: a sentence that begins so has neither a subject nor a verb in front.
_FRAGMENT = re.compile(
  '(Of|Those|That|Whose|Which|Whether|How|By|With|Without|Within|As|Where|When|While|Until|From|For|In|Into|On|At|'
  'Around|About|Over|Under|Per|After|Before|If|Through|Between|Against|To|Like|Also|And|Or|But|Because|So|Such|'
  'Always|Both|Some|Several|Evenly|Rounded)\\b'
)
_CODE = ('har_jax/**/*.py', 'launch/**/*.py', 'docs/studies/*.py')


def _files() -> list[pathlib.Path]:
  patterns = (
    'README.md',
    'BUILD.md',
    'docs/**/*',
    'har_jax/**/*.py',
    'launch/**/*',
    'Makefile',
    'pyproject.toml',
  )
  return sorted(path for pattern in patterns for path in _ROOT.glob(pattern) if path.suffix != '.pyc')


@pytest.fixture(scope='module')
def texts() -> dict[str, str]:
  return {
    str(path.relative_to(_ROOT)): path.read_text(encoding='utf-8') for path in _files() if path.is_file()
  }


def _found(pattern: str, texts: dict[str, str]) -> list[str]:
  """File and line of each match."""
  lines = [
    (f'{file}:{number}', line)
    for file, text in texts.items()
    for number, line in enumerate(text.splitlines(), start=1)
  ]
  return [where for where, line in lines if re.search(pattern, line)]


def _definitions() -> Iterator[tuple[str, ast.Module | ast.ClassDef | ast.FunctionDef]]:
  """File and line, and the node of each module, class and function."""
  for path in sorted(path for pattern in _CODE for path in _ROOT.glob(pattern)):
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
      if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
        yield f'{path.relative_to(_ROOT)}:{getattr(node, "lineno", 1)}', node


def test_a_docstring_begins_with_a_subject_or_a_verb():
  docstrings = {where: ast.get_docstring(node) or '' for where, node in _definitions()}
  assert len(docstrings) > 1000
  assert [f'{where}: {text[:60]}' for where, text in docstrings.items() if _FRAGMENT.match(text)] == []


def test_no_function_is_named_after_what_it_is_of():
  functions = {where: node.name for where, node in _definitions() if isinstance(node, ast.FunctionDef)}
  assert [f'{where}: {name}' for where, name in functions.items() if re.match('_?of(_|$)', name)] == []


@pytest.mark.parametrize('word', _COINED)
def test_a_coined_word_is_gone(word: str, texts: dict[str, str]):
  assert not _found(rf'(?<![A-Za-z0-9_]){word}(?![A-Za-z0-9_])', texts)


@pytest.mark.parametrize('word', _BRITISH)
def test_spelling_is_american(word: str, texts: dict[str, str]):
  assert not _found(f'(?i){word}', texts)


@pytest.mark.parametrize('word', _OF_THE_FIELD)
def test_a_word_of_the_field_is_found(word: str, texts: dict[str, str]):
  pattern = re.compile(re.escape(word).replace(r'\ ', r'\s+'), re.IGNORECASE)
  assert [file for file, text in texts.items() if pattern.search(text)]

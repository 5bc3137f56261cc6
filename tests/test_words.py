"""The project uses the words of the field, and no coined ones, for what it names."""

import ast
import functools
import pathlib
import re
import tokenize
from collections.abc import Iterator

import pytest

from har_jax.cli import main

_ROOT = pathlib.Path(__file__).parents[1]
_COINED = (
  *('[Kk]nobs?', '[Ll]evers', 'unlabell?ed_steps', 'source_label_steps', 'contrast_steps', 'contrasted'),
  *('test_shifts', 'finetune_(rotation|roll)', 'model_(descriptors|deviations|spectrum|described)'),
  *('_?Sitting', 'goes_on', 'leaders_word', 'over_all_devices', 'refuse_uneven', 'LOOKALIKES'),
  *('WEIGHTLESS', 'told', 'nought', 'heeded', 'strangers?'),
)
# Not aria-labelledby, which is HTML.
_BRITISH = (
  *('labelled(?!by)', 'normalis', 'behaviour', 'neighbour', 'quantis', 'recognis', 'favour', 'colour'),
)
_OF_THE_FIELD = (
  *('test-time augmentation', 'contrastive pretraining', 'supervised pretraining', 'hyperparameter'),
  *('linear probe', 'frozen-encoder probe', 'task-adaptive', 'domain-adaptive', 'subject-wise'),
  *('window-wise', 'pseudo-label'),
)
# First words of a fragment: a sentence that begins so has neither a subject nor a verb in front.
_FRAGMENT = re.compile(
  '(Of|Those|That|Whose|Which|Whether|How|By|With|Without|Within|As|Where|When|While|Until|From|For|In|Into|On|At|'
  'Around|About|Over|Under|Per|After|Before|If|Through|Between|Against|To|Like|Also|And|Or|But|Because|So|Such|'
  'Always|Both|Some|Several|Evenly|Rounded)\\b'
)
_CODE = ('har_jax/**/*.py', 'launch/**/*.py', 'docs/**/*.py')


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
  return sorted(
    path for pattern in patterns for path in _ROOT.glob(pattern) if path.suffix not in ('.pyc', '.png')
  )


@pytest.fixture(scope='module')
def texts() -> dict[str, str]:
  return {
    path.relative_to(_ROOT).as_posix(): path.read_text(encoding='utf-8')
    for path in _files()
    if path.is_file()
  }


def _find_lines(pattern: str, texts: dict[str, str]) -> list[str]:
  """File and line of each match."""
  return [
    f'{file}:{text.count(chr(10), 0, match.start()) + 1}'
    for file, text in texts.items()
    for match in re.finditer(pattern, text)
  ]


def _code() -> list[pathlib.Path]:
  return sorted(path for pattern in _CODE for path in _ROOT.glob(pattern))


@functools.cache
def _nodes() -> list[tuple[str, ast.AST]]:
  """File and line, and each node of the code."""
  trees = ((path, ast.parse(path.read_text(encoding='utf-8'))) for path in _code())
  return [
    (f'{path.relative_to(_ROOT)}:{getattr(node, "lineno", 1)}', node)
    for path, tree in trees
    for node in ast.walk(tree)
  ]


def _docstrings() -> list[tuple[str, str]]:
  kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
  return [(where, ast.get_docstring(node) or '') for where, node in _nodes() if isinstance(node, kinds)]


def test_a_docstring_begins_with_a_subject_or_a_verb():
  docstrings = _docstrings()
  assert len(docstrings) > 1000
  assert [f'{where}: {text[:60]}' for where, text in docstrings if _FRAGMENT.match(text)] == []


def test_no_function_is_named_after_what_it_is_of():
  functions = {where: node.name for where, node in _nodes() if isinstance(node, ast.FunctionDef)}
  assert [f'{where}: {name}' for where, name in functions.items() if re.match('_?of(_|$)', name)] == []


def _comments(path: pathlib.Path) -> Iterator[tuple[str, str]]:
  """File and line, and the text of each comment; lines of comments below each other are one."""
  lines = path.read_text(encoding='utf-8').splitlines()
  with tokenize.open(path) as file:
    comments = [token for token in tokenize.generate_tokens(file.readline) if token.type == tokenize.COMMENT]
  joined: list[tuple[int, int, str]] = []  # the last line, its column, and the text
  for token in comments:
    number, column = token.start
    if joined and joined[-1][:2] == (number - 1, column) and not lines[number - 1][:column].strip():
      text = f'{joined.pop()[2]} {token.string[1:].strip()}'
    else:
      text = token.string[1:].strip()
    joined.append((number, column, text))
  yield from ((f'{path.relative_to(_ROOT)}:{number}', text) for number, _, text in joined)


def _help_texts() -> Iterator[tuple[str, str]]:
  for name in main.COMMANDS:
    flags = main.load(name).FLAGS
    yield from ((f'{name} --{flag}', flags[flag].help) for flag in flags)


def _messages() -> Iterator[tuple[str, str]]:
  """File and line, and the text of each error and warning; a value in it is one word."""
  for where, node in _nodes():
    if isinstance(node, ast.Call) and node.args and ast.unparse(node.func).endswith(('Error', '.warning')):
      parts = getattr(node.args[0], 'values', [node.args[0]])
      texts = (str(part.value) if isinstance(part, ast.Constant) else 'X' for part in parts)
      yield where, ''.join(texts)


def _pages() -> Iterator[tuple[str, str]]:
  """Pages of documentation, without code and addresses; an item of a list or a cell is a paragraph."""
  for path in (*_ROOT.glob('*.md'), *_ROOT.glob('docs/**/*.md'), _ROOT / 'tests/README.md'):
    text = re.sub(r'```.*?```|^    .*?$|\]\(.*?\)', '', path.read_text(encoding='utf-8'), flags=re.S | re.M)
    yield path.relative_to(_ROOT).as_posix(), re.sub(r'\||^ *([-*]|\d+\.) ', '\n\n', text, flags=re.M)


def test_a_sentence_has_25_words_or_fewer():
  comments = [entry for path in _code() for entry in _comments(path)]
  long = [
    f'{where}: {sentence}'
    for where, text in [*_docstrings(), *comments, *_help_texts(), *_messages(), *_pages()]
    for paragraph in re.split(r'\n\s*\n|\n(?=.*\S {2,}\S)|\n(?=Parameters|Attributes|Examples| *>>>)', text)
    for sentence in re.split(r'[.!?;:]\s', paragraph)
    if len(re.findall(r'[^\s(]*\w\S*', sentence)) > 25
  ]
  assert len(comments) > 900
  assert long == []


@pytest.mark.parametrize('word', _COINED)
def test_a_coined_word_is_gone(word, texts):
  assert not _find_lines(rf'(?<![A-Za-z0-9_]){word}(?![A-Za-z0-9_])', texts)


@pytest.mark.parametrize('word', _BRITISH)
def test_spelling_is_american(word, texts):
  assert not _find_lines(f'(?i){word}', texts)


@pytest.mark.parametrize('word', _OF_THE_FIELD)
def test_a_word_of_the_field_is_found(word, texts):
  pattern = re.compile(re.escape(word).replace(r'\ ', r'\s+'), re.IGNORECASE)
  assert [file for file, text in texts.items() if pattern.search(text)]

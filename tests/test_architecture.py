"""The house keeps its order: who imports whom, who reads flags, and no hyperparameter without a reader."""

import ast
import dataclasses
import pathlib
import re
from collections.abc import Iterator

import pytest

from har_jax import config

_ROOT = pathlib.Path(__file__).parents[1]
_PACKAGE = _ROOT / 'har_jax'
_FILES = sorted(path for path in _PACKAGE.rglob('*.py') if path.parent != _PACKAGE or '__' not in path.name)


def _rooms_of_the_map() -> list[str]:
  """The rooms in the table of BUILD.md, lowest first: the one place that states the order."""
  table = (_ROOT / 'BUILD.md').read_text(encoding='utf-8').partition('## Map')[2].partition('\n\nNext to')[0]
  return re.findall(r'^\| `(\w+)` \|', table, flags=re.M)


_ROOMS = _rooms_of_the_map()
_WITHOUT_JAX = (
  *('storage', 'locks', 'results', 'signal', 'recordings', 'archives', 'datasets'),
  *('baselines', 'report'),
)


def _room(path: pathlib.Path) -> str:
  return path.relative_to(_PACKAGE).parts[0].removesuffix('.py')


def _imports(path: pathlib.Path) -> Iterator[str]:
  """Dotted names of all imports of a file, including those within functions: 'har_jax.datasets.windows'."""
  for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
    if isinstance(node, ast.Import):
      yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
      assert node.level == 0, f'{path}: a relative import; write the full name'
      yield from (f'{node.module}.{alias.name}' for alias in node.names)


def _id(path: pathlib.Path) -> str:
  return path.relative_to(_ROOT).as_posix()


def test_the_map_lists_every_room_once():
  assert sorted(_ROOMS) == sorted({_room(path) for path in _FILES})


@pytest.mark.parametrize('path', _FILES, ids=_id)
def test_a_room_imports_from_lower_rooms_only(path):
  level = _ROOMS.index(_room(path))
  ours = {name for name in _imports(path) if name.startswith('har_jax.')} - {
    'har_jax.__version__',
    'har_jax.Recognizer',
  }
  assert not {name for name in ours if _ROOMS.index(name.split('.')[1]) > level}


@pytest.mark.parametrize('path', [path for path in _FILES if _room(path) != 'cli'], ids=_id)
def test_only_the_command_line_reads_flags(path):
  assert not [name for name in _imports(path) if name.startswith(('absl.flags', 'absl.app'))]


def test_the_package_needs_no_script_next_to_it():
  assert not [name for path in _FILES for name in _imports(path) if name.startswith('launch')]


@pytest.mark.parametrize(
  'path',
  [path for path in _FILES if _room(path) in _WITHOUT_JAX],
  ids=_id,
)
def test_data_baselines_and_report_import_no_jax(path):
  banned = ('jax', 'jaxlib', 'flax', 'optax', 'orbax')
  assert not [name for name in _imports(path) if name.split('.')[0] in banned]


def test_methods_need_no_model():
  names = [name for path in _FILES if _room(path) == 'methods' for name in _imports(path)]
  assert not [name for name in names if name.startswith('har_jax.model')]


def _reads(path: pathlib.Path) -> Iterator[tuple[str, str]]:
  """(holder, name) of every attribute read: ('protocol', 'split') of spec.experiment.protocol.split."""
  for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
      if isinstance(node.value, ast.Name):
        yield node.value.id, node.attr
      elif isinstance(node.value, ast.Attribute):
        yield node.value.attr, node.attr


_HOLDERS: dict[type, tuple[str, ...]] = {
  config.Experiment: ('experiment',),
  config.Model: ('model',),
  config.Lora: ('lora',),
  config.Methods: ('methods',),
  config.Precision: ('precision',),
  config.Protocol: ('protocol',),
  config.Training: ('training', 'pretrain', 'finetune'),
}


@pytest.fixture(scope='module')
def read_outside_config() -> set[tuple[str, str]]:
  return {read for path in _FILES if _room(path) != 'config' for read in _reads(path)}


@pytest.mark.parametrize(
  ('cls', 'name'), [(cls, field.name) for cls in _HOLDERS for field in dataclasses.fields(cls)]
)
def test_every_hyperparameter_is_read(read_outside_config, cls, name):
  # A property that code reads counts for the fields it is computed from: `hidden` for `mask_ratio`.
  tree = ast.parse((_PACKAGE / 'config.py').read_text(encoding='utf-8'))
  (of_class,) = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == cls.__name__)
  names = {name} | {
    part.name
    for part in of_class.body
    if isinstance(part, ast.FunctionDef)
    and any(isinstance(node, ast.Attribute) and node.attr == name for node in ast.walk(part))
  }
  assert read_outside_config & {(holder, field) for holder in _HOLDERS[cls] for field in names}

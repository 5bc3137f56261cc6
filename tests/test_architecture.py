"""The house keeps its order: who imports whom, who reads flags, and no hyperparameter without a reader."""

import ast
import dataclasses
import functools
import graphlib
import pathlib
import re
from collections.abc import Callable, Iterator

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


@functools.cache
def _nodes(path: pathlib.Path) -> list[ast.AST]:
  return list(ast.walk(ast.parse(path.read_text(encoding='utf-8'))))


def _imports(is_of: Callable[[str], bool] = lambda room: True) -> Iterator[tuple[str, str, str]]:
  """File, its room, and the dotted name of each import, including those within functions."""
  for path in _FILES:
    file, room = path.relative_to(_ROOT).as_posix(), _room(path)
    for node in _nodes(path) if is_of(room) else ():
      if isinstance(node, ast.Import):
        yield from ((file, room, alias.name) for alias in node.names)
      elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, f'{path}: a relative import; write the full name'
        yield from ((file, room, f'{node.module}.{alias.name}') for alias in node.names)


def test_the_map_lists_every_room_once():
  assert sorted(_ROOMS) == sorted({_room(path) for path in _FILES})


def test_a_room_imports_from_lower_rooms_only():
  ours = [entry for entry in _imports() if entry[2].startswith('har_jax.')]
  assert len(ours) > 1000
  level = {room: place for place, room in enumerate(_ROOMS)} | {'__version__': -1, 'Recognizer': -1}
  assert not [entry for entry in ours if level[entry[2].split('.')[1]] > level[entry[1]]]


def test_files_import_each_other_in_one_direction():  # those within functions and for type checkers, too
  graph: dict[str, set[str]] = {}
  for file, _, name in _imports():
    of_module = [f'{name.replace(".", "/")}{end}' for end in ('.py', '/__init__.py')]
    of_name = [f'{name.rpartition(".")[0].replace(".", "/")}{end}' for end in ('.py', '/__init__.py')]
    graph.setdefault(file, set()).update(
      [path for path in (*of_module, *of_name) if (_ROOT / path).exists()][:1]
    )
  assert sum(map(len, graph.values())) > 500
  graphlib.TopologicalSorter(graph).prepare()


def test_only_the_command_line_reads_flags():
  outside = _imports(lambda room: room != 'cli')
  assert not [entry for entry in outside if entry[2].startswith(('absl.flags', 'absl.app'))]


def test_the_package_needs_no_script_next_to_it():
  assert not [entry for entry in _imports() if entry[2].startswith('launch')]


def test_data_baselines_and_report_import_no_jax():
  banned = ('jax', 'jaxlib', 'flax', 'optax', 'orbax')
  inside = _imports(lambda room: room in _WITHOUT_JAX)
  assert not [entry for entry in inside if entry[2].split('.')[0] in banned]


def test_methods_need_no_model():
  inside = _imports(lambda room: room == 'methods')
  assert not [entry for entry in inside if entry[2].startswith('har_jax.model')]


def test_scikit_learn_is_imported_where_it_is_used():  # which takes a second
  nodes = [node for path in _FILES for node in _nodes(path) if isinstance(node, ast.Import | ast.ImportFrom)]
  assert not [node for node in nodes if node.col_offset == 0 and 'sklearn' in ast.unparse(node)]


def _reads(path: pathlib.Path) -> Iterator[tuple[str, str]]:
  """(holder, name) of every attribute read: ('protocol', 'split') of spec.experiment.protocol.split."""
  for node in _nodes(path):
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
  classes = [node for node in _nodes(_PACKAGE / 'config.py') if isinstance(node, ast.ClassDef)]
  (of_class,) = (node for node in classes if node.name == cls.__name__)
  names = {name} | {
    part.name
    for part in of_class.body
    if isinstance(part, ast.FunctionDef)
    and any(isinstance(node, ast.Attribute) and node.attr == name for node in ast.walk(part))
  }
  assert read_outside_config & {(holder, field) for holder in _HOLDERS[cls] for field in names}

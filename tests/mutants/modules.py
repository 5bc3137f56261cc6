"""The package's modules in one warm process: imported once, and those anew that a fault can change."""

import ast
import collections
import contextlib
import importlib
import importlib.util
import pathlib
import sys
from collections.abc import Iterator

PACKAGE = 'har_jax'
# Flower's threads do not survive a fork. Flags belong to the process that parses them.
_LATE = ('flwr', f'{PACKAGE}.federated', f'{PACKAGE}.cli')


class _Loader(importlib.machinery.SourceFileLoader):
  """Executes another source than that of the file."""

  def __init__(self, name: str, path: pathlib.Path, source: str):
    super().__init__(name, str(path))
    self._source = source

  def get_code(self, fullname):
    return compile(self._source, self.path, 'exec')


class Modules:
  """Modules of a checkout's package, and which of them import which."""

  def __init__(self, root: pathlib.Path):
    self._root = root
    self._paths = {_name(path.relative_to(root)): path for path in (root / PACKAGE).rglob('*.py')}
    self._imported = {name: set(_imports(ast.parse(path.read_text()))) for name, path in self._paths.items()}

  def import_libraries(self) -> None:
    """Imports what the package imports from others."""
    for name in sorted({'hypothesis'}.union(*self._imported.values())):
      if name.partition('.')[0] != PACKAGE and not name.startswith(_LATE):
        with contextlib.suppress(ImportError):  # of an extra that is not installed, or no module but a name
          importlib.import_module(name)

  def import_package(self) -> None:
    sys.path.insert(0, str(self._root))
    for name in self._paths:
      if not name.startswith(_LATE) and not name.endswith('__main__'):
        with contextlib.suppress(ImportError):
          importlib.import_module(name)

  def put_in(self, path: str, source: str) -> None:
    """Gives a file of the package another source, and imports again whatever imports it, on first use."""
    changed = _name(pathlib.Path(path))
    importers = collections.defaultdict(set)
    for name, imported in self._imported.items():
      for other in imported:
        importers[other].add(name)
    stale, new = {changed}, [changed]
    while new:
      name = new.pop()
      inside = {other for other in self._paths if other.startswith(f'{name}.')}  # of a package
      new += (found := (importers[name] | inside) - stale)
      stale |= found
    self.forget(stale)
    spec = importlib.util.spec_from_file_location(
      changed, self._paths[changed], loader=_Loader(changed, self._paths[changed], source)
    )

    class Finder:
      @staticmethod
      def find_spec(name, path=None, target=None):
        return spec if name == changed else None

    sys.meta_path.insert(0, Finder)

  def forget(self, names: set[str] | None = None) -> None:
    """Takes modules out of those that are imported; all of the package by default."""
    for name in self._paths if names is None else names:
      module = sys.modules.pop(name, None)
      package, _, last = name.rpartition('.')
      if module is not None and getattr(sys.modules.get(package), last, None) is module:
        delattr(sys.modules[package], last)


def _name(path: pathlib.Path) -> str:
  parts = path.with_suffix('').parts
  return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


def _imports(node: ast.AST) -> Iterator[str]:
  """Names that may be modules; without those for the type checker."""
  if isinstance(node, ast.If) and ast.unparse(node.test) == 'TYPE_CHECKING':
    return
  if isinstance(node, ast.Import):
    yield from (alias.name for alias in node.names)
  elif isinstance(node, ast.ImportFrom) and node.module:
    yield node.module
    yield from (f'{node.module}.{alias.name}' for alias in node.names)
  for child in ast.iter_child_nodes(node):
    yield from _imports(child)

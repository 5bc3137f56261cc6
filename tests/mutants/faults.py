"""Faults of one operator, constant, comparison, argument or name at a time, from a file's syntax tree."""

import ast
import dataclasses
import random
from collections.abc import Iterator

_SWAPPED: dict[type[ast.AST], type[ast.AST]] = {
  **{ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult},
  **{ast.Mod: ast.Mult, ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd},
  **{ast.And: ast.Or, ast.Or: ast.And},
  **{
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
  },
  **{ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is},
}
_CHECKS = ('strict', 'kw_only')  # arguments that only tell a mistake of the programmer
# In their first two arguments.
_SYMMETRIC = ('max', 'min', 'np.maximum', 'np.minimum', 'jnp.maximum', 'jnp.minimum', 'np.array_equal')
# No behavior: messages, texts, types, and what runs for the type checker alone.
_SKIPPED = (ast.JoinedStr, ast.Raise, ast.Assert, ast.Import, ast.ImportFrom)


@dataclasses.dataclass(frozen=True)
class Fault:
  """A replacement of the bytes from `start` to `stop` of a file. first_line: of the statement around it."""

  path: str
  first_line: int
  line: int
  last_line: int
  start: int
  stop: int
  before: str
  after: str

  @property
  def is_name(self) -> bool:
    """Whether another name takes a name's place."""
    return self.before.isidentifier() and self.after.isidentifier() and self.after not in ('True', 'False')

  @property
  def change(self) -> str:
    return f'{" ".join(self.before.split())} → {self.after}'

  def put_into(self, source: str) -> str:
    text = source.encode()
    return (text[: self.start] + self.after.encode() + text[self.stop :]).decode()


def faults(source: str, path: str) -> list[Fault]:
  """Every fault that can be put into a file, in the order of its lines."""
  starts = [0]
  for line in source.encode().splitlines(keepends=True):
    starts.append(starts[-1] + len(line))
  made, text = [], source.encode()
  for first_line, node, changed in _changes(ast.parse(source), [], 1):
    start = starts[node.lineno - 1] + node.col_offset
    stop = starts[node.end_lineno - 1] + node.end_col_offset
    before, after = text[start:stop].decode(), ast.unparse(changed)
    after = after if isinstance(changed, ast.Name | ast.Constant | ast.Call | ast.stmt) else f'({after})'
    made.append(Fault(path, first_line, node.lineno, node.end_lineno, start, stop, before, after))
  return sorted(set(made), key=lambda fault: (fault.start, fault.stop, fault.after))


def _changes(node: ast.AST, names: list[str], line: int) -> Iterator[tuple[int, ast.AST, ast.AST]]:
  """Statement's line, node, and what takes its place. names: those that the function around it assigns."""
  line = node.lineno if isinstance(node, ast.stmt) else line
  if isinstance(node, ast.FunctionDef | ast.Lambda):
    stored = {other.id for other in ast.walk(node) if isinstance(other, ast.Name) and _is_stored(other)}
    names = sorted(stored | {other.arg for other in ast.walk(node) if isinstance(other, ast.arg)})
  yield from ((line, node, changed) for changed in _replacements(node, names))
  if (
    isinstance(node, ast.If | ast.IfExp | ast.While)
    and not isinstance(node.test, ast.Compare)
    and ast.unparse(node.test) != 'TYPE_CHECKING'
  ):
    yield line, node.test, ast.UnaryOp(ast.Not(), node.test)
  for field, value in ast.iter_fields(node):
    if field in ('annotation', 'returns', 'decorator_list', 'bases', 'type_params'):
      continue
    for child in value if isinstance(value, list) else [value]:
      if isinstance(child, ast.AST) and not _is_skipped(child):
        yield from _changes(child, names, line)


def _is_stored(name: ast.Name) -> bool:
  return isinstance(name.ctx, ast.Store)


def _is_skipped(node: ast.AST) -> bool:
  """Returns whether no fault is put into a node: also docstrings, and strings that are no key or name."""
  if isinstance(node, ast.Assign):  # ruff finds names of __all__ that do not exist, and mypy wrong types
    return ast.unparse(node).startswith('__all__ = ') or ast.unparse(node.value).startswith('Literal[')
  value = node.value if isinstance(node, ast.Expr) else node
  is_text = (
    isinstance(value, ast.Constant) and isinstance(value.value, str) and not value.value.isidentifier()
  )
  return is_text or isinstance(node, _SKIPPED) or (isinstance(node, ast.keyword) and node.arg in _CHECKS)


def _replacements(node: ast.AST, names: list[str]) -> Iterator[ast.AST]:
  match node:
    case ast.BinOp(op=op) | ast.BoolOp(op=op) | ast.AugAssign(op=op) if type(op) in _SWAPPED:
      yield _with(node, op=_SWAPPED[type(op)]())
    case ast.Compare(ops=[op]):
      yield _with(node, ops=[_SWAPPED[type(op)]()])
    case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
      yield operand
    case ast.Constant(value=bool() as value):
      yield ast.Constant(not value)
    case ast.Constant(value=int() as value):
      yield ast.Constant(value + 1)
    case ast.Constant(value=float() as value):
      yield ast.Constant(value * 2 or 1.0)
    case ast.Constant(value=str() as value) if value.isidentifier():
      yield ast.Constant(f'{value}_')
    case ast.Call(args=args, keywords=keywords):
      for index in (n for n, keyword in enumerate(keywords) if keyword.arg not in _CHECKS):
        yield _with(node, keywords=keywords[:index] + keywords[index + 1 :])
      is_plain = not any(isinstance(arg, ast.Starred) for arg in args[:2])
      is_same = len(set(map(ast.unparse, args[:2]))) == 1
      if len(args) > 1 and is_plain and not is_same and ast.unparse(node.func) not in _SYMMETRIC:
        yield _with(node, args=[args[1], args[0], *args[2:]])
    case ast.Name(id=name, ctx=ast.Load()) if name in names and len(names) > 1:
      others = [other for other in names if other != name]
      yield ast.Name(random.Random(f'{name} {node.lineno}').choice(others), ast.Load())


def _with(node: ast.AST, **fields: object) -> ast.AST:
  """A copy of the node with other fields."""
  return type(node)(**{**dict(ast.iter_fields(node)), **fields})

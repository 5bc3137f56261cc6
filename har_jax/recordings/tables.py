"""A file as a table: names of columns, its first rows, and a function that reads columns in chunks of rows.

Every format ends here: text, Parquet, a sheet, arrays in memory.
"""

import contextlib
import csv
import dataclasses
import pathlib
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Int32

from har_jax.errors import UserError, counted, shorten

CHUNK_ROWS = 500_000  # 40 MB of text and numbers at a time, however long the file
HEAD_ROWS = 200  # from which columns are inferred
# All that zipfile, gzip, csv, json, xml, NumPy and pandas raise for a file that is no such file, was damaged
# or was cut. Their other classes derive from these.
BROKEN = (
  *(OSError, EOFError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError, MemoryError),
  *(RuntimeError, AssertionError, SyntaxError, zlib.error, zipfile.BadZipFile, struct.error, csv.Error),
)

Kind = Literal['number', 'precise', 'text', 'time']  # float32, float64, words, dates or times of day
Reader = Callable[[Mapping[int, Kind]], Iterator[dict[int, Any]]]
DTYPES: dict[str, Any] = {'number': np.float32, 'precise': np.float64, 'text': str, 'time': str}

_NUMBER = re.compile(r'[+-]?(\d+[.,]?\d*|[.,]\d+)(e[+-]?\d+)?|[+-]?inf(inity)?', re.IGNORECASE)
_DATE = re.compile(
  r'(\d{4}[-/.]\d\d?[-/.]\d\d?|\d\d?[-/.]\d\d?[-/.](\d{4}|\d\d))([T ,].*)?'
  r'|\d{1,3}:\d\d(:\d\d)?([.,:_]\d+)?( ?[ap]\.?m\.?)?'
  r'|-?\d+ days?( .*)?',  # as pandas writes the time since a start
  re.IGNORECASE,
)
_WHOLE = re.compile(r'-?\d+\.0+')
_MISSING = frozenset(('', 'nan', '-nan', 'na', 'n/a', 'null', 'none', '<na>', '#n/a', 'nat'))


class NoRecording(UserError):
  """A file that is no recording: in a folder of recordings it is left out with a warning."""


@dataclasses.dataclass(frozen=True)
class Axes:
  """The columns of x, y and z of one sensor."""

  columns: tuple[int, int, int]
  unit: str = ''  # in the name
  is_linear: bool = False  # gravity was removed
  is_flipped: bool = False  # iOS' signs, which are opposite


@dataclasses.dataclass(frozen=True)
class Table:
  """The columns and first rows of a file, as text, and how to read it.

  `axes`, `time` and `label` are what a format knows of its columns; what it leaves out is inferred.
  """

  path: pathlib.Path  # for messages; of a file in a zip: walk.zip/Gyroscope.csv
  names: tuple[str, ...]
  cells: tuple[tuple[str, ...], ...]  # first rows, each as long as `names`
  read: Reader
  axes: Mapping[str, Axes] = dataclasses.field(default_factory=dict)  # by sensor: acc, gyro, gravity
  time: int | None = None
  label: int | None = None

  def column(self, index: int) -> list[str]:
    """The first cells of a column, without missing ones."""
    return present([row[index] for row in self.cells])

  def kind_of_time(self, index: int) -> Kind:
    """Judges by most cells of a column of times; an exception is reported when the file is read."""
    cells = self.column(index)
    return 'precise' if 2 * sum(map(is_number, cells)) >= len(cells) else 'time'

  def title(self, index: int) -> str:
    """A column, for messages."""
    return f'{self.path}, column {shorten(repr(self.names[index]))}'

  def listed(self) -> str:
    """Its names, for messages."""
    return shorten(', '.join(filter(None, self.names)))

  def index(self, *names: str) -> int | None:
    """The first column with one of these names, whatever its case."""
    lower = [name.strip().lower() for name in self.names]
    return next((lower.index(name.lower()) for name in names if name.lower() in lower), None)

  def xyz(self, prefix: str = '', suffix: str = '') -> tuple[int, int, int] | None:
    """The columns <prefix>x<suffix>, y and z."""
    x, y, z = (self.index(f'{prefix}{axis}{suffix}') for axis in 'xyz')
    return None if x is None or y is None or z is None else (x, y, z)


def present(cells: list[str]) -> list[str]:
  """The cells that hold a value."""
  return [cell for cell in cells if cell.strip().lower() not in _MISSING]


def is_number(cell: str) -> bool:
  return _NUMBER.fullmatch(cell.strip()) is not None


def is_date(cell: str) -> bool:
  """Returns whether a cell is a date, a time of day, or minutes and seconds."""
  return _DATE.fullmatch(cell.strip()) is not None


@contextlib.contextmanager
def border(
  path: pathlib.Path, what: str = 'file of its kind', errors: tuple[type[Exception], ...] = BROKEN
) -> Iterator[None]:
  """Surrounds every call of a library that parses a user's file: what it raises becomes one UserError.

  `errors` is (Exception,) for a library with exceptions of its own.
  """
  try:
    yield
  except UserError:
    raise
  except errors as error:
    raise UserError(
      f'{path} cannot be read: it is no {what.removeprefix("a ")}, was damaged or was cut short; copy or '
      f'export it again ({type(error).__name__}: {shorten(" ".join(str(error).split()))})'
    ) from error


def convert(table: Table, index: int, series: Any, kind: Kind) -> Any:
  """A column, as a pandas Series, as `read` of a table gives it. Raises UserError if it cannot be."""
  import pandas as pd

  if kind == 'time':
    return series
  try:
    if kind == 'text':
      texts = series.map(_text, na_action='ignore')
      return texts.astype('str').where(texts.notna())  # pandas 2 makes 'nan' of what is missing
    with np.errstate(over='ignore'):  # 1e39 is infinite in float32
      return pd.to_numeric(series).to_numpy(DTYPES[kind], na_value=np.nan)
  except (ValueError, TypeError, OverflowError) as error:
    expected = 'text' if kind == 'text' else 'numbers'
    raise UserError(f'{table.title(index)} does not hold {expected}: {shorten(error)}') from error


def _text(cell: Any) -> str:
  return cell.decode() if isinstance(cell, bytes) else str(cell)


def encode(cells: Any, codes: dict[str, int]) -> Int32[np.ndarray, 'n']:
  """Labels as codes, -1 if empty; new ones are added to `codes`."""
  indices, cells = cells.factorize()
  words = [as_label(str(cell)) for cell in cells]
  for word in words:
    if word:
      codes.setdefault(word, len(codes))
  lookup = np.array([*(codes.get(word, -1) for word in words), -1], np.int32)
  return lookup[indices]  # a missing label has the index -1, which is the last


def count_of(rows: Bool[np.ndarray, 'n']) -> str:
  return counted(int(rows.sum()), 'row')


def printable(label: str) -> str:
  """A label without control characters, which no picture and no terminal shows."""
  return ''.join(letter for letter in label if letter.isprintable()).strip()


def as_label(text: str) -> str:
  """A printable label; 1 for 1.0, as pandas writes whole numbers where others are missing."""
  label = printable(text)
  return label.partition('.')[0] if _WHOLE.fullmatch(label) else label


def make_table(path: pathlib.Path, frame: Any) -> Table:
  """A DataFrame in memory; an index of times, or one with a name, is a column. Raises UserError: no value."""
  import pandas as pd

  if not isinstance(frame, pd.DataFrame):
    raise UserError(f'{type(frame).__name__} holds no names of columns: give a path or a DataFrame')
  name = frame.index.name
  if name is None and isinstance(frame.index, pd.DatetimeIndex | pd.TimedeltaIndex):
    name = 'time'
  if name is not None and name not in frame.columns:
    frame = frame.reset_index(names=name)
  names = tuple(
    ' '.join(map(str, name)).strip() if isinstance(name, tuple) else str(name) for name in frame.columns
  )
  if not frame.size:
    raise UserError(f'{path} holds no row: it is empty')
  head = frame.iloc[:HEAD_ROWS].astype('object')
  columns = [column.where(column.notna(), '').map(str) for _, column in head.items()]

  def read(kinds: Mapping[int, Kind]) -> Iterator[dict[int, Any]]:
    yield {
      index: convert(table, index, frame.iloc[:, index].reset_index(drop=True), kind)
      for index, kind in kinds.items()
    }

  table = Table(path, names, tuple(zip(*columns, strict=True)), read)
  return table


def map_column(table: Table, index: int, function: Callable[[Any], Any]) -> Table:
  """The table with a function of one of its columns in the column's place."""

  def read(kinds: Mapping[int, Kind]) -> Iterator[dict[int, Any]]:
    for chunk in table.read(kinds):
      yield chunk | ({index: function(chunk[index])} if index in chunk else {})

  return dataclasses.replace(table, read=read)

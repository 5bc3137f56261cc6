"""Files as tables: the layout is found from the first lines, and rows are read in chunks.

One line of `_FORMATS` a file format.
"""

import csv
import dataclasses
import gzip
import io
import pathlib
import re
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

import numpy as np

from har_jax.data.user_recordings import units
from har_jax.errors import UserError

_CHUNK_ROWS = 500_000  # 40 MB of text and numbers at a time, however long the file
_HEAD_BYTES = 1 << 16  # from which the layout is found
_HEAD_ROWS = 200  # kept of them
_SEPARATORS = ';\t|,'  # the comma is last: it may be the decimal sign
_NUMBER = re.compile(r'[+-]?(\d+[.,]?\d*|[.,]\d+)(e[+-]?\d+)?|[+-]?inf(inity)?', re.IGNORECASE)
_DATE = re.compile(r'\d{4}-\d\d-\d\d([T ].*)?|\d{1,3}:\d\d(:\d\d)?([.,:_]\d+)?')
_MISSING = frozenset(('', 'nan', '-nan', 'na', 'n/a', 'null', 'none', '<na>', '#n/a'))

Kind = Literal['number', 'precise', 'text', 'time']  # float32, float64, words, dates or times of day
_DTYPES: dict[str, Any] = {'number': np.float32, 'precise': np.float64, 'text': str, 'time': str}
_UNREADABLE = (OSError, EOFError, zlib.error)


@dataclasses.dataclass(frozen=True)
class Table:
  """The columns and first rows of a file, as text, and the layout of a text file."""

  path: pathlib.Path
  names: tuple[str, ...]
  cells: tuple[tuple[str, ...], ...]  # first rows, each as long as `names`
  separator: str = ','
  decimal: str = '.'
  skipped: int = 0  # lines before the first row
  encoding: str = 'utf-8'

  def column(self, index: int) -> list[str]:
    """The first cells of a column, without missing ones."""
    return [row[index] for row in self.cells if not _is_missing(row[index])]

  def kind_of_time(self, index: int) -> Kind:
    """By what most cells of a column of times are; an exception is reported when the file is read."""
    cells = self.column(index)
    return 'precise' if 2 * sum(map(is_number, cells)) >= len(cells) else 'time'

  def place(self, index: int) -> str:
    """A column, for messages."""
    return f'{self.path}, column {self.names[index]!r}'


def _is_missing(cell: str) -> bool:
  return cell.strip().lower() in _MISSING


def is_number(cell: str) -> bool:
  return _NUMBER.fullmatch(cell.strip()) is not None


def is_date(cell: str) -> bool:
  """Also a time of day, or minutes and seconds."""
  return _DATE.fullmatch(cell.strip()) is not None


def is_table(path: pathlib.Path) -> bool:
  """Whether the name has the suffix of a format."""
  return path.name.lower().endswith(_SUFFIXES)


def stem(path: pathlib.Path) -> str:
  """The name without the suffix of its format."""
  name = path.name
  suffix = max((suffix for suffix in _SUFFIXES if name.lower().endswith(suffix)), key=len, default='')
  return name[: len(name) - len(suffix)]


def open_table(path: pathlib.Path) -> Table:
  """Raises UserError: no such file, an unknown format, an empty file, no table, no names, no rows."""
  if not path.is_file():
    raise UserError(f'no file {path}: give a CSV or Parquet file, or a folder of them')
  if not is_table(path):
    raise UserError(f'{path} is none of {", ".join(_SUFFIXES)}: export the recording as one of these')
  return _format(path).open(path)


def chunks(table: Table, kinds: Mapping[int, Kind]) -> Iterator[dict[int, Any]]:
  """Columns by index, in chunks of rows: arrays of numbers, and pandas Series for 'text' and 'time'.

  Missing cells are NaN. Raises UserError at a cell that is no number, or if the file is truncated.
  """
  return _format(table.path).chunks(table, kinds)


def _open_text(path: pathlib.Path) -> Table:
  lines, encoding = _head(path)
  if not any(line.strip() for line in lines):
    raise UserError(f'{path} is empty: export the recording again')
  for separator in _SEPARATORS:
    rows = [_fields(line, separator) for line in lines]
    width = _width(rows)
    if width >= 2:
      break
  else:
    raise UserError(
      f'{path} is no table: no comma, semicolon, tab or bar separates columns; export it as CSV'
    )
  first = next((i for i, row in enumerate(rows) if len(row) >= width - 1 and _is_data(row)), len(rows))
  # Comments and empty lines may precede the names.
  headers = [i for i in range(first) if len(rows[i]) >= width - 1 and not rows[i][0].startswith('sep=')]
  if not headers:
    raise UserError(f'{path} has no names of columns: add a first line such as time,ax,ay,az,gx,gy,gz')
  header = headers[-1] if first < len(rows) else headers[0]
  names = tuple(name.strip() for name in rows[header])
  above = rows[header - 1] if header else []
  if len(above) == len(names) and all(map(units.is_unit, names)):
    names = tuple(f'{name.strip()} ({unit})' for name, unit in zip(above, names, strict=True))
  body = [row for row in rows[header + 1 :] if any(cell.strip() for cell in row)]
  if not body:
    raise UserError(f'{path} holds the names {", ".join(names)} and no row below: nothing was recorded')
  while names and not names[-1] and all(len(row) < len(names) or not row[len(names) - 1] for row in body):
    names = names[:-1]  # lines that end with a separator
  commas, points = (
    sum(bool(re.fullmatch(number, cell.strip())) for row in body for cell in row)
    for number in (r'[+-]?\d*,\d+', r'[+-]?\d*\.\d+')
  )
  cells = tuple((*row, *[''] * len(names))[: len(names)] for row in body[:_HEAD_ROWS])
  decimal = ',' if separator != ',' and commas > points else '.'
  return Table(path, names, cells, separator, decimal, header + 1, encoding)


def _head(path: pathlib.Path) -> tuple[list[str], str]:
  """The first complete lines, and the encoding."""
  try:
    with _binary(path) as file:
      head = file.read(_HEAD_BYTES)
      more = bool(file.read(1))
  except _UNREADABLE as error:
    raise UserError(f'{path} cannot be read ({error}): copy it again') from error
  encoding = 'utf-8-sig'
  if head[:2] in (b'\xff\xfe', b'\xfe\xff'):
    encoding = 'utf-16'
  else:
    try:
      # The head may end within a letter: check complete lines only.
      head.decode(encoding) if not more else head[: head.rfind(b'\n') + 1].decode(encoding)
    except UnicodeDecodeError:
      encoding = 'cp1252'
  lines = re.split(r'\r\n|\n|\r', head.decode(encoding, 'replace'))
  if '\0' in lines[0]:
    raise UserError(f'{path} is no text: export the recording as CSV or Parquet')
  return (lines[:-1] if more else lines), encoding


def _binary(path: pathlib.Path) -> Any:
  return gzip.open(path, 'rb') if path.suffix.lower() == '.gz' else path.open('rb')


def _fields(line: str, separator: str) -> list[str]:
  return next(csv.reader(io.StringIO(line), delimiter=separator), []) if line.strip() else []


def _width(rows: list[list[str]]) -> int:
  """How many fields nearly all of the later lines have; 0 if they disagree."""
  filled = [len(row) for row in rows if row]
  later = filled[len(filled) // 2 :]
  width = max(set(later), key=later.count)
  return width if later.count(width) >= 0.9 * len(later) - 1 and width >= 2 else 0


def _is_data(row: list[str]) -> bool:
  return sum(is_number(cell) or is_date(cell) for cell in row) >= 2


def _text_chunks(table: Table, kinds: Mapping[int, Kind]) -> Iterator[dict[int, Any]]:
  import pandas as pd

  options: dict[str, Any] = {
    'sep': table.separator,
    'decimal': table.decimal,
    'skiprows': table.skipped,
    'encoding': table.encoding,
    'names': list(range(len(table.names))),
    'usecols': sorted(kinds),
    'dtype': {index: _DTYPES[kind] for index, kind in kinds.items()},
  }
  try:
    with pd.read_csv(
      table.path,
      header=None,
      index_col=False,
      skipinitialspace=True,
      encoding_errors='replace',
      chunksize=_CHUNK_ROWS,
      **options,
    ) as reader:
      while True:
        with warnings.catch_warnings():
          warnings.simplefilter('ignore', pd.errors.ParserWarning)  # of lines that end with a separator
          chunk = next(reader, None)
        if chunk is None:
          return
        yield {
          index: chunk[index] if kind in ('text', 'time') else chunk[index].to_numpy()
          for index, kind in kinds.items()
        }
  except _UNREADABLE as error:
    raise UserError(f'{table.path} is truncated ({error}): copy it again') from error
  except ValueError as error:
    raise _bad_cell(table, kinds, error) from error


def _bad_cell(table: Table, kinds: Mapping[int, Kind], error: ValueError) -> UserError:
  """Names the first cell that is no number, which pandas does not."""
  numbers = sorted(index for index, kind in kinds.items() if kind in ('number', 'precise'))
  with io.TextIOWrapper(_binary(table.path), table.encoding, 'replace', newline='') as file:
    reader = csv.reader(file, delimiter=table.separator)
    for _ in range(table.skipped):
      next(reader)
    for row in reader:
      for index in numbers:
        cell = row[index].strip() if index < len(row) else ''
        if (table.decimal == '.' and ',' in cell) or not (_is_missing(cell) or is_number(cell)):
          where = f'{table.path}: line {reader.line_num} has {cell!r} in column {table.names[index]!r}'
          return UserError(f'{where}, which is no number; correct or delete that line')
  return UserError(f'{table.path} cannot be read as numbers: {" ".join(str(error).split())}')


def _open_parquet(path: pathlib.Path) -> Table:
  file = _parquet(path)
  first = next(file.iter_batches(batch_size=_HEAD_ROWS), None)
  if first is None or not first.num_rows:
    raise UserError(f'{path} holds no row: nothing was recorded')
  columns = [['' if cell is None else str(cell) for cell in column.to_pylist()] for column in first.columns]
  return Table(path, tuple(file.schema_arrow.names), tuple(zip(*columns, strict=True)))


def _parquet(path: pathlib.Path) -> Any:
  try:
    import pyarrow
    import pyarrow.parquet
  except ImportError as error:
    raise UserError(f"{path} needs pyarrow: pip install 'har_jax[parquet]', or export it as CSV") from error
  try:
    return pyarrow.parquet.ParquetFile(path)
  except (pyarrow.ArrowInvalid, OSError) as error:
    raise UserError(f'{path} is damaged, or no Parquet file ({error}): copy it again') from error


def _parquet_chunks(table: Table, kinds: Mapping[int, Kind]) -> Iterator[dict[int, Any]]:
  import pandas as pd

  names = [table.names[index] for index in kinds]
  for batch in _parquet(table.path).iter_batches(batch_size=_CHUNK_ROWS, columns=names):
    chunk: dict[int, Any] = {}
    for index, kind in kinds.items():
      series = batch.column(table.names[index]).to_pandas()
      if kind == 'text':
        series = series.where(series.isna(), series.astype(str))
      elif kind != 'time':
        try:
          series = pd.to_numeric(series).to_numpy(_DTYPES[kind], na_value=np.nan)
        except (ValueError, TypeError) as error:
          raise UserError(f'{table.place(index)} does not hold numbers: {error}') from error
      chunk[index] = series
    yield chunk


@dataclasses.dataclass(frozen=True)
class _Format:
  suffixes: tuple[str, ...]
  open: Callable[[pathlib.Path], Table]
  chunks: Callable[[Table, Mapping[int, Kind]], Iterator[dict[int, Any]]]


_FORMATS = (
  _Format(('.parquet', '.pq'), _open_parquet, _parquet_chunks),
  _Format(('.csv', '.tsv', '.txt', '.csv.gz', '.tsv.gz', '.txt.gz'), _open_text, _text_chunks),
)
_SUFFIXES = tuple(suffix for each in _FORMATS for suffix in each.suffixes)


def _format(path: pathlib.Path) -> _Format:
  return next(each for each in _FORMATS if path.name.lower().endswith(each.suffixes))

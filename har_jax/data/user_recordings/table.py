"""Tables of any make, opened by looking at them: separator, decimal sign, where the names stand; read in chunks.

n rows of a chunk.
"""

import csv
import dataclasses
import gzip
import io
import pathlib
import re
import warnings
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import numpy as np

from har_jax.data.user_recordings import units
from har_jax.errors import UserError

# Rows of a chunk: 40 MB of text and numbers at a time, whatever the file's length.
_CHUNK_ROWS = 500_000
_HEAD_BYTES = 1 << 16  # looked at to learn the layout
_SHOWN_ROWS = 200  # kept of them
_PARQUET = ('.parquet', '.pq')
_TEXT = ('.csv', '.tsv', '.txt', '.csv.gz', '.tsv.gz', '.txt.gz')
SUFFIXES = _PARQUET + _TEXT
_SEPARATORS = ';\t|,'  # in this order: with decimal commas a comma is everywhere too
_NUMBER = re.compile(r'[+-]?(\d+[.,]?\d*|[.,]\d+)(e[+-]?\d+)?|[+-]?inf(inity)?', re.IGNORECASE)
_DATE = re.compile(r'\d{4}-\d\d-\d\d([T ].*)?|\d{1,3}:\d\d(:\d\d)?([.,:_]\d+)?')
_MISSING = frozenset(('', 'nan', '-nan', 'na', 'n/a', 'null', 'none', '<na>', '#n/a'))

Kind = Literal['number', 'precise', 'text', 'stamp']  # float32, float64, words, as Parquet or the text has it


@dataclasses.dataclass(frozen=True)
class Table:
  """A file's columns and its first rows as text, and how to read the rest."""

  path: pathlib.Path
  names: tuple[str, ...]
  cells: tuple[tuple[str, ...], ...]  # first rows, each as long as `names`
  separator: str = ','
  decimal: str = '.'
  skipped: int = 0  # lines before the first row
  encoding: str = 'utf-8'

  @property
  def is_parquet(self) -> bool:
    return self.path.suffix.lower() in _PARQUET

  def column(self, index: int) -> list[str]:
    """What the first rows hold there, without what is missing."""
    return [row[index] for row in self.cells if not is_missing(row[index])]


def is_missing(cell: str) -> bool:
  return cell.strip().lower() in _MISSING


def is_number(cell: str) -> bool:
  return _NUMBER.fullmatch(cell.strip()) is not None


def is_date(cell: str) -> bool:
  """Also a time of day, or minutes and seconds."""
  return _DATE.fullmatch(cell.strip()) is not None


def is_table(path: pathlib.Path) -> bool:
  """Whether its name says so."""
  return path.name.lower().endswith(SUFFIXES)


def stem(path: pathlib.Path) -> str:
  """The name without what says the format."""
  lower = path.name.lower()
  ending = max((suffix for suffix in SUFFIXES if lower.endswith(suffix)), key=len, default='')
  return path.name[: len(path.name) - len(ending)]


def open_table(path: pathlib.Path) -> Table:
  """Raises UserError: no such file, an empty one, no table, no names, no rows."""
  if not path.is_file():
    raise UserError(f'no file {path}: give a CSV or Parquet file, or a folder of them')
  if path.suffix.lower() in _PARQUET:
    return _open_parquet(path)
  if not is_table(path):
    raise UserError(f'{path} is none of {", ".join(SUFFIXES)}: export the recording as one of these')
  return _open_text(path)


def chunks(table: Table, kinds: Mapping[int, Kind]) -> Iterator[dict[int, Any]]:
  """Columns by their index, in chunks of rows: float32 or float64 arrays, and pandas Series for 'text' and 'stamp'.

  What is missing is NaN. Raises UserError at a cell that is no number, with its line, and where the file breaks off.
  """
  yield from _parquet_chunks(table, kinds) if table.is_parquet else _text_chunks(table, kinds)


# --- text


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
      f'{path} is no table: its lines are not parted by commas, semicolons, tabs or bars; export it as CSV'
    )
  first = next((i for i, row in enumerate(rows) if len(row) >= width - 1 and _is_data(row)), None)
  header = _header(rows, width, len(rows) if first is None else first)
  if header is None:
    raise UserError(
      f'{path} begins with numbers, not with names: add a first line such as time,ax,ay,az,gx,gy,gz'
    )
  names = tuple(name.strip() for name in rows[header])
  above = rows[header - 1] if header else []
  if len(above) == len(names) and all(units.is_unit(name) for name in names):
    # Names, and their units in a line of their own.
    names = tuple(f'{name.strip()} ({unit})' for name, unit in zip(above, names, strict=True))
  body = [row for row in rows[header + 1 :] if any(cell.strip() for cell in row)]
  if not body:
    raise UserError(f'{path} holds the names {", ".join(names)} and no row beneath: nothing was recorded')
  while names and not names[-1] and all(len(row) < len(names) or not row[len(names) - 1] for row in body):
    names = names[:-1]  # lines that end with a separator
  commas = sum(bool(re.fullmatch(r'[+-]?\d*,\d+', cell.strip())) for row in body for cell in row)
  points = sum(bool(re.fullmatch(r'[+-]?\d*\.\d+', cell.strip())) for row in body for cell in row)
  cells = tuple((*row, *[''] * len(names))[: len(names)] for row in body[:_SHOWN_ROWS])
  decimal = ',' if separator != ',' and commas > points else '.'
  return Table(path, names, cells, separator, decimal, header + 1, encoding)


def _head(path: pathlib.Path) -> tuple[list[str], str]:
  """The first lines, whole ones, and the encoding."""
  try:
    with _binary(path) as file:
      head = file.read(_HEAD_BYTES)
      more = bool(file.read(1))
  except (OSError, EOFError, zlib.error) as error:
    raise UserError(f'{path} cannot be read ({error}): copy it again') from error
  encoding = 'utf-8-sig'
  if head[:2] in (b'\xff\xfe', b'\xfe\xff'):
    encoding = 'utf-16'
  else:
    try:
      # The head may end within a letter: up to three bytes of it are no fault.
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
  """How many fields nearly all of the later lines have; 0 where they do not agree."""
  filled = [len(row) for row in rows if row]
  later = filled[len(filled) // 2 :]
  width = max(set(later), key=later.count)
  return width if later.count(width) >= 0.9 * len(later) - 1 and width >= 2 else 0


def _is_data(row: list[str]) -> bool:
  """Whether two cells at least are numbers or times."""
  return sum(is_number(cell) or is_date(cell) for cell in row) >= 2


def _header(rows: list[list[str]], width: int, first: int) -> int | None:
  """The line before the first row that has as many fields, past remarks and empty lines."""
  before = [i for i in range(first) if len(rows[i]) >= width - 1 and not rows[i][0].startswith('sep=')]
  if not before:
    return None
  return before[0] if first == len(rows) else before[-1]


def _text_chunks(table: Table, kinds: Mapping[int, Kind]) -> Iterator[dict[int, Any]]:
  import pandas as pd

  dtypes = {'number': np.float32, 'precise': np.float64, 'text': str, 'stamp': str}
  try:
    with warnings.catch_warnings():
      warnings.simplefilter('ignore', pd.errors.ParserWarning)  # of lines with a separator at their end
      reader = pd.read_csv(
        table.path,
        sep=table.separator,
        decimal=table.decimal,
        header=None,
        names=list(range(len(table.names))),
        index_col=False,
        usecols=sorted(kinds),
        dtype={index: dtypes[kind] for index, kind in kinds.items()},
        skiprows=table.skipped,
        skipinitialspace=True,
        encoding=table.encoding,
        encoding_errors='replace',
        chunksize=_CHUNK_ROWS,
      )
    with reader:
      while True:
        with warnings.catch_warnings():
          warnings.simplefilter('ignore', pd.errors.ParserWarning)
          chunk = next(reader, None)
        if chunk is None:
          return
        yield {
          index: chunk[index] if kind in ('text', 'stamp') else chunk[index].to_numpy()
          for index, kind in kinds.items()
        }
  except (EOFError, OSError, zlib.error) as error:
    raise UserError(f'{table.path} breaks off ({error}): copy it again') from error
  except ValueError as error:
    raise _bad_cell(table, kinds, error) from error


def _bad_cell(table: Table, kinds: Mapping[int, Kind], error: ValueError) -> UserError:
  """Names the first cell that is no number: pandas does not say where it was."""
  numbers = {index for index, kind in kinds.items() if kind in ('number', 'precise')}
  with io.TextIOWrapper(_binary(table.path), table.encoding, 'replace', newline='') as file:
    reader = csv.reader(file, delimiter=table.separator)
    for _ in range(table.skipped):
      next(reader)
    for row in reader:
      for index in sorted(numbers):
        cell = row[index].strip() if index < len(row) else ''
        if (table.decimal == '.' and ',' in cell) or not (is_missing(cell) or is_number(cell)):
          return UserError(
            f'{table.path}: line {reader.line_num} has {cell!r} in column {table.names[index]!r}, which is no number; '
            'mend or delete that line'
          )
  return UserError(f'{table.path} cannot be read as numbers: {" ".join(str(error).split())}')


# --- Parquet


def _open_parquet(path: pathlib.Path) -> Table:
  file = _parquet(path)
  names = tuple(file.schema_arrow.names)
  first = next(file.iter_batches(batch_size=_SHOWN_ROWS), None)
  if first is None or not first.num_rows:
    raise UserError(f'{path} holds no row: nothing was recorded')
  columns = [['' if cell is None else str(cell) for cell in column.to_pylist()] for column in first.columns]
  return Table(path, names, tuple(zip(*columns, strict=True)))


def _parquet(path: pathlib.Path) -> Any:
  try:
    import pyarrow
    import pyarrow.parquet
  except ImportError as error:
    raise UserError(
      f"{path} is Parquet, which needs pyarrow: pip install 'har_jax[parquet]', or export it as CSV"
    ) from error
  try:
    return pyarrow.parquet.ParquetFile(path)
  except (pyarrow.ArrowInvalid, OSError) as error:
    raise UserError(f'{path} is no sound Parquet file ({error}): copy it again') from error


def _parquet_chunks(table: Table, kinds: Mapping[int, Kind]) -> Iterator[dict[int, Any]]:
  import pandas as pd

  dtypes = {'number': np.float32, 'precise': np.float64}
  for batch in _parquet(table.path).iter_batches(
    batch_size=_CHUNK_ROWS, columns=[table.names[index] for index in kinds]
  ):
    found = {}
    for index, kind in kinds.items():
      series = batch.column(table.names[index]).to_pandas()
      if kind == 'text':
        found[index] = series.where(series.isna(), series.astype(str))
      elif kind == 'stamp':
        found[index] = series
      else:
        try:
          found[index] = pd.to_numeric(series).to_numpy(dtypes[kind], na_value=np.nan)
        except (ValueError, TypeError) as error:
          raise UserError(
            f'{table.path}: column {table.names[index]!r} holds what is no number: {error}'
          ) from error
    yield found

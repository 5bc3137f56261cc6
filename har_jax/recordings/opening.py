"""Files as tables, by their suffix: text, Parquet and Excel; each file is read once.

Separator, decimal sign, encoding and the line of names of a text are found from its first lines.
"""

import collections
import contextlib
import csv
import dataclasses
import functools
import io
import itertools
import pathlib
import re
import warnings
import xml.parsers.expat
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from har_jax.errors import UserError, require, shorten
from har_jax.recordings import limits, tables, units
from har_jax.recordings.files import File
from har_jax.recordings.tables import Kind, NoRecording, Table, border

PARQUET = ('.parquet', '.pq')
EXCEL = ('.xlsx',)
SUFFIXES = ('.csv', '.tsv', '.txt', *PARQUET, *EXCEL)

_ANY_CELLS, _MAX_SPARSE = 2_000_000, 20  # of a sheet from its first to its last cell, for each that is there
_MAX_ROWS = 500_000_000  # six days of 1 kHz; 32 bytes a row in memory

_HEAD_BYTES = 1 << 16  # from which the layout is found
_FRACTION = re.compile(r'[+-]?\d*([.,])\d+(e[+-]?\d+)?', re.IGNORECASE)
_SEPARATORS = ';\t|,'  # the comma is last: it may be the decimal sign


def is_table(file: File) -> bool:
  return file.suffix in SUFFIXES


def open_table(file: File) -> Table:
  """Text, Parquet, or a workbook with one sheet; once. Raises UserError if it cannot be read."""
  if 'table' in file.opened:
    return file.opened['table']
  if file.suffix in EXCEL:
    sheets = open_workbook(file)
    if len(sheets) > 1:
      raise NoRecording(
        f'{file.path} has the sheets {shorten(", ".join(sheets))}: keep the one to read, or export it as CSV'
      )
    (table,) = sheets.values()
  else:
    table = _open_parquet(file) if file.suffix in PARQUET else _open_text(file)
  file.opened['table'] = table
  return table


def rows(file: File) -> list[dict[str, str]]:
  """The rows of a small file of metadata; names are in lower case."""
  with border(file.path, 'CSV file'):
    lines = file.text().splitlines() or ['']
    separator = next((mark for mark in ';\t' if mark in lines[0]), ',')
    reader = csv.reader(io.StringIO('\n'.join(lines)), delimiter=separator)
    names = [name.strip().lower() for name in next(reader, [])]
    return [dict(zip(names, (cell.strip() for cell in row), strict=False)) for row in reader if row]


def _open_parquet(file: File) -> Table:
  """Raises UserError: pyarrow is missing, a damaged file, a name twice, no row."""
  require('pyarrow', f"{file.path} needs pyarrow: pip install 'har_jax[parquet]', or export it as CSV")
  import pyarrow.parquet

  with border(file.path, 'Parquet file', (Exception,)), file.open() as opened:
    parquet = pyarrow.parquet.ParquetFile(opened)
    names, rows = tuple(parquet.schema_arrow.names), parquet.metadata.num_rows
    first = next(parquet.iter_batches(batch_size=tables.HEAD_ROWS), None)
    # Labels may be bytes.
    columns = [
      [
        '' if cell is None else cell.decode('utf-8', 'replace') if isinstance(cell, bytes) else str(cell)
        for cell in column.to_pylist()
      ]
      for column in (() if first is None else first.columns)
    ]
  if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
    times = f'{names.count(twice[0])} times'
    raise UserError(f'{file.path} has the column {shorten(twice[0])} {times}: rename them')
  if not rows or not columns:
    raise UserError(f'{file.path} holds no row: it is empty')
  if rows > _MAX_ROWS:
    raise UserError(f'{file.path} holds {rows:,} rows: split it, up to {_MAX_ROWS:,} are read')

  def read(kinds: Mapping[int, Kind]) -> Iterator[dict[int, Any]]:
    used = [names[index] for index in kinds]
    with border(file.path, 'Parquet file', (Exception,)), file.open() as opened:
      for batch in pyarrow.parquet.ParquetFile(opened).iter_batches(
        batch_size=tables.CHUNK_ROWS, columns=used
      ):
        yield {
          index: tables.convert(table, index, batch.column(names[index]).to_pandas(), kind)
          for index, kind in kinds.items()
        }

  table = Table(file.path, names, tuple(zip(*columns, strict=True)), read)
  return table


def open_workbook(file: File) -> dict[str, Table]:
  """The sheets of a workbook by name, without empty ones; once. Raises UserError if openpyxl is missing."""
  if 'sheets' in file.opened:
    return file.opened['sheets']
  require('openpyxl', f"{file.path} needs openpyxl: pip install 'har_jax[formats]', or export it as CSV")
  import pandas as pd

  with border(file.path, 'Excel workbook', (Exception,)):
    with file.open() as opened, zipfile.ZipFile(opened) as zipped:
      members = zipped.infolist()
    sizes = [sum(getattr(info, name) for info in members) for name in ('file_size', 'compress_size')]
    limits.check(file.path, *sizes, members=len(members))
    with file.open() as opened, zipfile.ZipFile(opened) as zipped:
      for info in members:
        _check_cells(file.path, zipped.open(info))
    with file.open() as opened:
      frames = pd.read_excel(opened, sheet_name=None, engine='openpyxl')
  sheets = {name: frame for name, frame in frames.items() if len(frame) and len(frame.columns) > 1}
  if not sheets:
    raise UserError(f'{file.path} holds no sheet with rows: it is empty')
  file.opened['sheets'] = {name: tables.make_table(file.path / name, frame) for name, frame in sheets.items()}
  return file.opened['sheets']


def _check_cells(path: pathlib.Path, member: Any) -> None:
  """Raises UserError for a sheet whose cells lie so far apart that the empty ones would fill memory."""
  row = column = last_row = last_column = count = 0

  def start(name: str, attributes: dict[str, str]) -> None:
    nonlocal row, column, last_row, last_column, count
    tag, place = name.rpartition(':')[2], attributes.get('r', '')
    if tag == 'row':
      row, column = int(place) if place else row + 1, 0
    elif tag == 'c':
      letters = place.rstrip('0123456789')
      number = functools.reduce(lambda total, letter: 26 * total + ord(letter) - 64, letters, 0)
      column = number or column + 1
      count += 1
      last_row, last_column = max(last_row, row, int(place[len(letters) :] or 0)), max(last_column, column)
      if last_row * last_column > max(_ANY_CELLS, _MAX_SPARSE * count):
        raise UserError(
          f'{path} has a cell in row {last_row:,}, column {last_column:,}, after {count:,} others: delete it'
        )

  parser = xml.parsers.expat.ParserCreate()
  parser.StartElementHandler = start
  with member, contextlib.suppress(xml.parsers.expat.ExpatError):  # a member that is no sheet
    parser.ParseFile(member)


# --- text


@dataclasses.dataclass(frozen=True)
class _Layout:
  separator: str
  decimal: str
  skipped: int  # records before the first row
  encoding: str
  fields: int  # of a row, with an empty one after a separator at its end


def _open_text(file: File) -> Table:
  """Raises UserError: cannot be read, empty, no table, no names, no rows."""
  text, encoding = _head(file)
  if not text.strip():
    raise UserError(f'{file.path} is empty: export or write it again')
  for separator in filter(text.__contains__, _SEPARATORS):
    # A quoted line break stays in its field. Empty lines are empty lists.
    lines = io.StringIO(text, newline='')
    with contextlib.suppress(csv.Error):
      rows = list(csv.reader(lines, delimiter=separator, skipinitialspace=True))
      if width := _width(rows):
        break
  else:
    raise NoRecording(
      f'{file.path} is no table: no comma, semicolon, tab or bar separates columns; export it as CSV'
    )
  header = _header(rows, width, file.path)
  body = [row for row in rows[header + 1 :] if any(cell.strip() for cell in row)]
  names = _names(rows[header], rows[header - 1] if header else [])
  if not body:
    listed = shorten(', '.join(names))
    raise UserError(f'{file.path} holds the names {listed} and no row below: it is empty')
  while names and not names[-1] and all(len(row) < len(names) or not row[len(names) - 1] for row in body):
    names = names[:-1]  # lines that end with a separator
  cells = tuple((*row, *[''] * len(names))[: len(names)] for row in body[: tables.HEAD_ROWS])
  fields = max(len(names), min(map(len, body)))
  # Between commas, a decimal comma stands in quotes.
  may_have_comma = ('"' if separator == ',' else ',') in text
  layout = _Layout(separator, _decimal(body) if may_have_comma else '.', header + 1, encoding, fields)
  return Table(file.path, names, cells, functools.partial(_chunks, file, layout, names))


def _header(rows: list[list[str]], width: int, path: pathlib.Path) -> int:
  """The row of names, the last before the first row of values: comments and empty lines may precede it."""
  is_data = (
    len(row) >= width - 1 and sum(tables.is_number(cell) or tables.is_date(cell) for cell in row) >= 2
    for row in rows
  )
  first = next((number for number, is_first in enumerate(is_data) if is_first), len(rows))
  headers = [
    i
    for i in range(first)
    if len(rows[i]) >= width - 1 and sum(map(bool, rows[i])) > 1 and not rows[i][0].startswith(('sep=', '#'))
  ]
  if not headers:
    raise NoRecording(
      f'{path} has no names of columns: add a first line, such as time,ax,ay,az,gx,gy,gz for a recording, or '
      'start,end,activity for labels'
    )
  return headers[-1] if first < len(rows) else headers[0]


def _names(header: list[str], above: list[str]) -> tuple[str, ...]:
  """Names of columns, where the line above may hold them, with units below, or names of sensors."""
  names = tuple(name.strip() for name in header)
  if len(above) != len(names):
    return names
  if all(map(units.is_unit, names)):
    return tuple(f'{name.strip()} ({unit})' for name, unit in zip(above, names, strict=True))
  if len({*filter(None, names)}) < len([*filter(None, names)]):
    # x, y, z below the name of each sensor.
    sensors: Iterator[str] = itertools.accumulate(above, lambda last, name: name.strip() or last)
    return tuple(f'{sensor.strip()} {name}' for sensor, name in zip(sensors, names, strict=True))
  return names


def _decimal(body: list[list[str]]) -> str:
  """The mark of decimals that most cells have."""
  matches = (_FRACTION.fullmatch(cell.strip()) for row in body for cell in row)
  marks = collections.Counter(match[1] for match in matches if match)
  return ',' if marks[','] > marks['.'] else '.'


def _head(file: File) -> tuple[str, str]:
  """The first complete lines, and the encoding."""
  with border(file.path, 'text'), file.open() as opened:
    head = opened.read(_HEAD_BYTES)
    more = bool(opened.read(1))
  encoding = 'utf-8-sig'
  if head[:2] in (b'\xff\xfe', b'\xfe\xff'):
    encoding = 'utf-16'
  else:
    try:
      # The head may end within a letter: check complete lines only.
      head.decode(encoding) if not more else head[: head.rfind(b'\n') + 1].decode(encoding)
    except UnicodeDecodeError:
      encoding = 'cp1252'
  text = head.decode(encoding, 'replace')
  if '\0' in text[:1000]:
    raise UserError(f'{file.path} is no text: export the recording as CSV or Parquet')
  if not more:
    return text, encoding
  end = max(text.rfind('\n'), text.rfind('\r'))
  if end < 0:
    raise UserError(f'{file.path} has a first line of over {_HEAD_BYTES >> 10} KiB: export it as CSV')
  return text[: end + 1], encoding


def _width(rows: list[list[str]]) -> int:
  """Number of fields that nearly all of the later lines have; 0 if they disagree."""
  filled = [len(row) for row in rows if row]
  later = filled[len(filled) // 2 :]
  width = max(set(later), key=later.count, default=0)
  return width if later.count(width) >= 0.9 * len(later) - 1 and width >= 2 else 0


def _chunks(
  file: File, layout: _Layout, names: tuple[str, ...], kinds: Mapping[int, Kind]
) -> Iterator[dict[int, Any]]:
  import pandas as pd

  options: dict[str, Any] = {
    'sep': layout.separator,
    'decimal': layout.decimal,
    'skiprows': layout.skipped,
    'encoding': layout.encoding,
    'names': list(range(len(names))),
    'usecols': sorted(kinds),
    'header': None,
    'index_col': False,
    'skipinitialspace': True,
    'dtype': {index: tables.DTYPES[kind] for index, kind in kinds.items()},
    'encoding_errors': 'replace',
    'chunksize': tables.CHUNK_ROWS,
  }
  counter = limits.FieldCounter(layout.separator)
  with border(file.path, 'text'):
    try:
      with file.open() as opened, pd.read_csv(limits.watched(opened, counter), **options) as reader:
        while True:
          with warnings.catch_warnings(), np.errstate(over='ignore'):  # 1e39 is infinite in float32
            warnings.simplefilter('ignore', pd.errors.ParserWarning)  # of lines that end with a separator
            chunk = next(reader, None)
          if chunk is None:
            break
          yield {
            index: chunk[index] if kind in ('text', 'time') else chunk[index].to_numpy()
            for index, kind in kinds.items()
          }
      # pandas drops what exceeds the names in silence: 0,1,0,2 for 0.1 and 0.2 would be read as others.
      bad = _bad_row(file, layout, names, {}) if counter.most > layout.fields else ''
    except ValueError as error:
      bad = _bad_row(file, layout, names, kinds) or f' cannot be read as a table: {shorten(error)}'
    if bad:
      raise UserError(f'{file.path}{bad}; correct or delete that line')


def _bad_row(file: File, layout: _Layout, names: tuple[str, ...], kinds: Mapping[int, Kind]) -> str:
  """Names the first row with too many fields or a cell that is no number, which pandas does not."""
  numbers = sorted(index for index, kind in kinds.items() if kind in ('number', 'precise'))
  with file.open() as opened:
    text = io.TextIOWrapper(opened, layout.encoding, 'replace', newline='')
    reader = csv.reader(text, delimiter=layout.separator, skipinitialspace=True)
    for _ in range(layout.skipped):
      next(reader)
    for row in reader:
      if any(cell.strip() for cell in row[len(names) :]):
        return (
          f': line {reader.line_num} has {len(row)} fields, but there are {len(names)} names (is a comma its '
          'decimal sign?)'
        )
      for index in numbers:
        cell = row[index].strip() if index < len(row) else ''
        other = ',' if layout.decimal == '.' else '.'
        if other in cell or (tables.present([cell]) and not tables.is_number(cell)):
          shown = shorten(repr(cell))
          return f': line {reader.line_num} has {shown} in column {names[index]!r}, which is no number'
  return ''

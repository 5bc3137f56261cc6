"""Files as tables, by their suffix: text, Parquet and Excel; each file is read once."""

import contextlib
import csv
import functools
import io
import pathlib
import xml.parsers.expat
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

from har_jax.errors import UserError, require, shorten
from har_jax.recordings import limits, tables, text
from har_jax.recordings.files import File
from har_jax.recordings.tables import CHUNK_ROWS, HEAD_ROWS, Kind, NoRecording, Table, border

PARQUET = ('.parquet', '.pq')
EXCEL = ('.xlsx',)
SUFFIXES = (*text.SUFFIXES, *PARQUET, *EXCEL)

_ANY_CELLS, _MAX_SPARSE = 2_000_000, 20  # of a sheet from its first to its last cell, for each that is there
_MAX_ROWS = 500_000_000  # six days of 1 kHz; 32 bytes a row in memory


def is_table(file: File) -> bool:
  return file.suffix in SUFFIXES


def open_table(file: File) -> Table:
  """Text, Parquet, or a workbook with one sheet; once. Raises UserError if it cannot be read."""
  if 'table' not in file.opened:
    file.opened['table'] = _open(file)
  return file.opened['table']


def _open(file: File) -> Table:
  if file.suffix in PARQUET:
    return _open_parquet(file)
  if file.suffix in EXCEL:
    sheets = open_workbook(file)
    if len(sheets) > 1:
      raise NoRecording(
        f'{file.path} has the sheets {shorten(", ".join(sheets))}: keep the one to read, or export it as CSV'
      )
    return next(iter(sheets.values()))
  return text.open_text(file)


def open_workbook(file: File) -> dict[str, Table]:
  """The sheets of a workbook, read once."""
  if 'sheets' not in file.opened:
    file.opened['sheets'] = _open_workbook(file)
  return file.opened['sheets']


def rows(file: File) -> list[dict[str, str]]:
  """The rows of a small file of metadata; names are in lower case."""
  with border(file.path, 'CSV file'):
    lines = file.text().splitlines()
    names = [name.strip().lower() for name in next(csv.reader(lines[:1]), [])]
    separator = next((mark for mark in ';\t' if any(mark in name for name in names)), ',')
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
    first = next(parquet.iter_batches(batch_size=HEAD_ROWS), None)
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
    raise UserError(f'{file.path} holds no row: nothing was recorded')
  if rows > _MAX_ROWS:
    raise UserError(f'{file.path} holds {rows:,} rows: split it, up to {_MAX_ROWS:,} are read')

  def read(kinds: Mapping[int, Kind]) -> Iterator[dict[int, Any]]:
    used = [names[index] for index in kinds]
    with border(file.path, 'Parquet file', (Exception,)), file.open() as opened:
      for batch in pyarrow.parquet.ParquetFile(opened).iter_batches(batch_size=CHUNK_ROWS, columns=used):
        yield {
          index: tables.convert(table, index, batch.column(names[index]).to_pandas(), kind)
          for index, kind in kinds.items()
        }

  table = Table(file.path, names, tuple(zip(*columns, strict=True)), read)
  return table


def _open_workbook(file: File) -> dict[str, Table]:
  """The sheets of a workbook by name, without empty ones. Raises UserError if openpyxl is missing."""
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
    raise UserError(f'{file.path} holds no sheet with rows: nothing was recorded')
  return {name: tables.make_table(file.path / name, frame) for name, frame in sheets.items()}


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

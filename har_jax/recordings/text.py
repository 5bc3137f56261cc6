"""Text as a table: separator, decimal sign, encoding and the line of names are found from the first lines."""

import collections
import contextlib
import csv
import dataclasses
import functools
import io
import re
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from har_jax.errors import UserError, shorten
from har_jax.recordings import limits, tables, units
from har_jax.recordings.files import File
from har_jax.recordings.tables import Kind, NoRecording, Table, border, is_date, is_number

SUFFIXES = ('.csv', '.tsv', '.txt')

_ZLIB = (zlib.error, zipfile.BadZipFile, csv.Error)
_HEAD_BYTES = 1 << 16  # from which the layout is found
_FRACTION = re.compile(r'[+-]?\d*([.,])\d+(e[+-]?\d+)?', re.IGNORECASE)
_SEPARATORS = ';\t|,'  # the comma is last: it may be the decimal sign


@dataclasses.dataclass(frozen=True)
class _Layout:
  separator: str
  decimal: str
  skipped: int  # records before the first row
  encoding: str
  fields: int  # of a row, with an empty one after a separator at its end


def open_text(file: File) -> Table:
  """Raises UserError: cannot be read, empty, no table, no names, no rows."""
  text, encoding = _head(file)
  if not text.strip():
    raise UserError(f'{file.path} is empty: export the recording again')
  for separator in _SEPARATORS:
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
  is_data = [
    len(row) >= width - 1 and sum(is_number(cell) or is_date(cell) for cell in row) >= 2 for row in rows
  ]
  first = is_data.index(True) if any(is_data) else len(rows)
  # Comments and empty lines may precede the names.
  headers = [
    i for i in range(first) if len(rows[i]) >= width - 1 and not rows[i][0].startswith(('sep=', '#'))
  ]
  if not headers:
    raise NoRecording(f'{file.path} has no names of columns: add a first line such as time,ax,ay,az,gx,gy,gz')
  header = headers[-1] if first < len(rows) else headers[0]
  names = tuple(name.strip() for name in rows[header])
  above = rows[header - 1] if header else []
  if len(above) == len(names) and all(map(units.is_unit, names)):
    names = tuple(f'{name.strip()} ({unit})' for name, unit in zip(above, names, strict=True))
  body = [row for row in rows[header + 1 :] if any(cell.strip() for cell in row)]
  if not body:
    listed = shorten(', '.join(names))
    raise UserError(f'{file.path} holds the names {listed} and no row below: nothing was recorded')
  while names and not names[-1] and all(len(row) < len(names) or not row[len(names) - 1] for row in body):
    names = names[:-1]  # lines that end with a separator
  cells = tuple((*row, *[''] * len(names))[: len(names)] for row in body[: tables.HEAD_ROWS])
  fields = max(len(names), min(map(len, body)))
  matches = (_FRACTION.fullmatch(cell.strip()) for row in body for cell in row)
  marks = collections.Counter(match[1] for match in matches if match)
  # Between commas, a decimal comma stands in quotes.
  decimal = ',' if marks[','] > marks['.'] else '.'
  layout = _Layout(separator, decimal, header + 1, encoding, fields)
  return Table(file.path, names, cells, functools.partial(_chunks, file, layout, names))


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
    # pandas drops what exceeds the names in silence: 0,1,0,2 for 0.1 and 0.2 would be read as other numbers.
    if counter.most > layout.fields and (bad := _bad_row(file, layout, names, {})):
      raise UserError(f'{file.path}{bad}; correct or delete that line')
  except ValueError as error:
    with border(file.path, 'text'):
      bad = _bad_row(file, layout, names, kinds)
    raise UserError(
      f'{file.path}{bad or f" cannot be read as a table: {shorten(error)}"}; correct or delete that line'
    ) from error
  except (OSError, EOFError, RuntimeError, MemoryError, *_ZLIB) as error:
    raise UserError(f'{file.path} is truncated ({shorten(error)}): copy it again') from error


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
        if other in cell or (tables.present([cell]) and not is_number(cell)):
          shown = shorten(repr(cell))
          return f': line {reader.line_num} has {shown} in column {names[index]!r}, which is no number'
  return ''

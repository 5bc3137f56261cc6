"""Files as tables, by their suffix; each file once."""

import csv
import io

from har_jax.errors import shorten
from har_jax.recordings import sheets, text
from har_jax.recordings.files import File
from har_jax.recordings.tables import NoRecording, Table, border

SUFFIXES = (*text.SUFFIXES, *sheets.PARQUET, *sheets.EXCEL)


def is_table(file: File) -> bool:
  return file.suffix in SUFFIXES


def open_table(file: File) -> Table:
  """Text, Parquet, or a workbook with one sheet; once. Raises UserError if it cannot be read."""
  if 'table' not in file.opened:
    file.opened['table'] = _open(file)
  return file.opened['table']


def _open(file: File) -> Table:
  if file.suffix in sheets.PARQUET:
    return sheets.open_parquet(file)
  if file.suffix in sheets.EXCEL:
    found = open_workbook(file)
    if len(found) > 1:
      raise NoRecording(
        f'{file.path} has the sheets {shorten(", ".join(found))}: keep the one to read, or export it as CSV'
      )
    return next(iter(found.values()))
  return text.open_text(file)


def open_workbook(file: File) -> dict[str, Table]:
  """The sheets of a workbook, read once."""
  if 'sheets' not in file.opened:
    file.opened['sheets'] = sheets.open_workbook(file)
  return file.opened['sheets']


def rows(file: File) -> list[dict[str, str]]:
  """A small file of metadata; names in lower case."""
  with border(file.path, 'CSV file'):
    lines = file.text().splitlines()
    names = [name.strip().lower() for name in next(csv.reader(lines[:1]), [])]
    separator = next((each for each in ';\t' if any(each in name for name in names)), ',')
    reader = csv.reader(io.StringIO('\n'.join(lines)), delimiter=separator)
    names = [name.strip().lower() for name in next(reader, [])]
    return [dict(zip(names, (cell.strip() for cell in row), strict=False)) for row in reader if row]

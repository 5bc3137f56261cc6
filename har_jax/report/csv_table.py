"""Tables in CSV: each row ends with its checksum, and the first line with the checksum of these."""

import csv
import io
from collections.abc import Mapping
from typing import Any

import pandas as pd

from har_jax import checksums, escaping, storage
from har_jax.errors import UserError, shorten
from har_jax.storage import Place

_TO_DO = 'restore it, or delete it and add the rows again'


def write(frame: pd.DataFrame, path: Place) -> None:
  """One row per line, its checksum last. No cell is a formula. Raises UserError as `storage.write_text`."""
  # Without numbers: `map` would make floats of whole numbers that may be missing.
  texts = frame.select_dtypes(exclude='number')
  safe = texts.map(lambda cell: escaping.csv_cell(cell) if isinstance(cell, str) else cell)
  names, *rows = csv.reader(io.StringIO(frame.assign(**safe).to_csv(index=False)))
  rows = [[*row, checksums.of_entries([names, row])] for row in rows]
  text = io.StringIO()
  csv.writer(text, lineterminator='\n').writerows([[*names, _column(names, rows)], *rows])
  storage.write_text(path, text.getvalue())


def read(path: Place, types: Mapping[str, Any] | None = None) -> pd.DataFrame:
  """What `write` wrote, without the checksums. Raises UserError where a row or a column's name is damaged."""
  content = storage.read_bytes(path, to_do='give a table that `har-jax report` reads')
  try:
    text = content.decode()
    (*names, last), *rows = csv.reader(io.StringIO(text, newline=''))
    for number, row in enumerate(rows, start=1):
      if len(row) != len(names) + 1 or row[-1] != checksums.of_entries([names, row[:-1]]):
        raise ValueError(f'row {number} does not have the sum that it ends with')
    if last != _column(names, rows):
      raise ValueError(f'its {len(rows)} rows do not have the sum that its first line ends with')
  except (ValueError, csv.Error) as error:
    raise UserError(f'{path} is damaged or was edited ({shorten(error)}); {_TO_DO}') from error
  return pd.read_csv(io.StringIO(text), dtype=types).drop(columns=last)


def _column(names: list[str], rows: list[list[str]]) -> str:
  return f'sum_{checksums.of_entries([names, [row[-1] for row in rows]])}'

"""Tables in CSV, which a user commits and may edit."""

import csv
import io
from collections.abc import Mapping
from typing import Any

import pandas as pd

from har_jax import escaping, storage
from har_jax.errors import UserError, shorten
from har_jax.storage import Place


def write(frame: pd.DataFrame, path: Place) -> None:
  """Writes one row per line. No cell is a formula. Raises UserError as `storage.write_text`."""
  # Without numbers: `map` would make floats of whole numbers that may be missing.
  texts = frame.select_dtypes(exclude='number')
  safe = texts.map(lambda cell: escaping.csv_cell(cell) if isinstance(cell, str) else cell)
  storage.write_text(path, frame.assign(**safe).to_csv(index=False, lineterminator='\n'))


def read(path: Place, types: Mapping[str, Any] | None = None) -> pd.DataFrame:
  """Returns what `write` wrote.

  Older tables end with a column of checksums, which is left out.
  Raises UserError if a row is cut off or a cell is not of its column's type.
  """
  content = storage.read_bytes(path, to_do='give a table that `har-jax report` reads')
  try:
    text = content.decode()
    if not text:
      raise ValueError('it is empty')
    names, *rows = csv.reader(io.StringIO(text, newline=''), strict=True)
    for number, row in enumerate(rows, start=1):
      if len(row) != len(names):
        raise ValueError(f'row {number} has {len(row)} cells, and the first line {len(names)}')
    if not text.endswith('\n'):
      raise ValueError('its last line is cut off')
    frame = pd.read_csv(io.StringIO(text), dtype=types)
  except (ValueError, TypeError, csv.Error) as error:
    raise UserError(
      f'{path} is damaged ({shorten(error)}); restore it, or delete it and add the rows again'
    ) from error
  return frame.drop(columns=[name for name in names if name.startswith('sum_')])

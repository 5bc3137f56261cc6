"""Tables in CSV whose rows hold sums."""

import pathlib

import damage
import pandas as pd
import pytest

from har_jax.errors import UserError
from har_jax.report import csv_table

_FRAME = pd.DataFrame(
  {
    'name': ['a, "b"', "it's", None, 'two\nlines'],
    'rank': pd.array([1, None, 3, 4], dtype='Int64'),
    'score': [0.1, 1e-9, 3.0, float('nan')],
  }
)


def test_a_table_reads_back_as_it_was_written(tmp_path: pathlib.Path):
  csv_table.write(_FRAME, tmp_path / 'a.csv')
  pd.testing.assert_frame_equal(csv_table.read(tmp_path / 'a.csv', {'rank': 'Int64'}), _FRAME)


def test_damage_is_refused_or_changes_nothing(tmp_path: pathlib.Path):
  path = tmp_path / 'a.csv'
  csv_table.write(_FRAME, path)
  whole, refused = csv_table.read(path, {'rank': 'Int64'}), 0
  for content in damage.flipped(path.read_bytes(), 500):
    path.write_bytes(content)
    try:
      pd.testing.assert_frame_equal(csv_table.read(path, {'rank': 'Int64'}), whole)
    except UserError:
      refused += 1
  assert refused > 490


def test_an_edited_digit_is_named_by_its_row(tmp_path: pathlib.Path):
  path = tmp_path / 'a.csv'
  csv_table.write(_FRAME, path)
  path.write_text(path.read_text().replace('3.0', '3.1'))
  with pytest.raises(UserError, match=r'row 3 does not have the sum that it ends with.*; restore it'):
    csv_table.read(path)


def test_a_table_without_sums_or_without_a_row_is_refused(tmp_path: pathlib.Path):
  path = tmp_path / 'a.csv'
  csv_table.write(_FRAME[:3], path)
  path.write_text(''.join(path.read_text().splitlines(keepends=True)[:-1]))
  with pytest.raises(UserError, match='2 rows do not have the sum that its first line ends with'):
    csv_table.read(path)
  _FRAME.to_csv(path, index=False)
  with pytest.raises(UserError, match='row 1 does not have the sum'):
    csv_table.read(tmp_path / 'a.csv')

"""Tables in CSV: what is written is read, and a table that is cut off is refused."""

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
_TYPES = {'rank': 'Int64', 'score': float}


def test_a_table_reads_back_as_it_was_written(tmp_path):
  csv_table.write(_FRAME, tmp_path / 'a.csv')
  pd.testing.assert_frame_equal(csv_table.read(tmp_path / 'a.csv', _TYPES), _FRAME)


def test_a_table_that_is_cut_off_is_refused(tmp_path):
  path = tmp_path / 'a.csv'
  csv_table.write(_FRAME[:3], path)
  whole = path.read_bytes()
  for end in range(len(whole)):
    if not whole[:end].endswith(b'\n'):
      path.write_bytes(whole[:end])
      with pytest.raises(UserError, match=r'is damaged .*; restore it'):
        csv_table.read(path, _TYPES)


def test_a_row_of_another_length_is_named(tmp_path):
  (tmp_path / 'a.csv').write_text('a,b\n1,2\n3\n')
  with pytest.raises(UserError, match='row 2 has 1 cells, and the first line 2'):
    csv_table.read(tmp_path / 'a.csv')


def test_an_empty_file_is_refused(tmp_path):
  (tmp_path / 'a.csv').touch()
  with pytest.raises(UserError, match=r'a\.csv is damaged \(it is empty\)'):
    csv_table.read(tmp_path / 'a.csv')


def test_a_cell_that_is_no_number_is_refused(tmp_path):
  path = tmp_path / 'a.csv'
  csv_table.write(_FRAME, path)
  path.write_text(path.read_text().replace('3.0', '3.x'))
  with pytest.raises(UserError, match=r'is damaged .*3\.x.*; restore it'):
    csv_table.read(path, _TYPES)


def test_the_checksums_of_an_older_table_are_left_out(tmp_path):
  (tmp_path / 'a.csv').write_text('name,sum_163122ee\na,22dd8dfe\n')
  assert csv_table.read(tmp_path / 'a.csv').to_dict('records') == [{'name': 'a'}]

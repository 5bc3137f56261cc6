"""Tables in CSV: what is written is read, and a table that is cut off is refused."""

import pandas as pd
import pytest

from har_jax.errors import UserError
from har_jax.report import csv_table

_FRAME = pd.DataFrame(
  {
    'name': ['a, "b"', "it's", float('nan'), 'two\nlines'],
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


@pytest.mark.parametrize(
  ('text', 'message'),
  [
    ('rank,score\n1,2\n3\n', 'row 2 has 1 cells, and the first line 2'),
    ('', 'it is empty'),
    ('score\n1\n3.x\n', r'3\.x'),
  ],
)
def test_a_damaged_table_is_refused(tmp_path, text, message):
  (tmp_path / 'a.csv').write_text(text)
  with pytest.raises(UserError, match=rf'a\.csv is damaged \(.*{message}.*\); restore it'):
    csv_table.read(tmp_path / 'a.csv', _TYPES)


def test_the_checksums_of_an_older_table_are_left_out(tmp_path):
  (tmp_path / 'a.csv').write_text('name,sum_163122ee\na,22dd8dfe\n')
  assert csv_table.read(tmp_path / 'a.csv').to_dict('records') == [{'name': 'a'}]

"""Small files that claim much: they are refused or read in time and memory that fit their size."""

import itertools
import time
import tracemalloc
from unittest import mock

import export_base
import exports
import numpy as np
import pandas as pd
import pytest
import user_files
import zips
from hypothesis import example, given
from hypothesis import strategies as some
from user_files import FRAME

from har_jax import recordings
from har_jax.config import DEFAULT_WINDOWING
from har_jax.errors import UserError
from har_jax.recordings import files, language, limits

pytestmark = pytest.mark.linux


@pytest.fixture(autouse=True)
def _limits():
  """Twenty seconds of processor time, half a gigabyte more memory."""
  import resource

  before, start_s = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
  yield
  assert time.process_time() - start_s < 20
  assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # KB


@pytest.mark.parametrize(
  ('row', 'column', 'is_named'),
  [(1_048_570, 16_384, True), (3000, 16_384, True), (1_048_570, 40, True), (1_048_570, 7, False)],
)
def test_a_workbook_with_a_cell_far_away_is_refused(tmp_path, row, column, is_named):
  openpyxl = pytest.importorskip('openpyxl')
  book = openpyxl.Workbook()
  for cells in [[*FRAME.columns], *FRAME.head(20).to_numpy().tolist()]:
    book.active.append(cells)
  book.active.cell(row, column, 1)
  book.save(tmp_path / 'walk.xlsx')
  if not is_named:  # the cell has no place of its own
    content = zips.unzipped((tmp_path / 'walk.xlsx').read_bytes())
    sheet = content['xl/worksheets/sheet1.xml']
    content['xl/worksheets/sheet1.xml'] = sheet.replace(b'<c r="G1048570"', b'<c')
    user_files.put(tmp_path, ('walk.xlsx', zips.zipped(content)))
  with pytest.raises(UserError, match=f'has a cell in row {row:,}, column {column:,}'):
    recordings.read(tmp_path / 'walk.xlsx')


def test_duplicates_of_thousands_of_labels_are_found_at_once():
  names = [f'{chr(97 + i % 26)}{chr(97 + i // 26 % 26)}{chr(97 + i // 676)}quilting' for i in range(5000)]
  groups = language.find_duplicates([*names, 'climbing', 'climbng', 'Gehen', 'walk'])
  assert groups[0] == ['Gehen', 'walk']
  long = 'abcde' * 20
  assert language.find_duplicates([long, long[:-1]]) == [[long[:-1], long]]  # longer ones would take too long
  assert language.find_duplicates([long, long + 'a']) == []
  assert ['climbing', 'climbng'] in groups


def test_warnings_of_thousands_of_labels_are_short_and_take_no_time(tmp_path):
  moments = np.arange(20_000) / 1000
  pairs = (f'{chr(97 + i // 676 % 26)}{chr(97 + i // 26 % 26)}{chr(97 + i % 26)}' for i in range(10_000))
  names = [f'{name}quilting{end}' for name in pairs for end in ('', '.')]
  labels = pd.DataFrame({'start': moments, 'end': moments + 0.001, 'activity': names})
  labels.to_csv(tmp_path / 'labels.csv', index=False)
  reading = recordings.read(user_files.written(tmp_path, FRAME), labels=tmp_path / 'labels.csv')
  start_s = time.process_time()
  said = recordings.check(reading, DEFAULT_WINDOWING)
  assert time.process_time() - start_s < 3
  assert sum(map(len, said)) < 10_000
  assert 'too few windows' in ' '.join(said)
  assert 'more groups of labels' in ' '.join(said)


def test_thousands_of_folders_in_a_zip_are_read_in_a_time_that_grows_with_them(tmp_path):
  files = {f'{number}/{name}': '{}' for number in range(2000) for name in ('notes.md', 'walk.json')}
  content = zips.zipped({'walk.csv': FRAME.head(60).to_csv(index=False)} | files)
  reading = recordings.read(user_files.put(tmp_path, ('all.zip', content)))
  assert reading.files == ['walk']


def test_a_small_file_is_read_in_little_memory(tmp_path):
  written = exports.WRITERS['Sensor Logger, iOS (JSON)'](tmp_path, export_base.recording())
  tracemalloc.start()
  try:
    recordings.read(written.path)
    assert tracemalloc.get_traced_memory()[1] < 100_000_000  # bytes; the limit of such files is gigabytes
  finally:
    tracemalloc.stop()


def test_a_sample_of_edge_impulse_is_read_up_to_256_mib(tmp_path, monkeypatch):
  (tmp_path / 'walk.json').write_text('{}')
  asked: list[int] = []
  monkeypatch.setattr(files.File, 'bytes', lambda file, limit: asked.append(limit) or b'{}')
  with pytest.raises(UserError, match='of none of these apps'):
    recordings.read(tmp_path / 'walk.json')
  assert min(asked) == 256 << 20


def _wrong_lines(lines: list[str]) -> list[str]:
  """What is said of the first line of over five letters, and of the first of other columns than before."""
  columns = {number: line.count(',') for number, line in enumerate(lines, 1) if line.removesuffix('\r')}
  long = (f'line {number} has more than' for number, line in enumerate(lines, 1) if len(line) > 5)
  first = next(iter(columns.values()), 0)
  other = (f'line {number} has {count + 1} columns' for number, count in columns.items() if count != first)
  return [said for kind in (long, other) for said in [*kind][:1]]


@given(
  lines=some.lists(some.sampled_from(['a,b', 'ab,c\r', 'a,bcd', '', '\r', 'a', '\ra', ',,', 'abc,ef'])),
  cuts=some.sets(some.integers(1, 40)),
  is_ended=some.booleans(),
)
@example(['a,b', '\r', 'a,b'], {5}, True)
@example(['a', 'b', 'abcdef'], {7}, False)
def test_lines_are_checked_the_same_wherever_a_block_ends(lines, cuts, is_ended):
  content = '\n'.join([*lines, ''] if is_ended else lines).encode()
  check = limits._LineCheck('walk.csv', ',', None, len(content))
  edges = [0, *sorted(cut for cut in cuts if cut < len(content)), len(content)]
  said = ''
  with mock.patch.object(limits, '_MAX_LINE_BYTES', 5):
    try:
      for begin, end in itertools.pairwise(edges):
        check(content[begin:end])
      check(b'')
    except UserError as error:
      said = str(error)
  wrong = _wrong_lines(lines)
  assert any(words in said for words in wrong) if wrong else not said
  if not wrong:
    with pytest.raises(UserError, match=r'walk\.csv has more than 0 MiB'):
      check(b' ')


def test_fields_are_counted_over_the_borders_of_blocks():
  counter = limits.FieldCounter(';')
  assert counter(b'a;b,b\nc\nd').tolist() == [2, 1]
  assert counter(b';e;').tolist() == []
  assert counter(b'f\ng').tolist() == [3]
  assert counter.most == 3

"""PAMAP2 as released: one text file of 54 columns per subject, with rows lost by radio."""

import collections

import numpy as np
import pandas as pd
import pytest
from zips import write

from har_jax.archives.pamap2 import ARCHIVE
from har_jax.archives.source import Source
from har_jax.errors import UserError

RUNS = [(0, 50), (1, 300), (4, 200), (0, 40), (24, 300)]  # (activity code, rows at 100 Hz)


def rows(runs=RUNS) -> np.ndarray:
  """Column c of row r has the value c + r / 10,000, which tells columns apart."""
  count = sum(length for _, length in runs)
  table = np.arange(54)[None] + np.arange(count)[:, None] / 1e4
  table[:, 0] = 8.38 + np.arange(count) / 100
  table[:, 1] = np.repeat(*zip(*runs, strict=True))
  table[:, 2] = np.nan  # the heart rate comes at 9 Hz
  table[2::11, 2] = 90
  return table


def text(table: np.ndarray) -> str:
  frame = pd.DataFrame(table).astype({1: int})
  return frame.to_csv(sep=' ', header=False, index=False, na_rep='NaN', float_format='%.6g')


def _files(*tables: np.ndarray) -> dict[str, str]:
  """Rows of subjects from 101 on, beside the optional folder."""
  files = {f'Protocol/subject{number}.dat': text(table) for number, table in enumerate(tables, 101)}
  files |= {name.replace('Protocol', 'Optional'): 'not to be read' for name in files}
  return {f'PAMAP2_Dataset/{name}': content for name, content in files.items()}


@pytest.mark.parametrize(
  ('position', 'acc', 'gyro'),
  # From 1, the hand has columns 4 (temperature), 5-7 (acc ±16 g), 8-10 (acc ±6 g), 11-13 (gyro) and more.
  [
    ('hand', (4, 5, 6), (10, 11, 12)),
    ('chest', (21, 22, 23), (27, 28, 29)),
    ('ankle', (38, 39, 40), (44, 45, 46)),
  ],
)
def test_each_unit_has_its_16_g_accelerometer_and_gyroscope(position, acc, gyro, read):
  (recording,), _ = read(_files(rows()), position)
  np.testing.assert_allclose(recording.acc.values[0], acc)
  np.testing.assert_allclose(recording.gyro.values[0], gyro)
  assert (recording.subject, recording.position) == ('101', position)


def test_spans_are_runs_of_one_activity_and_other_rows_are_counted(read):
  (recording,), dropped = read(_files(rows()))
  assert [span.activity for span in recording.spans] == ['lying', 'walking', 'jumping']
  edges = [(span.start_s, span.stop_s) for span in recording.spans]
  np.testing.assert_allclose(edges, [(0.5, 3.5), (3.5, 5.5), (5.9, 8.89)], atol=1e-6)
  assert dropped['rows between activities'] == 90
  assert recording.acc.time_s[0] == 0


def test_rows_lost_by_the_chosen_unit_are_absent_and_counted(read):
  table = rows()
  table[100:120, 20:37] = np.nan  # chest
  table[120, 27] = np.nan  # of the chest, one value
  table[400:450, 37:54] = np.nan  # ankle, which does not affect the chest
  (recording,), dropped = read(_files(table))
  assert dropped['rows that the chest unit lost by radio'] == 21
  assert len(recording.acc.time_s) == len(recording.gyro.time_s) == len(table) - 21
  assert np.isfinite(recording.gyro.values).all()
  assert np.diff(recording.acc.time_s).max() == pytest.approx(0.22, abs=1e-6)
  assert len(recording.spans) == 3  # a short gap does not end an activity


def test_a_long_gap_splits_the_recording_within_one_activity(read):
  table = rows()
  table[100:250, 20:37] = np.nan
  (first, second), _ = read(_files(table))
  assert len(first.acc.time_s) == 100
  (cut,) = first.spans
  assert (cut.start_s, cut.stop_s) == (pytest.approx(0.5), pytest.approx(0.99))  # up to its last row
  assert [span.activity for span in first.spans] == ['lying']
  assert [span.activity for span in second.spans] == ['lying', 'walking', 'jumping']


def test_subjects_are_sorted_and_the_optional_folder_is_not_read(read):
  one_activity = rows()[550:]  # as subject 109: only rope jumping
  one_activity[:, 1] = 10 * [0] + 330 * [24]
  recordings, dropped = read(_files(rows(), one_activity))
  assert dropped['rows between activities'] == 90 + 10
  assert [recording.subject for recording in recordings] == ['101', '102']
  assert [span.activity for span in recordings[1].spans] == ['jumping']


def test_copies_in_another_folder_are_read_once_and_others_refused(tmp_path):
  names = [f'{folder}/Protocol/subject101.dat' for folder in ('b', 'a/copy')]  # the least deep one is read
  source = Source(write(tmp_path, dict.fromkeys(names, text(rows()))))
  assert len(list(ARCHIVE.read(source, 'chest', collections.Counter()))) == 1
  assert source.copies == {names[1]}
  write(tmp_path, {names[1]: text(rows()[1:])})
  with pytest.raises(UserError, match=r'b/Protocol/subject101\.dat and a/copy/.* differ: keep one'):
    list(ARCHIVE.read(Source(tmp_path), 'chest', collections.Counter()))

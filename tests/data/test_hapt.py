"""HAPT's reader: units, order and labels, against small archives and against the shipped label files."""

import collections
import zipfile

import numpy as np
import pytest

from har_jax.data import windows as store
from har_jax.data.archives.hapt import ARCHIVE
from har_jax.data.prepare import prepare
from har_jax.data.recording import STANDARD_GRAVITY_M_S2, Span
from har_jax.data.source import Source
from har_jax.errors import UserError

CODES = {  # activity_labels.txt
  'walking': 1, 'upstairs': 2, 'downstairs': 3, 'sitting': 4, 'standing': 5, 'lying': 6,
  'stand_to_sit': 7, 'sit_to_stand': 8, 'sit_to_lie': 9,
  'lie_to_sit': 10, 'stand_to_lie': 11, 'lie_to_stand': 12,
}  # fmt: skip
# The subjects of the official split.
TEST_SUBJECTS = {'2', '4', '9', '10', '12', '13', '18', '20', '24'}


def _files(**changes) -> dict[str, str]:
  acc = '\n'.join(f'{row} 0 -1' for row in range(400)) + '\n'
  gyro = '\n'.join(f'0.5 {row} 0' for row in range(400)) + '\n'
  files = {
    'RawData/acc_exp01_user01.txt': acc,
    'RawData/gyro_exp01_user01.txt': gyro,
    'RawData/labels.txt': '1 1 5 1 150\n1 1 7 201 400\n',
  }
  return {name: content for name, content in (files | changes).items() if content is not None}


def _archive(tmp_path, files: dict[str, str]) -> Source:
  with zipfile.ZipFile(tmp_path / 'hapt.zip', 'w') as archive:
    for name, content in files.items():
      archive.writestr(name, content)
  return Source(tmp_path / 'hapt.zip')


def test_rows_and_labels_become_seconds_and_si_units(tmp_path):
  dropped = collections.Counter()
  (recording,) = ARCHIVE.read(_archive(tmp_path, _files()), 'waist', dropped)
  assert (recording.subject, recording.position) == ('1', 'waist')
  # Rows count from one, the last included: rows 1 to 150 are samples 0 to 149.
  assert recording.spans == (Span(0.0, 3.0, 'standing'), Span(4.0, 8.0, 'stand_to_sit'))
  np.testing.assert_allclose(recording.acc.values[3], np.array([3, 0, -1]) * STANDARD_GRAVITY_M_S2, rtol=1e-6)
  np.testing.assert_array_equal(recording.gyro.values[3], [0.5, 3, 0])
  assert recording.gyro.time_s[50] == 1.0
  assert dropped == {'rows without a label': 50}


@pytest.mark.parametrize(
  ('changes', 'message'),
  [
    ({'RawData/labels.txt': None}, r'no RawData/labels\.txt'),
    ({'RawData/gyro_exp01_user01.txt': None}, r'no file RawData/gyro_exp01_user01\.txt'),
    ({'RawData/acc_exp01_user01.txt': '1 2\n'}, '2 columns where 3'),
    ({'RawData/acc_exp01_user01.txt': '1 2 g\n'}, "could not convert string 'g'"),
    ({'RawData/labels.txt': '1 1 13 1 150\n'}, r'labels\.txt gives experiment 1 activity 13'),
    ({'RawData/labels.txt': '1 1 5 150 1\n'}, 'rows 150 to 1; .* rows count from 1'),
  ],
)
def test_a_damaged_archive_says_which_file(tmp_path, changes, message):
  with pytest.raises(UserError, match=message):
    list(ARCHIVE.read(_archive(tmp_path, _files(**changes)), 'waist', collections.Counter()))


@pytest.mark.archives
def test_the_real_archive_gives_the_shipped_labels_and_subjects_in_their_order(archives_folder, tmp_path):
  (path,) = (archives_folder / 'hapt').glob('*.zip')
  prepare(ARCHIVE, path, tmp_path, progress=False)
  windows = store.load(tmp_path / 'hapt')
  activities, subjects = windows.meta['activities'], windows.meta['subjects']
  assert len(windows.signals) == 10_929
  basic = [activities.index(name) for name in list(CODES)[:6]]
  assert np.isin(windows.activity, basic).sum() == 10_411
  codes = np.array([CODES[name] for name in activities])[windows.activity]
  users = np.array([int(name) for name in subjects])[windows.subject]
  tested = np.isin(users, [int(name) for name in TEST_SUBJECTS])
  assert len(subjects) == 30
  for part, rows, count in (('Train', ~tested, 7_767), ('Test', tested, 3_162)):
    with Source(path).open(f'{part}/y_{part.lower()}.txt') as file:
      np.testing.assert_array_equal(codes[rows], np.loadtxt(file, dtype=int))
    with Source(path).open(f'{part}/subject_id_{part.lower()}.txt') as file:
      np.testing.assert_array_equal(users[rows], np.loadtxt(file, dtype=int))
    assert rows.sum() == count
  # The phone hangs with x up; its accelerometer reads 3 % too much.
  standing = windows.signals[windows.activity == activities.index('standing'), :, :3]
  assert np.linalg.norm(standing, axis=-1).mean() == pytest.approx(STANDARD_GRAVITY_M_S2, rel=0.04)
  assert standing[..., 0].mean() > 9
  assert windows.meta['dropped'] == {'rows without a label': 307_158, 'spans shorter than a window': 40}

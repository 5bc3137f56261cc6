"""HAPT: units, order and labels, in small archives and against the published label files."""

import cut_pieces
import numpy as np
import pytest
from official import OFFICIAL

from har_jax.archives import ucihar
from har_jax.archives.hapt import ARCHIVE
from har_jax.archives.source import Source
from har_jax.signal.recording import STANDARD_GRAVITY_M_S2, Span

# Of the official split.
TEST_SUBJECTS = ('2', '4', '9', '10', '12', '13', '18', '20', '24')


def _files() -> dict[str, str]:
  acc = '\n'.join(f'{row} 0 -1' for row in range(400)) + '\n'
  gyro = '\n'.join(f'0.5 {row} 0' for row in range(400)) + '\n'
  return {
    'RawData/acc_exp01_user01.txt': acc,
    'RawData/gyro_exp01_user01.txt': gyro,
    'RawData/labels.txt': '1 1 5 1 150\n1 1 7 201 400\n',
  }


def test_rows_and_labels_become_seconds(read):
  (recording,), dropped = read(_files())
  assert (recording.subject, recording.position) == ('1', 'waist')
  # Rows 1 to 150 are samples 0 to 149.
  assert recording.spans == (Span(0.0, 3.0, 'standing'), Span(4.0, 8.0, 'stand_to_sit'))
  assert recording.gyro.time_s[50] == 1.0
  assert dropped == {'rows without a label': 50}


def test_the_official_test_subjects_are_the_published_ones():
  assert ARCHIVE.test_subjects == ucihar.ARCHIVE.test_subjects == TEST_SUBJECTS


@pytest.mark.archives
@pytest.mark.parametrize('experiments', [4, pytest.param(61, marks=pytest.mark.slow)])
def test_the_real_archive_has_the_published_labels_in_their_order(real_archive, real_recordings, experiments):
  source = Source(real_archive('hapt'))
  recordings, dropped = real_recordings('hapt', 'waist', experiments)
  windows = cut_pieces.cut_all(recordings, dropped)
  codes = {activity: code for code, activity in OFFICIAL['hapt'].activities.items()}
  for part, is_test in (('Train', False), ('Test', True)):
    of_part = [window for window in windows if (window.subject in TEST_SUBJECTS) == is_test]
    for name, values in (
      ('y', [codes[window.activity] for window in of_part]),
      ('subject_id', [int(window.subject) for window in of_part]),
    ):
      (path,) = source.find(f'{part}/{name}_{part.lower()}.txt')
      with source.open(path) as file:
        published = np.loadtxt(file, dtype=int)
      np.testing.assert_array_equal(values, published[: len(values)])
  # The phone has x up; its accelerometer reads 3 % too much, for subjects 1 and 2 a little more.
  standing = np.stack([window.signal[:, :3] for window in windows if window.activity == 'standing'])
  assert np.linalg.norm(standing, axis=-1).mean() == pytest.approx(STANDARD_GRAVITY_M_S2, rel=0.045)
  assert standing[..., 0].mean() > 9
  if experiments == 61:
    assert len(windows) == 10_929
    assert dropped == {'rows without a label': 307_158, 'spans shorter than a window': 40}

"""DSADS: the columns of each unit, consecutive segments, all nineteen activities."""

import numpy as np
import pytest

UNITS = ('torso', 'right_arm', 'left_arm', 'right_leg', 'left_leg')


def _files(*segments: str) -> dict[str, str]:
  """Column c of row r of the k-th segment holds c + r / 1000 + 100 k."""
  files = {}
  for number, name in enumerate(segments):
    rows = np.arange(45) + np.arange(125)[:, None] / 1000 + 100 * number
    files[f'data/{name}.txt'] = ''.join(','.join(f'{value:.4f}' for value in row) + '\n' for row in rows)
  return files


@pytest.mark.parametrize(('position', 'first'), list(zip(UNITS, (0, 9, 18, 27, 36), strict=True)))
def test_a_position_is_nine_columns_of_which_six_are_read(read, position, first):
  (recording,), _ = read(_files('a09/p1/s01'), position)
  np.testing.assert_allclose(recording.acc.values[0], first + np.arange(3))
  np.testing.assert_allclose(recording.gyro.values[0], first + 3 + np.arange(3))
  assert recording.position == position


def test_segments_are_consecutive_and_a_missing_one_splits_the_run(read):
  recordings, dropped = read(_files(*(f'a09/p1/s0{number}' for number in (1, 2, 3, 5, 6))))
  assert [len(recording.acc.values) for recording in recordings] == [375, 250]
  spans = [(span.start_s, span.stop_s) for recording in recordings for span in recording.spans]
  assert spans == [(0.0, 15.0), (0.0, 10.0)]
  np.testing.assert_allclose(recordings[0].acc.values[[124, 125], 0], [0.124, 100], rtol=1e-6)
  assert dropped == {'segments of 5 s missing': 55}


def test_runs_come_by_subject_then_activity_and_all_missing_segments_are_counted(read):
  recordings, dropped = read(_files('a02/p2/s01', 'a10/p1/s01', 'a09/p1/s01', 'a09/p1/s02'))
  assert [(recording.subject, recording.spans[0].activity) for recording in recordings] == [
    ('1', 'walking'), ('1', 'treadmill_walking'), ('2', 'standing')
  ]  # fmt: skip
  assert dropped == {'segments of 5 s missing': 59 + 59 + 58}

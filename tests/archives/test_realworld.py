"""RealWorld 2016 as released: zips of parts in zips, with part numbers and lengths that do not match."""

import numpy as np
import pytest
from zips import zipped_texts

START_MS = 1_435_993_000_000
_JUMPING_GYRO = '2/data/gyr_jumping_csv.zip/Gyroscope_jumping_waist.csv'


def table(start_s: float, rows: int, value: float, *, step_ms: int = 20) -> str:
  """One part of one sensor; x is `value`, y is the row, z is gravity."""
  lines = [
    f'{row + 1},{START_MS + round(start_s * 1000) + row * step_ms},{value},{row},9.81' for row in range(rows)
  ]
  return '\n'.join(['id,attr_time,attr_x,attr_y,attr_z', *lines]) + '\n'


def official() -> dict[str, str]:
  """Walking of one subject in one part, sitting of another in two parts."""
  return {
    '1/data/acc_walking_csv.zip/acc_walking_waist.csv': table(0, 500, 1.0),
    '1/data/acc_walking_csv.zip/acc_walking_head.csv': table(0, 500, 2.0),
    '1/data/acc_walking_csv.zip/readMe': 'words',
    '1/data/gyr_walking_csv.zip/Gyroscope_walking_waist.csv': table(0.1, 480, 3.0),
    '1/data/gyr_walking_csv.zip/Gyroscope_walking_head.csv': table(0, 500, 4.0),
    '1/images/front.jpg': 'picture',
    # As of subjects 6 and 7, the parts are numbered 2 and 3; as of others, the gyroscope's zip has zips.
    '10/data/acc_sitting_csv.zip/acc_sitting_2_waist.csv': table(0, 300, 5.0),
    '10/data/acc_sitting_csv.zip/acc_sitting_3_waist.csv': table(60, 200, 6.0),
    '10/data/gyr_sitting_csv.zip/gyr_sitting_1_csv.zip/Gyroscope_sitting_waist.csv': table(60, 210, 8.0),
    '10/data/gyr_sitting_csv.zip/gyr_sitting_2_csv.zip/Gyroscope_sitting_2_waist.csv': table(0, 310, 7.0),
    '2/data/acc_jumping_csv.zip/acc_jumping_waist.csv': table(0, 100, 9.0),
    _JUMPING_GYRO: table(0, 100, 9.5),
  }


def _files(texts: dict[str, str]) -> dict[str, bytes]:
  """Texts by name, in zips within a zip."""
  files = {f'realworld2016_dataset/proband{name}': text for name, text in texts.items()}
  return {'realworld.zip': zipped_texts(files)}


def test_sensors_of_different_length_are_paired_by_time(read):
  (walking, *_), dropped = read(_files(official()))
  # The gyroscope runs from 0.1 to 9.68 s: accelerometer rows 5 to 484.
  assert walking.acc.values[[0, -1], 1].tolist() == [5, 484]
  assert walking.gyro.values[[0, -1], 1].tolist() == [0, 479]
  assert walking.acc.time_s[0] == walking.gyro.time_s[0] == 0
  np.testing.assert_allclose(walking.acc.values[0], [1, 5, 9.81], rtol=1e-6)
  assert walking.spans[0].stop_s == pytest.approx(9.58, abs=1e-3)
  # Walking, at both ends, and sitting. Parts that come late are no rows out of order.
  assert dropped == {'rows of one sensor while the other was silent': 20 + 20}


def test_parts_are_paired_by_time_not_by_number_or_nesting(read):
  *_, first, second = read(_files(official()))[0]
  assert (first.acc.values[0, 0], first.gyro.values[0, 0]) == (5, 7)
  assert (second.acc.values[0, 0], second.gyro.values[0, 0]) == (6, 8)
  assert (len(first.acc.time_s), len(second.acc.time_s)) == (300, 200)


def test_another_position_is_read_on_request(read):
  (walking,), dropped = read(_files(official()), 'head')
  assert (walking.acc.values[0, 0], walking.gyro.values[0, 0], walking.position) == (2, 4, 'head')
  assert dropped['activities of a subject without both head files'] == 2


def test_a_missing_gyroscope_is_counted(read):
  files = official()
  del files[_JUMPING_GYRO]
  recordings, dropped = read(_files(files))
  assert {recording.subject for recording in recordings} == {'1', '10'}
  assert dropped['activities of a subject without both waist files'] == 1

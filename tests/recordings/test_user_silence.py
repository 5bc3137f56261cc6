"""Files that once were answered wrongly without a word: mixed, filled, scaled, cut, and of two days."""

import numpy as np
import pandas as pd
import pytest
import user_files

from har_jax import recordings
from har_jax.errors import UserError

NAMES = ['time', 'ax', 'ay', 'az', 'gx', 'gy', 'gz']


def _frame() -> pd.DataFrame:
  return user_files.frame(*user_files.signal()).round(6)


def _sensors(later_s: float) -> tuple[pd.DataFrame, pd.DataFrame]:
  """Acceleration and angular velocity, each as time, x, y and z."""
  frame = _frame()
  acc, gyro = (
    frame[['time', *columns]].set_axis(['time', 'x', 'y', 'z'], axis=1) for columns in (NAMES[1:4], NAMES[4:])
  )
  return acc, gyro.assign(time=gyro.time + later_s)


def _read(tmp_path, frame: pd.DataFrame, **options):
  return recordings.read(user_files.written(tmp_path, frame), gyro_unit='rad/s', **options)


def _has_warning(reading, words: str) -> bool:
  return any(words in warning for warning in reading.warnings)


# --- Rows of several devices or sensors


@pytest.mark.parametrize('name', ['device', 'deviceName', 'sensor_id', 'Subject'])
@pytest.mark.parametrize('later_s', [0.0, 0.007])
def test_rows_of_two_devices_are_not_one_signal(tmp_path, name, later_s):
  phone, watch = _frame(), _frame()
  watch[NAMES[1:4]] = watch[['az', 'ax', 'ay']].to_numpy()
  watch['time'] += later_s
  both = pd.concat([phone.assign(**{name: 'phone'}), watch.assign(**{name: 'watch'})])
  with pytest.raises(
    UserError, match=f"column '{name}' says that rows are of phone, watch, .* a file for.* delete the column"
  ):
    _read(tmp_path, both.sort_values('time', kind='stable'))


@pytest.mark.parametrize('order', [['time', 'sensor'], ['sensor', 'time']])
@pytest.mark.parametrize('later_s', [0.0, 0.003])
def test_angular_velocity_in_other_rows_is_not_read_as_acceleration(tmp_path, order, later_s):
  acc, gyro = _sensors(later_s)
  rows = pd.concat([acc.assign(sensor='accelerometer'), gyro.assign(sensor='gyroscope')])
  with pytest.raises(UserError, match=r'rows are of accelerometer, gyroscope, .*Accelerometer.csv and Gyro'):
    _read(tmp_path, rows.sort_values(order))


def test_androids_numbers_of_sensors_tell_rows_apart(tmp_path):
  acc, gyro = _sensors(0.003)
  rows = pd.concat([acc.assign(type=1), gyro.assign(type=4)]).sort_values('time')
  with pytest.raises(UserError, match="column 'type' says that rows are of 1, 4"):
    _read(tmp_path, rows)


def test_columns_that_tell_no_rows_apart_change_nothing(tmp_path):
  acc, gyro = (each.set_axis(columns, axis=1) for each, columns in
               zip(_sensors(0.003), (NAMES[:4], ['time', *NAMES[4:]]), strict=True))  # fmt: skip
  rows = pd.concat([acc.assign(sensor='accelerometer'), gyro.assign(sensor='gyroscope')]).sort_values('time')
  (recording,) = _read(tmp_path, rows).recordings
  np.testing.assert_allclose(recording.gyro.values, user_files.signal()[2][:-1], atol=1e-3)
  numbers = np.random.default_rng(1).integers(0, 3, 1000)
  for changing in (np.arange(1000) % 2, np.arange(1000) % 20, numbers):
    user_files.assert_same(_read(tmp_path, _frame().assign(type=changing)))
  frame = _frame().assign(device='phone', id=range(1000), position=['pocket'] * 500 + ['hand'] * 500)
  user_files.assert_same(_read(tmp_path, frame))


# --- Zeros in place of what is missing


@pytest.mark.parametrize('number', [0.0, -1.0])
@pytest.mark.parametrize('every', [2, 5])
def test_a_number_in_place_of_angular_velocity_is_left_out(tmp_path, number, every):
  frame = _frame()
  filled = np.arange(1000) % every > 0
  frame.loc[filled, NAMES[4:]] = number
  reading = _read(tmp_path, frame)
  (recording,) = reading.recordings
  np.testing.assert_allclose(recording.gyro.values, user_files.signal()[2][~filled], atol=1e-3)
  assert len(recording.acc.values) == 1001 - every
  assert _has_warning(reading, f'{filled.sum()} rows with {number:g} on all axes of the gyroscope')


def test_merged_sensors_that_were_filled_with_zeros_are_read_apart(tmp_path):
  frame = _frame()
  merged = frame[NAMES[:4]].merge(frame[['time', *NAMES[4:]]].assign(time=frame.time + 0.007), how='outer')
  (recording,) = _read(tmp_path, merged.sort_values('time').fillna(0)).recordings
  np.testing.assert_allclose(recording.acc.values, user_files.signal()[1][1:], atol=1e-3)
  np.testing.assert_allclose(recording.gyro.values, user_files.signal()[2][:-1], atol=1e-3)


@pytest.mark.parametrize('columns', [NAMES[1:4], NAMES[4:], NAMES[1:]])
@pytest.mark.parametrize('every', [2, 4])
def test_rows_that_were_filled_with_the_value_before_are_left_out(tmp_path, columns, every):
  frame = _frame()
  frame.loc[np.arange(1000) % every > 0, columns] = np.nan
  measured = _read(tmp_path, frame).recordings[0]
  reading = _read(tmp_path, frame.ffill())
  for one, other in zip((reading.recordings[0].acc, reading.recordings[0].gyro),
                        (measured.acc, measured.gyro), strict=True):  # fmt: skip
    np.testing.assert_array_equal(one.time_s, other.time_s)
    np.testing.assert_array_equal(one.values, other.values)
  assert _has_warning(reading, f'{1000 - 1000 // every} rows of the')


def test_labels_stay_with_their_rows_where_others_are_left_out(tmp_path):
  frame = _frame().assign(label=['walk'] * 600 + ['run'] * 400)
  frame[NAMES[1:4]] = frame[NAMES[1:4]].to_numpy()[np.arange(1000) // 2 * 2]
  spans = user_files.spans(_read(tmp_path, frame).recordings[0])
  assert [(start_s, activity) for start_s, _, activity in spans] == [(0.0, 'walk'), (12.0, 'run')]


def test_a_coarse_sensor_that_repeats_values_by_chance_is_left_alone(tmp_path):
  time_s, acc, gyro = user_files.signal(3000)
  gyro[:2500] = np.random.default_rng(2).normal(0, 0.03, (2500, 3))
  (recording,) = _read(tmp_path, user_files.frame(time_s, acc, gyro.round(1))).recordings
  assert len(recording.gyro.time_s) == 3000


def test_a_coarse_gyroscope_at_rest_is_no_filler(tmp_path):
  time_s, acc, gyro = user_files.signal(3000)
  gyro[1000:2500] = np.random.default_rng(2).normal(0, 0.05, (1500, 3))
  reading = _read(tmp_path, user_files.frame(time_s, acc, gyro.round(1)))
  assert len(reading.recordings[0].gyro.time_s) == 3000
  assert not reading.warnings


@pytest.mark.parametrize('number', [0.0, 0.02])
def test_a_gyroscope_of_one_number_is_none(tmp_path, number):
  frame = _frame()
  frame[NAMES[4:]] = [number, -number, number]
  reading = recordings.read(user_files.written(tmp_path, frame))
  user_files.assert_same(reading, gyro=False)
  assert not reading.has_gyro
  assert not reading.recordings[0].gyro.values.any()
  (warning,) = reading.warnings
  assert 'The gyroscope has the same values all the time, so it measured nothing' in warning


@pytest.mark.parametrize('copies', [1, 2])
def test_rows_that_are_there_twice_do_not_make_the_clock_coarse(tmp_path, copies):
  frame = _frame()
  twice = pd.concat([frame] + copies * [frame.iloc[200:800]]).sort_values('time', kind='stable')
  reading = _read(tmp_path, twice)
  user_files.assert_same(reading)
  assert not reading.warnings
  assert user_files.has_note(
    reading, f'{600 * copies} rows with a repeated time and the same values: left out.'
  )


# --- Scaled values


@pytest.mark.parametrize('columns', [NAMES[1:4], NAMES[4:]])
@pytest.mark.parametrize(
  ('scale', 'seen'),
  [
    (lambda x: (x - x.mean()) / x.std(), 'mean 0 and standard deviation 1'),
    (lambda x: (x - x.min()) / (x.max() - x.min()), 'minimum 0 and maximum 1'),
    (lambda x: 2 * (x - x.min()) / (x.max() - x.min()) - 1, 'minimum -1 and maximum 1'),
  ],
)
def test_values_that_were_scaled_are_refused_unless_a_unit_is_given(tmp_path, columns, scale, seen):
  frame = _frame()
  frame[columns] = scale(frame[columns])
  path = user_files.written(tmp_path, frame)
  with pytest.raises(UserError, match=f'{seen}: the values were scaled, .* as measured'):
    recordings.read(path)
  recordings.read(path, acc_unit='g', gyro_unit='rad/s')


# --- Files that were cut


@pytest.mark.parametrize('fields', [1, 3, 6])
def test_a_file_that_ends_within_a_row_was_cut(tmp_path, fields):
  lines = _frame().to_csv(index=False).splitlines()[:501]
  path = tmp_path / 'walk.csv'
  path.write_text('\n'.join([*lines[:-1], ','.join(lines[-1].split(',')[:fields])]))
  reading = recordings.read(path, gyro_unit='rad/s')
  assert len(reading.recordings[0].gyro.time_s) == 499
  assert _has_warning(reading, 'The last row of walk.csv lacks values that every other row has')
  path.write_text('\n'.join([*lines, ',,,,,,']))
  assert not recordings.read(path, gyro_unit='rad/s').warnings


# --- Two days


@pytest.mark.parametrize(
  'times',
  [
    lambda t: pd.to_datetime((t + 18 * 3600 - 10 * 3600 * (t >= 10)) * 1e9).strftime('%H:%M:%S.%f'),
    lambda t: user_files.EPOCH_S + t - 1000 * (t >= 10),
  ],
)
def test_parts_that_change_places_are_said(tmp_path, times):
  time_s, acc, gyro = user_files.signal()
  reading = _read(tmp_path, user_files.frame(times(time_s), acc, gyro))
  first, _ = reading.recordings
  np.testing.assert_allclose(first.acc.values, acc[500:], atol=1e-3)
  assert _has_warning(reading, 'into times that were free: parts of the file were exchanged')

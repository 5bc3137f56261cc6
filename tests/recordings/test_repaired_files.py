"""Files that are read right in spite of a fault in their clock, rows or values."""

import contextlib

import export_base
import exports
import numpy as np
import pandas as pd
import pytest
import user_files
from user_files import ACC, AXES, FRAME, GYRO

from har_jax import recordings
from har_jax.config import DEFAULT_WINDOWING
from har_jax.errors import UserError

ONE = export_base.recording(300)
TIME_S, ACC_M_S2, GYRO_RAD_S = user_files.signal()


@pytest.mark.parametrize('name', exports.WRITERS)
def test_a_damaged_export_is_read_or_refused_in_a_sentence(tmp_path, name):
  rng = np.random.default_rng(sum(name.encode()))
  path = user_files.exported(name, tmp_path, ONE).path
  files = [path] if path.is_file() else sorted(each for each in path.rglob('*') if each.is_file())
  whole = {file: file.read_bytes() for file in files}
  for turn in range(6):
    file = files[int(rng.integers(len(files)))]
    data = bytearray(whole[file])
    if turn % 2:
      data = data[: int(rng.integers(len(data)))]
    else:
      for place in rng.integers(len(data), size=1 + turn):
        data[place] = int(rng.integers(256))
    file.write_bytes(data)
    with contextlib.suppress(UserError):
      windows = recordings.to_windows(recordings.read(path), DEFAULT_WINDOWING, unlabeled=True)
      assert all(np.isfinite(window.signal).all() for window in windows)
    file.write_bytes(whole[file])


# --- clocks


def _clock(seconds, form: str):
  return pd.to_datetime((seconds * 1e9).round().astype(np.int64)).strftime(form)


@pytest.mark.parametrize(
  'time',
  [
    lambda t: (np.round(t * 1000).astype(int) + 55_000) % 2**16,
    lambda t: (np.round(t * 1e6).astype(np.int64) + 2**32 - 7_000_000) % 2**32,
    lambda t: (np.round(t * 1e6).astype(np.int64) + 2**32 - 7_000_000) % 2**32 - 2**31,
    lambda t: _clock(t + 3590, '%M:%S.%f'),
    lambda t: _clock(t + 13 * 3600 - 7, '%I:%M:%S.%f'),
    # Clocks are set back in autumn.
    lambda t: _clock(user_files.EPOCH_S + t - 3600 * (t > 9), '%Y-%m-%d %H:%M:%S.%f'),
  ],
)
def test_a_clock_that_begins_again_goes_on(tmp_path, time):
  reading = user_files.read(tmp_path, FRAME.assign(time=time(TIME_S)))
  user_files.assert_same(reading)
  assert user_files.has_note(reading, 'The clock began again once')


def test_a_clock_of_16_bits_begins_again_several_times(tmp_path):
  times = np.round(8000 * TIME_S).astype(int) % 2**16
  reading = user_files.read(tmp_path, FRAME.assign(time=times), time_unit='ms')
  np.testing.assert_allclose(reading.recordings[0].acc.time_s, 8 * TIME_S, atol=1e-3)


def test_a_clock_set_back_by_a_second_goes_on_at_once(tmp_path):
  reading = user_files.read(tmp_path, FRAME.assign(time=TIME_S - (TIME_S >= 10)))
  user_files.assert_same(reading)
  assert user_files.says(reading, 'by up to 1.0 s')


def test_a_second_recording_in_the_file_is_put_after_the_first(tmp_path):
  reading = user_files.read(tmp_path, FRAME.assign(time=np.r_[TIME_S[:600], TIME_S[:400]]))
  first, second = reading.recordings
  np.testing.assert_allclose(np.r_[first.acc.values, second.acc.values], ACC_M_S2, atol=1e-3)


@pytest.mark.parametrize(
  'times',
  [
    lambda t: pd.to_datetime((t + 18 * 3600 - 10 * 3600 * (t >= 10)) * 1e9).strftime('%H:%M:%S.%f'),
    lambda t: user_files.EPOCH_S + t - 1000 * (t >= 10),
  ],
)
def test_parts_that_change_places_are_said(tmp_path, times):
  reading = user_files.read(tmp_path, FRAME.assign(time=times(TIME_S)))
  first, _ = reading.recordings
  np.testing.assert_allclose(first.acc.values, ACC_M_S2[500:], atol=1e-3)
  assert user_files.says(reading, 'into times that were free: parts of the file were exchanged')


def test_a_clock_in_bursts_is_put_on_the_grid_of_its_count_over_its_span(tmp_path):
  table = user_files.frame(*user_files.signal(1500))
  table['time'] = np.repeat(np.arange(150) * 0.2, 10) + np.tile(np.arange(10) * 1e-6, 150)
  reading = user_files.read(tmp_path, table, time_unit='s')
  steps_s = np.diff(reading.recordings[0].acc.time_s)
  np.testing.assert_allclose(steps_s, 149 * 0.2 / 1499, rtol=1e-3)
  assert any('clock in bursts' in each and '50.3 Hz' in each for each in reading.warnings)
  assert len(recordings.to_windows(reading, DEFAULT_WINDOWING, unlabeled=True)) == 22


def test_infinite_times_are_missing(tmp_path):
  times = FRAME.time.where(FRAME.index != 3, np.inf)
  reading = user_files.read(tmp_path, FRAME.assign(time=times))
  assert len(reading.recordings[0].acc.time_s) == 999


# --- rows


@pytest.mark.parametrize(
  'rows',
  [
    np.r_[500:1000, 0:500],
    np.r_[0:400, 300:1000],
    np.r_[0:1000:2, 1:1000:2],
    np.random.default_rng(1).permutation(1000),
  ],
)
def test_rows_out_of_order_or_twice_are_sorted(tmp_path, rows):
  reading = user_files.read(tmp_path, FRAME.iloc[rows])
  user_files.assert_same(reading)
  assert user_files.has_note(reading, 'sorted')
  assert not user_files.says(reading, 'ran back')


@pytest.mark.parametrize('copies', [1, 2])
def test_rows_that_are_there_twice_do_not_make_the_clock_coarse(tmp_path, copies):
  twice = pd.concat([FRAME] + copies * [FRAME.iloc[200:800]]).sort_values('time', kind='stable')
  reading = user_files.read(tmp_path, twice)
  user_files.assert_same(reading)
  assert not reading.warnings
  words = f'{600 * copies} rows with a repeated time and the same values: left out.'
  assert user_files.has_note(reading, words)


@pytest.mark.parametrize('fields', [1, 3, 6])
def test_a_file_that_ends_within_a_row_was_cut(tmp_path, fields):
  lines = FRAME.to_csv(index=False).splitlines()[:501]
  path = user_files.put(tmp_path, '\n'.join([*lines[:-1], ','.join(lines[-1].split(',')[:fields])]))
  reading = recordings.read(path, gyro_unit='rad/s')
  assert len(reading.recordings[0].gyro.time_s) == 499
  assert user_files.says(reading, 'The last row of day.csv lacks values that every other row has')
  path.write_text('\n'.join([*lines, ',,,,,,']))
  assert not recordings.read(path, gyro_unit='rad/s').warnings


def test_columns_that_tell_no_rows_apart_change_nothing(tmp_path):
  later = FRAME[['time', *GYRO]].assign(time=FRAME.time + 0.003, sensor='gyroscope')
  rows = pd.concat([FRAME[['time', *ACC]].assign(sensor='accelerometer'), later]).sort_values('time')
  (recording,) = user_files.read(tmp_path, rows).recordings
  np.testing.assert_allclose(recording.gyro.values, GYRO_RAD_S[:-1], atol=1e-3)
  numbers = np.random.default_rng(1).integers(0, 3, 1000)
  for changing in (np.arange(1000) % 2, np.arange(1000) % 20, numbers):
    user_files.assert_same(user_files.read(tmp_path, FRAME.assign(type=changing)))
  positions = ['pocket'] * 500 + ['hand'] * 500
  table = FRAME.assign(device='phone', id=range(1000), position=positions)
  user_files.assert_same(user_files.read(tmp_path, table))


# --- numbers in place of what is missing


@pytest.mark.parametrize('number', [0.0, -1.0])
@pytest.mark.parametrize('every', [2, 5])
def test_a_number_in_place_of_angular_velocity_is_left_out(tmp_path, number, every):
  is_filled = np.arange(1000) % every > 0
  table = FRAME.copy()
  table.loc[is_filled, GYRO] = number
  reading = user_files.read(tmp_path, table)
  (recording,) = reading.recordings
  np.testing.assert_allclose(recording.gyro.values, GYRO_RAD_S[~is_filled], atol=1e-3)
  assert len(recording.acc.values) == 1001 - every
  assert user_files.says(reading, f'{is_filled.sum()} rows with {number:g} on all axes of the gyroscope')


def test_merged_sensors_that_were_filled_with_zeros_are_read_apart(tmp_path):
  later = FRAME[['time', *GYRO]].assign(time=FRAME.time + 0.007)
  merged = FRAME[['time', *ACC]].merge(later, how='outer').sort_values('time').fillna(0)
  (recording,) = user_files.read(tmp_path, merged).recordings
  np.testing.assert_allclose(recording.acc.values, ACC_M_S2[1:], atol=1e-3)
  np.testing.assert_allclose(recording.gyro.values, GYRO_RAD_S[:-1], atol=1e-3)


@pytest.mark.parametrize('columns', [ACC, GYRO, AXES])
@pytest.mark.parametrize('every', [2, 4])
def test_rows_that_were_filled_with_the_value_before_are_left_out(tmp_path, columns, every):
  table = FRAME.copy()
  table.loc[np.arange(1000) % every > 0, columns] = np.nan
  (measured,) = user_files.read(tmp_path, table).recordings
  reading = user_files.read(tmp_path, table.ffill())
  for sensor in ('acc', 'gyro'):
    samples, expected = getattr(reading.recordings[0], sensor), getattr(measured, sensor)
    np.testing.assert_array_equal(samples.time_s, expected.time_s)
    np.testing.assert_array_equal(samples.values, expected.values)
  assert user_files.says(reading, f'{1000 - 1000 // every} rows of the')


def test_labels_stay_with_their_rows_where_others_are_left_out(tmp_path):
  table = FRAME.assign(label=['walk'] * 600 + ['run'] * 400)
  table[ACC] = table[ACC].to_numpy()[np.arange(1000) // 2 * 2]
  spans = user_files.spans(user_files.read(tmp_path, table).recordings[0])
  assert [(start_s, activity) for start_s, _, activity in spans] == [(0.0, 'walk'), (12.0, 'run')]


@pytest.mark.parametrize(('rows', 'deviation'), [(slice(0, 2500), 0.03), (slice(1000, 2500), 0.05)])
def test_a_coarse_gyroscope_that_repeats_values_by_chance_or_rests_is_no_filler(tmp_path, rows, deviation):
  time_s, acc, gyro = user_files.signal(3000)
  gyro[rows] = np.random.default_rng(2).normal(0, deviation, gyro[rows].shape)
  reading = user_files.read(tmp_path, user_files.frame(time_s, acc, gyro.round(1)))
  assert len(reading.recordings[0].gyro.time_s) == 3000
  assert not reading.warnings


@pytest.mark.parametrize('number', [0.0, 0.02])
def test_a_gyroscope_of_one_number_is_none(tmp_path, number):
  table = FRAME.assign(gx=number, gy=-number, gz=number)
  reading = recordings.read(user_files.written(tmp_path, table))
  user_files.assert_same(reading, gyro=False)
  assert not reading.has_gyro
  assert not reading.recordings[0].gyro.values.any()
  (warning,) = reading.warnings
  assert 'The gyroscope has the same values all the time, so it measured nothing' in warning


# --- sensors against each other


def _rocking(seconds: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """A device rocks about x at an uneven pace: gravity moves in its axes as the gyroscope says."""
  time_s = np.arange(round(seconds * 50)) / 50
  angle = 0.3 * np.sin(2 * np.pi * 0.4 * time_s) + 0.2 * np.sin(2 * np.pi * 0.13 * time_s**1.1)
  acc = export_base.G * np.stack([0 * angle, np.sin(angle), np.cos(angle)], axis=1)
  gyro = np.stack([np.gradient(angle, time_s), 0 * angle, 0 * angle], axis=1)
  noise = np.random.default_rng(8).normal(0, 0.01, (2, len(time_s), 3))
  return time_s, acc + noise[0], gyro + noise[1] / 10


@pytest.mark.parametrize(
  ('unit', 'per', 'read_as'),
  [
    ('deg/s', 1.0, 'rad/s'),
    ('rad/s', user_files.DEGREES, 'deg/s'),
    ('mdps', 1e3 * user_files.DEGREES, 'mdeg/s'),
  ],
)
def test_gravity_overrules_the_unit_in_a_name(tmp_path, unit, per, read_as):
  time_s, acc, gyro = _rocking(30)
  names = f'time ax ay az gx({unit}) gy({unit}) gz({unit})'
  reading = recordings.read(user_files.written(tmp_path, user_files.frame(time_s, acc, gyro * per, names)))
  np.testing.assert_allclose(reading.recordings[0].gyro.values, gyro, atol=1e-3)
  assert user_files.has_note(reading, f'Angular velocity is in {read_as}, as gravity')
  assert user_files.says(reading, 'The name of angular velocity') == (unit != 'mdps')


@pytest.mark.parametrize('late', [0, 150])
def test_a_gyroscope_with_a_clock_of_its_own_is_said(tmp_path, late):
  time_s, acc, gyro = _rocking(60)
  pd.DataFrame(acc, columns=list('xyz')).assign(time=time_s).to_csv(tmp_path / 'mon_accel.csv', index=False)
  gyro = pd.DataFrame(gyro[late:], columns=list('xyz')).assign(time=time_s[: len(gyro) - late])
  gyro.to_csv(tmp_path / 'mon_gyro.csv', index=False)
  (tmp_path / 'notes.csv').write_text('who,when\nme,now\n')
  reading = recordings.read(tmp_path)
  assert reading.files == ['mon']
  assert 'mon: read as CSV or Parquet.' in reading.notes[0]
  assert user_files.has_note(reading, 'Not read: notes.csv')
  assert user_files.says(reading, 'angular velocity if that is 3 s later') == bool(late)


# --- labels


def test_quoted_line_breaks_and_commas_are_part_of_a_label(tmp_path):
  (tmp_path / 'labels.csv').write_text('start,end,activity\n1,8,"walk,\nfast"\n9,18,sit\n')
  reading = user_files.read(tmp_path, FRAME, labels=tmp_path / 'labels.csv')
  assert user_files.spans(reading.recordings[0]) == [(1, 8, 'walk,fast'), (9, 18, 'sit')]


def test_labels_of_a_parquet_may_be_bytes(tmp_path):
  pytest.importorskip('pyarrow')
  FRAME.assign(label=[b'walk'] * 1000).to_parquet(tmp_path / 'walk.parquet')
  (recording,) = recordings.read(tmp_path / 'walk.parquet').recordings
  assert user_files.spans(recording) == [(0, 20, 'walk')]

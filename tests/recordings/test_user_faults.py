"""Clocks that run back, values that no motion gives, and units that no sensor has: never a silent answer."""

import numpy as np
import pandas as pd
import pytest
import user_files

from har_jax import recordings
from har_jax.errors import UserError
from har_jax.signal.recording import STANDARD_GRAVITY_M_S2 as G


def _read(tmp_path, time=None, acc=None, gyro=None, names='time ax ay az gx gy gz', **options):
  time_s, usual_acc, usual_gyro = user_files.signal()
  frame = user_files.frame(
    time_s if time is None else time,
    usual_acc if acc is None else acc,
    usual_gyro if gyro is None else gyro,
    names,
  )
  return recordings.read(user_files.written(tmp_path, frame), gyro_unit='rad/s', **options)


def _said(reading, words: str) -> bool:
  return any(words in sentence for sentence in reading.warnings + recordings.check(reading))


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
  reading = _read(tmp_path, time(user_files.signal()[0]))
  user_files.assert_same(reading)
  assert user_files.has_note(reading, 'The clock began again once')


def test_a_clock_of_16_bits_begins_again_several_times(tmp_path):
  time_s = 8 * user_files.signal()[0]
  reading = _read(tmp_path, np.round(time_s * 1000).astype(int) % 2**16, time_unit='ms')
  np.testing.assert_allclose(reading.recordings[0].acc.time_s, time_s, atol=1e-3)


def test_a_second_recording_in_the_file_is_put_after_the_first(tmp_path):
  time_s, acc, _ = user_files.signal()
  reading = _read(tmp_path, np.r_[time_s[:600], time_s[:400]])
  first, second = reading.recordings
  np.testing.assert_allclose(np.r_[first.acc.values, second.acc.values], acc, atol=1e-3)
  assert _said(reading, 'ran back once, by up to 12.0 s, into times that were taken')


def test_a_clock_set_back_by_a_second_goes_on_at_once(tmp_path):
  time_s = user_files.signal()[0]
  reading = _read(tmp_path, time_s - (time_s >= 10))
  user_files.assert_same(reading)
  assert _said(reading, 'by up to 1.0 s')


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
  time_s, acc, gyro = user_files.signal()
  reading = _read(tmp_path, time_s[rows], acc[rows], gyro[rows])
  user_files.assert_same(reading)
  assert not _said(reading, 'ran back')


@pytest.mark.parametrize('row', [0, 500])
def test_a_time_before_the_clock_was_set_is_left_out(tmp_path, row):
  time = np.round((user_files.EPOCH_S + user_files.signal()[0]) * 1000)
  time[row] = 0
  reading = _read(tmp_path, time)
  assert len(reading.recordings[0].acc.time_s) == 999
  assert _said(reading, '1 times lie before 2001 or after 2096')


@pytest.mark.parametrize('filler', [0.0, -1.0, -999.0])
def test_one_number_for_all_that_is_missing_is_left_out(tmp_path, filler):
  time_s, acc, gyro = user_files.signal()
  acc[100:1000:20] = filler
  gyro[100:1000:20] = filler
  reading = _read(tmp_path, time_s, acc, gyro)
  assert len(reading.recordings[0].acc.time_s) == len(reading.recordings[0].gyro.time_s) == 955
  assert _said(reading, f'45 rows with {filler:g} on all axes')


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
  names = f'time|ax|ay|az|gx ({unit})|gy ({unit})|gz ({unit})'.replace('|', ' ').replace(' (', '(')
  frame = user_files.frame(time_s, acc, gyro * per, names)
  reading = recordings.read(user_files.written(tmp_path, frame))
  np.testing.assert_allclose(reading.recordings[0].gyro.values, gyro, atol=1e-3)
  assert user_files.has_note(reading, f'Angular velocity is in {read_as}, as gravity')
  assert _said(reading, 'The name of angular velocity') == (unit != 'mdps')


@pytest.mark.parametrize(
  ('changes', 'message'),
  [
    ({'acc': user_files.signal()[1] / G * 16384}, 'acceleration is in no known unit: .* raw counts'),
    ({'acc': user_files.signal()[1] * 3.28}, 'acceleration is in no known unit'),
    ({'time': 45_000 + user_files.signal()[0] / 86_400}, r"'time' makes 4.\d+e\+06 Hz in s: is it the time"),
    ({'time': np.arange(1000) + 17}, 'counts rows: give rate_hz'),
    ({'names': 'time tx ty tz gx gy gz'}, 'a gyroscope, but no three accelerometer axes .* ax=<its name>'),
  ],
)  # fmt: skip
def test_what_is_no_acceleration_and_no_time_is_refused(tmp_path, changes, message):
  with pytest.raises(UserError, match=message):
    _read(tmp_path, **changes)


def test_counts_of_a_gyroscope_are_refused(tmp_path):
  time_s, acc, gyro = user_files.signal()
  path = user_files.written(tmp_path, user_files.frame(time_s, acc, gyro * user_files.DEGREES * 131))
  with pytest.raises(UserError, match=r'angular velocity is in no known unit: .* raw counts'):
    recordings.read(path)


@pytest.mark.parametrize(
  ('change', 'words'),
  [
    (lambda acc, gyro: (acc * [1, 0, 1], gyro), 'accelerometer has 0 on y all the time'),
    (lambda acc, gyro: (acc, np.repeat(gyro[::10], 10, axis=0)), '50 rows a second, but only 5 new values'),
    (
      lambda acc, gyro: (acc, np.where(np.arange(1000)[:, None] < 600, gyro, np.nan)),
      '8.0 of 20.0 s of acceleration have no angular velocity',
    ),
  ],
)
def test_what_a_sensor_did_not_measure_is_said(tmp_path, change, words):
  acc, gyro = change(*user_files.signal()[1:])
  assert _said(_read(tmp_path, acc=acc, gyro=gyro), words)


def test_missing_rows_and_a_doubtful_rate_are_said(tmp_path):
  time_s, acc, gyro = user_files.signal()
  kept = np.random.default_rng(1).random(1000) < 0.6
  assert _said(_read(tmp_path, time_s[kept], acc[kept], gyro[kept]), 'are missing between others')
  assert _said(_read(tmp_path, 2 * np.arange(1000)), 'unit of time is a guess, ms, and makes 500 Hz')
  assert _said(_read(tmp_path, time_s / 60), 'runs at 3000 Hz: is the unit of time right?')


def test_gravity_alone_is_no_acceleration(tmp_path):
  time_s, acc, gyro = user_files.signal(2000)
  gravity = np.broadcast_to(acc.mean(axis=0), acc.shape) + np.random.default_rng(1).normal(0, 0.01, acc.shape)
  assert _said(_read(tmp_path, time_s, gravity, gyro), 'this looks like gravity alone, or smoothed')
  assert not _said(_read(tmp_path, time_s, acc, gyro), 'gravity alone')


def _rocking(seconds: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """A device rocks about x at an uneven pace: gravity moves in its axes as the gyroscope says."""
  time_s = np.arange(round(seconds * 50)) / 50
  angle = 0.3 * np.sin(2 * np.pi * 0.4 * time_s) + 0.2 * np.sin(2 * np.pi * 0.13 * time_s**1.1)
  acc = G * np.stack([0 * angle, np.sin(angle), np.cos(angle)], axis=1)
  gyro = np.stack([np.gradient(angle, time_s), 0 * angle, 0 * angle], axis=1)
  noise = np.random.default_rng(8).normal(0, 0.01, (2, len(time_s), 3))
  return time_s, acc + noise[0], gyro + noise[1] / 10


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
  assert _said(reading, 'angular velocity if that is 3 s later') == bool(late)

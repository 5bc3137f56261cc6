"""Units of a user's file, told by its numbers, by names, or by the user."""

import numpy as np
import own_files
import pytest

from har_jax.data import user_recordings
from har_jax.data.recording import STANDARD_GRAVITY_M_S2 as G


@pytest.mark.parametrize(('time', 'per_s'), [('s', 1), ('ms', 1e3), ('us', 1e6), ('ns', 1e9)])
@pytest.mark.parametrize(('acc_unit', 'acc_per'), [('m/s2', 1), ('g', 1 / G), ('mg', 1e3 / G)])
@pytest.mark.parametrize(('gyro_unit', 'gyro_per'), [('rad/s', 1), ('deg/s', own_files.DEGREES)])
@pytest.mark.parametrize('epoch', [0, own_files.EPOCH_S])
def test_units_of_every_kind_are_told_by_their_numbers(
  tmp_path, time, per_s, acc_unit, acc_per, gyro_unit, gyro_per, epoch
):
  time_s, acc, gyro = own_files.signal()
  stamps = (
    (epoch + time_s) * per_s
    if time == 's'
    else np.round(time_s * per_s).astype(np.int64) + int(epoch * per_s)
  )
  reading = user_recordings.read(
    own_files.written(tmp_path, own_files.frame(stamps, acc * acc_per, gyro * gyro_per))
  )
  own_files.same(reading)
  assert reading.has_gyro
  assert reading.start == (f'{own_files.START}+00:00' if epoch else '')
  assert own_files.said(reading, f'Acceleration is in {acc_unit}')
  assert own_files.said(reading, f'time is in {time}')
  # A calm recording in deg/s would look like this one in rad/s.
  assert any('The unit of rotation is a guess' in warning for warning in reading.warnings) == (
    gyro_unit == 'rad/s'
  )


def test_units_that_the_user_names_are_taken_whatever_the_numbers(tmp_path):
  time_s, acc, gyro = own_files.signal()
  path = own_files.written(tmp_path, own_files.frame(time_s * 1e3, acc * 0.05, gyro * 0.05))
  reading = user_recordings.read(path, acc_unit='g', gyro_unit='dps', time_unit='ms')
  (recording,) = reading.recordings
  np.testing.assert_allclose(recording.acc.values, acc * 0.05 * G, atol=1e-3)
  np.testing.assert_allclose(recording.gyro.values, gyro * 0.05 / own_files.DEGREES, atol=1e-4)
  assert not reading.warnings


@pytest.mark.parametrize(('unit', 'per'), [('rad/s', 1), ('deg/s', own_files.DEGREES)])
def test_gravity_tells_the_unit_of_slow_rotation(tmp_path, unit, per):
  # A device rocks slowly about x: gravity moves in its axes as the gyroscope says.
  time_s, _, gyro = own_files.signal(1500)
  angle = 0.15 * np.sin(2 * np.pi * 0.2 * time_s)
  acc = G * np.stack([0 * angle, np.sin(angle), np.cos(angle)], axis=1)
  gyro = np.stack([np.gradient(angle, time_s), 0 * angle, 0 * angle], axis=1)
  noise = np.random.default_rng(8).normal(0, 0.01, (1500, 6))
  reading = user_recordings.read(
    own_files.written(tmp_path, own_files.frame(time_s, acc + noise[:, :3], (gyro + noise[:, 3:] / 10) * per))
  )
  assert own_files.said(reading, f'Rotation is in {unit}, as gravity turns with it')
  np.testing.assert_allclose(reading.recordings[0].gyro.values, gyro, atol=0.01)
  assert not reading.warnings


@pytest.mark.parametrize('per', [1, 1 / G, 1e3 / G])
def test_a_run_is_no_other_unit(tmp_path, per):
  time_s, acc, gyro = own_files.signal(1500)
  phase = 2 * np.pi * 2.7 * time_s
  acc = acc + 14 * np.stack([np.cos(phase), 0 * phase, np.sin(phase)], axis=1)
  assert np.median(np.linalg.norm(acc, axis=1)) > 1.35 * G
  reading = user_recordings.read(
    own_files.written(tmp_path, own_files.frame(time_s, acc * per, gyro)), gyro_unit='rad/s'
  )
  np.testing.assert_allclose(reading.recordings[0].acc.values, acc, atol=1e-3)
  assert not reading.warnings
  assert not [sentence for sentence in user_recordings.check(reading) if 'ravity' in sentence]


def test_a_unit_in_the_name_wins_over_the_numbers(tmp_path):
  time_s, acc, gyro = own_files.signal()
  names = 'time|acc x (m/s^2)|acc y (m/s^2)|acc z (m/s^2)|gyro x [deg/s]|gyro y [deg/s]|gyro z [deg/s]'
  frame = own_files.frame(time_s, acc * 0.1, gyro).set_axis(names.split('|'), axis=1)
  (recording,) = user_recordings.read(own_files.written(tmp_path, frame)).recordings
  np.testing.assert_allclose(recording.acc.values, acc * 0.1, atol=1e-4)
  np.testing.assert_allclose(recording.gyro.values, gyro / own_files.DEGREES, atol=1e-4)

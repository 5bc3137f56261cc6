"""Units of a user's file follow from the user's options, from names or from the numbers."""

import numpy as np
import pytest
import user_files
import worn_device

from har_jax import recordings
from har_jax.config import DEFAULT_WINDOWING
from har_jax.recordings import infer
from har_jax.signal.recording import STANDARD_GRAVITY_M_S2 as G
from har_jax.signal.recording import Samples

TIME = {'s': 1, 'ms': 1e3, 'us': 1e6, 'ns': 1e9}
ACC = {'m/s2': 1, 'g': 1 / G, 'mg': 1e3 / G}
GYRO = {'rad/s': 1, 'deg/s': user_files.DEGREES}


@pytest.mark.parametrize(
  ('time', 'acc_unit', 'gyro_unit', 'epoch'),
  [  # every unit with every unit of another kind
    *((time, acc_unit, 'rad/s', 0) for time in TIME for acc_unit in ACC),
    *(
      (time, acc_unit, 'deg/s', user_files.EPOCH_S) for time, acc_unit in zip(TIME, [*ACC, 'g'], strict=True)
    ),
  ],
)
def test_units_are_inferred_from_the_numbers(tmp_path, time, acc_unit, gyro_unit, epoch):
  per_s, acc_per, gyro_per = TIME[time], ACC[acc_unit], GYRO[gyro_unit]
  time_s, acc, gyro = user_files.signal()
  stamps = (
    (epoch + time_s) * per_s
    if time == 's'
    else np.round(time_s * per_s).astype(np.int64) + int(epoch * per_s)
  )
  reading = recordings.read(
    user_files.written(tmp_path, user_files.frame(stamps, acc * acc_per, gyro * gyro_per))
  )
  user_files.assert_same(reading)
  assert reading.has_gyro
  assert reading.start == (f'{user_files.START}+00:00' if epoch else '')
  assert user_files.has_note(reading, f'cceleration is in {acc_unit},')
  assert user_files.has_note(reading, f'time is in {time},')
  # A calm recording in deg/s would look like this one in rad/s.
  assert any('gyro_unit' in warning for warning in reading.warnings) == (gyro_unit == 'rad/s')


def test_requested_units_are_used_whatever_the_numbers(tmp_path):
  time_s, acc, gyro = user_files.signal()
  path = user_files.written(tmp_path, user_files.frame(time_s * 1e3, acc * 0.05, gyro * 0.05))
  reading = recordings.read(path, acc_unit='g', gyro_unit='dps', time_unit='ms')
  (recording,) = reading.recordings
  np.testing.assert_allclose(recording.acc.values, acc * 0.05 * G, atol=1e-3)
  np.testing.assert_allclose(recording.gyro.values, gyro * 0.05 / user_files.DEGREES, atol=1e-4)
  assert not reading.warnings


@pytest.mark.parametrize(('unit', 'per'), [('rad/s', 1), ('deg/s', user_files.DEGREES)])
def test_gravity_tells_the_unit_of_a_slow_gyroscope(tmp_path, unit, per):
  # A device rocks slowly about x: gravity moves in its axes as the gyroscope says.
  time_s, _, gyro = user_files.signal(1500)
  angle = 0.15 * np.sin(2 * np.pi * 0.2 * time_s)
  acc = G * np.stack([0 * angle, np.sin(angle), np.cos(angle)], axis=1)
  gyro = np.stack([np.gradient(angle, time_s), 0 * angle, 0 * angle], axis=1)
  noise = np.random.default_rng(8).normal(0, 0.01, (1500, 6))
  reading = recordings.read(
    user_files.written(
      tmp_path, user_files.frame(time_s, acc + noise[:, :3], (gyro + noise[:, 3:] / 10) * per)
    )
  )
  assert user_files.has_note(reading, f'is in {unit}, as gravity')
  np.testing.assert_allclose(reading.recordings[0].gyro.values, gyro, atol=0.01)
  assert not reading.warnings


@pytest.mark.parametrize('per', [1, 1 / G, 1e3 / G])
def test_a_run_does_not_change_the_unit(tmp_path, per):
  time_s, acc, gyro = user_files.signal(1500)
  phase = 2 * np.pi * 2.7 * time_s
  acc = acc + 14 * np.stack([np.cos(phase), 0 * phase, np.sin(phase)], axis=1)
  assert np.median(np.linalg.norm(acc, axis=1)) > 1.35 * G
  reading = recordings.read(
    user_files.written(tmp_path, user_files.frame(time_s, acc * per, gyro)), gyro_unit='rad/s'
  )
  np.testing.assert_allclose(reading.recordings[0].acc.values, acc, atol=1e-3)
  assert not reading.warnings
  assert not [sentence for sentence in recordings.check(reading, DEFAULT_WINDOWING) if 'ravity' in sentence]


def test_a_unit_in_the_name_is_used_whatever_the_numbers(tmp_path):
  time_s, acc, gyro = user_files.signal()
  names = 'time|acc x (m/s^2)|acc y (m/s^2)|acc z (m/s^2)|gyro x [deg/s]|gyro y [deg/s]|gyro z [deg/s]'
  frame = user_files.frame(time_s, acc * 0.1, gyro).set_axis(names.split('|'), axis=1)
  (recording,) = recordings.read(user_files.written(tmp_path, frame)).recordings
  np.testing.assert_allclose(recording.acc.values, acc * 0.1, atol=1e-4)
  np.testing.assert_allclose(recording.gyro.values, gyro / user_files.DEGREES, atol=1e-4)


def test_degrees_under_the_name_of_radians_are_read_as_degrees_with_a_warning(tmp_path):
  """A fast gyroscope on a device that does not turn gravity: the name is all there is, and it is wrong."""
  time_s, acc, _ = user_files.signal()
  acc = np.broadcast_to([0.0, 0.0, 9.81], acc.shape) + np.random.default_rng(0).normal(0, 0.5, acc.shape)
  names = 'time|acc x (m/s^2)|acc y (m/s^2)|acc z (m/s^2)|gyro x [rad/s]|gyro y [rad/s]|gyro z [rad/s]'
  turns = 3 * np.sin(np.arange(len(time_s)))[:, None] * [0.0, 0.0, 1.0]
  frame = user_files.frame(time_s, acc, turns * user_files.DEGREES).set_axis(names.split('|'), axis=1)
  reading = recordings.read(user_files.written(tmp_path, frame))
  np.testing.assert_allclose(reading.recordings[0].gyro.values, turns, atol=1e-3)
  assert 'says rad/s, but nobody turns as fast' in ' '.join(reading.warnings)


@pytest.mark.parametrize('late_s', [0.3, -0.4])
def test_a_late_gyroscope_is_warned_of_with_its_delay(late_s):
  signal = worn_device.signal('sitting', 480, 0)  # and four times as fast
  time_s = np.arange(len(signal)) / worn_device.RATE_HZ / 4
  acc, gyro = (Samples(time_s, part.astype(np.float32)) for part in (signal[:, :3], 4 * signal[:, 3:]))
  assert infer.lag_s(acc, gyro) == 0
  assert infer.lag_s(acc, Samples(time_s, -gyro.values)) == 0
  assert infer.lag_s(acc, Samples(time_s + late_s, gyro.values)) == pytest.approx(late_s, abs=0.02)

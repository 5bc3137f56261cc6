"""Values beyond 50 g or 5,000 °/s are faults: left out, counted, and unable to move a statistic far."""

import numpy as np
import pytest

from har_jax.datasets import normalization
from har_jax.signal import physics, still
from har_jax.signal.recording import regular


@pytest.mark.parametrize('fault', [1e30, -1e37, np.inf, -np.inf, 490.4])
def test_an_impossible_value_becomes_nan_is_counted_and_the_argument_stays(fault):
  values = np.full((10, 3), 490.3, np.float32)
  values[4, 1] = fault
  kept, count = physics.drop_impossible(values, physics.MAX_ACC_M_S2)
  assert count == 1
  assert np.argwhere(np.isnan(kept)).tolist() == [[4, 1]]
  assert values[4, 1] == np.float32(fault)


def test_possible_values_and_nan_come_back_as_they_are():
  values = np.array([[87.2, -87.2, np.nan]], np.float32)
  kept, count = physics.drop_impossible(values, physics.MAX_GYRO_RAD_S)
  assert kept is values
  assert count == 0


def test_a_sensor_whose_scale_few_samples_set_is_told_once():
  values = np.random.default_rng(0).normal(0, 2, (8000, 3)).astype(np.float32)
  values[7] = np.nan
  assert physics.scale_of_few('gyroscope', [values]) is None
  values[100, 1] = 400.0
  parts = [values[:3000], values[3000:]]
  told = physics.scale_of_few('gyroscope', parts)
  assert told is not None
  assert told.startswith('Over half of the variance of the gyroscope is in 1 of 7,999 samples')
  values[100:120, 1] = 400.0  # half of them are more than 0.1 % of all
  assert physics.scale_of_few('gyroscope', parts) is None
  assert physics.scale_of_few('gyroscope', [values[:0]]) is None
  assert physics.scale_of_few('gyroscope', [np.zeros((9000, 3), np.float32)]) is None


def test_a_scale_is_about_the_mean_and_few_are_a_hundred_at_most():
  values = np.random.default_rng(0).normal(9.8, 0.2, (8000, 3)).astype(np.float32)
  values[100, 1] = 60.0
  told = physics.scale_of_few('accelerometer', [values])
  assert told is not None
  assert 'in 1 of 8,000 samples' in told
  long = np.zeros((300_000, 1), np.float32)
  long[:250] = 40.0  # less than 0.1 %, and a hundred of them have two fifths of the variance
  assert physics.scale_of_few('accelerometer', [long]) is None


def test_the_largest_possible_value_cannot_wipe_out_a_sensor():
  signal = np.random.default_rng(0).normal(0, 2, (1, 8000, 6))
  signal[0, 0] = [physics.MAX_ACC_M_S2] * 3 + [physics.MAX_GYRO_RAD_S] * 3
  assert (normalization.fit(signal).deviation < [6, 2.5]).all()


# --- gravity at rest


G = 9.80665
SIDES = np.concatenate([np.eye(3), -np.eye(3)]) * G
GAIN, BIAS = np.array([1.02, 0.99, 1.0]), np.array([0.4, -0.3, 0.1])


def _measure(true: np.ndarray) -> np.ndarray:
  return GAIN * true + BIAS


def test_bias_and_gain_of_six_sides_are_recovered():
  tilted = SIDES + np.random.default_rng(0).normal(0, 1.5, (5, 6, 3))
  true = (tilted / np.linalg.norm(tilted, axis=-1, keepdims=True)).reshape(-1, 3) * G
  fit = still.calibrate(_measure(true))
  assert fit is not None
  np.testing.assert_allclose(fit.gain, GAIN, atol=1e-3)
  np.testing.assert_allclose(fit.bias_m_s2, BIAS, atol=1e-3)
  np.testing.assert_allclose((_measure(true) - fit.bias_m_s2) / fit.gain, true, atol=0.02)
  assert fit.after < 0.01 < 0.2 < fit.before
  measured = _measure(true)
  measured[7] *= 1.05  # no rest: it hardly counts
  np.testing.assert_allclose(still.calibrate(measured).gain, GAIN, atol=2e-3)
  assert (
    still.calibrate(np.concatenate([SIDES, 0.8 * SIDES[:1]])) is None
  )  # right but for one: it would be worse


@pytest.mark.parametrize('missing', range(6))
def test_fewer_directions_are_left_alone(missing):
  means = _measure(np.delete(SIDES, missing, axis=0))
  assert still.count_directions(means) == 5
  assert still.calibrate(means) is None
  assert still.count_directions(means[:0]) == 0


@pytest.mark.parametrize('rate_hz', [20, 100])
def test_rest_is_sought_in_stretches_of_2_56_s_at_each_sensors_own_rate(rate_hz):
  values = np.zeros((13 * rate_hz, 3))
  values[:, 2] = G
  values[6 * rate_hz : 7 * rate_hz] += np.random.default_rng(0).normal(0, 5, (rate_hz, 3))
  rest = still.find_rest([regular(values, rate_hz), regular(values[: 3 * rate_hz], rate_hz)])
  assert len(rest.means) == 5  # of the five whole stretches of the first, one moves; one of the other
  np.testing.assert_allclose(rest.errors, 0, atol=1e-4)


def test_noise_is_that_of_the_quietest_tenth():
  rest = still.Rest(np.zeros((11, 3)), np.arange(11.0)[:, None] + [-0.3, 0.0, 0.3])
  assert rest.noise_m_s2 == pytest.approx(1.0)


def test_a_device_is_still_if_two_axes_deviate_by_less_than_13_mg():
  noise = np.random.default_rng(1).normal(0, 1, (1, 4000, 6))
  levels = np.array([[0.012, 0.012, 0.1], [0.012, 0.014, 0.1]]) * G
  signals = noise * np.c_[levels, np.ones((2, 3))][:, None]
  assert still.is_still(signals).tolist() == [True, False]


def test_a_constant_signal_deviates_by_nothing_though_squares_are_rounded():
  mean, deviation = still.moments(np.arange(100) / 50, np.full((100, 3), 3.27), 1.0)
  np.testing.assert_allclose(mean, np.full((2, 3), 3.27))
  np.testing.assert_allclose(deviation, [0, 0], atol=1e-6)


def test_each_second_has_its_mean_and_the_deviation_of_all_axes():
  values = np.float32([[1, 2, 3], [3, 2, 3], [5, 5, 5], [9, 9, 9]])
  mean, deviation = still.moments(np.array([0.0, 0.5, 1.2, 3.0]), values, 1.0)
  np.testing.assert_array_equal(mean, [[2, 2, 3], [5, 5, 5], [np.nan] * 3, [9, 9, 9]])
  np.testing.assert_array_equal(deviation, [1, 0, np.nan, 0])

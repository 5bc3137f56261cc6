"""Gravity at rest tells an accelerometer's bias and gain, if the device lay in six directions."""

import numpy as np
import pytest

from har_jax.signal import still

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
  np.testing.assert_allclose(fit.bias_m_s2, BIAS, atol=1e-2)
  np.testing.assert_allclose((_measure(true) - fit.bias_m_s2) / fit.gain, true, atol=0.02)
  assert fit.after < 0.01 < 0.2 < fit.before


@pytest.mark.parametrize('missing', range(6))
def test_fewer_directions_are_left_alone(missing):
  means = _measure(np.delete(SIDES, missing, axis=0))
  assert still.count_directions(means) == 5
  assert still.calibrate(means) is None
  assert still.count_directions(means[:0]) == 0


def test_a_device_is_still_if_two_axes_deviate_by_less_than_13_mg():
  noise = np.random.default_rng(1).normal(0, 1, (1, 4000, 6))
  levels = np.array([[0.012, 0.012, 0.1], [0.012, 0.014, 0.1]]) * G
  signals = noise * np.c_[levels, np.ones((2, 3))][:, None]
  assert still.is_still(signals).tolist() == [True, False]

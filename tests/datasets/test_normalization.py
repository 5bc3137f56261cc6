"""Normalization: one mean and one standard deviation per sensor, of the windows it is fitted on."""

import numpy as np
import pytest

from har_jax.datasets import normalization


@pytest.fixture(scope='module')
def signals() -> np.ndarray:
  rng = np.random.default_rng(0)
  scale = np.array([3, 2, 1, 0.1, 0.2, 0.3])
  offset = np.array([0, 0, 9.8, 0, 0.05, 0])
  return (rng.standard_normal((50, 16, 6)) * scale + offset).astype(np.float32)


def test_each_sensor_has_the_mean_and_deviation_that_numpy_says_and_axes_share_them(signals):
  normalizer = normalization.fit(signals)
  sensors = signals.astype(np.float64).reshape(50, 16, 2, 3)
  mean, deviation = sensors.mean(axis=(0, 1, 3)), sensors.std(axis=(0, 1, 3))
  np.testing.assert_allclose(normalizer.mean, mean, rtol=1e-9)
  np.testing.assert_allclose(normalizer.deviation, deviation, rtol=1e-9)
  normalized = normalizer(signals)
  assert normalized.dtype == np.float32
  expected = (sensors - mean[:, None]) / deviation[:, None]
  np.testing.assert_allclose(normalized, expected.reshape(signals.shape), rtol=1e-5, atol=1e-6)


def test_the_origin_is_the_normalized_zero(signals):
  normalizer = normalization.fit(signals)
  zero = normalizer(np.zeros((4, 1, 6), np.float32))
  np.testing.assert_allclose(normalizer.origins(4), zero[:, 0, [0, 3]], rtol=1e-6)
  assert (np.abs(normalizer.origins(4)) > 0.01).all()


def test_reading_in_chunks_changes_nothing(signals, monkeypatch):
  at_once = normalization.fit(signals)
  monkeypatch.setattr(normalization, '_CHUNK', 7)
  in_chunks = normalization.fit(signals)
  np.testing.assert_allclose(in_chunks.mean, at_once.mean, rtol=1e-12)
  np.testing.assert_allclose(in_chunks.deviation, at_once.deviation, rtol=1e-12)


def test_a_constant_sensor_gives_zeros_not_nan(signals):
  constant = signals.copy()
  constant[..., 3:] = 0.25
  normalized = normalization.fit(constant)(constant)
  np.testing.assert_array_equal(normalized[..., 3:], 0)


def test_physical_units_are_g_and_rad_s_with_a_physical_zero(signals):
  normalizer = normalization.physical(signals)
  normalized = normalizer(signals)
  np.testing.assert_allclose(normalized[..., :3] * 9.80665, signals[..., :3], rtol=1e-6)
  np.testing.assert_array_equal(normalized[..., 3:], signals[..., 3:])
  np.testing.assert_array_equal(normalizer.origins(4), 0)
  assert normalized.dtype == normalizer.origins(4).dtype == np.float32


def test_physical_units_show_whether_there_is_any_rotation(signals, monkeypatch):
  monkeypatch.setattr(normalization, '_CHUNK', 7)
  still = signals.copy()
  still[..., 3:] = 0
  without = normalization.physical(still)
  assert without.deviation[1] == normalization.fit(still).deviation[1] < 1e-5  # as the recognizer's limit is
  np.testing.assert_array_equal(without(still)[..., 3:], 0)
  still[-1, -1, 5] = 0.01  # in the last portion
  assert normalization.physical(still).deviation.tolist() == [9.80665, 1.0]

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


def test_each_sensor_is_normalized_to_mean_0_and_deviation_1(signals):
  normalized = normalization.fit(signals)(signals)
  assert normalized.dtype == np.float32
  for sensor in (normalized[..., :3], normalized[..., 3:]):
    assert abs(sensor.mean(dtype=np.float64)) < 1e-6
    assert abs(sensor.std(dtype=np.float64) - 1) < 1e-6


def test_statistics_equal_those_of_numpy(signals):
  normalizer = normalization.fit(signals)
  sensors = signals.astype(np.float64).reshape(-1, 2, 3)
  np.testing.assert_allclose(normalizer.mean, sensors.mean(axis=(0, 2)), rtol=1e-9)
  np.testing.assert_allclose(normalizer.deviation, sensors.std(axis=(0, 2)), rtol=1e-9)


def test_axes_keep_their_proportions(signals):
  after, before = normalization.fit(signals)(signals).std(axis=(0, 1)), signals.std(axis=(0, 1))
  assert after[0] / after[2] == pytest.approx(before[0] / before[2], rel=1e-5)
  assert after[3] / after[5] == pytest.approx(before[3] / before[5], rel=1e-5)


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

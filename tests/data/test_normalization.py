"""Normalization: one mean and one deviation a sensor, of the windows it is fitted on and no others."""

import numpy as np
import pytest

from har_jax.data import normalization


def _signals(windows: int, seed: int = 0) -> np.ndarray:
  rng = np.random.default_rng(seed)
  scale = np.array([3, 2, 1, 0.1, 0.2, 0.3])
  offset = np.array([0, 0, 9.8, 0, 0.05, 0])
  return (rng.standard_normal((windows, 16, 6)) * scale + offset).astype(np.float32)


def test_each_triad_comes_to_mean_nought_and_deviation_one():
  signals = _signals(50)
  normalized = normalization.fit(signals)(signals)
  assert normalized.dtype == np.float32
  for triad in (normalized[..., :3], normalized[..., 3:]):
    assert abs(triad.mean(dtype=np.float64)) < 1e-6
    assert abs(triad.std(dtype=np.float64) - 1) < 1e-6


def test_statistics_are_those_of_numpy():
  signals = _signals(50)
  fitted = normalization.fit(signals)
  triads = signals.astype(np.float64).reshape(-1, 2, 3)
  np.testing.assert_allclose(fitted.mean, triads.mean(axis=(0, 2)), rtol=1e-9)
  np.testing.assert_allclose(fitted.deviation, triads.std(axis=(0, 2)), rtol=1e-9)


def test_axes_keep_their_proportions():
  signals = _signals(50)
  normalized = normalization.fit(signals)(signals)
  given, expected = normalized.std(axis=(0, 1)), signals.std(axis=(0, 1))
  assert given[0] / given[2] == pytest.approx(expected[0] / expected[2], rel=1e-5)
  assert given[3] / given[5] == pytest.approx(expected[3] / expected[5], rel=1e-5)


def test_reading_in_pieces_changes_nothing(monkeypatch: pytest.MonkeyPatch):
  signals = _signals(50)
  whole = normalization.fit(signals)
  monkeypatch.setattr(normalization, '_CHUNK', 7)
  pieces = normalization.fit(signals)
  np.testing.assert_allclose(pieces.mean, whole.mean, rtol=1e-12)
  np.testing.assert_allclose(pieces.deviation, whole.deviation, rtol=1e-12)


def test_a_dead_sensor_gives_zeros_not_nan():
  signals = _signals(5)
  signals[..., 3:] = 0.25
  normalized = normalization.fit(signals)(signals)
  np.testing.assert_array_equal(normalized[..., 3:], 0)

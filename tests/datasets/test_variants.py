"""Variants of the sources' windows: in any orientation of the device, and in reverse."""

import numpy as np
import pytest

from har_jax.datasets import variants

_CLASSES = 3


@pytest.fixture
def windows() -> dict[str, np.ndarray]:
  """400 windows of a device whose zeros are not 0, as normalized ones are; every second one rests."""
  rng = np.random.default_rng(0)
  strength = np.where(np.arange(400) % 2, 0.01, 1.0)[:, None, None]
  origin = np.tile([0.5, -0.2], (400, 1))
  signal = np.repeat(origin, 3, axis=1)[:, None] + [0.0, 0.6, 0.8, 0.0, 0.0, 0.0]
  signal = signal + strength * rng.normal(size=(400, 32, 6))
  return {
    'signal': signal.astype(np.float32),
    'origin': origin.astype(np.float32),
    'label': np.arange(400) % _CLASSES,
  }


def _triads(windows: dict[str, np.ndarray]) -> np.ndarray:
  signal = windows['signal']
  return signal.reshape(*signal.shape[:2], 2, 3) - windows['origin'][:, None, :, None]


def _products(triads: np.ndarray) -> np.ndarray:
  """What no rotation changes: lengths of both sensors' vectors, and the angle between them."""
  return np.einsum('wnsi,wnti->wnst', triads, triads)


def test_half_of_the_windows_are_rotated_with_both_sensors_and_in_every_direction(windows):
  before = _triads(windows)
  after = _triads(variants.vary(windows, _CLASSES, seed=0))[:400]
  np.testing.assert_allclose(_products(after), _products(before), atol=1e-4)
  is_rotated = np.abs(after - before).max(axis=(1, 2, 3)) > 1e-3
  assert 160 < is_rotated.sum() < 240
  gravity = after[is_rotated, :, 0].mean(axis=1)
  assert np.abs(gravity.mean(axis=0)).max() < 0.15  # of a length of one
  assert (np.abs(gravity).max(axis=0) > 0.8).all()
  # A rotation is no mirror image.
  volumes = [np.linalg.det(triads[is_rotated, :3, 0]) for triads in (before, after)]
  np.testing.assert_allclose(volumes[1], volumes[0], atol=1e-4)


def test_each_moving_window_comes_again_in_reverse_as_another_activity(windows):
  varied = variants.vary(windows, _CLASSES, seed=0)
  triads = _triads(varied)
  assert len(triads) == 600
  forward, backward = triads[:400:2], triads[400:]
  np.testing.assert_allclose(backward[:, ::-1, 0], forward[:, :, 0], atol=1e-6)
  np.testing.assert_allclose(backward[:, ::-1, 1], -forward[:, :, 1], atol=1e-6)
  np.testing.assert_array_equal(varied['label'][:400], windows['label'])
  np.testing.assert_array_equal(varied['label'][400:], windows['label'][::2] + _CLASSES)
  assert varied['signal'].dtype == np.float32


def test_the_seed_decides(windows):
  first, again, other = (variants.vary(windows, _CLASSES, seed=seed)['signal'] for seed in (0, 0, 1))
  np.testing.assert_array_equal(first, again)
  assert (first != other).any()

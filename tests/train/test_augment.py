"""Augmentation preserves what it should, and the training step applies it."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from har_jax import config
from har_jax.datasets import normalization
from har_jax.train import augment, optimizer
from har_jax.train.objective import Classify
from har_jax.train.step import start, training_step

_rotate, _scale_amplitude, _warp_time = (
  jax.jit(function, static_argnums=3)
  for function in (augment.rotate, augment.scale_amplitude, augment.warp_time)
)


def test_a_circular_shift_starts_each_window_at_a_random_sample():
  signal = np.random.default_rng(0).standard_normal((64, 128, 6)).astype(np.float32)
  shifted = np.asarray(jax.jit(augment.circular_shift)(jnp.asarray(signal), jax.random.key(0)))
  starts = [
    int(np.flatnonzero((before == after[0]).all(axis=1))[0])
    for before, after in zip(signal, shifted, strict=True)
  ]
  for before, after, begin in zip(signal, shifted, starts, strict=True):
    np.testing.assert_array_equal(after, np.roll(before, -begin, axis=0))
  assert len(set(starts)) > 40  # of 64 drawn from 128


def _rotated(std_deg: float, *, origin: tuple[float, float] = (0.0, 0.0)) -> tuple[np.ndarray, np.ndarray]:
  signal = np.random.default_rng(0).standard_normal((512, 8, 6)).astype(np.float32)
  origins = np.tile(np.float32(origin), (512, 1))
  rotated = _rotate(jnp.asarray(signal), jnp.asarray(origins), jax.random.key(0), std_deg)
  return signal, np.asarray(rotated)


def test_rotation_keeps_lengths_and_angles_within_and_between_sensors():
  origin = (-0.5, 0.1)
  signal, rotated = _rotated(40.0, origin=origin)
  before, after = (
    each.reshape(512, 16, 3) - np.tile(np.float32(origin), 8)[:, None] for each in (signal, rotated)
  )
  # All scalar products among a window's vectors, so all lengths and all angles.
  products = np.einsum('bij,bkj->bik', before, before)
  np.testing.assert_allclose(np.einsum('bij,bkj->bik', after, after), products, atol=2e-5)
  # Triple products keep their sign: a rotation, not a reflection.
  volumes = [np.einsum('bj,bj->b', np.cross(each[:, 0], each[:, 1]), each[:, 2]) for each in (before, after)]
  np.testing.assert_allclose(volumes[1], volumes[0], atol=2e-5)


@pytest.mark.parametrize('std_deg', [2.0, 10.0])
def test_rotation_angles_have_the_configured_standard_deviation(std_deg):
  signal, rotated = _rotated(std_deg)
  angles = [
    Rotation.align_vectors(after.reshape(-1, 3), before.reshape(-1, 3))[0].as_rotvec(degrees=True)
    for before, after in zip(signal, rotated, strict=True)
  ]
  np.testing.assert_allclose(np.std(angles, axis=0), std_deg, rtol=0.1)
  np.testing.assert_allclose(np.mean(angles, axis=0), 0.0, atol=0.15 * std_deg)


def test_rotating_a_normalized_window_equals_normalizing_a_rotated_one():
  signals = np.random.default_rng(1).normal([1, 2, 9, 0.1, 0.2, 0.3], 1.0, (16, 128, 6))
  normalizer = normalization.fit(signals)
  key = jax.random.key(3)
  normalized = _rotate(jnp.asarray(normalizer(signals)), jnp.asarray(normalizer.origins(16)), key, 30.0)
  physical = _rotate(jnp.asarray(signals, jnp.float32), jnp.zeros((16, 2)), key, 30.0)
  np.testing.assert_allclose(normalized, normalizer(np.asarray(physical)), atol=1e-5)


class _FirstSample(Classify):
  """A window's loss is its first sample."""

  def losses(self, variables: Any, batch: dict, *_: Any) -> tuple[jax.Array, dict]:
    return batch['signal'][:, 0, 0] + 0 * variables['w'], {}


def _losses(training: config.Training, signal: np.ndarray, origin: tuple[float, float]) -> list[float]:
  """The losses of eight training steps on one window."""
  step = jax.jit(training_step(_FirstSample(config.Model(), 2), training, pretrained=False))
  batch = {'signal': signal, 'origin': np.float32([origin]), 'weight': np.ones(1, np.float32)}
  state = start({'w': jnp.zeros(())}, {}, optimizer.build(training, pretrained=False))
  losses = []
  for _ in range(8):
    state, loss = step(state, {}, batch, jax.random.key(0), jnp.int32(8))
    losses.append(float(loss))
  return losses


@pytest.mark.parametrize(
  'fields',
  [
    {'circular_shift': True},
    {'rotation_std_deg': 5.0},
    {'amplitude_std': 0.1},
    {'time_warp_std': 0.1},
    {'device_errors': 1.0},
    {},
  ],
  ids=str,
)
def test_each_training_step_draws_a_new_augmentation_if_configured(fields):
  signal = np.tile(np.arange(1, 129, dtype=np.float32)[None, :, None], (1, 1, 6))
  losses = _losses(config.Training(**fields), signal, (0.0, 0.0))
  assert len(set(losses)) > 5 if fields else losses == [1.0] * 8


def test_each_transform_draws_by_a_key_of_its_own_and_has_its_strength():
  windows, origin = jnp.asarray(_windows()[:8]), jnp.zeros((8, 2))
  training = config.Training(time_warp_std=0.1, rotation_std_deg=10.0, device_errors=2.0)
  _, made = augment.augment({'signal': windows, 'origin': origin}, jax.random.key(5), training)
  key, warp_key = jax.random.split(jax.random.key(5))
  key, rotation_key = jax.random.split(key)
  _, device_key = jax.random.split(key)
  expected = augment.rotate(augment.warp_time(windows, origin, warp_key, 0.1), origin, rotation_key, 10.0)
  np.testing.assert_allclose(made['signal'], augment.vary_device(expected, device_key, 2.0), atol=1e-5)


def test_a_training_step_rotates_about_the_origin_of_the_window():
  origin = (3.0, -2.0)  # a window equal to its origin is a device that measures zero: it has no direction
  signal = np.tile(np.repeat(np.float32(origin), 3), (1, 128, 1))
  np.testing.assert_allclose(_losses(config.Training(rotation_std_deg=30.0), signal, origin), 3.0, rtol=1e-6)


def _windows(seed: int = 0) -> np.ndarray:
  return np.random.default_rng(seed).standard_normal((256, 128, 6)).astype(np.float32)


def test_amplitude_scales_movement_and_keeps_mean_acceleration():
  signal, zero = _windows() + np.float32([0, 0, 9, 0.5, 0.5, 0.5]), np.float32([[-1.0, 0.5]])
  found = np.asarray(_scale_amplitude(jnp.asarray(signal), np.tile(zero, (256, 1)), jax.random.key(0), 0.15))
  acc, gyro = found[..., :3], found[..., 3:]
  np.testing.assert_allclose(acc.mean(axis=1), signal[..., :3].mean(axis=1), atol=1e-4)
  factors = np.ptp(acc[..., 0], axis=1) / np.ptp(signal[..., 0], axis=1)
  np.testing.assert_allclose(
    gyro - 0.5, factors[:, None, None] * (signal[..., 3:] - 0.5), rtol=1e-3, atol=1e-3
  )
  np.testing.assert_allclose(np.std(np.log(factors)), 0.15, rtol=0.15)


def test_a_time_warp_changes_frequency_and_rotation_by_the_same_factor():
  samples = np.arange(128) - 63.5
  waves = np.cos(2 * np.pi * samples / 32)[None, :, None]
  signal = np.tile(waves, (64, 1, 6)).astype(np.float32)
  origin = jnp.zeros((64, 2))
  found = np.asarray(_warp_time(jnp.asarray(signal), origin, jax.random.key(1), 0.1))
  factors = found[:, 63:65, 3].mean(axis=1) / found[:, 63:65, 0].mean(axis=1)
  np.testing.assert_allclose(np.std(np.log(factors)), 0.1, rtol=0.3)
  middle = slice(20, 108)  # no mirrored samples
  expected = np.cos(2 * np.pi * factors[:, None] * samples[None, middle] / 32)
  np.testing.assert_allclose(found[:, middle, 0], expected, atol=0.02)
  np.testing.assert_allclose(found[..., 3], factors[:, None] * found[..., 0], rtol=1e-3, atol=1e-5)
  shifted = jnp.asarray(signal + np.float32([0, 0, 0, 5, 5, 5]))  # 5: no rotation
  found_shifted = np.asarray(_warp_time(shifted, jnp.full((64, 2), 5.0), jax.random.key(1), 0.1))
  np.testing.assert_allclose(found_shifted[..., 3:] - 5, found[..., 3:], atol=1e-5)


def test_a_time_warp_mirrors_the_signal_beyond_its_ends():
  signal = np.tile(np.arange(128, dtype=np.float32)[None, :, None], (64, 1, 6))
  found = np.asarray(_warp_time(jnp.asarray(signal), jnp.zeros((64, 2)), jax.random.key(1), 0.1))[..., 0]
  assert found.min() >= 0
  assert found.max() <= 127
  faster = found[np.ptp(found, axis=1) > 126]  # more than the window's samples were needed
  assert len(faster) > 10
  assert (np.diff(faster, axis=1)[:, 0] < 0).mean() > 0.5  # runs back at the start


def test_no_augmentation_with_a_deviation_of_zero():
  signal, origin = jnp.asarray(_windows()), jnp.zeros((256, 2))
  for transform in (_scale_amplitude, _warp_time):
    np.testing.assert_allclose(transform(signal, origin, jax.random.key(0), 0.0), signal, atol=1e-5)


# --- a copy of windows in physical units


def test_a_copy_does_not_depend_on_the_number_of_windows(monkeypatch):
  training = config.Experiment().finetune
  monkeypatch.setattr(augment, '_CHUNK', 8)
  windows = np.random.default_rng(0).standard_normal((20, 128, 6)).astype(np.float32)
  copy = augment.augmented_copy(windows, training, 2**32 - 1)
  assert copy.shape == windows.shape
  assert np.abs(copy - windows).reshape(20, -1).max(axis=1).min() > 0.1  # every window has changed
  np.testing.assert_array_equal(augment.augmented_copy(windows[:11], training, 2**32 - 1), copy[:11])
  repeated = augment.augmented_copy(np.repeat(windows[:1], 20, axis=0), training, 0)
  assert len(np.unique(repeated, axis=0)) == 20  # draws differ between windows and between chunks


def test_a_copy_keeps_the_absent_gyroscope_at_zero_and_the_mean_near():
  windows = np.zeros((4, 128, 6), np.float32)
  windows[..., 2] = 9.81
  copy = augment.augmented_copy(windows, config.Experiment().finetune, 0)
  np.testing.assert_array_equal(copy[..., 3:], 0)
  np.testing.assert_allclose(np.linalg.norm(copy[..., :3], axis=2), 9.81, rtol=1e-5)


def test_devices_have_the_errors_of_their_law_and_some_a_lower_rate_or_no_gyroscope():
  still = np.tile(np.float32([0, 0, 4, 0.1, 0.2, 0.3]), (4000, 128, 1))  # g, rad/s
  ramp = still + np.arange(128, dtype=np.float32)[None, :, None]
  vary = jax.jit(augment.vary_device, static_argnums=2)
  changed, faster = (np.asarray(vary(jnp.asarray(x), jax.random.key(0), 1.0)) for x in (still, ramp))
  has_gyro = changed[..., 3:].any(axis=(1, 2))
  assert 1 - has_gyro.mean() == pytest.approx(0.15, abs=0.02)
  np.testing.assert_array_equal(changed[has_gyro][..., 3:], still[has_gyro][..., 3:])
  error_m_s2 = 9.80665 * (changed - still)[..., :3]
  # HHAR's 41 devices: bias 0.28 m/s². On an axis with 4 g, the gain of 1 % adds to it.
  expected = np.array([0.28, 0.28, np.hypot(0.28, 0.392)])
  np.testing.assert_allclose(error_m_s2.mean(axis=1).std(axis=0), expected, rtol=0.05)
  noise = error_m_s2.std(axis=1).max(axis=1)
  assert (noise > 1e-5).mean() == pytest.approx(0.5, abs=0.03)
  assert 0.007 < noise[noise > 1e-5].min() < noise.max() < 0.12
  repeated = (np.abs(np.diff(faster[..., 0], axis=1)) < 0.3).mean(axis=1)  # each sample is 1 above the last
  slow = repeated[repeated > 0.3]
  assert len(slow) / 4000 == pytest.approx(0.3, abs=0.03)
  assert slow.min() == pytest.approx(1 - 0.6, abs=0.02)
  assert slow.max() == pytest.approx(1 - 0.24, abs=0.02)
  assert (faster[..., 0] < 1.05 * np.arange(128) + 0.3).all()  # no sample is from the future


def test_twice_the_errors_of_devices_are_twice_as_large():
  signal = jnp.zeros((1000, 16, 6)).at[..., 2].set(1.0)
  once, twice = (np.asarray(augment.vary_device(signal, jax.random.key(1), scale)) for scale in (1.0, 2.0))
  np.testing.assert_allclose((twice - signal)[..., :3], 2 * (once - signal)[..., :3], atol=1e-6)

"""Token features and reconstruction targets, by hand."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from har_jax import config
from har_jax.model import tokens
from har_jax.model.tokens import log_spectrum, patches, reconstruction_target, target_dim

# Compiled whole: op by op, each operation is a program of its own.
invariant_features, log_std, patch_features = (
  jax.jit(function, static_argnums=1)
  for function in (tokens.invariant_features, tokens.log_std, tokens.patch_features)
)


def test_patches_are_consecutive_samples():
  signal = np.arange(128 * 6, dtype=np.float32).reshape(1, 128, 6)
  cut = patches(jnp.asarray(signal), 32)
  assert cut.shape == (1, 4, 192)
  np.testing.assert_array_equal(cut[0, 1], signal[0, 32:64].reshape(-1))


def test_log_std_of_each_patch_and_channel():
  signal = np.full((1, 128, 6), 3.0, np.float32)
  signal[0, 64:96, 2] += np.tile([-2.0, 2.0], 16)
  found = np.asarray(log_std(jnp.asarray(signal), 32))
  # (log standard deviation + 2.6) / 2; the noise variance 1e-5 keeps it finite.
  expected = np.full((4, 6), (0.5 * np.log(1e-5) + 2.6) / 2)
  expected[2, 2] = (np.log(2) + 2.6) / 2
  np.testing.assert_allclose(found[0], expected, atol=1e-5)


def test_a_sine_has_its_power_at_its_frequency_for_every_phase():
  time, spectra = np.arange(128), []
  for phase in (0.0, 1.0):
    signal = np.full((1, 128, 6), 5.0, np.float32)
    signal[0, :, 3] += 2.0 * np.sin(2 * np.pi * 3 * time / 32 + phase)
    spectra.append(np.asarray(log_spectrum(jnp.asarray(signal), 32)).reshape(1, 4, 16, 6))
  power = np.exp(3.2 * spectra[0] - 5.9) - 1e-4
  expected = np.zeros((4, 16, 6))
  expected[:, 2, 3] = (2.0 * 32 / 2) ** 2 / 32  # of frequency 3; frequency 0 is left out
  np.testing.assert_allclose(power[0], expected, rtol=1e-3, atol=1e-6)
  np.testing.assert_allclose(spectra[0], spectra[1], atol=5e-3)


@pytest.mark.parametrize('spectrum', [True, False])
def test_the_target_is_the_samples_then_the_spectrum(tiny, spectrum):
  model = dataclasses.replace(tiny, reconstruct_spectrum=spectrum)
  signal = jnp.asarray(np.random.default_rng(0).standard_normal((2, 128, 6), np.float32))
  target = np.asarray(reconstruction_target(signal, model))
  assert target.shape == (2, model.tokens, target_dim(model))
  samples = model.patch_size * config.CHANNELS
  np.testing.assert_array_equal(target[..., :samples], patches(signal, model.patch_size))
  rest = np.asarray(log_spectrum(signal, model.patch_size))[..., : target.shape[-1] - samples]
  np.testing.assert_array_equal(target[..., samples:], rest)


def test_invariant_features_are_norms_and_parts_along_and_across_gravity():
  signal = np.zeros((1, 128, 6), np.float32)
  signal[0, :, :3] = (0.0, 0.0, 2.0)  # gravity; the movement averages to zero in each patch
  signal[0, ::2, :3] += (0.3, 0.4, 1.0)
  signal[0, 1::2, :3] -= (0.3, 0.4, 1.0)
  signal[0, :, 3:] = (3.0, 4.0, -12.0)
  found = np.asarray(invariant_features(jnp.asarray(signal), 32))
  assert found.shape == (1, 128, 6)
  np.testing.assert_allclose(found[0, 0], [np.hypot(3.0, 0.5), 13.0, 3.0, -12.0, 0.5, 5.0], rtol=1e-3)
  np.testing.assert_allclose(found[0, 1], [np.hypot(1.0, 0.5), 13.0, 1.0, -12.0, 0.5, 5.0], rtol=1e-3)


def test_invariant_features_do_not_change_under_rotation():
  rng = np.random.default_rng(0)
  signal = rng.standard_normal((3, 128, 6)).astype(np.float32) + np.float32([0, 0, 2, 0, 0, 0])
  rotation = np.linalg.qr(rng.standard_normal((3, 3)))[0]
  rotation = (rotation * np.sign(np.linalg.det(rotation))).astype(np.float32)
  rotated = (signal.reshape(3, 128, 2, 3) @ rotation.T).reshape(signal.shape)
  before, after = (np.asarray(invariant_features(jnp.asarray(each), 16)) for each in (signal, rotated))
  assert np.abs(rotated - signal).max() > 1
  np.testing.assert_allclose(after, before, atol=1e-4)


def test_the_features_of_a_patch_depend_on_that_patch_only():
  rng = np.random.default_rng(0)
  signal = rng.standard_normal((1, 128, 6)).astype(np.float32)
  other = signal.copy()
  other[0, 32:64] += rng.standard_normal((32, 6)) * 5
  model = config.Model(patch_size=32, invariant_features=True)
  one, two = (np.asarray(patch_features(jnp.asarray(each), model)) for each in (signal, other))
  changed = np.abs(one - two).max(axis=-1)[0]
  assert (changed[[0, 2, 3]] == 0).all()
  assert changed[1] > 1

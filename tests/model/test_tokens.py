"""What a token is embedded from and what is wanted of it, worked out by hand."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from har_jax import config
from har_jax.model.tokens import log_deviations, log_spectrum, patches, values_wanted, wanted


def test_patches_are_runs_of_samples():
  signal = np.arange(128 * 6, dtype=np.float32).reshape(1, 128, 6)
  cut = patches(jnp.asarray(signal), 32)
  assert cut.shape == (1, 4, 192)
  np.testing.assert_array_equal(cut[0, 1], signal[0, 32:64].reshape(-1))


def test_deviations_are_each_patchs_own_on_a_scale_that_shows_small_ones():
  signal = np.full((1, 128, 6), 3.0, np.float32)
  signal[0, 64:96, 2] += np.tile([-2.0, 2.0], 16)
  given = np.asarray(log_deviations(jnp.asarray(signal), 32))
  # (log deviation + 2.6) / 2, which noise keeps off minus infinity.
  expected = np.full((4, 6), (0.5 * np.log(1e-5) + 2.6) / 2)
  expected[2, 2] = (np.log(2) + 2.6) / 2
  np.testing.assert_allclose(given[0], expected, atol=1e-5)


def test_a_sine_has_its_power_at_its_frequency_and_its_phase_says_nothing():
  time, spectra = np.arange(128), []
  for phase in (0.0, 1.0):
    signal = np.full((1, 128, 6), 5.0, np.float32)
    signal[0, :, 3] += 2.0 * np.sin(2 * np.pi * 3 * time / 32 + phase)
    spectra.append(np.asarray(log_spectrum(jnp.asarray(signal), 32)).reshape(1, 4, 16, 6))
  power = np.exp(3.2 * spectra[0] - 5.9) - 1e-4
  expected = np.zeros((4, 16, 6))
  expected[:, 2, 3] = (2.0 * 32 / 2) ** 2 / 32  # of frequency 3, as nought is left out
  np.testing.assert_allclose(power[0], expected, rtol=1e-3, atol=1e-6)
  np.testing.assert_allclose(spectra[0], spectra[1], atol=5e-3)


@pytest.mark.parametrize('spectrum', [True, False])
def test_samples_are_wanted_first_and_then_the_spectrum(tiny: config.Model, spectrum: bool):
  model = dataclasses.replace(tiny, spectrum=spectrum)
  signal = jnp.asarray(np.random.default_rng(0).standard_normal((2, 128, 6), np.float32))
  whole = wanted(signal, model)
  assert whole.shape == (2, model.tokens, values_wanted(model))
  samples = model.patch * config.CHANNELS
  np.testing.assert_array_equal(whole[..., :samples], patches(signal, model.patch))
  rest = log_spectrum(signal, model.patch)[..., : whole.shape[-1] - samples]
  np.testing.assert_array_equal(whole[..., samples:], rest)

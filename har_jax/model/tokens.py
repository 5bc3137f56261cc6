"""What a token is embedded from, and what pretraining wants of a hidden one.

b batch, n samples, c channels, t tokens, q values a token.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from har_jax import config

# Of both logarithms, mean and deviation over HAPT, MotionSense, DSADS and WISDM at patch 16, in normalised units; and the square of
# what counts as no movement there: a sensor's noise.
LOG_MEAN, LOG_DEVIATION, STILL = -2.6, 2.0, 1e-5
LOG_POWER_MEAN, LOG_POWER_DEVIATION, SILENT = -5.9, 3.2, 1e-4


def patches(signal: Float[Array, 'b n c'], patch: int) -> Float[Array, 'b t q']:
  """The window's samples, cut into tokens."""
  batch, samples, channels = signal.shape
  return signal.reshape(batch, samples // patch, patch * channels)


def log_deviations(signal: Float[Array, 'b n c'], patch: int) -> Float[Array, 'b t c']:
  """The logarithm of each patch's and channel's deviation, brought to the size of one.

  Whether a still sensor is held up by a person or by a chair is hundredths of what walking does, so that a linear embedding of the samples
  hides it.
  """
  batch, samples, channels = signal.shape
  variance = jnp.var(signal.reshape(batch, samples // patch, patch, channels), axis=2)
  return (0.5 * jnp.log(variance + STILL) - LOG_MEAN) / LOG_DEVIATION


def log_spectrum(signal: Float[Array, 'b n c'], patch: int) -> Float[Array, 'b t q']:
  """The logarithm of each patch's and channel's power at each frequency but nought, brought to the size of one.

  Where a step falls within a hidden patch nobody can tell from the others, so that samples are at best guessed as their mean; how strong
  and how fast the movement is, one can.
  """
  batch, samples, channels = signal.shape
  cut = signal.reshape(batch, samples // patch, patch, channels)
  apart = cut - jnp.mean(cut, axis=2, keepdims=True)  # a large mean would reach other frequencies by rounding
  # By products: patches are short, and XLA does not split an FFT over devices.
  basis = np.fft.rfft(np.eye(patch), axis=1)[:, 1:]
  real, imaginary = (
    jnp.einsum('btpc,pf->btfc', apart, part.astype(np.float32), precision='highest')
    for part in (basis.real, basis.imag)
  )
  power = (jnp.square(real) + jnp.square(imaginary)) / patch
  logs = (jnp.log(power + SILENT) - LOG_POWER_MEAN) / LOG_POWER_DEVIATION
  return logs.reshape(batch, samples // patch, -1)


def given(signal: Float[Array, 'b n c'], model: config.Model) -> Float[Array, 'b t q']:
  """What the embedding is given of a stream's channels."""
  samples = patches(signal, model.patch)
  if not model.deviations:
    return samples
  return jnp.concatenate([samples, log_deviations(signal, model.patch)], axis=-1)


def wanted(signal: Float[Array, 'b n c'], model: config.Model) -> Float[Array, 'b t q']:
  """What the decoder shall make of each token: its samples, then its spectrum."""
  samples = patches(signal, model.patch)
  if not model.spectrum:
    return samples
  return jnp.concatenate([samples, log_spectrum(signal, model.patch)], axis=-1)


def values_wanted(model: config.Model) -> int:
  """The q of `wanted`."""
  return (model.patch + model.spectrum * (model.patch // 2)) * config.CHANNELS

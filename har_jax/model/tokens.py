"""What a token is embedded from, and what pretraining wants of a hidden one.

b batch, n samples, c channels, t tokens, q values a token.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from har_jax import config

# Of both logarithms, mean and deviation over HAPT, MotionSense, DSADS and WISDM at patch 16, in normalized units; and the square of
# what counts as no movement there: a sensor's noise.
LOG_MEAN, LOG_DEVIATION, VAR_EPS = -2.6, 2.0, 1e-5
LOG_POWER_MEAN, LOG_POWER_DEVIATION, POWER_EPS = -5.9, 3.2, 1e-4
# Squared, what a vector of no length counts as, so that a direction and a gradient are finite there too.
GRAVITY_EPS, NORM_EPS = 1e-3, 1e-6


def patches(signal: Float[Array, 'b n c'], patch_size: int) -> Float[Array, 'b t q']:
  """The window's samples, cut into tokens."""
  batch, samples, channels = signal.shape
  return signal.reshape(batch, samples // patch_size, patch_size * channels)


def log_std(signal: Float[Array, 'b n c'], patch_size: int) -> Float[Array, 'b t c']:
  """The logarithm of each patch's and channel's deviation, brought to the size of one.

  Whether a still sensor is held up by a person or by a chair is hundredths of what walking does, so that a linear embedding of the samples
  hides it.
  """
  batch, samples, channels = signal.shape
  variance = jnp.var(signal.reshape(batch, samples // patch_size, patch_size, channels), axis=2)
  return (0.5 * jnp.log(variance + VAR_EPS) - LOG_MEAN) / LOG_DEVIATION


def log_spectrum(signal: Float[Array, 'b n c'], patch_size: int) -> Float[Array, 'b t q']:
  """The logarithm of each patch's and channel's power at each frequency but nought, brought to the size of one.

  Where a step falls within a hidden patch nobody can tell from the others, so that samples are at best guessed as their mean; how strong
  and how fast the movement is, one can.
  """
  batch, samples, channels = signal.shape
  cut = signal.reshape(batch, samples // patch_size, patch_size, channels)
  apart = cut - jnp.mean(cut, axis=2, keepdims=True)  # a large mean would reach other frequencies by rounding
  # By products: patches are short, and XLA does not split an FFT over devices.
  basis = dft_basis(patch_size)
  real, imaginary = (
    jnp.einsum('btpc,pf->btfc', apart, part.astype(np.float32), precision='highest')
    for part in (basis.real, basis.imag)
  )
  power = (jnp.square(real) + jnp.square(imaginary)) / patch_size
  logs = (jnp.log(power + POWER_EPS) - LOG_POWER_MEAN) / LOG_POWER_DEVIATION
  return logs.reshape(batch, samples // patch_size, -1)


def invariant_features(signal: Float[Array, 'b n 6'], patch_size: int) -> Float[Array, 'b n 6']:
  """Channels that hardly change where the device is turned: each sensor's magnitude, its part along gravity, and the size of its part across.

  Gravity's direction is that of the patch's own mean acceleration, so that no hidden patch tells of itself through another. Hardly, since normalized
  readings are taken about the mean of a sensor's axes, and not about where it reads nought.
  """
  batch, samples, _ = signal.shape
  triads = signal.reshape(batch, samples // patch_size, patch_size, 2, 3)
  gravity = jnp.mean(triads[..., 0, :], axis=2)
  gravity = gravity / jnp.sqrt(jnp.sum(jnp.square(gravity), axis=-1, keepdims=True) + GRAVITY_EPS)
  along = jnp.sum(triads * gravity[:, :, None, None], axis=-1)
  across = _size(triads - along[..., None] * gravity[:, :, None, None])
  return jnp.concatenate([_size(triads), along, across], axis=-1).reshape(batch, samples, 6)


def _size(vectors: Float[Array, '... 3']) -> Float[Array, '...']:
  return jnp.sqrt(jnp.sum(jnp.square(vectors), axis=-1) + NORM_EPS)


def dft_basis(patch_size: int) -> Complex[np.ndarray, 'p f']:
  """What a patch's samples are multiplied by for each frequency but nought."""
  return np.fft.rfft(np.eye(patch_size), axis=1)[:, 1:]


def patch_features(signal: Float[Array, 'b n c'], model: config.Model) -> Float[Array, 'b t q']:
  """What the embedding is given of a stream's channels."""
  if model.invariant_features:
    signal = jnp.concatenate([signal, invariant_features(signal, model.patch_size)], axis=-1)
  parts = [patches(signal, model.patch_size)]
  if model.log_std:
    parts.append(log_std(signal, model.patch_size))
  if model.invariant_features:
    parts.append(log_spectrum(signal, model.patch_size))
  return jnp.concatenate(parts, axis=-1)


def reconstruction_target(signal: Float[Array, 'b n c'], model: config.Model) -> Float[Array, 'b t q']:
  """What the decoder shall make of each token: its samples, then its spectrum."""
  samples = patches(signal, model.patch_size)
  if not model.reconstruct_spectrum:
    return samples
  return jnp.concatenate([samples, log_spectrum(signal, model.patch_size)], axis=-1)


def target_dim(model: config.Model) -> int:
  """The q of `wanted`."""
  return (model.patch_size + model.reconstruct_spectrum * (model.patch_size // 2)) * config.CHANNELS

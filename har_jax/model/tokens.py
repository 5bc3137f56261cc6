"""Input features of a token, and the reconstruction target of pretraining.

b batch, n samples, c channels, t tokens, p samples per patch, f frequencies, q values per token.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from har_jax import config

# Mean and standard deviation of each logarithm over HAPT, MotionSense, DSADS and WISDM at patch size 16, in
# normalized units. The epsilons are the variance and power of sensor noise.
LOG_MEAN, LOG_DEVIATION, VAR_EPS = -2.6, 2.0, 1e-5
LOG_POWER_MEAN, LOG_POWER_DEVIATION, POWER_EPS = -5.9, 3.2, 1e-4
# Added to squared norms, so that directions and gradients are finite for zero vectors.
GRAVITY_EPS, NORM_EPS = 1e-3, 1e-6


def patches(signal: Float[Array, 'b n c'], patch_size: int) -> Float[Array, 'b t q']:
  """The window's samples, cut into patches."""
  batch, samples, channels = signal.shape
  return signal.reshape(batch, samples // patch_size, patch_size * channels)


def log_std(signal: Float[Array, 'b n c'], patch_size: int) -> Float[Array, 'b t c']:
  """The log standard deviation of each patch and channel, normalized.

  Small movements distinguish still activities, such as standing from sitting. A linear embedding of the
  samples hides them: they are a hundredth of the amplitude of walking.
  """
  batch, samples, channels = signal.shape
  variance = jnp.var(signal.reshape(batch, samples // patch_size, patch_size, channels), axis=2)
  return (0.5 * jnp.log(variance + VAR_EPS) - LOG_MEAN) / LOG_DEVIATION


def log_spectrum(signal: Float[Array, 'b n c'], patch_size: int) -> Float[Array, 'b t q']:
  """The log power of each patch and channel at each frequency above zero, normalized.

  The phase of a hidden patch cannot be predicted from the others, so the best guess of its samples is their
  mean. The strength and frequency of its movement can be predicted.
  """
  batch, samples, channels = signal.shape
  cut = signal.reshape(batch, samples // patch_size, patch_size, channels)
  centered = cut - jnp.mean(cut, axis=2, keepdims=True)  # a large mean would leak into other bins by rounding
  # As matrix products: patches are short, and XLA does not split an FFT over devices.
  basis = dft_basis(patch_size)
  real, imaginary = (
    jnp.einsum('btpc,pf->btfc', centered, part.astype(np.float32), precision='highest')
    for part in (basis.real, basis.imag)
  )
  power = (jnp.square(real) + jnp.square(imaginary)) / patch_size
  logs = (jnp.log(power + POWER_EPS) - LOG_POWER_MEAN) / LOG_POWER_DEVIATION
  return logs.reshape(batch, samples // patch_size, -1)


def invariant_features(signal: Float[Array, 'b n 6'], patch_size: int) -> Float[Array, 'b n 6']:
  """Channels that hardly change with device orientation.

  For each sensor: its norm, its component along gravity, and the norm of its component across gravity.
  Gravity is the mean acceleration of the same patch, so that no hidden patch leaks through another. The
  invariance is approximate, because normalization centers each sensor on its mean instead of on physical
  zero.
  """
  batch, samples, _ = signal.shape
  triads = signal.reshape(batch, samples // patch_size, patch_size, 2, 3)
  gravity = jnp.mean(triads[..., 0, :], axis=2)
  return relative_to_gravity(triads, gravity).reshape(batch, samples, 6)


def relative_to_gravity(
  triads: Float[Array, '*w n 2 3'], gravity: Float[Array, '*w 3']
) -> Float[Array, '*w n 6']:
  """Norms, components along gravity and norms across it, of both sensors; gravity may have any length."""
  gravity = gravity / jnp.sqrt(jnp.sum(jnp.square(gravity), axis=-1, keepdims=True) + GRAVITY_EPS)
  gravity = gravity[..., None, None, :]
  along = _sum(triads * gravity)
  across = _norm(triads - along[..., None] * gravity)
  return jnp.concatenate([_norm(triads), along, across], axis=-1)


def _norm(vectors: Float[Array, '... 3']) -> Float[Array, '...']:
  return jnp.sqrt(_sum(jnp.square(vectors)) + NORM_EPS)


def _sum(vectors: Float[Array, '... 3']) -> Float[Array, '...']:
  # Five times as fast as a sum over the last axis on a CPU.
  return vectors[..., 0] + vectors[..., 1] + vectors[..., 2]


def dft_basis(patch_size: int) -> Complex[np.ndarray, 'p f']:
  """The discrete Fourier basis of a patch, without frequency zero."""
  return np.fft.rfft(np.eye(patch_size), axis=1)[:, 1:]


def patch_features(signal: Float[Array, 'b n c'], model: config.Model) -> Float[Array, 'b t q']:
  """The input of the embedding, from one stream's channels."""
  if model.invariant_features:
    signal = jnp.concatenate([signal, invariant_features(signal, model.patch_size)], axis=-1)
  parts = [patches(signal, model.patch_size)]
  if model.log_std:
    parts.append(log_std(signal, model.patch_size))
  if model.invariant_features:
    parts.append(log_spectrum(signal, model.patch_size))
  return jnp.concatenate(parts, axis=-1)


def reconstruction_target(signal: Float[Array, 'b n c'], model: config.Model) -> Float[Array, 'b t q']:
  """The decoder's target for each token: its samples, then its log spectrum."""
  samples = patches(signal, model.patch_size)
  if not model.reconstruct_spectrum:
    return samples
  return jnp.concatenate([samples, log_spectrum(signal, model.patch_size)], axis=-1)


def target_dim(model: config.Model) -> int:
  """The q of `reconstruction_target`."""
  return (model.patch_size + model.reconstruct_spectrum * (model.patch_size // 2)) * config.CHANNELS

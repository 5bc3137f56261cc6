"""Augmentation of training windows.   b, w windows, n samples, c channels: two triads of axes."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.spatial.transform import Rotation
from jaxtyping import Array, Float

from har_jax import config
from har_jax.signal.recording import STANDARD_GRAVITY_M_S2

# Accelerometers of 41 phones and watches at rest (HHAR, doi:10.1145/2809695.2809718): standard deviations of
# an axis' bias and of its gain, and the smallest and largest standard deviation of the noise.
_BIAS_M_S2, _GAIN, _NOISE_M_S2 = 0.28, 0.01, (0.01, 0.08)
# Parts of the windows with such noise, with a lower rate, and without a gyroscope.
_NOISY, _SLOW, _NO_GYRO = 0.5, 0.3, 0.15
_RATES = 0.24, 0.6  # lower rates, as parts of the windows' own: 12 to 30 of 50 Hz
_CHUNK = 256  # windows of a copy that one program augments, however many there are


def augment(batch: dict[str, Any], key: Array, training: config.Training) -> tuple[Array, dict[str, Any]]:
  """An unused key, and the batch with augmented windows. Each transform draws from a key of its own."""
  transforms: tuple[tuple[float, Callable[..., Array]], ...] = (
    (training.time_warp_std, warp_time),
    (training.circular_shift, lambda signal, origin, key, _: circular_shift(signal, key)),
    (training.amplitude_std, scale_amplitude),
    (training.rotation_std_deg, rotate),
    (training.device_errors, lambda signal, _, key, scale: vary_device(signal, key, scale)),
  )
  for strength, transform in transforms:
    if strength:
      key, own_key = jax.random.split(key)
      batch = batch | {'signal': transform(batch['signal'], batch['origin'], own_key, strength)}
  return key, batch


def augmented_copy(
  windows: Float[np.ndarray, 'w n c'], training: config.Training, seed: int
) -> Float[np.ndarray, 'w n c']:
  """An augmented copy of each window. The windows are in physical units."""
  key, copies = jax.random.key(seed), []
  for number, start in enumerate(range(0, len(windows), _CHUNK)):
    chunk = np.asarray(windows[start : start + _CHUNK], np.float32)
    padded = np.pad(chunk, ((0, _CHUNK - len(chunk)), (0, 0), (0, 0)))
    copies.append(np.asarray(_copy_of_chunk(padded, key, number, training))[: len(chunk)])
  return np.concatenate(copies)


@functools.partial(jax.jit, static_argnums=3)
def _copy_of_chunk(
  signal: Float[Array, 'b n c'], key: Array, number: Array, training: config.Training
) -> Float[Array, 'b n c']:
  batch = {'signal': signal, 'origin': jnp.zeros((len(signal), 2))}
  return augment(batch, jax.random.fold_in(key, number), training)[1]['signal']


def circular_shift(signal: Float[Array, 'b n c'], key: jax.Array) -> Float[Array, 'b n c']:
  """Starts each window at a random sample; the samples before it follow at the end.

  Posture and pace stay; the phase of a step within the window becomes uninformative.
  """
  batch, samples, _ = signal.shape
  starts = jax.random.randint(key, (batch, 1), 0, samples)
  indices = (starts + jnp.arange(samples)[None]) % samples
  return jnp.take_along_axis(signal, indices[:, :, None], axis=1)


def rotate(
  signal: Float[Array, 'b n c'], origin: Float[Array, 'b 2'], key: jax.Array, std_deg: float
) -> Float[Array, 'b n c']:
  """Rotates each window, both sensors alike, as if the device had been worn in another orientation.

  Each window gets its own rotation vector: about each axis, a normal angle of standard deviation `std_deg`.
  `origin`: the value of each triad's axes at a physical zero, because signals are normalized.
  """
  rotations = Rotation.from_rotvec(jnp.radians(std_deg) * jax.random.normal(key, (len(signal), 3)))
  triads = signal.reshape(*signal.shape[:2], 2, 3) - origin[:, None, :, None]
  # Not a matrix product: the sum of three, written out, is in full precision on all devices. On a CPU, a sum
  # over the last axis takes some 50 times as long.
  x, y, z = (rotations.as_matrix()[:, None, None, :, axis] * triads[..., axis, None] for axis in range(3))
  rotated = x + y + z
  return (rotated + origin[:, None, :, None]).reshape(signal.shape)


def scale_amplitude(
  signal: Float[Array, 'b n c'], origin: Float[Array, 'b 2'], key: jax.Array, std: float
) -> Float[Array, 'b n c']:
  """Makes each window's movements stronger or weaker by one factor, exp of a normal number.

  Acceleration is scaled about its mean, which is mostly gravity; rotation about its zero, `origin`.
  """
  factor = jnp.exp(std * jax.random.normal(key, (len(signal), 1, 1)))
  acc, gyro = jnp.split(signal, 2, axis=-1)
  gravity, zero = jnp.mean(acc, axis=1, keepdims=True), origin[:, None, 1:]
  return jnp.concatenate([gravity + factor * (acc - gravity), zero + factor * (gyro - zero)], axis=-1)


def warp_time(
  signal: Float[Array, 'b n c'], origin: Float[Array, 'b 2'], key: jax.Array, std: float
) -> Float[Array, 'b n c']:
  """Makes each window's movements faster or slower by one factor, exp of a normal number.

  Samples are interpolated about the middle; beyond the ends, the signal is mirrored. The same movement in
  less time rotates faster, so rotation is scaled by the factor, too.
  """
  batch, samples, _ = signal.shape
  factor = jnp.exp(std * jax.random.normal(key, (batch, 1)))
  last, middle = samples - 1, (samples - 1) / 2
  position = jnp.abs(middle + factor * (jnp.arange(samples)[None] - middle)) % (2 * last)
  position = jnp.where(position > last, 2 * last - position, position)
  before = jnp.clip(jnp.floor(position).astype(int), 0, last - 1)
  weight = (position - before)[..., None]
  left, right = (jnp.take_along_axis(signal, index[..., None], axis=1) for index in (before, before + 1))
  acc, gyro = jnp.split(left * (1 - weight) + right * weight, 2, axis=-1)
  zero = origin[:, None, 1:]
  return jnp.concatenate([acc, zero + factor[..., None] * (gyro - zero)], axis=-1)


def vary_device(signal: Float[Array, 'b n c'], key: jax.Array, scale: float) -> Float[Array, 'b n c']:
  """Records each window by a device of its own. Acceleration is in g.

  Each axis of the accelerometer has a bias and a gain; some windows have noise, a lower rate, or no gyroscope
  (zeros). A sample of a lower rate is repeated until the next one. scale: of the accelerometer's errors.
  """
  shape = len(signal), 1, 1
  *keys, level_key, noise_key, rate_key = jax.random.split(key, 8)
  is_noisy, is_slow, has_no_gyro = (
    jax.random.uniform(own, shape) < part
    for own, part in zip(keys[:3], (_NOISY, _SLOW, _NO_GYRO), strict=True)
  )
  acc, gyro = jnp.split(signal, 2, axis=-1)
  gain, bias_m_s2 = (
    scale * std * jax.random.normal(own, (len(signal), 1, 3))
    for own, std in zip(keys[3:], (_GAIN, _BIAS_M_S2), strict=True)
  )
  smallest, largest = jnp.log(jnp.array(_NOISE_M_S2))
  noise_m_s2 = scale * jnp.exp(jax.random.uniform(level_key, shape, minval=smallest, maxval=largest))
  noise_m_s2 = jnp.where(is_noisy, noise_m_s2, 0) * jax.random.normal(noise_key, acc.shape)
  acc = acc * (1 + gain) + (bias_m_s2 + noise_m_s2) / STANDARD_GRAVITY_M_S2
  changed = jnp.concatenate([acc, jnp.where(has_no_gyro, 0, gyro)], axis=-1)
  rate = jax.random.uniform(rate_key, shape, minval=_RATES[0], maxval=_RATES[1])
  latest = jnp.floor(jnp.floor(jnp.arange(signal.shape[1])[None, :, None] * rate) / rate).astype(int)
  return jnp.where(is_slow, jnp.take_along_axis(changed, latest, axis=1), changed)

"""Augmentation of training windows.   b windows, n samples, c channels: two triads of axes."""

import jax
import jax.numpy as jnp
from jax.scipy.spatial.transform import Rotation
from jaxtyping import Array, Float


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
  # Not a matrix product: sums of three are faster written out, and in full precision on all devices.
  rotated = jnp.sum(rotations.as_matrix()[:, None, None] * triads[..., None, :], axis=-1)
  return (rotated + origin[:, None, :, None]).reshape(signal.shape)

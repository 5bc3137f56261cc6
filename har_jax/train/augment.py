"""Windows as they might as well have been recorded.   b windows, n samples, c channels: two triads of axes."""

import jax
import jax.numpy as jnp
from jax.scipy.spatial.transform import Rotation
from jaxtyping import Array, Float


def circular_shift(signal: Float[Array, 'b n c'], key: jax.Array) -> Float[Array, 'b n c']:
  """Each window from a sample of its own on, drawn at random, its end joined to its start.

  What it holds stays the same, posture and pace, and where in the window a step falls says nothing any more.
  """
  batch, samples, _ = signal.shape
  starts = jax.random.randint(key, (batch, 1), 0, samples)
  places = (starts + jnp.arange(samples)[None]) % samples
  return jnp.take_along_axis(signal, places[:, :, None], axis=1)


def rotate(
  signal: Float[Array, 'b n c'], origin: Float[Array, 'b 2'], key: jax.Array, degrees: float
) -> Float[Array, 'b n c']:
  """Each window as a device would have recorded it that was worn turned, both sensors alike.

  The turn is drawn anew for each window: about each axis by a normal angle of this deviation.
  `origin`: what the axes of each triad read at nought, since signals come normalized.
  """
  turns = Rotation.from_rotvec(jnp.radians(degrees) * jax.random.normal(key, (len(signal), 3))).as_matrix()
  triads = signal.reshape(*signal.shape[:2], 2, 3) - origin[:, None, :, None]
  # Not as a product of matrices: three numbers a sum, which is faster written out, and in full precision everywhere.
  turned = jnp.sum(turns[:, None, None] * triads[..., None, :], axis=-1)
  return (turned + origin[:, None, :, None]).reshape(signal.shape)

"""Windows as they might as well have been recorded.   b windows, n samples, c channels."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def roll(signal: Float[Array, 'b n c'], key: jax.Array) -> Float[Array, 'b n c']:
  """Each window from a sample of its own on, drawn at random, its end joined to its start.

  What it holds stays the same, posture and pace, and where in the window a step falls says nothing any more.
  """
  batch, samples, _ = signal.shape
  starts = jax.random.randint(key, (batch, 1), 0, samples)
  places = (starts + jnp.arange(samples)[None]) % samples
  return jnp.take_along_axis(signal, places[:, :, None], axis=1)

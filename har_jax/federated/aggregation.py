"""Aggregation of clients' updates by the server: checks, averages, products of LoRA's pairs.

i in, o out, r rank.
"""

import itertools
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from har_jax.errors import UserError
from har_jax.methods import without
from har_jax.variables import Variables, modules_with

_HUGE = 1e6  # of a weight or a running statistic: squares of far larger ones are not finite
_COLUMN_NORM = 3**-0.5  # expected norm of a column of A where LoRA draws it


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


def product(
  clients: Sequence[Variables], weights: Float[np.ndarray, 'c'], rank: int, pairs: str
) -> Variables:
  """Averages all but the pairs, which become the product of this rank that is closest to the mean A B.

  pairs: the collection that holds them (`Method.pairs`).
  The mean of A times the mean of B is not the mean of A B. The clients' pairs may differ in rank; their scale
  must be equal, and cancels. The factors are sorted by singular value: the first s columns of A and
  rows of B are the closest product of rank s. The columns of A are orthogonal and as long as LoRA draws
  them, so that a direction without weight can still be trained.
  Source: arXiv:2402.11505 (FlexLoRA), which shares the singular values in another way.
  """
  merged = average([without(client, pairs) for client in clients], weights)
  for a, b in _factor_paths(clients[0], pairs).items():
    mean = _mean([np.matmul(client[a], client[b], dtype=np.float64) for client in clients], weights)
    merged |= dict(zip((a, b), _factors(mean, rank), strict=True))
  return merged


def _factor_paths(variables: Variables, pairs: str) -> dict[str, str]:
  """The path of each A → that of its B."""
  return {f'{pairs}/{module}/a': f'{pairs}/{module}/b' for module in modules_with(variables, pairs, 'a')}


def _factors(
  matrix: Float[np.ndarray, 'i o'], rank: int
) -> tuple[Float[np.ndarray, 'i r'], Float[np.ndarray, 'r o']]:
  """The closest product of this rank; a rank beyond the matrix' own is filled with zeros."""
  left, values, right = np.linalg.svd(matrix, full_matrices=False)
  nonzero = min(rank, len(values))
  a, b = np.zeros((len(matrix), rank), np.float32), np.zeros((rank, matrix.shape[1]), np.float32)
  a[:, :nonzero] = left[:, :nonzero] * _COLUMN_NORM
  b[:nonzero] = values[:nonzero, None] * right[:nonzero] / _COLUMN_NORM
  return a, b


def truncate_as(variables: Variables, update: Variables, pairs: str) -> Variables:
  """Cuts each A to its first columns, and each B to its first rows, as many as another client's have."""
  truncated = dict(variables)
  for path in itertools.chain(*_factor_paths(variables, pairs).items()):
    if path in update and update[path].ndim == variables[path].ndim == 2:
      truncated[path] = variables[path][tuple(map(slice, update[path].shape))]
  return truncated


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

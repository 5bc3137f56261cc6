"""A chain of activities: two states by hand, others as the sum over all their paths."""

import itertools
import math

import numpy as np
import pytest
from scipy import linalg

from har_jax.timeline.decoding import Chain

# A quarter of the windows' length: likelihoods are square roots of probabilities, here 2 to 1 and 1 to 3.
HOP_S = 1.28
PROBABILITIES = np.array([[0.8, 0.2], [0.1, 0.9]])
# exp(-2 · 1.28 / mean) = 1/2 for the difference of two states: they stay with probability 3/4.
MEAN_BOUT_S = 2 * HOP_S / np.log(2)


def test_two_windows_by_hand():
  chain = Chain(MEAN_BOUT_S, HOP_S, 4 * HOP_S)
  first = chain.update(None, PROBABILITIES[0])
  assert first == pytest.approx([2 / 3, 1 / 3])
  # The prediction is (2/3 · 3/4 + 1/3 · 1/4, ...) = (7/12, 5/12); the likelihoods are 1 to 3.
  assert chain.update(first, PROBABILITIES[1]) == pytest.approx([7 / 22, 15 / 22])
  # Weights of the paths 00, 01, 10, 11: 2·3·1, 2·1·3, 1·1·1, 1·3·3 quarters, of 22.
  assert chain.smoothed(PROBABILITIES) == pytest.approx(np.array([[12, 10], [7, 15]]) / 22)


def _by_all_paths(mean_bout_s: float, hop_s: float, probabilities: np.ndarray) -> np.ndarray:
  """Posteriors of windows of 2.56 s, by definition; each window alone without a mean bout."""
  windows, activities = probabilities.shape
  moves = np.full((activities, activities), 1 / activities)
  if mean_bout_s:
    rates = np.full(moves.shape, 1 / (activities - 1) / mean_bout_s)
    np.fill_diagonal(rates, -1 / mean_bout_s)
    moves = linalg.expm(rates * hop_s)
  likelihoods = probabilities ** (min(2 * hop_s / 2.56, 1) if mean_bout_s else 1)
  posteriors = np.zeros(probabilities.shape)
  for path in itertools.product(range(activities), repeat=windows):
    weight = math.prod(moves[pair] for pair in itertools.pairwise(path))
    posteriors[np.arange(windows), path] += weight * likelihoods[np.arange(windows), path].prod()
  return posteriors / posteriors.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(
  ('activities', 'mean_bout_s', 'hop_s'),
  [(2, 7.0, 1.28), (5, 7.0, 1.28), (4, 20.0, 0.32), (3, 60.0, 2.56), (3, 60.0, 9.0), (4, 0, 1.28)],
)
def test_posteriors_are_those_of_all_paths(activities, mean_bout_s, hop_s):
  chain, posterior = Chain(mean_bout_s, hop_s, 2.56), None
  probabilities = np.random.default_rng(0).dirichlet(np.ones(activities), 4)
  assert chain.smoothed(probabilities) == pytest.approx(_by_all_paths(mean_bout_s, hop_s, probabilities))
  for count, row in enumerate(probabilities, start=1):  # the filter knows the windows so far
    posterior = chain.update(posterior, row)
    assert posterior == pytest.approx(_by_all_paths(mean_bout_s, hop_s, probabilities[:count])[-1])


def test_no_window_rules_an_activity_out():
  smoothed = Chain(5.0, HOP_S, 2.56).smoothed(np.array([[1.0, 0.0], [0.0, 1.0]]))
  assert np.isfinite(smoothed).all()
  assert smoothed.argmax(axis=1).tolist() == [0, 1]

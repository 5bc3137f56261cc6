"""A chain of two states, by hand."""

import numpy as np
import pytest
from scipy import linalg

from har_jax.timeline.decoding import Chain

# Half the windows' length: likelihoods are square roots of probabilities, here 2 to 1 and 1 to 3.
HOP_S = 1.28
PROBABILITIES = np.array([[0.8, 0.2], [0.1, 0.9]])
# exp(-2 · 1.28 / mean) = 1/2 for the difference of two states: they stay with probability 3/4.
MEAN_BOUT_S = 2 * HOP_S / np.log(2)


def test_a_window_moves_the_posterior_by_the_root_of_its_odds():
  chain = Chain(MEAN_BOUT_S, HOP_S, 2.56)
  first = chain.update(None, PROBABILITIES[0])
  assert first == pytest.approx([2 / 3, 1 / 3])
  # The prediction is (2/3 · 3/4 + 1/3 · 1/4, ...) = (7/12, 5/12); the likelihoods are 1 to 3.
  assert chain.update(first, PROBABILITIES[1]) == pytest.approx([7 / 22, 15 / 22])


def test_the_smoother_weighs_paths_by_both_windows():
  # Weights of the paths 00, 01, 10, 11: 2·3·1, 2·1·3, 1·1·1, 1·3·3 quarters, of 22.
  smoothed = Chain(MEAN_BOUT_S, HOP_S, 2.56).smoothed(PROBABILITIES)
  assert smoothed == pytest.approx(np.array([[12, 10], [7, 15]]) / 22)


def _random(windows: int) -> np.ndarray:
  return np.random.default_rng(0).dirichlet(np.ones(4), windows)


def test_the_filter_is_the_smoother_at_the_last_window():
  chain, posterior = Chain(20.0, HOP_S, 2.56), None
  probabilities = _random(9)
  for row in probabilities:
    posterior = chain.update(posterior, row)
  assert posterior == pytest.approx(chain.smoothed(probabilities)[-1])


def test_without_a_mean_bout_each_window_is_alone():
  probabilities = _random(9)
  assert Chain(0, HOP_S, 2.56).smoothed(probabilities) == pytest.approx(probabilities)


def test_windows_without_overlap_count_in_full():
  assert Chain(60.0, 2.56, 2.56).update(None, PROBABILITIES[0]) == pytest.approx(PROBABILITIES[0])
  assert Chain(60.0, 9.0, 2.56).update(None, PROBABILITIES[0]) == pytest.approx(PROBABILITIES[0])


def test_short_hops_change_as_often_as_long_ones():
  """Two hops of 1.28 s without evidence are one of 2.56 s."""
  start, nothing = np.array([0.7, 0.2, 0.1]), np.full(3, 1 / 3)
  twice = Chain(10.0, 1.28, 2.56).update(Chain(10.0, 1.28, 2.56).update(start, nothing), nothing)
  assert twice == pytest.approx(Chain(10.0, 2.56, 2.56).update(start, nothing))


@pytest.mark.parametrize('activities', [2, 5])
def test_a_hop_is_the_matrix_exponential_of_the_rates(activities):
  rates = np.full((activities, activities), 1 / (activities - 1) / 7.0)  # a change every 7 s
  np.fill_diagonal(rates, -1 / 7.0)
  before, nothing = np.eye(activities)[0], np.full(activities, 1 / activities)
  expected = linalg.expm(rates * HOP_S)[0]
  assert Chain(7.0, HOP_S, 2.56).update(before, nothing) == pytest.approx(expected)


def test_no_window_rules_an_activity_out():
  smoothed = Chain(5.0, HOP_S, 2.56).smoothed(np.array([[1.0, 0.0], [0.0, 1.0]]))
  assert np.isfinite(smoothed).all()
  assert smoothed.argmax(axis=1).tolist() == [0, 1]

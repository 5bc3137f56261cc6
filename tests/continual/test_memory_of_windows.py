"""What is kept of the windows of earlier domains."""

import numpy as np
import pytest

from har_jax.continual import memory
from har_jax.continual.learner import State
from har_jax.datasets.batches import Batch
from har_jax.errors import UserError


def _windows(labels: list[int], seed: int) -> Batch:
  signal = np.random.default_rng(seed).normal(size=(len(labels), 128, 6)).astype(np.float32)
  return {'signal': signal, 'label': np.array(labels, np.int32), 'origin': np.zeros((len(labels), 2))}


def _stored(capacity: int, domains: int = 3) -> State:
  stored: State = {}
  for number in range(domains):
    most = capacity * memory.window_bytes(128) + 5
    stored = memory.store(stored, _windows([0] * 6 + [1] * 4, number), number, most_bytes=most, seed=0)
  return stored


@pytest.mark.parametrize('capacity', [4, 9, 100])
def test_stored_windows_never_take_more_than_their_bytes(capacity):
  stored = _stored(capacity)
  assert sum(array.nbytes for array in stored.values()) <= capacity * memory.window_bytes(128)
  assert len(stored['label']) == min(capacity, 30)


def test_each_activity_of_each_domain_keeps_as_many_windows():
  stored = _stored(12)
  groups, counts = np.unique(np.stack([stored['domain'], stored['label']]), axis=1, return_counts=True)
  assert groups.shape[1] == 6
  assert counts.tolist() == [2] * 6


def test_what_stays_was_stored_before():
  before = {window.tobytes() for window in _stored(12, domains=2)['signal']}
  after = _stored(12)
  assert {window.tobytes() for window in after['signal'][after['domain'] < 2]} <= before


def test_the_seed_draws_the_windows_that_are_stored():
  most = 5 * memory.window_bytes(128)
  first, again, other = (
    memory.store({}, _windows([0] * 20, 0), 0, most_bytes=most, seed=seed)['signal'] for seed in (0, 0, 1)
  )
  np.testing.assert_array_equal(first, again)
  assert not np.array_equal(first, other)
  next_domain = memory.store({}, _windows([0] * 20, 0), 1, most_bytes=most, seed=0)['signal']
  assert not np.array_equal(first, next_domain)


def test_a_stored_window_is_as_good_as_float16():
  train = _windows([0, 1], 0)
  stored = memory.store({}, train, 0, most_bytes=10**6, seed=0)
  read = memory.read_windows(stored)
  order = np.argsort(read['label'])
  np.testing.assert_allclose(read['signal'][order], train['signal'], rtol=1e-3, atol=1e-6)
  assert (read['signal'].dtype, read['label'].dtype) == (np.float32, np.int32)


def test_memory_for_no_window_is_refused():
  with pytest.raises(UserError, match=r'1000 bytes hold no window, which takes 1540'):
    memory.store({}, _windows([0, 1], 0), 0, most_bytes=1000, seed=0)


def _means() -> State:
  """Domain 0 around (0, 0) and (0, 100); domain 1 around (10, 50). The second feature varies a lot."""
  state = memory.add_means(
    {}, np.array([[-1.0, -20.0], [1.0, 20.0], [-1.0, 80.0], [1.0, 120.0]]), np.array([1, 1, 2, 2]), 0
  )
  return memory.add_means(state, np.array([[9.0, 30.0], [11.0, 70.0]]), np.array([1, 1]), 1)


def test_means_and_squares_are_those_of_each_activity_and_domain():
  state = _means()
  np.testing.assert_array_equal(state['means'], [[0, 0], [0, 100], [10, 50]])
  np.testing.assert_array_equal(state['domain'], [0, 0, 1])
  np.testing.assert_array_equal(state['squares'], [6, 2400])
  assert state['windows'].tolist() == [6]


def test_the_nearest_mean_is_by_the_shared_variance():
  # By plain distance, (8, 85) is nearest to (0, 100); with each feature over its deviation, to (10, 50).
  # Without the variances' mean in each, (6, 90) would be of domain 1, too.
  features, means = np.array([[8.0, 85.0], [0.0, 0.0], [6.0, 90.0]]), np.array([[0, 0], [0, 100], [10, 50]])
  variance = 0.9 * np.array([1.0, 400.0]) + 0.1 * 200.5
  squared = np.square(features[:, None] - means)
  assert squared.sum(axis=2).argmin(axis=1).tolist() == [1, 0, 1]
  assert (squared / variance).sum(axis=2).argmin(axis=1).tolist() == [2, 0, 1]
  assert memory.route(_means(), features, np.arange(3)).tolist() == [1, 0, 0]


def test_one_window_of_each_activity_has_no_variance_and_is_nearest_by_distance_alone():
  features = np.float32([[0, 0], [5, 0], [0, 9], [5, 9]])
  state = memory.add_means({}, features[:2], np.array([0, 1]), 0)
  state = memory.add_means(state, features[2:], np.array([0, 1]), 1)
  domains = memory.route(state, np.float32([[1, 1], [4, 8], [1, 8]]), np.arange(3))
  assert domains.tolist() == [0, 1, 1]


def test_a_recording_has_one_domain():
  # Alone, the first window is of domain 1, clearly; the next two would be of domain 0, if barely.
  features = np.array([[12.0, 50.0], [4.0, 25.0], [4.0, 75.0], [0.0, 0.0]])
  assert memory.route(_means(), features, np.arange(4)).tolist() == [1, 0, 0, 0]
  assert memory.route(_means(), features, np.array([5, 5, 5, 9])).tolist() == [1, 1, 1, 0]

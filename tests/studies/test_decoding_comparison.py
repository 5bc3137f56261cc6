"""Decoders are compared on whole recordings, of people apart from those that the forest was fitted to."""

import collections
import itertools

import decoding
import numpy as np
import pytest
import short_sample

from har_jax import config
from har_jax.errors import UserError
from har_jax.timeline.bouts import Chain


@pytest.fixture(scope='module')
def recordings() -> list:
  return short_sample.read('sample_motionsense', seconds=20.0)


def test_a_day_has_several_activities_and_each_follows_another(recordings):
  days = decoding.made_up_days(recordings, mean_bout_s=5.0, length_s=100.0, seed=0)
  assert [day.subject for day in days] == ['1', '2', '3', '4', '5']
  for day in days:
    names = [span.activity for span in day.spans]
    assert all(before != after for before, after in itertools.pairwise(names))
    assert day.spans[-1].stop_s >= 100
    assert day.spans[-1].stop_s == pytest.approx(len(day.acc.values) / 50, abs=0.03)


def test_the_viterbi_path_is_the_most_probable_of_all_paths():
  chain, rng = Chain(5.0, 1.28, 5.12), np.random.default_rng(0)
  stays = np.exp(-1.28 / 5.0 * 3 / 2)  # of three activities
  moves = stays * np.eye(3) + (1 - stays) / 3
  for _ in range(20):
    evidence = rng.dirichlet(np.full(3, 0.5), 5)

    def probability(path: tuple[int, ...], evidence: np.ndarray = evidence) -> float:
      # The square root: hops are a quarter of the windows.
      return (
        np.prod([moves[pair] for pair in itertools.pairwise(path)]) * np.prod(evidence[range(5), path]) ** 0.5
      )

    best = max(itertools.product(range(3), repeat=5), key=probability)
    assert decoding._most_probable_path(chain, evidence).argmax(axis=1).tolist() == list(best)


def test_the_filter_knows_earlier_windows_and_no_later_one():
  chain, evidence = Chain(5.0, 1.28, 2.56), np.random.default_rng(0).dirichlet(np.ones(3), 4)
  filtered = decoding._filtered(chain, evidence)
  before = None
  for row, posterior in zip(evidence, filtered, strict=True):
    before = chain.update(before, row)
    np.testing.assert_allclose(posterior, before)
  # The last window's posterior is that of the smoother, which knows no later one there.
  np.testing.assert_allclose(filtered[-1], chain.smoothed(evidence)[-1])


def test_all_decoders_are_measured_on_the_same_windows(recordings):
  days = decoding.made_up_days(recordings, mean_bout_s=10.0, length_s=60.0, seed=0)
  rows = list(decoding.measure(days, config.Protocol(label_budget='5/class'), 0))
  assert len({(row['part'], row['windows']) for row in rows}) == 2
  counts = collections.Counter(row['decoder'] for row in rows if row['part'] == 'test')
  assert counts == {'each window alone': 1, 'average over 10 s': 1, 'filter': 5, 'smoother': 5, 'Viterbi': 5}


def test_recordings_of_one_activity_each_are_refused(recordings):
  with pytest.raises(UserError, match='each recording has one activity'):
    list(decoding.measure(recordings, config.Protocol(), 0))

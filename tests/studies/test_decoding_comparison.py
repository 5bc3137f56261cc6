"""Decoders are compared on whole recordings, of people apart from those that the forest was fitted to."""

import collections
import itertools

import decoding
import pytest

from har_jax import config
from har_jax.archives.synthetic import corpus_recordings
from har_jax.errors import UserError


@pytest.fixture(scope='module')
def recordings() -> list:
  return list(corpus_recordings('synth_waist', subjects=5, seconds=20.0))


def test_a_day_has_several_activities_and_each_follows_another(recordings: list):
  days = decoding.made_up_days(recordings, mean_bout_s=5.0, length_s=100.0, seed=0)
  assert [day.subject for day in days] == ['1', '2', '3', '4', '5']
  for day in days:
    names = [span.activity for span in day.spans]
    assert all(before != after for before, after in itertools.pairwise(names))
    assert day.spans[-1].stop_s >= 100
    assert day.spans[-1].stop_s == pytest.approx(len(day.acc.values) / 50, abs=0.03)


def test_all_decoders_are_measured_on_the_same_windows(recordings: list):
  days = decoding.made_up_days(recordings, mean_bout_s=10.0, length_s=60.0, seed=0)
  rows = list(decoding.measure(days, config.Protocol(label_budget='5/class'), 0))
  assert len({(row['part'], row['windows']) for row in rows}) == 2
  counts = collections.Counter(row['decoder'] for row in rows if row['part'] == 'test')
  assert counts == {'each window alone': 1, 'average over 10 s': 1, 'filter': 5, 'smoother': 5, 'Viterbi': 5}


def test_recordings_of_one_activity_each_are_refused(recordings: list):
  with pytest.raises(UserError, match='each recording has one activity'):
    list(decoding.measure(recordings, config.Protocol(), 0))

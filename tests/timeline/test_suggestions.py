"""Choice of stretches to label, by hand."""

import dataclasses
from unittest import mock

import numpy as np
import pandas as pd
import pytest
import worn_device
from made_predictions import make_labeled, make_predictions

from har_jax.errors import UserError
from har_jax.recordings import Reading
from har_jax.timeline import Bout, suggestions
from har_jax.timeline.bouts import Clock
from har_jax.timeline.picture import Picture


def test_a_stretch_of_each_kind_is_chosen_however_rare_it_is():
  kinds = np.repeat([0, 1, 2], [60, 3, 20])
  centers = np.array([[0.0, 0, 7], [9, 0, 7], [0, 9, 7]])  # the last statistic is constant
  features = centers[kinds] + 0.1 * np.random.default_rng(0).standard_normal((len(kinds), 3)) * [1, 1, 0]
  for units in ([1, 1, 1], [1, 1e-3, 1], [1e-3, 1, 1]):  # of the statistics, which do not matter
    assert sorted(kinds[suggestions.choose(features * units, 3)]) == [0, 1, 2]


def test_equal_stretches_are_not_chosen_twice():
  assert len(suggestions.choose(np.repeat(np.eye(2), 5, axis=0), 4)) == 2


def test_stretches_are_worn_and_overlap_neither_labels_nor_each_other():
  number = np.arange(1700)
  # A rest of half an hour, and one of a minute.
  still = (number >= 2) & (number < 1500) | (number > 1645)
  predictions = make_predictions([0] * 1700, still=still, recording=number // 1500)
  reading = Reading(make_labeled() + make_labeled((2000.0, 2100.0, 'sit')), [], [], '', True)
  firsts = suggestions._candidates(predictions, reading, 5.12)
  starts_s = predictions.start_s[firsts]
  assert (np.diff(starts_s) > 5).all()
  assert 1920 <= starts_s.min() < 1926
  assert starts_s.max() > 2165
  assert not ((starts_s > 2000 - 5.12) & (starts_s < 2100)).any()


def test_stretches_are_of_all_parts_and_evenly_spaced_if_there_are_many(monkeypatch):
  starts_s = 1.28 * np.r_[np.arange(399), np.arange(500, 900)]  # a gap of two minutes
  predictions = make_predictions([0] * 799, starts=starts_s)
  reading = Reading(make_labeled(), [], [], '', True)
  firsts = suggestions._candidates(predictions, reading, 5.12)
  assert firsts.tolist() == [*range(0, 397, 4), *range(399, 796, 4)]
  monkeypatch.setattr(suggestions, '_MOST_STRETCHES', 5)
  some = suggestions._candidates(predictions, reading, 5.12)
  assert some.tolist() == firsts[np.array([0, 50, 100, 149, 199])].tolist()


def test_a_stretch_is_described_by_the_mean_of_its_windows(monkeypatch):
  """Each window's statistic is its number among those of all stretches."""
  choose, read = mock.Mock(return_value=np.arange(3)), suggestions.rate_check.read

  def doubtful(*recording, **options):
    reading, findings = read(*recording, **options)
    return dataclasses.replace(reading, warnings=['A doubt.']), findings

  monkeypatch.setattr(suggestions.rate_check, 'read', doubtful)
  monkeypatch.setattr(suggestions, 'window_statistics', lambda signals, _: np.arange(len(signals))[:, None])
  monkeypatch.setattr(suggestions, 'choose', choose)
  frame = pd.DataFrame(worn_device.signal('walking', 60, 0), columns=['ax', 'ay', 'az', 'gx', 'gy', 'gz'])
  made = suggestions.suggest(frame, 3, rate_hz=50.0)
  suggested, clock = made.stretches, made.picture.clock
  described, count = choose.call_args.args
  assert (described[:3, 0].tolist(), count) == ([1, 4, 7], 3)  # of windows 0 to 2, 3 to 5, 6 to 8
  np.testing.assert_allclose(suggested['start_s'], [0, 5.12, 10.24])
  np.testing.assert_allclose(suggested['end_s'] - suggested['start_s'], 5.12)
  assert (clock.start, [mark.start_s for mark in made.picture.marks]) == (None, [0, 5.12, 10.24])
  assert made.warnings == made.picture.doubts == ['A doubt.']


def test_one_stretch_is_the_fewest():
  for count, message in ((1, 'no such folder'), (0, 'count is 0')):
    with pytest.raises(UserError, match=message):
      suggestions.suggest('day.csv', count, base='nowhere')
  with pytest.raises(UserError, match=r'count is 2\.5; give a whole number'):
    suggestions.check_count(2.5)
  suggestions.check_count(np.int64(1))


def test_the_picture_has_a_triangle_above_each_suggestion():
  bouts = [Bout(0, 0.0, 60.0, 'walking', 0.9), Bout(1, 0.0, 60.0, 'lying', 0.9)]
  marks = [Bout(recording, 20.0, 25.0, '', 0.0) for recording in (0, 1)]
  clock = Clock(('a', 'b'), (0.0, 0.0), None)
  figure = Picture(bouts, clock, ('lying', 'walking'), marks=marks).draw()
  (drawn,) = figure.axes[0].lines
  np.testing.assert_allclose(drawn.get_xydata(), [[22.5, -0.45], [22.5, 0.55]])

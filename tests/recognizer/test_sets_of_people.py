"""Prediction sets that have their coverage for most people, not for all windows together."""

import copy
import math

import numpy as np
import pytest
from labeled_windows import LABELS, SIGNALS

from har_jax.errors import UserError
from har_jax.recognizer.calibration import calibrate
from har_jax.recognizer.prediction_sets import fit_scores


def _of_scores(scores: list[float]) -> tuple[np.ndarray, np.ndarray]:
  """Probabilities of two classes, and labels, of windows with these scores."""
  return np.stack([1 - np.array(scores), scores], axis=1), np.zeros(len(scores), int)


def test_with_few_people_the_threshold_is_that_of_the_person_who_needs_most():
  scores = [0.1, 0.2, 0.3, 0.2, 0.4, 0.6, 0.0, 0.05, 0.1]
  found = fit_scores(*_of_scores(scores), np.repeat(['ana', 'ben', 'eva'], 3))
  # Ben's first of three scores up to a coverage of 1/4, his second up to 2/4, his last above.
  assert found.tolist() == [0.2, 0.2, 0.4, 0.4, 0.4, 0.6, 0.6, 0.6, 0.6]
  found = fit_scores(*_of_scores([0.1, *scores[3:6]]), np.array(['ana', 'ben', 'ben', 'ben']))
  assert found.tolist() == [0.2, 0.4, 0.6, 0.6]  # Ben's, whose ranks are of his own three windows


def test_with_many_people_nine_of_ten_have_the_coverage():
  scores = np.repeat(np.arange(19) / 100, 2)
  found = fit_scores(*_of_scores(scores.tolist()), np.repeat(np.arange(19), 2))
  assert found == pytest.approx(0.17, abs=1e-5)  # of the 18th of 19 people: ceil((19 + 1) * 0.9)


def test_new_people_are_covered_as_often_as_those_who_calibrated():
  rng = np.random.default_rng(0)

  def draw(people: int) -> tuple[np.ndarray, np.ndarray]:
    """People whose windows have scores of their own level."""
    levels = np.repeat(rng.uniform(0, 0.4, people), 50)
    return levels + rng.uniform(0, 0.4, len(levels)), np.repeat(np.arange(people), 50)

  covered: dict[bool, list[bool]] = {False: [], True: []}
  for _ in range(60):
    (scores, people), (others, new) = draw(19), draw(20)
    for known in covered:
      found = fit_scores(*_of_scores(scores.tolist()), people if known else None)
      is_covered = others <= found[math.ceil((len(found) + 1) * 0.8) - 1]
      covered[known] += [bool(is_covered[new == person].mean() >= 0.8 - 0.02) for person in range(20)]
  assert np.mean(covered[True]) == pytest.approx(0.9, abs=0.04)
  assert np.mean(covered[False]) < 0.75


def test_sets_of_known_people_are_those_of_their_scores(fitted):
  recognizer, people = copy.copy(fitted), np.arange(len(LABELS)) % 3
  calibrate(recognizer, SIGNALS, LABELS, people=people)
  index = {name: number for number, name in enumerate(recognizer.classes_.tolist())}
  labels = np.array([index[name] for name in LABELS])
  assert recognizer.set_scores == fit_scores(recognizer.predict_proba(SIGNALS), labels, people).tolist()
  with pytest.raises(UserError, match='person'):
    calibrate(recognizer, SIGNALS, LABELS, people=['ana', 'ben'])

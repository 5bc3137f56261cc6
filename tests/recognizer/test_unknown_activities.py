"""Windows of activities that were never learned."""

import copy

import numpy as np
import pytest
from labeled_windows import LABELS, SIGNALS

from har_jax.recognizer import unknown_activities
from har_jax.recognizer.calibration import calibrate
from har_jax.recognizer.recognizer import Recognizer


def test_the_score_is_the_squared_distance_from_the_nearest_mean():
  means = np.array([[0.0, 0], [4, 0]])
  np.testing.assert_allclose(unknown_activities.score(np.array([[1.0, 0], [4, 3]]), means), [1, 9])


@pytest.mark.parametrize(('count', 'refused'), [(19, [False, True]), (18, [False, False])])
def test_a_score_above_the_quantile_of_enough_others_is_refused(count, refused):
  held_out = np.arange(1.0, count + 1).tolist()
  assert unknown_activities.refuse(np.array([count, count + 1.0]), held_out, 0.05).tolist() == refused
  sentence = unknown_activities.shortage(held_out, 0.05)
  assert (sentence is None) == refused[1]
  assert refused[1] or 'needs 19 labeled windows' in sentence


def test_windows_unlike_the_training_windows_score_higher(fitted):
  probabilities, scores = fitted.score_unknown(SIGNALS)
  np.testing.assert_allclose(probabilities, fitted.probabilities(SIGNALS), atol=1e-5)
  _, others = fitted.score_unknown(SIGNALS[:, ::-1] * 4)
  assert np.median(others) > np.quantile(scores, 0.99)


def test_calibration_keeps_the_scores_of_its_windows(fitted, tmp_path):
  calibrated = copy.copy(fitted)
  calibrate(calibrated, SIGNALS, LABELS)
  _, scores = calibrated.score_unknown(SIGNALS)
  assert len(calibrated.unknown_scores) == min(len(scores), 200)
  assert calibrated.unknown_scores[-1] == pytest.approx(scores.max())
  calibrated.save(tmp_path)
  assert Recognizer.load(tmp_path).unknown_scores == calibrated.unknown_scores

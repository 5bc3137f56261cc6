"""Temperature scaling: what windows that are held out find, and what is expected of a head without any."""

import copy
import dataclasses
import math

import numpy as np
import pytest
from labeled_windows import LABELS, SIGNALS

from har_jax import records
from har_jax.errors import UserError
from har_jax.recognizer.calibration import calibrate
from har_jax.recognizer.recognizer import Recognizer
from har_jax.recognizer.temperature import expect, fit, shrink

_LABELS = LABELS.copy()
_LABELS[:18] = 'still'  # 12 of them wrong, so that calibration has something to correct


def _draw_logits(windows: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
  """Logits, and labels drawn from their softmax."""
  rng = np.random.default_rng(0)
  logits = 2 * rng.standard_normal((windows, classes))
  probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
  labels = (probabilities.cumsum(axis=1) < rng.random((windows, 1))).sum(axis=1)
  return logits, labels.clip(0, classes - 1)


@pytest.mark.parametrize('factor', [0.5, 1.0, 3.0])
def test_logits_scaled_by_a_factor_give_it_as_temperature(factor):
  logits, labels = _draw_logits(20_000, 5)
  assert fit(factor * logits, labels) == pytest.approx(factor, rel=0.05)


@pytest.mark.parametrize('windows', [5, 50])
def test_a_few_correct_windows_do_not_give_certainty(windows):
  labels = np.arange(windows) % 3
  logits = 20.0 * np.eye(3)[labels]
  scaled = np.exp(logits / fit(logits, labels))
  confidence = (scaled / scaled.sum(axis=1, keepdims=True)).max(axis=1)
  np.testing.assert_allclose(confidence, (windows + 1) / (windows + 2), atol=2e-3)


def test_confidence_is_before_and_after_and_accuracy_of_all_windows(fitted):
  recognizer, is_chosen = copy.copy(fitted), _LABELS != 'lying'  # the first class has no window
  signals, labels = SIGNALS[is_chosen], _LABELS[is_chosen]
  true = np.searchsorted(recognizer.classes_, labels)
  before = recognizer.predict_proba(signals)
  calibration = calibrate(recognizer, signals, labels)
  after = recognizer.predict_proba(signals)
  for index, probabilities in enumerate((before, after)):
    assert calibration.confidence[index] == pytest.approx(probabilities.max(axis=1).mean(), rel=1e-6)
  assert calibration.accuracy == (before.argmax(axis=1) == true).mean()
  assert 0.5 < calibration.accuracy < 1
  logits = np.log(before) * fitted.temperature
  expected = shrink(fit(logits, true), len(true), 1.0)
  assert calibration.temperature == pytest.approx(expected, rel=1e-3) != pytest.approx(1, rel=0.05)
  assert calibration.windows == len(labels)


def test_calibration_keeps_predictions_and_is_saved(fitted, tmp_path):
  recognizer = copy.copy(fitted)
  before = recognizer.predict_proba(SIGNALS)
  temperature = calibrate(recognizer, SIGNALS, _LABELS).temperature
  after = recognizer.predict_proba(SIGNALS)
  assert not np.allclose(before, after, atol=1e-3)
  np.testing.assert_array_equal(before.argmax(axis=1), after.argmax(axis=1))
  # A second calibration, of calibrated probabilities, finds the same.
  twice = copy.copy(recognizer)
  again = calibrate(twice, SIGNALS, _LABELS).temperature
  assert again == twice.temperature == pytest.approx(temperature, rel=1e-3)
  recognizer.save(tmp_path)
  loaded = Recognizer.load(tmp_path)
  np.testing.assert_array_equal(loaded.predict_proba(SIGNALS), after)
  np.testing.assert_array_equal(loaded.predict_set(SIGNALS), recognizer.predict_set(SIGNALS))
  assert loaded.unknown_scores == recognizer.unknown_scores


@pytest.mark.parametrize('count', [1, 5])
def test_each_window_needs_a_label(fitted, count):
  message = rf'the labels are \[{count}\] for 4 windows; give one label per window'
  with pytest.raises(UserError, match=message):
    calibrate(fitted, SIGNALS[:4], LABELS[:count])


@pytest.mark.parametrize(('labels', 'words'), [(['walking', 'flying'], "'flying'"), ([0, 1], '0, 1')])
def test_an_unknown_label_is_an_error(fitted, labels, words):
  with pytest.raises(UserError, match=f"recognizer: {words}; it has 'lying', 'still', 'walking'"):
    calibrate(fitted, SIGNALS[:2], labels)


def test_few_windows_move_the_temperature_little():
  assert shrink(4.0, 100, 1.0) == pytest.approx(2.0)  # as many as the prior: half of its logarithm
  assert 1 < shrink(4.0, 1, 1.0) < 1.05
  assert shrink(4.0, 100_000, 1.0) == pytest.approx(4.0, rel=0.01)
  assert shrink(0.25, 100, 1.0) == pytest.approx(0.5)
  assert shrink(2.0, 100, 0.5) == pytest.approx(1.0)
  assert shrink(2.0, 0, 0.5) == 0.5


@pytest.mark.parametrize(
  ('windows', 'entries', 'temperature'),
  [
    (3, {}, 0.5),  # one window of each activity
    (30, {}, 0.5 + 0.09 * math.log(10)),
    (30, {'method': 'qside'}, 0.5 + 0.09 * math.log(10)),
    (3000, {}, 1.0),
    (0, {}, 0.5),
    (30, {'method': 'scratch'}, 2.5),
    (30, {'method': 'forest'}, 2.5),
    (30, {'split': None}, 2.5),
  ],
)
def test_a_head_of_few_windows_is_expected_to_be_too_unsure(fitted, windows, entries, temperature):
  """A head of which nothing is known has the temperature at which it adapts to recordings."""
  linear = {'method': 'linear', 'model': dataclasses.replace(fitted.adapter_.card.model, head=())}
  split = records.Split(by='none', windows={'train': windows, 'validation': 90})
  adapter = fitted.adapter_.with_card(**linear, split=split, adaptation_temperature=2.5).with_card(**entries)
  assert expect(adapter.card) == pytest.approx(temperature)
  of_steps = adapter.with_card(model=fitted.adapter_.card.model, method='lora')
  assert of_steps.card.model.head
  assert expect(of_steps.card) == 2.5

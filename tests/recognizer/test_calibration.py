"""Temperature scaling: recovers a known temperature, avoids false certainty, is saved with the adapter."""

import copy

import numpy as np
import pytest
from labeled_windows import LABELS, SIGNALS

from har_jax.errors import UserError
from har_jax.recognizer.calibration import calibrate, fit_temperature
from har_jax.recognizer.recognizer import Recognizer

_LABELS = LABELS.copy()
_LABELS[:18] = 'still'  # 12 of them wrong, so that calibration has something to correct


def _draw(windows: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
  """Logits, and labels drawn from their softmax."""
  rng = np.random.default_rng(0)
  logits = 2 * rng.standard_normal((windows, classes))
  probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
  labels = (probabilities.cumsum(axis=1) < rng.random((windows, 1))).sum(axis=1)
  return logits, labels.clip(0, classes - 1)


@pytest.mark.parametrize('factor', [0.5, 1.0, 3.0])
def test_logits_scaled_by_a_factor_give_it_as_temperature(factor):
  logits, labels = _draw(20_000, 5)
  assert fit_temperature(factor * logits, labels) == pytest.approx(factor, rel=0.05)


@pytest.mark.parametrize('windows', [5, 50])
def test_a_few_correct_windows_do_not_give_certainty(windows):
  labels = np.arange(windows) % 3
  logits = 20.0 * np.eye(3)[labels]
  scaled = np.exp(logits / fit_temperature(logits, labels))
  confidence = (scaled / scaled.sum(axis=1, keepdims=True)).max(axis=1)
  np.testing.assert_allclose(confidence, (windows + 1) / (windows + 2), atol=2e-3)


def test_loss_confidence_and_accuracy_are_before_and_after(fitted):
  recognizer = copy.copy(fitted)
  true = np.searchsorted(recognizer.classes_, _LABELS)
  before = recognizer.predict_proba(SIGNALS)
  calibration = calibrate(recognizer, SIGNALS, _LABELS)
  after = recognizer.predict_proba(SIGNALS)
  for index, probabilities in enumerate((before, after)):
    expected = -np.log(probabilities[np.arange(len(true)), true]).mean()
    assert calibration.loss[index] == pytest.approx(expected, rel=1e-6)
    assert calibration.confidence[index] == pytest.approx(probabilities.max(axis=1).mean(), rel=1e-6)
  assert calibration.loss[1] < calibration.loss[0]
  assert calibration.accuracy == (before.argmax(axis=1) == true).mean()
  assert 0.5 < calibration.accuracy < 1
  assert calibration.windows == len(_LABELS)


def test_calibration_keeps_predictions_and_is_saved(fitted, tmp_path):
  recognizer = copy.copy(fitted)
  before = recognizer.predict_proba(SIGNALS)
  temperature = calibrate(recognizer, SIGNALS, _LABELS).temperature
  after = recognizer.predict_proba(SIGNALS)
  assert not np.allclose(before, after, atol=1e-3)
  np.testing.assert_array_equal(before.argmax(axis=1), after.argmax(axis=1))
  # A second calibration, of calibrated probabilities, finds the same.
  again = calibrate(recognizer, SIGNALS, _LABELS).temperature
  assert again == pytest.approx(temperature, rel=1e-3)
  recognizer.save(tmp_path)
  np.testing.assert_array_equal(
    Recognizer.load(tmp_path).predict_proba(SIGNALS), recognizer.predict_proba(SIGNALS)
  )


@pytest.mark.parametrize('count', [1, 5])
def test_each_window_needs_a_label(fitted, count):
  with pytest.raises(
    UserError, match=rf'the labels are \[{count}\] for 4 windows; give one label per window'
  ):
    calibrate(fitted, SIGNALS[:4], LABELS[:count])


def test_an_unknown_label_is_an_error(fitted):
  with pytest.raises(UserError, match='flying; it has lying, still, walking'):
    calibrate(fitted, SIGNALS[:2], ['walking', 'flying'])

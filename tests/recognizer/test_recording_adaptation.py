"""Test-time adaptation, against a linear head whose features are moved explicitly."""

import numpy as np
import pytest
from scipy import special

from har_jax.recognizer import recording_adaptation

CENTERS = np.array([[4.0, 0, 0], [0, 4.0, 0], [0, 0, 4.0]])
CLASS_LOGITS = CENTERS @ CENTERS.T - np.square(CENTERS).sum(axis=1) / 2


def _recording(move, labels, seed=0):
  """Features around the moved centers, and the probabilities of the head that has CENTERS as its weights."""
  noise = np.random.default_rng(seed).standard_normal((len(labels), 3))
  features = CENTERS[labels] + np.asarray(move)[labels] + noise
  return features, special.softmax(features @ CENTERS.T - np.square(CENTERS).sum(axis=1) / 2, axis=1)


LABELS = np.repeat([0, 1, 2], 30)
MOVE = np.array([[-1.6, 1.6, 0], [0, 0, 0], [0, 0, 0]])  # the first class lies near the second


def test_moving_logits_is_moving_the_features_of_a_linear_head():
  """By definition, so that any other prior, number of rounds or sign of the moves is seen."""
  features, probabilities = _recording(MOVE, LABELS)
  expected = probabilities
  for _ in range(5):
    counts = expected.sum(axis=0)
    shares = counts / counts.sum()
    prior = 3 * (3 / np.exp(-(shares * np.log(shares)).sum())) ** 2
    moves = (expected.T @ features - counts[:, None] * CENTERS) / (prior + counts)[:, None]
    moved = features - expected @ moves
    expected = special.softmax(moved @ CENTERS.T - np.square(CENTERS).sum(axis=1) / 2, axis=1)
  np.testing.assert_allclose(
    recording_adaptation.adapt_to_recording(probabilities, CLASS_LOGITS), expected, rtol=1e-6, atol=1e-9
  )


@pytest.mark.parametrize('count', [1, 2])
def test_few_windows_and_certain_ones(count):
  probabilities = np.eye(3, dtype=np.float32)[:count]
  adapted = recording_adaptation.adapt_to_recording(probabilities, CLASS_LOGITS)
  assert adapted.dtype == np.float32
  np.testing.assert_array_equal(adapted.argmax(axis=1), np.arange(count))


def test_each_recording_is_adapted_by_itself():
  _, moved = _recording(MOVE, LABELS)
  _, plain = _recording(np.zeros((3, 3)), LABELS, seed=1)
  names = np.array(['moved', 'plain'] * len(LABELS))
  both = np.empty((2 * len(LABELS), 3))
  both[names == 'moved'], both[names == 'plain'] = moved, plain
  adapted = recording_adaptation.adapt_to_recordings(both, CLASS_LOGITS, names)
  for name, alone in (('moved', moved), ('plain', plain)):
    expected = recording_adaptation.adapt_to_recording(alone, CLASS_LOGITS)
    np.testing.assert_array_equal(adapted[names == name], expected)
  np.testing.assert_array_equal(recording_adaptation.adapt_to_recordings(both, None, names), both)

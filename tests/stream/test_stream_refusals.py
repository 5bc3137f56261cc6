"""A stream refuses windows that are unlike all activities, by the windows so far."""

import copy

import numpy as np
import pytest
from fitted_recognizer import calibrated_copy
from labeled_windows import LABELS, SIGNALS

from har_jax.errors import UserError
from har_jax.recognizer import unknown_activities
from har_jax.recognizer.recognizer import Recognizer
from har_jax.stream import refusals
from har_jax.stream.stream import Stream

_RATE = 0.1
_WALK = SIGNALS[LABELS == 'walking'][:10].reshape(-1, 6)


@pytest.fixture(scope='module')
def calibrated(fitted) -> Recognizer:
  return calibrated_copy(fitted)


def _strange(samples: int) -> np.ndarray:
  """A fast rotation, as of no training window."""
  turn = 12 * np.sin(np.arange(samples) / 2)[:, None] * [0, 0, 0, 1, 1, 1]
  return np.array([0, 9.8, 0, 0, 0, 0]) + turn


def test_a_window_is_unknown_where_its_score_so_far_says_so(calibrated, monkeypatch):
  signal = np.concatenate([_WALK, _strange(1280)])
  time_s = np.r_[np.arange(1280), np.arange(1280, 2560) + 100] / 50  # a gap of two seconds
  seen, refuse = [], unknown_activities.refuse
  with monkeypatch.context() as patched:
    patched.setattr(unknown_activities, 'refuse', lambda *given: seen.append(given[0][0]) or refuse(*given))
    stream = Stream(calibrated, mean_bout_s=0, refusal_rate=_RATE, frame='as_is')
    found = stream.push(signal, time_s)
  plain = Stream(calibrated, mean_bout_s=0, frame='as_is').push(signal, time_s)
  assert [each.time_s for each in found] == [each.time_s for each in plain]
  starts = [*range(0, 1280 - 127, 64), *range(1280, 2560 - 127, 64)]
  answers, inputs = calibrated.answer_with_inputs(np.stack([signal[start : start + 128] for start in starts]))
  limit = np.sort(calibrated.unknown_scores)[int(np.ceil(0.9 * (len(calibrated.unknown_scores) + 1))) - 1]
  gap, expected = starts.index(1280), []
  for now in range(1, len(starts) + 1):
    parts = [slice(0, min(now, gap)), *([slice(gap, now)] if now > gap else [])]
    adapted = calibrated.adapt_probabilities(answers[:now], np.zeros(now))
    scores = unknown_activities.score(calibrated, inputs[:now], adapted, np.zeros(now), parts, ask_base=True)
    expected.append(scores[-1] > limit)
    assert seen[now - 1] == pytest.approx(scores[-1], rel=1e-4)
  assert [each.activity == 'unknown' for each in found] == expected
  assert not any(expected[:gap])
  assert any(expected[gap:])
  assert not all(expected[gap:])
  for one, other, is_unknown in zip(found, plain, expected, strict=True):
    assert one == (other._replace(activity='unknown') if is_unknown else other)


@pytest.mark.parametrize('by_base', [True, False])
def test_the_base_is_asked_if_the_calibration_did_and_adapts_to_all_windows(calibrated, monkeypatch, by_base):
  recognizer, asked = copy.copy(calibrated), []
  recognizer.adapter_ = recognizer.adapter_.with_card(unknown_by_base=by_base)

  def spied(_, inputs, answers, recordings, parts, *, ask_base):
    asked.append((recordings.tolist(), parts, ask_base))
    return np.zeros(len(inputs))

  monkeypatch.setattr(unknown_activities, 'score', spied)
  refusing = refusals.Refusals(recognizer, _RATE)
  refusing.add([np.zeros(2)], np.zeros((1, 3)))
  refusing.restart()
  refusing.add([np.zeros(2)] * 2, np.zeros((2, 3)))
  assert asked == [
    ([0], [slice(0, 0), slice(0, 1)], by_base),
    ([0, 0], [slice(0, 1), slice(1, 2)], by_base),
  ]


def test_a_correction_ends_refusals_as_it_changes_the_output_layer(calibrated, monkeypatch):
  monkeypatch.setattr(refusals.unknown_activities, 'refuse', lambda *_: np.array([True]))
  stream = Stream(calibrated, mean_bout_s=0, refusal_rate=_RATE, frame='as_is')
  assert {each.activity for each in stream.push(_WALK)} == {'unknown'}
  stream.correct('walking')
  assert 'unknown' not in {each.activity for each in stream.push(_WALK)}
  card, entries = stream.to_recognizer().adapter_.card, ('class_logits', 'set_scores', 'unknown_scores')
  assert all(getattr(calibrated.adapter_.card, name) for name in entries)
  assert not any(getattr(card, name) for name in entries)  # measured with the layer before
  stream.undo()
  assert {each.activity for each in stream.push(_WALK)} == {'unknown'}


@pytest.mark.parametrize(
  ('rate', 'words'),
  [(-0.1, 'give a fraction'), (1.0, 'give a fraction'), (0.001, 'needs 999 labeled windows')],
)
def test_a_rate_that_cannot_be_met_is_refused(calibrated, rate, words):
  with pytest.raises(UserError, match=words):
    Stream(calibrated, refusal_rate=rate)

"""Windows in another frame or unit than in training, in a fit, in predictions and in a stream."""

import warnings

import numpy as np
import pytest
from test_frame_check import ACTIVITIES, LABELS, LINEAR, SIGNALS, SUMMARY, SWAPPED, TRAINED, G

from har_jax.errors import UserError
from har_jax.recognizer import frame_check
from har_jax.recognizer.frame_check import FrameWarning
from har_jax.recognizer.recognizer import Recognizer
from har_jax.signal import frames
from har_jax.stream.stream import Stream


@pytest.fixture(scope='module')
def recognizer(unfitted) -> Recognizer:
  return unfitted.adapt(TRAINED, LABELS, max_steps=3)


def test_predict_warns_and_does_not_change_windows(recognizer):
  with warnings.catch_warnings():
    warnings.simplefilter('error')
    as_is = recognizer.predict_proba(SIGNALS)
  for turned, words in (
    (frames.FLIP(SIGNALS), 'frame=-x,-y,-z would correct it'),
    (SIGNALS / G, 'in g and was taken for m/s²'),
    (LINEAR, 'lacks gravity'),
    (SWAPPED, 'frame=y,x,z,y,x,z fits best'),
  ):
    with pytest.warns(FrameWarning, match=words):
      assert not np.array_equal(recognizer.predict_proba(turned), as_is)


def test_the_card_keeps_the_summary(recognizer, tmp_path):
  recognizer.save(tmp_path)
  assert Recognizer.load(tmp_path).signals == SUMMARY


def _push(stream: Stream, signals: np.ndarray) -> list[str]:
  return [each.activity for each in stream.push(signals.reshape(-1, 6))]


@pytest.mark.slow
def test_a_stream_puts_right_what_is_certain_and_says_so(recognizer):
  # Moving parts first: half a minute of each activity.
  mixed = np.concatenate([SIGNALS[first::40] for first in range(40)])
  usual = _push(Stream(recognizer), mixed)
  with pytest.warns(FrameWarning, match='opposite'):
    turned = _push(Stream(recognizer), frames.FLIP(mixed))
  assert turned[-60:] == usual[-60:]
  assert _push(Stream(recognizer, frame='flip'), frames.FLIP(mixed)) == usual


def test_a_stream_at_a_wrong_rate_is_warned_of(recognizer):
  with pytest.warns(FrameWarning, match=r'Gravity turns (1\.9|2).* times as fast'):
    Stream(recognizer).push(SIGNALS.reshape(-1, 6)[::2])


def test_a_stream_refuses_acceleration_without_gravity(recognizer):
  with pytest.raises(UserError, match='lacks gravity'):
    _push(Stream(recognizer), LINEAR)


@pytest.mark.parametrize(
  ('factors', 'words'),
  [
    (1 / G, ['acceleration is in g']),
    (np.float32([1] * 3 + [180 / np.pi] * 3), ['Angular velocity is in deg/s and was taken for rad/s']),
    (np.float32([1 / 9.80665] * 3 + [180 / np.pi] * 3), ['acceleration is in g', 'in deg/s']),
    (np.ones(6, np.float32), []),
  ],
)
def test_windows_in_other_units_are_noticed_before_a_fit_and_in_predictions(
  recognizer, unfitted, factors, words
):
  sentences = frame_check.unit_warnings(SIGNALS * factors, 50)
  assert len(sentences) == len(words)
  assert all(part in sentence for part, sentence in zip(words, sentences, strict=True))
  with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter('always')
    recognizer.predict(SIGNALS * factors)
    unfitted.adapt(SIGNALS * factors, ACTIVITIES, max_steps=1)
  assert [str(one.message) for one in caught if one.category is FrameWarning] == 2 * sentences


def test_the_unit_of_rotation_is_seen_in_short_windows_in_any_order():
  shuffled = np.random.default_rng(0).permutation(SIGNALS.reshape(-1, 32, 6))
  (sentence,) = frame_check.unit_warnings(shuffled * np.float32([1] * 3 + [180e3 / np.pi] * 3), 50)
  assert sentence.startswith('Angular velocity is in mdeg/s')


@pytest.mark.parametrize('changed', [LINEAR, SIGNALS[..., [3, 4, 5, 0, 1, 2]], SIGNALS / SIGNALS.std((0, 1))])
def test_windows_that_lack_gravity_are_noticed_before_a_fit(unfitted, changed):
  with pytest.warns(FrameWarning, match='lacks gravity: .* neither normalized'):
    unfitted.adapt(changed, ACTIVITIES, max_steps=1)

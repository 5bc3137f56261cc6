"""A stream predicts what the recording as one piece gives, as samples arrive."""

import copy
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import pytest
import worn_device
from scipy.special import softmax

from har_jax import recordings
from har_jax.config import DEFAULT_WINDOWING, Windowing
from har_jax.errors import UserError
from har_jax.recognizer import frame_check
from har_jax.recognizer.recognizer import Recognizer
from har_jax.recognizer.recording_adaptation import adapt_to_recording
from har_jax.stream import stream as streams
from har_jax.stream.stream import Stream
from har_jax.timeline.bouts import Chain


def _at(time_s: np.ndarray) -> np.ndarray:
  """Gravity, and six slow sines, so that no two windows are equal."""
  phase = 2 * np.pi * np.array([0.31, 0.7, 1.3, 1.9, 2.3, 3.1]) * time_s[:, None]
  return 3 * np.sin(phase + np.arange(6)) + np.array([0, 0, 9.8, 0, 0, 0])


def _signal(samples: int) -> np.ndarray:
  return _at(np.arange(samples) / 50)


@pytest.fixture(scope='module')
def recognizer(fitted) -> Recognizer:
  """At a temperature at which the windows' confidences differ. It answers each window alone."""
  return _with_card(fitted, class_logits=None)


def _with_card(recognizer: Recognizer, **entries: Any) -> Recognizer:
  recognizer = copy.copy(recognizer)
  recognizer.adapter_ = recognizer.adapter_.with_card(temperature=5.0, **entries)
  return recognizer


def _offline(recognizer: Recognizer, signal: np.ndarray) -> tuple[list[float], np.ndarray]:
  """Starts and probabilities of the windows of the recording as one piece."""
  reading = worn_device.reading(day=signal.astype(np.float32))
  windows = recordings.to_windows(reading, DEFAULT_WINDOWING, unlabeled=True)
  probabilities = recognizer.predict_proba(np.stack([window.signal for window in windows]))
  return [window.start_s for window in windows], probabilities


@pytest.mark.parametrize('size', [1, 7, 64, 1000])
def test_portions_of_any_size_give_the_predictions_of_one_piece(recognizer, size):
  signal = _signal(700)
  stream = Stream(recognizer, mean_bout_s=0)
  predictions = [each for begin in range(0, 700, size) for each in stream.push(signal[begin : begin + size])]
  starts_s, probabilities = _offline(recognizer, signal)
  confidences = probabilities.max(axis=1)
  assert np.ptp(confidences) > 1e-3  # or any window would do
  assert [each.time_s for each in predictions] == pytest.approx(starts_s)
  assert [each.confidence for each in predictions] == pytest.approx(confidences, abs=1e-5)
  assert {each.activity for each in predictions} <= set(recognizer.classes_)


@pytest.mark.parametrize(
  ('most', 'hop_s', 'every', 'temperature'),
  [(400, 1.28, 1, 5.0), (400, 0.64, 2, 5.0), (8, 1.28, 1, 5.0), (400, 1.28, 1, 2.0)],
)
def test_predictions_are_adapted_to_the_latest_windows_that_overlap_by_half(
  fitted, monkeypatch, most, hop_s, every, temperature
):
  monkeypatch.setattr('har_jax.stream.stream._ADAPTED_TO', most)
  class_logits = [[3.0, 0.0, -1.0], [0.0, 2.0, 0.5], [-1.0, 0.0, 4.0]]
  entries, signal = {'class_logits': class_logits, 'adaptation_temperature': temperature}, _signal(1500)
  recognizer = _with_card(fitted, **entries)
  _, probabilities = _offline(recognizer, signal)
  spans = (probabilities[max(count - most, 0) : count + 1] for count in range(len(probabilities)))
  expected = [
    adapt_to_recording(span ** (5 / temperature), np.array(class_logits) / temperature)[-1].max()
    for span in spans
  ]
  assert np.abs(expected - probabilities.max(axis=1)).max() > 0.01
  predictions = Stream(recognizer, mean_bout_s=0, hop_s=hop_s).push(signal)[::every]
  assert [each.confidence for each in predictions] == pytest.approx(expected, abs=1e-4)


def test_predictions_are_adapted_to_each_window_of_a_stream_with_uneven_times(fitted, monkeypatch):
  class_logits, rng = [[3.0, 0.0, -1.0], [0.0, 2.0, 0.5], [-1.0, 0.0, 4.0]], np.random.default_rng(0)
  logits = rng.normal(0, 2, (22, 3))
  recognizer = _with_card(fitted, class_logits=class_logits, adaptation_temperature=1.0)
  stream, remaining = Stream(recognizer, mean_bout_s=0), iter(logits)
  monkeypatch.setattr(stream, '_recognize', lambda window: (np.ones(17), next(remaining)))
  time_s = np.arange(1500) / 50 + rng.uniform(0, 0.004, 1500)
  predictions = stream.push(_signal(1500), time_s)
  assert (np.diff([each.time_s for each in predictions]) < 1.28 - 1e-3).any()  # one starts late, the next not
  probabilities = softmax(logits[: len(predictions)], axis=1)
  spans = (probabilities[:stop] for stop in range(1, len(predictions) + 1))
  expected = [adapt_to_recording(span, np.array(class_logits))[-1].max() for span in spans]
  assert [each.confidence for each in predictions] == pytest.approx(expected)


def test_the_last_prediction_is_that_of_the_timeline(recognizer):
  signal = _signal(700)
  starts_s, probabilities = _offline(recognizer, signal)
  for hop_s, every in ((1.28, 1), (2.56, 2)):
    *_, last = Stream(recognizer, hop_s=hop_s, mean_bout_s=20.0).push(signal)
    posterior = Chain(20.0, hop_s, 2.56).smoothed(probabilities[::every])[-1]
    assert last.time_s == pytest.approx(starts_s[::every][-1])
    assert last.activity == recognizer.classes_[posterior.argmax()]
    assert last.confidence == pytest.approx(posterior.max(), abs=1e-5)
    assert last.confidence != pytest.approx(probabilities[::every][-1].max(), abs=1e-3)


def test_a_prediction_comes_with_the_last_sample_of_its_window(recognizer):
  stream, signal = Stream(recognizer, hop_s=0.5), _signal(153)
  assert stream.push(signal[:127]) == []
  ((start_s, activity, confidence),) = stream.push(signal[127:128])
  assert (start_s, activity in recognizer.classes_, 1 / 3 <= confidence <= 1) == (0.0, True, True)
  assert stream.push(signal[128:152]) == []
  assert stream.push(signal[152:])[0].time_s == pytest.approx(0.5)


@pytest.mark.parametrize(('rate_hz', 'jitter_s'), [(100.0, 0.0), (33.0, 0.0), (50.0, 0.004)])
def test_other_rates_are_resampled_to_50_hz(recognizer, monkeypatch, rate_hz, jitter_s):
  samples = round(12 * rate_hz)
  time_s = np.arange(samples) / rate_hz
  time_s[1:-1] += np.random.default_rng(0).uniform(-jitter_s, jitter_s, samples - 2)
  stream, windows = Stream(recognizer), []
  monkeypatch.setattr(
    stream, '_recognize', lambda window: windows.append(window) or (np.ones(17), np.ones(3))
  )
  predictions = [
    prediction
    for begin in range(0, samples, 10)
    for prediction in stream.push(_at(time_s[begin : begin + 10]), 5e8 + time_s[begin : begin + 10])
  ]
  # Each starts at a time of the 50 Hz grid, at most one sample late.
  assert len(predictions) in (7, 8)
  for index, prediction in enumerate(predictions):
    assert -1e-6 < prediction.time_s - 5e8 - 1.28 * index < 0.0201
  starts_s = np.array([prediction.time_s for prediction in predictions]) - 5e8
  errors = np.stack(windows) - [_at(start_s + np.arange(128) / 50) for start_s in starts_s]
  assert np.sqrt(np.square(errors).mean()) < 0.02 * 3
  assert np.abs(errors).max() < 0.2  # at the ends of a window


def test_a_new_window_starts_after_a_gap(recognizer):
  signal = _signal(500)
  time_s = np.arange(500) / 50 + np.where(np.arange(500) < 190, 0.0, 3.0)
  stream = Stream(recognizer)
  predictions = [*stream.push(signal[:190], time_s[:190]), *stream.push(signal[190:], time_s[190:])]
  assert [each.time_s for each in predictions] == pytest.approx([0.0, 6.8, 8.08, 9.36])
  assert Stream(recognizer).push(signal, time_s) == predictions
  # The windows before the gap do not count after it.
  assert predictions[1:] == Stream(recognizer).push(signal[190:], time_s[190:])


def test_it_compiles_once_and_runs_one_window_per_prediction(recognizer):
  stream, signal = Stream(recognizer, hop_s=0.02), _signal(228)
  program = stream._program
  compiled, spied = program._cache_size(), mock.Mock(side_effect=program)
  stream._program = spied
  assert sum(len(stream.push(sample[None])) for sample in signal) == 101
  assert [call.args[1]['signal'].shape for call in spied.call_args_list] == [(1, 128, 6)] * 101
  assert program._cache_size() == compiled


def test_a_later_calibration_takes_effect(recognizer, monkeypatch):
  stream, signal = Stream(recognizer), _signal(228)
  (before,) = stream.push(signal[:128])
  monkeypatch.setattr(recognizer.adapter_.card, 'temperature', 50.0)
  (after,) = Stream(recognizer).push(signal[:128])
  assert after.activity == before.activity
  assert after.confidence < before.confidence
  assert stream.push(signal[128:])[0].confidence < before.confidence


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    ({'samples': np.zeros(6)}, r'the samples are \[6\]'),
    (
      {'samples': pd.DataFrame(np.zeros((5, 6)))},
      r'the samples are a table.* give \[n, 6\]: acceleration x y z',
    ),
    ({'samples': np.zeros((5, 3))}, r'the samples are \[5, 3\]'),
    ({'samples': np.full((5, 6), 'x')}, 'the samples are .* of str'),
    ({'samples': np.zeros((5, 6)), 'rate_hz': 0.0}, 'rate_hz is 0.0'),
    ({'samples': np.zeros((5, 6)), 'time_s': [0.0, 1.0]}, r'time_s is \[2\] for 5 samples'),
    ({'samples': np.zeros((2, 6)), 'time_s': [1.0, 0.0]}, 'time_s decreases'),
  ],
)
def test_arrays_that_are_no_samples_are_errors(recognizer, arguments, message):
  with pytest.raises(UserError, match=message):
    Stream(recognizer).push(**arguments)


def test_time_that_decreases_from_one_call_to_the_next_is_an_error(recognizer):
  stream = Stream(recognizer)
  stream.push(_signal(2), [1.0, 2.0])
  with pytest.raises(UserError, match='time_s decreases'):
    stream.push(_signal(2), [1.5, 2.5])


def test_arguments_out_of_range_are_errors(recognizer):
  with pytest.raises(UserError, match=r'hop_s is 0\.001'):
    Stream(recognizer, hop_s=0.001)
  with pytest.raises(UserError, match=r'mean_bout_s is -1'):
    Stream(recognizer, mean_bout_s=-1)


def test_hops_are_rounded_to_samples(recognizer):
  starts_s = [each.time_s for each in Stream(recognizer, hop_s=0.333).push(_signal(400))]
  np.testing.assert_allclose(np.diff(starts_s), 0.34)


def test_a_hop_longer_than_what_is_kept_goes_on_from_one_call_to_the_next(recognizer):
  stream, signal = Stream(recognizer, hop_s=10), _signal(1200)
  starts_s = [each.time_s for begin in range(0, 1200, 50) for each in stream.push(signal[begin : begin + 50])]
  np.testing.assert_allclose(starts_s, [0, 10, 20])
  assert len(stream._time_s) <= 50 * 3.1


def test_samples_without_times_come_at_the_rate_that_is_given(recognizer):
  signal, time_s = _at(np.arange(300) / 25), np.arange(300) / 25
  timed, untimed = (Stream(recognizer, mean_bout_s=0) for _ in range(2))
  found = [each for part in np.split(signal, 2) for each in untimed.push(part, rate_hz=25)]
  assert found == timed.push(signal, time_s)


def test_a_sample_with_one_missing_number_is_missing(recognizer):
  signal, time_s = _signal(400), np.arange(400) / 50
  lacking = np.arange(400) % 7 == 3
  with_nan = signal.copy()
  with_nan[lacking, 4] = np.nan
  found = Stream(recognizer, mean_bout_s=0).push(with_nan, time_s)
  assert found == Stream(recognizer, mean_bout_s=0).push(signal[~lacking], time_s[~lacking])
  assert len(found) == 5


@pytest.mark.parametrize(('channel', 'value'), [(1, 491.0), (5, -88.0), (0, 1e30)])
def test_samples_that_no_motion_gives_are_missing_and_said_to_be_once(recognizer, channel, value):
  signal, time_s = _signal(700), np.arange(700) / 50
  wrong = (time_s > 2) & (time_s < 2.5)  # longer than the gap that is bridged
  faulty = signal.copy()
  faulty[wrong, channel] = value
  stream = Stream(recognizer, mean_bout_s=0)
  with pytest.warns(frame_check.FrameWarning, match='beyond 50 g or 5,000 °/s count as missing') as said:
    found = [each for i in range(0, 700, 10) for each in stream.push(faulty[i : i + 10], time_s[i : i + 10])]
  assert len(said) == 1
  assert found == Stream(recognizer, mean_bout_s=0).push(signal[~wrong], time_s[~wrong])
  assert len(found) > 5
  limits = signal.copy()
  limits[:, 0], limits[:, 3] = 490, 87  # of a fall
  assert Stream(recognizer).push(limits[:128])


@pytest.mark.parametrize(('frame', 'signs'), [('as_is', [1] * 6), ('-x,-y,z', [-1, -1, 1] * 2)])
def test_the_frame_is_checked_on_all_windows_so_far_as_they_were_pushed(
  recognizer, monkeypatch, frame, signs
):
  monkeypatch.setattr(streams, '_CHECKED_AT', (3, 25))
  spied = mock.Mock(side_effect=frame_check.check)
  monkeypatch.setattr(frame_check, 'check', spied)
  signal = _signal(2000)
  found = Stream(recognizer, frame=frame).push(signal)
  calls = [(len(call.args[1]), *call.args[2:]) for call in spied.call_args_list]
  assert calls == [(0, frame, 50), (3, frame, 50), (25, frame, 50)]
  starts = 64 * np.arange(25)[:, None]
  np.testing.assert_allclose(spied.call_args.args[1], signal[starts + np.arange(128)], rtol=1e-5)
  assert found == Stream(recognizer, frame='as_is').push(signal * signs)


def test_length_and_rate_of_windows_are_the_models(fitted, monkeypatch):
  monkeypatch.setattr(Recognizer, 'windowing', property(lambda _: Windowing(rate_hz=10)))
  monkeypatch.setattr(streams, '_CHECKED_AT', (3,))
  spied = mock.Mock(side_effect=frame_check.check)
  monkeypatch.setattr(frame_check, 'check', spied)
  signal = _at(np.arange(400) / 10)
  predictions = Stream(fitted, frame='as_is').push(signal)
  assert [each.time_s for each in predictions] == pytest.approx([0, 6.4, 12.8, 19.2, 25.6])
  assert [call.args[3] for call in spied.call_args_list] == [10, 10]
  stream = Stream(fitted, hop_s=3.2, frame='as_is')
  stream.push(signal[:260])
  assert len(stream._inputs) == 3  # of windows that start at 0, 6.4 and 12.8 s
  # The next one starts at 16 s, and the filter that resamples to 10 Hz settles within a second.
  assert stream._time_s[0] == pytest.approx(15.0)

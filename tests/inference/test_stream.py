"""The stream says what a whole recording would, as samples come, and at once."""

import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest

from har_jax import config, config_fields, files
from har_jax.data import user_recordings
from har_jax.data.recording import Recording, Samples
from har_jax.errors import UserError
from har_jax.inference.recognizer import Recognizer
from har_jax.inference.stream import Stream
from har_jax.train.objective import Classify

_CLASSES = ('lying', 'walking')

pytestmark = pytest.mark.usefixtures('compiled_fast')


def _at(time_s: np.ndarray) -> np.ndarray:
  """Six slow sines that no two windows share, and gravity."""
  phase = 2 * np.pi * np.array([0.31, 0.7, 1.3, 1.9, 2.3, 3.1]) * time_s[:, None]
  return 3 * np.sin(phase + np.arange(6)) + np.array([0, 0, 9.8, 0, 0, 0])


def _signal(samples: int) -> np.ndarray:
  return _at(np.arange(samples) / 50)


@pytest.fixture(scope='module')
def recognizer(tiny: config.Model, drawn: Callable[[Callable[[jax.Array], Any]], Any]) -> Recognizer:
  base = files.make_base(drawn(Classify(tiny, 2).init), {'model': config_fields.to_json(tiny)})
  signal = _signal(6400)
  windows = np.stack([signal[begin : begin + 128] for begin in range(0, 6400 - 128, 64)])
  # Whatever they are: what counts is that each window gets an answer of its own.
  labels = np.array(_CLASSES)[(windows[:, 64, 0] > 0).astype(int)]
  made = Recognizer(base, rank=4, max_steps=10, batch=32, learning_rate=0.01, validation_fraction=0)
  return made.fit(windows, labels)


def _offline(recognizer: Recognizer, signal: np.ndarray, time_s: np.ndarray) -> list[tuple[float, float]]:
  """Of each window of a whole recording its start and its confidence."""
  values = signal.astype(np.float32)
  recording = Recording('', '', Samples(time_s, values[:, :3]), Samples(time_s, values[:, 3:]), ())
  windows = user_recordings.to_windows(user_recordings.Reading([recording], [], [], '', True), unlabeled=True)
  shares = recognizer.predict_proba(np.stack([window.signal for window in windows]))
  return [(window.start_s, float(share.max())) for window, share in zip(windows, shares, strict=True)]


@pytest.mark.parametrize('size', [1, 7, 64, 1000])
def test_samples_in_whatever_portions_give_the_answers_of_the_whole(recognizer: Recognizer, size: int):
  signal = _signal(700)
  stream = Stream(recognizer)
  answers = [answer for begin in range(0, 700, size) for answer in stream.push(signal[begin : begin + size])]
  expected = _offline(recognizer, signal, np.arange(700) / 50)
  assert [answer.time_s for answer in answers] == pytest.approx([start_s for start_s, _ in expected])
  assert [answer.confidence for answer in answers] == pytest.approx([sure for _, sure in expected], abs=1e-5)
  assert {answer.activity for answer in answers} <= set(_CLASSES)


def test_an_answer_comes_with_the_last_sample_of_its_window(recognizer: Recognizer):
  stream, signal = Stream(recognizer, hop_s=0.5), _signal(153)
  assert stream.push(signal[:127]) == []
  ((start_s, activity, confidence),) = stream.push(signal[127:128])
  assert (start_s, activity in _CLASSES, 0.5 <= confidence <= 1) == (0.0, True, True)
  assert stream.push(signal[128:152]) == []
  assert stream.push(signal[152:])[0].time_s == pytest.approx(0.5)


@pytest.mark.parametrize(('rate_hz', 'jitter_s'), [(100.0, 0.0), (33.0, 0.0), (50.0, 0.004)])
def test_other_rates_are_brought_to_50_hz_as_they_come(
  recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch, rate_hz: float, jitter_s: float
):
  samples = round(12 * rate_hz)
  time_s = np.arange(samples) / rate_hz
  time_s[1:-1] += np.random.default_rng(0).uniform(-jitter_s, jitter_s, samples - 2)
  stream, windows = Stream(recognizer), []
  monkeypatch.setattr(stream, '_recognize', lambda window: windows.append(window) or ('lying', 1.0))
  answers = [
    answer
    for begin in range(0, samples, 10)
    for answer in stream.push(_at(time_s[begin : begin + 10]), 5e8 + time_s[begin : begin + 10])
  ]
  # Each begins with a sample's time of the grid, at most one after it was due.
  assert len(answers) in (7, 8)
  for number, answer in enumerate(answers):
    assert -1e-6 < answer.time_s - 5e8 - 1.28 * number < 0.0201
  wrong = np.concatenate(
    [
      window - _at(answer.time_s - 5e8 + np.arange(128) / 50)
      for answer, window in zip(answers, windows, strict=True)
    ]
  )
  assert np.sqrt(np.square(wrong).mean()) < 0.02 * 3
  assert np.abs(wrong).max() < 0.3 * 3  # at the ends


def test_after_a_pause_windows_begin_anew(recognizer: Recognizer):
  signal = _signal(500)
  time_s = np.arange(500) / 50 + np.where(np.arange(500) < 190, 0.0, 3.0)
  stream = Stream(recognizer)
  answers = [*stream.push(signal[:190], time_s[:190]), *stream.push(signal[190:], time_s[190:])]
  assert [answer.time_s for answer in answers] == pytest.approx([0.0, 6.8, 8.08, 9.36])
  together = Stream(recognizer).push(signal, time_s)
  assert together == answers


def test_lost_samples_are_bridged_like_any_hole(recognizer: Recognizer):
  signal = _signal(128)
  signal[50:53] = np.nan
  (answer,) = Stream(recognizer).push(signal)
  assert answer.time_s == 0.0
  assert np.isfinite(answer.confidence)


def test_it_holds_three_seconds_however_long_it_runs(recognizer: Recognizer):
  stream = Stream(recognizer, hop_s=10.0)
  for _ in range(30):
    stream.push(_signal(100))
  assert len(stream._time_s) <= 50 * 3.1


def test_whoever_calibrates_is_heeded(recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch):
  stream, signal = Stream(recognizer), _signal(128)
  (cold,) = stream.push(signal)
  monkeypatch.setitem(recognizer.adapter_.card, 'temperature', 5.0)
  (warm,) = Stream(recognizer).push(signal)
  assert warm.activity == cold.activity
  assert warm.confidence < cold.confidence


@pytest.mark.parametrize(
  ('given', 'says'),
  [
    ({'samples': np.zeros(6)}, r'the samples are \[6\]'),
    ({'samples': np.zeros((5, 3))}, r'the samples are \[5, 3\]'),
    ({'samples': np.full((5, 6), 'x')}, 'the samples are .* of str'),
    ({'samples': np.zeros((5, 6)), 'rate_hz': 0.0}, 'rate_hz is 0.0'),
    ({'samples': np.zeros((5, 6)), 'time_s': [0.0, 1.0]}, r'time_s is \[2\] for 5 samples'),
    ({'samples': np.zeros((2, 6)), 'time_s': [1.0, 0.0]}, 'time_s falls'),
  ],
)
def test_what_are_no_samples_is_refused(recognizer: Recognizer, given: dict[str, Any], says: str):
  with pytest.raises(UserError, match=says):
    Stream(recognizer).push(**given)


def test_a_hop_of_no_sample_is_refused(recognizer: Recognizer):
  with pytest.raises(UserError, match=r'hop_s is 0\.001'):
    Stream(recognizer, hop_s=0.001)


def test_an_answer_takes_milliseconds(recognizer: Recognizer):
  stream, signal = Stream(recognizer, hop_s=0.02), _signal(228)
  stream.push(signal[:127])
  spent_ms = []
  for sample in signal[127:]:
    began = time.perf_counter()
    (_,) = stream.push(sample[None])
    spent_ms.append(1e3 * (time.perf_counter() - began))
  print(
    f'latency of an answer: median {np.median(spent_ms):.2f} ms, of 101 the longest {max(spent_ms):.2f} ms'
  )
  assert np.median(spent_ms) < 200  # others may be busy on this machine

"""Labels that are late or early are seen in the signal; those that fit or say too little are left alone."""

import dataclasses

import numpy as np
import pytest

from har_jax.config import DEFAULT_WINDOWING
from har_jax.recordings import Reading, check
from har_jax.signal.recording import Recording, Samples, Span

_UP = {'walk': (0.0, 9.8, 0.0), 'sit': (0.0, 0.0, 9.8), 'lie': (9.8, 0.0, 0.0)}
_MOVES = {'walk': 2.0, 'sit': 0.1, 'lie': 0.1}
_ORDER = ('walk', 'sit', 'walk', 'lie', 'sit', 'lie', 'walk', 'lie')


def _recording(durations_s=(40, 55, 47, 62, 38, 51, 44, 58)) -> Recording:
  """At 20 Hz: activities one after another, each labeled."""
  rng = np.random.default_rng(4)
  parts = [
    rng.normal(_UP[activity], _MOVES[activity], (20 * seconds, 3))
    for activity, seconds in zip(_ORDER, durations_s, strict=True)
  ]
  acc = np.concatenate(parts).astype(np.float32)
  gyro = np.concatenate([rng.normal(0, 0.2 * part.std(axis=0).max(), part.shape) for part in parts])
  time_s = np.arange(len(acc)) / 20
  edges = np.r_[0.0, np.cumsum(durations_s)].tolist()
  spans = tuple(Span(*each) for each in zip(edges[:-1], edges[1:], _ORDER, strict=True))
  return Recording('', '', Samples(time_s, acc), Samples(time_s, gyro.astype(np.float32)), spans)


def _late(recording: Recording, late_s: float) -> Recording:
  end_s = float(recording.acc.time_s[-1])
  moved = [
    Span(max(span.start_s + late_s, 0.0), min(span.stop_s + late_s, end_s), span.activity)
    for span in recording.spans
  ]
  return dataclasses.replace(recording, spans=tuple(span for span in moved if span.stop_s > span.start_s))


def _found(*recordings: Recording, files: list[str] | None = None) -> list[str]:
  reading = Reading(list(recordings), [], [], '', True, files or [])
  return [sentence for sentence in check(reading, DEFAULT_WINDOWING) if 'labels fit' in sentence]


@pytest.mark.parametrize(
  ('late_s', 'words'), [(30, '30 s earlier'), (-20, '20 s later'), (12, '12 s earlier')]
)
def test_labels_that_are_late_or_early_are_said(late_s, words):
  (sentence,) = _found(_late(_recording(), late_s))
  assert f'The labels fit the signal far better {words}: ' in sentence


@pytest.mark.parametrize('late_s', [0, 3, -3, 5])
def test_labels_that_fit_or_are_a_little_late_are_left_alone(late_s):
  assert not _found(_late(_recording(), late_s))


def test_the_file_whose_labels_are_late_is_named():
  (sentence,) = _found(_recording(), _late(_recording(), 30), files=['mon', 'tue'])
  assert 'in recording 2 (tue)' in sentence


def test_a_pause_belongs_to_no_label():
  late = _late(_recording(), 30)
  (sentence,) = _found(late, late, files=['mon', 'mon'])
  assert '30 s earlier' in sentence


@pytest.mark.parametrize('late_s', [0, 30])
def test_few_labels_far_apart_decide_nothing(late_s):
  recording = _recording()
  few = tuple(Span(span.start_s + 10, span.start_s + 20, span.activity) for span in recording.spans)
  assert not _found(_late(dataclasses.replace(recording, spans=few), late_s))


def test_labels_of_equal_length_may_be_another_order():
  recording = _recording((40,) * 8)
  # Each activity once: moved by a whole label, they separate the signal as well.
  once = dataclasses.replace(
    recording,
    spans=tuple(
      Span(40.0 * i, 40.0 * (i + 1), name) for i, name in enumerate(('a', 'b', 'c', 'd', 'e', 'f'))
    ),
  )
  assert not _found(once)


def test_a_recording_without_labels_or_movement_or_of_half_a_second_is_left_alone():
  recording = _recording()
  assert not _found(dataclasses.replace(recording, spans=()))
  short = Samples(recording.acc.time_s[:10], recording.acc.values[:10])
  assert not _found(dataclasses.replace(recording, acc=short, gyro=short))
  still = Samples(recording.acc.time_s, np.zeros_like(recording.acc.values))
  assert not _found(_late(dataclasses.replace(recording, acc=still, gyro=still), 30))

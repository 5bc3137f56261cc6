"""Labels that are late or early are seen in the signal; those that fit or say too little are left alone."""

import dataclasses

import numpy as np
import pytest

from har_jax.config import DEFAULT_WINDOWING
from har_jax.recordings import Reading, check
from har_jax.signal import segments
from har_jax.signal.recording import Recording, Samples, Span

_UP = {'walk': (0.0, 9.8, 0.0), 'sit': (0.0, 0.0, 9.8), 'lie': (9.8, 0.0, 0.0)}
_MOVES = {'walk': 2.0, 'sit': 0.1, 'lie': 0.1}
_ORDER = ('walk', 'sit', 'walk', 'lie', 'sit', 'lie', 'walk', 'lie')


def _recording(late_s: float = 0.0, durations_s=(40, 55, 47, 62, 38, 51, 44, 58), **changes) -> Recording:
  """At 20 Hz: activities one after another, each labeled, but late."""
  rng = np.random.default_rng(4)
  parts = [
    rng.normal(_UP[activity], _MOVES[activity], (20 * seconds, 3))
    for activity, seconds in zip(_ORDER, durations_s, strict=True)
  ]
  acc = np.concatenate(parts).astype(np.float32)
  gyro = np.concatenate([rng.normal(0, 0.2 * part.std(axis=0).max(), part.shape) for part in parts])
  time_s = np.arange(len(acc)) / 20
  edges = np.r_[0.0, np.cumsum(durations_s)].tolist()
  spans = [Span(*bounds, name) for *bounds, name in zip(edges[:-1], edges[1:], _ORDER, strict=True)]
  recording = Recording('', '', Samples(time_s, acc), Samples(time_s, gyro.astype(np.float32)), tuple(spans))
  recording = dataclasses.replace(recording, **changes)
  moved = [Span(span.start_s + late_s, span.stop_s + late_s, span.activity) for span in recording.spans]
  return dataclasses.replace(recording, spans=segments.clip(moved, 0.0, float(time_s[-1])))


def _sentences(*recordings: Recording, files: list[str] | None = None) -> list[str]:
  reading = Reading(list(recordings), [], [], '', True, files or [])
  return [sentence for sentence in check(reading, DEFAULT_WINDOWING) if 'labels fit' in sentence]


@pytest.mark.parametrize(
  ('late_s', 'words'), [(30, '30 s earlier'), (-20, '20 s later'), (12, '12 s earlier')]
)
def test_labels_that_are_late_or_early_are_said(late_s, words):
  (sentence,) = _sentences(_recording(late_s))
  assert f'The labels fit the signal far better {words}: ' in sentence


# Labels of ten seconds each, far apart; and of equal length, each activity once: moved by a whole label, they
# separate the signal as well.
FEW = tuple(Span(span.start_s + 10, span.start_s + 20, span.activity) for span in _recording().spans)
ONCE = tuple(Span(40.0 * i, 40.0 * (i + 1), name) for i, name in enumerate('abcdef'))
SHORT, STILL = (
  Samples(np.arange(samples) / 20, np.zeros((samples, 3), np.float32)) for samples in (10, 20 * 395)
)


@pytest.mark.parametrize(
  ('late_s', 'changes'),
  [
    *((late_s, {}) for late_s in (0, 3, -3, 5)),
    *((late_s, {'spans': FEW}) for late_s in (0, 30)),
    (0, {'durations_s': (40,) * 8, 'spans': ONCE}),
    (0, {'spans': ()}),
    (0, {'acc': SHORT, 'gyro': SHORT}),
    (30, {'acc': STILL, 'gyro': STILL}),
  ],
)
def test_labels_that_fit_are_a_little_late_or_decide_nothing_are_left_alone(late_s, changes):
  assert not _sentences(_recording(late_s, **changes))


def test_the_file_whose_labels_are_late_is_named():
  (sentence,) = _sentences(_recording(), _recording(30), files=['mon', 'tue'])
  assert 'in recording 2 (tue)' in sentence


def test_a_pause_belongs_to_no_label():
  (sentence,) = _sentences(_recording(30), _recording(30), files=['mon', 'mon'])
  assert '30 s earlier' in sentence

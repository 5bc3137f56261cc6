"""Labels that are far too late or early for the signal."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from har_jax.config import DEFAULT_WINDOWING
from har_jax.recordings import Reading, check, faults
from har_jax.signal import segments
from har_jax.signal.recording import Recording, Samples, Span

_UP = {'walk': (0.0, 9.8, 0.0), 'sit': (0.0, 0.0, 9.8), 'lie': (9.8, 0.0, 0.0)}
_MOVES = {'walk': 2.0, 'sit': 0.1, 'lie': 0.1}
_DURATIONS_S = (40, 55, 47, 62, 38, 51, 44, 58)
_ORDER = ('walk', 'sit', 'walk', 'lie', 'sit', 'lie', 'walk', 'lie')


def _recording(late_s: float = 0.0, **changes) -> Recording:
  """At 20 Hz: activities one after another, each labeled, but late."""
  rng = np.random.default_rng(4)
  parts = [
    rng.normal(_UP[activity], _MOVES[activity], (20 * seconds, 3))
    for activity, seconds in zip(_ORDER, _DURATIONS_S, strict=True)
  ]
  acc = np.concatenate(parts).astype(np.float32)
  gyro = np.concatenate([rng.normal(0, 0.2 * part.std(axis=0).max(), part.shape) for part in parts])
  time_s = np.arange(len(acc)) / 20
  edges = np.r_[0.0, np.cumsum(_DURATIONS_S)].tolist()
  spans = [Span(*bounds, name) for *bounds, name in zip(edges[:-1], edges[1:], _ORDER, strict=True)]
  recording = Recording('', '', Samples(time_s, acc), Samples(time_s, gyro.astype(np.float32)), tuple(spans))
  recording = dataclasses.replace(recording, **changes)
  moved = [Span(span.start_s + late_s, span.stop_s + late_s, span.activity) for span in recording.spans]
  return dataclasses.replace(recording, spans=segments.clip(moved, 0.0, float(time_s[-1])))


def _sentences(*recordings: Recording, **fields: Any) -> list[str]:
  said = check(Reading([*recordings], [], [], '', True, **fields), DEFAULT_WINDOWING)
  return [sentence for sentence in said if 'labels fit' in sentence]


SPANS, ACC, GYRO = (getattr(_recording(), name) for name in ('spans', 'acc', 'gyro'))
# Labels of ten seconds each, far apart; and each activity once: moved by a whole label, they may separate the
# signal as well, so that a shift by most of one is not looked for.
FEW = tuple(Span(span.start_s + 10, span.start_s + 20, span.activity) for span in SPANS)
TWO = tuple(dataclasses.replace(span, activity=str(span.activity == 'walk')) for span in SPANS)
ONCE = tuple(dataclasses.replace(span, activity=f'{number}') for number, span in enumerate(SPANS))
SHORT = Samples(np.arange(10) / 20, np.zeros((10, 3), np.float32))
FAINT = {'acc': Samples(ACC.time_s, 0.005 * ACC.values), 'gyro': Samples(GYRO.time_s, 0.005 * GYRO.values)}


@pytest.mark.parametrize(
  ('late_s', 'changes', 'words'),
  [
    *((30, {}, '30 s earlier'), (-20, {}, '20 s later'), (12, {}, '12 s earlier')),
    (20, {'spans': ONCE}, '20 s earlier'),
    (30, {'spans': TWO}, '30 s earlier'),
    # Labels that fit, are a little late or decide nothing are left alone.
    *((late_s, {}, '') for late_s in (0, 3, -3, 5, 7)),
    *((late_s, {'spans': FEW}, '') for late_s in (0, 30)),
    (40, {'spans': ONCE}, ''),
    (0, {'spans': ()}, ''),
    (0, {'acc': SHORT, 'gyro': SHORT}, ''),
    (30, FAINT, ''),
  ],
)
def test_labels_that_are_far_too_late_or_early_are_said(late_s, changes, words):
  said = [sentence.partition(': ')[0] for sentence in _sentences(_recording(late_s, **changes))]
  assert said == ([f'The labels fit the signal far better {words}'] if words else [])


def test_a_second_has_a_label_if_all_of_it_has():
  recording = _recording(spans=(Span(1.5, 4.2, 'walk'), Span(6.0, 8.0, 'sit')))
  _, labels = faults._describe(recording, ['sit', 'walk'])
  assert labels[:10].tolist() == [-1, -1, 1, 1, -1, -1, 0, 0, -1, -1]


@pytest.mark.parametrize(('distance', 'late_s'), [(4.0, 30), (3.0, None)])
def test_labels_must_fit_much_better_where_they_are_said_to_be_late(distance, late_s):
  features = np.random.default_rng(0).normal(size=(sum(_DURATIONS_S), 2))
  activity = np.repeat([0, 1] * 4, _DURATIONS_S)
  features[:, 0] += distance * activity  # a gain of ln(1 + distance² / 4) / 2 nats: 0.8 and 0.59
  labels = np.r_[np.full(30, -1), activity[:-30]]
  assert faults._late_s(features, labels) == late_s


def _peak(shift: int, fit: float = 1.0) -> dict[int, float]:
  return {shift - 10: 0.0, shift: fit, shift + 10: 0.0}


@pytest.mark.parametrize(
  ('points', 'late_s'),
  [
    *((_peak(shift), shift) for shift in (60, 8, -8, -30)),
    *((_peak(shift), None) for shift in (7, -7)),
    *(({0: 0.0} | points, None) for points in ({20: 0.0, 30: 1.0, 40: 0.8}, {20: 0.8, 30: 1.0, 40: 0.0})),
    ({0: 0.0, 10: 0.0, 20: np.nan, 30: 1.0, 40: 0.8}, None),
    # A small peak near no shift at all says that people were some seconds late.
    *(({0: 0.0, near: 0.1, 2 * near: 0.0} | _peak(40), late_s) for near, late_s in ((5, None), (6, 40))),
    *((_peak(-40) | {2 * near: 0.0, near: 0.1, 0: 0.0}, late_s) for near, late_s in ((-5, None), (-6, -40))),
  ],
)
def test_a_shift_counts_if_it_stands_out(monkeypatch, points, late_s):
  monkeypatch.setattr(
    faults, '_fit', lambda _, labels, labeled, shift: np.interp(shift, *zip(*points.items(), strict=True))
  )
  assert faults._late_s(np.zeros((480, 2)), np.repeat([0, 1] * 4, 60)) == late_s


def test_of_labels_that_move_out_of_the_recording_or_nowhere_nothing_is_known(monkeypatch):
  labels = np.where(np.isin(np.arange(480) // 60, [0, 5, 6]), np.arange(480) // 30 % 2, -1)
  labels[60:100] = 0
  monkeypatch.setattr(faults, '_fit', lambda _, labels, labeled, shift: 1.0 * (shift == 60))
  # Seconds 60 to 99 and 360 to 419 move to labeled ones, 300 to 359 to others, and the first ones nowhere.
  assert faults._late_s(np.zeros((480, 2)), labels) == 60
  monkeypatch.setattr(faults, '_fit', lambda _, labels, labeled, shift: {0: 0.0, 60: 1.0}.get(shift, np.nan))
  assert faults._late_s(np.zeros((480, 2)), labels) is None


def test_a_calmer_part_without_labels_says_nothing_of_labels_after_it():
  activity, second = np.repeat([0, 1] * 4, 60), np.arange(480) % 60
  features = np.random.default_rng(0).normal(0, np.where(second < 36, 0.1, 1.0)[:, None], (480, 2))
  features[:, 0] += 4 * activity
  assert faults._late_s(features, np.where(second < 27, -1, activity)) is None


@pytest.mark.parametrize(
  ('first_s', 'files', 'words'),
  [(0, ['mon', 'tue'], 'earlier in tue: compare'), (30, ['mon', 'mon'], '30 s earlier')],
)
def test_the_file_whose_labels_are_late_is_named(first_s, files, words):
  (sentence,) = _sentences(_recording(first_s), _recording(30), files=files, offsets_s=[0.0, 0.0])
  assert words in sentence

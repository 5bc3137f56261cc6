"""Two devices at once: how their times belong together, and their common answers."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from made_predictions import make_predictions

from har_jax.errors import UserError
from har_jax.recognizer.recognizer import Recognizer
from har_jax.recordings import Reading
from har_jax.signal.recording import Recording, Samples
from har_jax.timeline import recognition, recognize
from har_jax.timeline.devices import combine, find_offset, in_order
from har_jax.timeline.predictions import Predictions

_RATE_HZ = 25


def _reading(first_s: float, last_s: float, start: str = '', *, day: int = 0, files=('a',), bout_s: int = 4):
  """One person's day, of bouts of different movement, as one of several devices sees it."""
  rng = np.random.default_rng(day)
  strengths = np.repeat(rng.uniform(0, 2, 200), 4 * _RATE_HZ)
  levels = np.repeat(rng.permutation(np.geomspace(0.02, 10, 800 // bout_s)), bout_s * _RATE_HZ)
  strengths = strengths if bout_s == 4 else np.exp(0.4 * strengths) * levels
  begin, end = round(first_s * _RATE_HZ), round(last_s * _RATE_HZ)
  own = np.random.default_rng(begin)  # the other device's noise is another
  length = 9.8 + strengths[begin:end] * own.normal(0, 1, end - begin) * rng.uniform(0.8, 1.2)
  values = np.stack([length, 0 * length, 0 * length], 1).astype(np.float32)
  acc = Samples(np.arange(end - begin) / _RATE_HZ, values)
  recordings = [Recording('', '', acc, acc, ()) for _ in files]
  return Reading(recordings, [], [], start, True, list(files), [0.0] * len(files))


def _with_a_gap(reading: Reading) -> Reading:
  """Without what was recorded between 100 and 130 s."""
  (whole,) = reading.recordings
  parts = [
    dataclasses.replace(whole, acc=acc, gyro=acc)
    for one in (slice(100 * _RATE_HZ), slice(130 * _RATE_HZ, None))
    for acc in [Samples(whole.acc.time_s[one] - whole.acc.time_s[one][0], whole.acc.values[one])]
  ]
  return dataclasses.replace(reading, recordings=parts, files=['a', 'a'], offsets_s=[0.0, 130.0])


@pytest.mark.parametrize(
  ('first', 'second', 'offset_s', 'words'),
  [
    (_reading(0, 300), _reading(37.5, 280), 37.5, 'as their movement shows.'),
    (_reading(100, 300), _reading(20, 290), -80, 'as their movement shows.'),
    (_reading(0, 540.04), _reading(12.5, 533.08), 12.5, 'as their movement shows.'),  # ends within a step
    (_reading(0, 800, bout_s=200), _reading(37.5, 800, bout_s=200), 37.5, 'as their movement shows.'),
    (_reading(0, 500), _reading(150, 300), 150, 'as their movement shows.'),  # less than half as long
    (_reading(0, 300), _with_a_gap(_reading(37.5, 280)), 37.5, 'as their movement shows.'),
    (_reading(0, 300, '2026-05-28T08:00:00'), _reading(37.5, 280, '2026-05-28T08:02:00'), 120,
     'by their clocks alone.'),  # which are never so far apart
    (_reading(0, 300, '2026-05-28T08:00:00.01'), _reading(37.5, 280, '2026-05-28T08:00:00', day=1), -0.01,
     'The second device starts 0.0 s after the first, by their clocks alone.'),
    (_reading(0, 300, '2026-05-28T08:00:00'), _reading(37.5, 280, '2026-05-28T08:01:07.5'), 37.5,
     '-30.0 s from what the clocks say'),
    (_reading(0, 300, '2026-05-28T08:00:00'), _reading(37.5, 280, '2026-05-28T08:01:00', day=1), 60,
     'The second device starts 60.0 s after the first, by their clocks alone.'),
    (_reading(0, 300, '2026-05-28T08:00:00+00:00'), _reading(37.5, 280, '2026-05-28T23:00:00'), 37.5,
     'as their movement shows.'),  # a clock with a time zone, and one without
  ],
)  # fmt: skip
def test_movement_tells_the_shift_and_clocks_where_it_does_not(first, second, offset_s, words):
  found_s, sentence = find_offset(first, second)
  assert found_s == offset_s
  assert words in sentence


@pytest.mark.parametrize(
  ('files', 'words'),
  [(('a',), 'does not show how their times belong together'), (('a', 'b'), 'one file each')],
)
def test_without_likeness_and_clocks_or_with_several_files_nothing_tells_the_shift(files, words):
  pair = _reading(0, 300, files=files), _reading(37.5, 280, day=1)
  for first, second in (pair, pair[::-1]):
    with pytest.raises(UserError, match=words):
      find_offset(first, second)


def test_a_short_overlap_or_a_movement_that_repeats_itself_tells_no_shift():
  with pytest.raises(UserError, match='does not show how'):
    find_offset(_reading(0, 300), _reading(190, 490))
  pair = _reading(0, 300), _reading(10, 280)
  pattern = pair[0].recordings[0].acc.values[: 40 * _RATE_HZ].copy()  # again and again
  for reading, begin in zip(pair, (0, 10 * _RATE_HZ), strict=True):
    values = reading.recordings[0].acc.values
    values[:] = pattern[np.arange(begin, begin + len(values)) % len(pattern)]
  with pytest.raises(UserError, match='does not show how'):
    find_offset(*pair)
  starts = '2026-05-28T08:00:00', '2026-05-28T08:00:15'  # of the shifts, one is near what these say
  clocked = [dataclasses.replace(reading, start=start) for reading, start in zip(pair, starts, strict=True)]
  assert find_offset(*clocked)[0] == 10


def test_a_file_of_years_is_not_aligned_half_second_by_half_second():
  day = _reading(0, 60)
  years = Reading(day.recordings * 2, [], [], '', True, ['a'] * 2, [0.0, 3e8])
  for pair in ((day, years), (years, day)):
    with pytest.raises(UserError, match='31 days at most, and a file spans 3472: are its dates right'):
      find_offset(*pair)


def _predictions(probabilities: list[float], start_s: float = 0.0) -> Predictions:
  codes, starts_s = [0] * len(probabilities), start_s + 1.28 * np.arange(len(probabilities))
  return make_predictions(codes, confidence=probabilities, starts=starts_s, still=np.ones(len(codes), bool))


def test_windows_at_one_time_have_the_mean_of_log_probabilities():
  readings = _reading(0, 60), dataclasses.replace(_reading(0, 60), offsets_s=[1.38])
  first, second = _predictions([0.5, 0.5, 0.9, 0.9]), _predictions([0.8, 0.1], start_s=1.48)
  second.still[:] = False
  first = dataclasses.replace(first, sets=np.ones((4, 2), bool))
  joined, count = combine(first, second, readings, -1.28)  # of the first one's windows 1 and 2
  assert count == 2
  # sqrt(.5 · .8) to sqrt(.5 · .2) is 2 to 1; sqrt(.9 · .1) to sqrt(.1 · .9) is 1 to 1.
  assert joined.probabilities[:, 0] == pytest.approx([0.5, 2 / 3, 0.5, 0.9], abs=1e-6)
  assert joined.still.tolist() == [True, False, False, True]
  assert joined.sets is None  # they were calibrated for one device


def test_another_adapter_answers_in_its_own_order_of_the_same_activities():
  predictions = in_order(_predictions([0.8, 0.1]), ('sit', 'run'))
  assert predictions.classes == ('sit', 'run')
  assert predictions.probabilities == pytest.approx(np.array([[0.2, 0.8], [0.9, 0.1]]))
  with pytest.raises(UserError, match="answers lie, run, the second one's run, sit: adapt both"):
    in_order(predictions, ('run', 'lie'))
  probabilities = np.array([[0.5, 0.3, 0.2], [0, 0, 1]])
  three = dataclasses.replace(predictions, classes=('a', 'b', 'c'), probabilities=probabilities)
  assert in_order(three, ('c', 'a', 'b')).probabilities.tolist() == [[0.2, 0.5, 0.3], [1, 0, 0]]


def test_an_adapter_of_a_second_device_needs_its_recording(monkeypatch):
  with pytest.raises(UserError, match='second_adapter needs second'):
    recognize('day.csv', second_adapter='adapter')
  # Before the long part: the first one is missing, too.
  with pytest.raises(UserError, match='adapter'):
    recognize('day.csv', second='other.csv', second_adapter='adapter')
  with pytest.raises(UserError, match=r'other\.csv'):
    recognize('day.csv', second='other.csv')
  loaded: list[tuple[str, str]] = []
  monkeypatch.setattr(recognition, 'load', lambda *folders: loaded.append(folders))
  with pytest.raises(UserError, match=r'other\.csv'):
    recognize('day.csv', 'one', second='other.csv', second_adapter='two', base='base')
  assert loaded == [('one', 'base'), ('two', 'base')]


def test_what_was_inferred_of_the_second_device_is_said_and_that_it_answers_nothing(monkeypatch):
  names = ['ax', 'ay', 'az', 'gx', 'gy', 'gz']
  (samples,) = (part.acc for part in _reading(0, 60).recordings)
  values = np.concatenate([samples.values, 0.1 * samples.values[:, ::-1]], axis=1)
  first = pd.DataFrame(values, columns=names).assign(time=samples.time_s + 1.78e9)
  second = first.assign(time=first['time'] + 3600, **first[names[:3]] / 9.80665)
  answers = recognize(first, second=second, not_worn_min=0.0)
  assert any(note.startswith('Second device: Acceleration is in g') for note in answers.summary['notes'])
  assert answers.notes == answers.summary['notes']
  assert answers.summary['second_device']['windows'] == 0
  assert [entry['file'] for entry in answers.summary['second_device']['frame']] == ['DataFrame']
  assert any('answers no window' in warning for warning in answers.summary['warnings'])
  answering, predict, reading_for, read = [], recognition.predict, [], recognition.rate_check.read

  def named(one: Recognizer, *recording, **options) -> tuple[Reading, dict]:
    reading_for.append(one)
    reading, frames = read(one, *recording, **options)
    return reading, {f'{name} {len(reading_for)}': frame for name, frame in frames.items()}

  def spied(one: Recognizer, other: Reading, **options) -> Predictions:
    answering.append(one)
    # A shift of its own for each device.
    return dataclasses.replace(predict(one, other, **options), pooled_files=2, shift=1.0 + len(answering))

  monkeypatch.setattr(recognition, 'predict', spied)
  monkeypatch.setattr(recognition.rate_check, 'read', named)
  monkeypatch.setattr(recognition.recordings, 'check', lambda *_: ['A doubt.'])
  of_second, at_once = Recognizer.load(), second.assign(time=first['time'])
  together = recognize(first, second=at_once, second_adapter=of_second, not_worn_min=0.0)
  assert [one is of_second for one in answering] == [one is of_second for one in reading_for] == [False, True]
  files = [
    entries[0]['file'] for entries in (together.summary['frame'], together.summary['second_device']['frame'])
  ]
  assert files == ['DataFrame 1', 'DataFrame 2']
  assert {'A doubt.', 'Second device: A doubt.'} < set(together.warnings)
  assert any('At least one of 2 files has too little walking' in warning for warning in together.warnings)
  assert together.summary['distribution_shift'] == 2.0
  assert together.summary['second_device']['distribution_shift'] == 3.0
  shifts = [warning for warning in together.warnings if 'distribution shift' in warning]
  assert [warning.partition('The windows')[0] for warning in shifts] == ['Second device: ', '']
  assert ['(distribution shift 3.0)' in warning for warning in shifts] == [True, False]
  assert not any('answers no window' in warning for warning in together.warnings)
  half = recognize(first, second=at_once[: len(at_once) // 2], not_worn_min=0.0)
  starts_s = together.windows['time_s']
  assert half.windows['time_s'].tolist() == starts_s.tolist()  # of the first, whole
  assert 0 < half.summary['second_device']['windows'] < len(starts_s)

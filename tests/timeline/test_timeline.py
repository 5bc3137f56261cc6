"""Predictions to bouts, by hand: decoding, unknown, not worn, gaps, minutes, midnight."""

import csv
import dataclasses
from xml.etree import ElementTree

import numpy as np
import pytest

from har_jax.config import DEFAULT_WINDOWING
from har_jax.errors import UserError
from har_jax.recordings import Reading
from har_jax.signal.recording import Recording, Samples, Span
from har_jax.timeline import (
  Bout,
  Predictions,
  Rules,
  find_bouts,
  make_answers,
  score,
  unknown_labels,
  warnings_for,
)
from har_jax.timeline import picture as pictures
from har_jax.timeline.activities import select
from har_jax.timeline.clock import Clock, cut_at_midnight
from har_jax.timeline.picture import Picture

_CARD = {'method': 'lora', 'temperature': 1.0, 'checksum': '0'}


def _predictions(
  codes: list[int],
  *,
  confidence: float | list[float] = 0.9,
  starts=None,
  recording=None,
  still=None,
  classes=('run', 'sit'),
) -> Predictions:
  size = len(codes)
  probabilities = np.empty((size, len(classes)), np.float32)
  probabilities[:] = ((1 - np.broadcast_to(confidence, size)) / (len(classes) - 1))[:, None]
  probabilities[np.arange(size), codes] = confidence
  return Predictions(
    tuple(classes),
    np.zeros(size, int) if recording is None else np.array(recording),
    1.28 * np.arange(size) if starts is None else np.array(starts),
    probabilities,
    np.zeros(size, bool) if still is None else np.array(still),
    DEFAULT_WINDOWING,
  )


def _bouts(predictions: Predictions, **rules) -> list[tuple[float, float, str]]:
  return [
    (round(bout.start_s, 2), round(bout.stop_s, 2), bout.activity)
    for bout in find_bouts(predictions, Rules(**rules))
  ]


def test_bouts_meet_midway_between_window_centers():
  # Windows 0 to 3 have centers 1.28, 2.56, 3.84, 5.12: between the second and the third lies 3.2.
  assert _bouts(_predictions([0, 0, 1, 1]), mean_bout_s=0.0) == [(0, 3.2, 'run'), (3.2, 6.4, 'sit')]


def test_decoding_removes_a_single_window_and_keeps_edges():
  codes = [0] * 10 + [1] + [0] * 10 + [1] * 20
  assert _bouts(_predictions(codes)) == [(0, 27.52, 'run'), (27.52, 53.76, 'sit')]
  assert len(_bouts(_predictions(codes), mean_bout_s=0.0)) == 4


def test_confidence_is_the_mean_probability_of_the_activity():
  codes = [0] * 10 + [1] + [0] * 9
  (bout,) = find_bouts(_predictions(codes), Rules())
  assert bout.confidence == pytest.approx((19 * 0.9 + 0.1) / 20)


def test_low_probability_is_unknown():
  (bout,) = find_bouts(_predictions([0] * 10, confidence=0.55), Rules(unknown_below=0.6))
  assert (bout.activity, round(bout.confidence, 2)) == ('unknown', 0.55)
  assert [bout[2] for bout in _bouts(_predictions([0] * 10, confidence=0.65), unknown_below=0.6)] == ['run']


def test_a_change_of_activity_and_a_doubtful_window_are_not_unknown():
  codes, confidence = [0] * 20 + [1] * 20, [0.9] * 40
  confidence[10] = 0.55
  bouts = _bouts(_predictions(codes, confidence=confidence), unknown_below=0.6)
  assert [bout[2] for bout in bouts] == ['run', 'sit']


def test_part_of_a_bout_is_unknown():
  confidence = [0.9] * 20 + [0.55] * 20 + [0.9] * 20
  bouts = _bouts(_predictions([0] * 60, confidence=confidence), unknown_below=0.7)
  assert [bout[2] for bout in bouts] == ['run', 'unknown', 'run']


def test_where_most_windows_are_refused_a_bout_is_unknown():
  refused = np.isin(np.arange(60), [5, *range(20, 40)])
  refused[30] = False
  predictions = dataclasses.replace(_predictions([0] * 60), refused=refused)
  expected = [(0, 26.24, 'run'), (26.24, 51.84, 'unknown'), (51.84, 78.08, 'run')]
  assert _bouts(predictions) == expected
  assert predictions.is_unknown(0.0).tolist() == refused.tolist()
  assert score(predictions, _labeled((0.0, 99.0, 'run'))).accuracy == pytest.approx(40 / 60)
  answered = make_answers(predictions, [], Rules(), _reading([80.0], ['day'], [0.0]), _CARD)
  assert (answered.windows['activity'] == 'unknown').tolist() == refused.tolist()


def test_gaps_belong_to_no_bout_and_end_a_chain():
  predictions = _predictions([0, 0, 0, 1, 1], starts=[0, 1.28, 2.56, 60, 61.28])
  assert _bouts(predictions) == [(0, 5.12, 'run'), (60, 63.84, 'sit')]
  # A window that its neighbors would outvote.
  apart = _predictions([0, 0, 0, 1, 0, 0, 0], starts=[0, 1.28, 2.56, 60, 120, 121.28, 122.56])
  assert [bout[2] for bout in _bouts(apart)] == ['run', 'sit', 'run']
  other = _predictions([0, 0, 0, 0], recording=[0, 0, 1, 1], starts=[0, 1.28, 2.56, 3.84])
  assert [bout.recording for bout in find_bouts(other, Rules())] == [0, 1]


def test_windows_that_do_not_overlap_are_not_joined():
  # After a gap the next window starts at least 2.56 s later; without one, 1.28 s and less than a sample.
  assert _bouts(_predictions([0, 0], starts=[0, 2.56])) == [(0, 2.56, 'run'), (2.56, 5.12, 'run')]
  assert _bouts(_predictions([0, 0], starts=[0, 1.3])) == [(0, 3.86, 'run')]


def test_a_device_still_for_long_is_not_worn():
  still = [False] * 10 + [True] * 60 + [False] * 10
  predictions = _predictions([0] * 10 + [1] * 60 + [0] * 10, still=still)
  assert [each[2] for each in _bouts(predictions, not_worn_min=1.0)] == ['run', 'not_worn', 'run']
  assert np.isnan(find_bouts(predictions, Rules(not_worn_min=1.0))[1].confidence)
  for minutes in (2.0, 0.0):
    assert [each[2] for each in _bouts(predictions, not_worn_min=minutes)] == ['run', 'sit', 'run']


@pytest.mark.parametrize(('last_start_s', 'activity'), [(57.44, 'not_worn'), (57.43, 'sit')])
def test_not_worn_counts_from_first_to_last_sample(last_start_s, activity):
  # 57.44 s and a window of 2.56 s are one minute exactly.
  starts = np.linspace(0, last_start_s, 46)
  (bout,) = _bouts(_predictions([1] * 46, starts=starts, still=[True] * 46), not_worn_min=1.0)
  assert bout[2] == activity


@pytest.mark.parametrize(
  'rules', [{'unknown_below': 1.5}, {'mean_bout_s': -1.0}, {'not_worn_min': float('nan')}]
)
def test_rules_out_of_range_are_errors(rules):
  (name,) = rules
  with pytest.raises(UserError, match=f'{name} is'):
    Rules(**rules)


def _reading(lengths_s: list[float], files: list[str], offsets_s: list[float], start: str = '') -> Reading:
  recordings = []
  for length_s in lengths_s:
    samples = Samples(np.array([0.0, length_s]), np.zeros((2, 3), np.float32))
    recordings.append(Recording('me', '', samples, samples, ()))
  return Reading(recordings, [], [], start, True, files, offsets_s)


def test_rows_of_several_files_name_the_file_and_no_time_of_day(tmp_path):
  predictions = _predictions([0, 0, 1, 1], recording=[0, 0, 1, 1], starts=[0, 1.28, 0, 1.28])
  reading = _reading([3.84, 3.84], ['a', 'b'], [0.0, 0.0], '2026-05-28T20:26:40')
  answers = make_answers(predictions, find_bouts(predictions, Rules()), Rules(), reading, _CARD)
  answers.save(tmp_path)
  assert (tmp_path / 'bouts.csv').read_text().splitlines() == [
    'file,start_s,end_s,activity,confidence,steps,cadence',
    'a,0.000,3.840,run,0.9000,0,',
    'b,0.000,3.840,sit,0.9000,,',
  ]
  assert (
    (tmp_path / 'windows.csv')
    .read_text()
    .startswith('file,time_s,activity,confidence,p_run,p_sit\na,0.000,run,')
  )
  assert answers.summary['minutes'] == {'run': 0.06, 'sit': 0.06}
  assert answers.summary['gap_minutes'] == 0


def test_a_window_that_may_be_of_several_activities_names_them(tmp_path):
  sets = np.array([[True, False], [True, True]])
  predictions = dataclasses.replace(_predictions([0, 1]), sets=sets)
  reading = _reading([3.84], [''], [0.0])
  make_answers(predictions, find_bouts(predictions, Rules()), Rules(), reading, _CARD).save(tmp_path)
  header, *rows = (tmp_path / 'windows.csv').read_text().splitlines()
  assert header == 'time_s,activity,confidence,set,p_run,p_sit'
  assert [row.split(',')[3] for row in rows] == ['run', 'run | sit']


def test_minutes_add_up_to_the_recorded_time():
  # 64 s of activity, 76.8 s unworn, and 40 s after the last window.
  still = [False] * 49 + [True] * 60
  predictions = _predictions([0] * 49 + [1] * 60, still=still)
  bouts = find_bouts(predictions, Rules(not_worn_min=1.0))
  reading = _reading([140.8 + 40.0], ['day'], [0.0])
  answers = make_answers(predictions, bouts, Rules(), reading, _CARD)
  summary = answers.summary
  names = ('unknown_minutes', 'not_worn_minutes', 'gap_minutes')
  parts = [*summary['minutes'].values(), *(summary[name] for name in names)]
  assert parts == pytest.approx([63.36 / 60, 0, 0, 77.44 / 60, 40 / 60], abs=0.006)
  assert sum(parts) == pytest.approx(summary['recorded_minutes'], abs=0.02)
  assert answers.minutes['minutes'].sum() == pytest.approx(sum(parts))


def test_unknown_minutes_are_all_that_was_answered_unknown():
  predictions = _predictions([0, 0, 1, 1], classes=('run', 'unknown'), starts=[0, 1.28, 60, 61.28])
  answers = make_answers(
    predictions, find_bouts(predictions, Rules()), Rules(), _reading([64.0], ['a'], [0.0]), _CARD
  )
  assert (answers.summary['minutes'], answers.summary['unknown_minutes']) == ({'run': 0.06}, 0.06)
  assert answers.minutes['minutes'].to_dict() == {
    'run': 0.06,
    'unknown': 0.06,
    'not worn': 0,
    'no signal': 0.94,
  }
  assert answers.days.loc['a', ['steps', 'run', 'unknown']].tolist() == [0, 0.06, 0.06]


def test_a_day_past_midnight_has_a_row_per_date():
  bouts = find_bouts(_predictions([0] * 4000, classes=tuple('abcdefghij')), Rules())
  clock = Clock(
    ('day',), (0.0,), Clock.from_reading(_reading([5200.0], ['day'], [0.0], '2026-05-28T23:30:00')).start
  )
  stop_s = bouts[-1].stop_s
  assert [dataclasses.astuple(strip) for strip in cut_at_midnight(bouts[0], clock)] == [
    ('2026-05-28', 23.5 * 3600, 1800.0, 'a'),
    ('2026-05-29', 0.0, pytest.approx(stop_s - 1800), 'a'),
  ]
  picture = Picture(bouts, clock, tuple('abcdefghij'))
  text = picture.svg().decode()
  assert '2026-05-28' in text
  assert '2026-05-29' in text
  assert text == picture.svg().decode()


def test_times_are_shown_in_the_time_zone_also_after_a_change_of_clocks():
  # On 2026-10-25 at 03:00, clocks in Berlin are put back to 02:00.
  reading = dataclasses.replace(
    _reading([7200.0], ['day'], [0.0], '2026-10-25T00:30:00+00:00'), time_zone='Europe/Berlin'
  )
  clock = Clock.from_reading(reading)
  assert clock.zone == 'Europe/Berlin'
  assert clock.wall(0.0) == '2026-10-25T02:30:00.000+02:00'
  assert clock.wall(3600.0) == '2026-10-25T02:30:00.000+01:00'
  assert (
    Clock.from_reading(dataclasses.replace(reading, time_zone='')).wall(0.0)
    == '2026-10-25T00:30:00.000+00:00'
  )


def _labeled(*spans: tuple[float, float, str]) -> list[Recording]:
  empty = Samples(np.zeros(1), np.zeros((1, 3), np.float32))
  return [Recording('', '', empty, empty, tuple(Span(*span) for span in spans))]


def test_scores_count_windows_inside_one_label():
  # Windows start at 0, 1.28, ..., 6.4: the labels contain the first two, half of the third, and the last one.
  scored = score(_predictions([0, 1, 0, 1, 0, 1]), _labeled((0.0, 3.84, 'run'), (6.4, 8.96, 'sit')))
  assert (scored.windows, scored.names, scored.confusion) == (3, ('run', 'sit'), [[1, 1], [0, 1]])
  assert scored.accuracy == pytest.approx(2 / 3)
  assert scored.macro_f1 == pytest.approx(2 / 3)


def test_macro_f1_leaves_out_what_nobody_labeled():
  # Of four windows of run, one is called sit and one is unknown.
  predictions = _predictions([0, 0, 1, 0], confidence=[0.9, 0.9, 0.9, 0.6])
  scored = score(predictions, _labeled((0.0, 9.0, 'run')), unknown_below=0.7)
  assert scored.names == ('run', 'sit', 'unknown')
  assert scored.macro_f1 == pytest.approx(2 * 2 / (4 + 2))


def test_colors_are_an_activitys_own_and_minutes_those_of_the_summary():
  base, adapter = ('walking', 'sitting', 'lying'), ('=x', 'lying', 'running', 'walking')
  for name in ('walking', 'lying', 'unknown'):
    assert pictures._style(name, base) == pictures._style(name, adapter)
  styles = [str(pictures._style(name, adapter)) for name in (*adapter, 'unknown', 'not_worn')]
  assert len(set(styles)) == 6
  bouts = [Bout(0, 0.0, 60 * 0.2496, 'walking', 1.0)]  # 0.25, which is printed as 0.2
  drawn = Picture(bouts, Clock(('day',), (0.0,), None), base).svg().decode()
  assert 'walking, 0.2 min' in drawn


def test_unknown_and_untrained_classes_count_as_errors():
  predictions = _predictions([0, 1], confidence=0.6)
  assert score(predictions, _labeled((0.0, 9.0, 'run')), unknown_below=0.7).confusion == [[0, 2], [0, 0]]
  scored = score(predictions, _labeled((0.0, 9.0, 'swim')))
  assert (scored.names, scored.accuracy) == (('run', 'sit', 'swim'), 0)


def test_labels_may_be_spelled_otherwise_but_must_be_classes():
  predictions, labeled = _predictions([0, 1, 1, 1]), _labeled((0.0, 2.6, 'RUN'), (2.6, 9.0, 'jog'))
  assert score(predictions, labeled).confusion == [[0, 0, 1], [0, 1, 0], [0, 0, 0]]
  assert unknown_labels(predictions, labeled) == ['jog']


def test_labels_may_be_in_another_language():
  predictions = _predictions([0, 1, 1], classes=('walking', 'sitting'))
  labeled = _labeled((0.0, 2.6, 'Gehen'), (1.28, 9.0, 'assise'))
  assert not unknown_labels(predictions, labeled)
  assert score(predictions, labeled).names == ('sitting', 'walking')
  assert score(predictions, labeled).accuracy == 1


_STAIRS = ('walking', 'upstairs', 'downstairs', 'stairs')


@pytest.mark.parametrize(
  ('labels', 'names', 'right'),
  [
    (('stairs', 'stairs'), ('stairs',), 4),  # one class
    (
      ('upstairs', 'downstairs'),
      ('downstairs', 'upstairs'),
      4,
    ),  # stairs are up if that is likelier than down
    (('treppab', 'treppauf'), ('downstairs', 'upstairs'), 0),
    (('upstairs', 'stairs'), ('stairs',), 4),  # labels of both levels
  ],
)
def test_stairs_are_scored_at_the_level_of_the_labels(labels, names, right: int):
  predictions = _predictions([1, 2, 3, 3], confidence=0.6, classes=_STAIRS)
  predictions.probabilities[2:, 1] += 0.1
  first, second = labels
  labeled = _labeled((0.0, 2.6, first), (1.28, 3.9, second), (2.56, 9.0, first))
  scored = score(predictions, labeled)
  assert (set(scored.names), scored.accuracy) == (set(names), right / 4)
  assert not unknown_labels(predictions, labeled)


def test_a_model_of_stairs_alone_is_scored_by_labels_of_directions():
  predictions = _predictions([1, 1], classes=('walking', 'stairs'))
  assert score(predictions, _labeled((0.0, 9.0, 'upstairs'))).accuracy == 1


def test_answers_are_restricted_and_merged():
  predictions = _predictions([3, 1, 0], confidence=0.4, classes=_STAIRS)
  chosen = select(predictions, ['stairs', 'gehen'])
  assert chosen.classes == ('stairs', 'gehen')
  assert chosen.probabilities == pytest.approx(np.array([[0.8, 0.2], [0.8, 0.2], [0.6, 0.4]]))
  merged = select(
    dataclasses.replace(predictions, sets=predictions.probabilities > 0.3), ['on foot=walking+stairs']
  )
  assert (merged.classes, merged.probabilities.tolist()) == (('on foot',), [[1], [1], [1]])
  assert merged.sets is not None
  assert merged.sets.all()
  directions = select(predictions, ['upstairs', 'downstairs'])
  assert directions.probabilities[:2] == pytest.approx(np.array([[0.5, 0.5], [2 / 3, 1 / 3]]))
  assert select(predictions, []) is predictions


@pytest.mark.parametrize(
  'activities', [['swimming'], ['walking', 'walking'], ['a=walking', 'walking'], ['=walking']]
)
def test_activities_that_are_no_class_or_named_twice_are_errors(activities: list[str]):
  with pytest.raises(UserError, match=r'activities (name|are)'):
    select(_predictions([0], classes=_STAIRS), activities)


def test_labels_of_another_recording_are_an_error():
  with pytest.raises(UserError, match='no window lies within a labeled span'):
    score(_predictions([0, 1]), _labeled((100.0, 200.0, 'run')))


def test_names_from_files_are_no_formulas_and_the_picture_stays_xml(tmp_path):
  classes = ('=cmd|1', 'a\x00\x1b[2J<script>\ud800')
  predictions = _predictions([0] * 9 + [1] * 9, classes=classes)
  reading = _reading([30.0], ['=a.csv'], [0.0])
  bouts = find_bouts(predictions, Rules(mean_bout_s=0.0))
  make_answers(predictions, bouts, Rules(), reading, _CARD).save(tmp_path / 'out')
  rows = list(csv.reader((tmp_path / 'out' / 'bouts.csv').read_text().splitlines()))
  assert "'=cmd|1" in rows[1]
  root = ElementTree.parse(tmp_path / 'out' / 'timeline.svg').getroot()
  texts = [''.join(each.itertext()).strip() for each in root.iter() if each.tag.endswith('}text')]
  assert any(text.startswith('a\ufffd\ufffd[2J<script>\ufffd, ') for text in texts)


def test_a_missing_gyroscope_is_named(fitted):
  without, complete = (Reading([], [], [], '', has_gyro) for has_gyro in (False, True))
  assert fitted.has_gyro
  assert not warnings_for(fitted, complete)
  (missing,) = warnings_for(fitted, without)
  assert 'this recording has none' in missing

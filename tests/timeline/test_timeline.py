"""Predictions to bouts, by hand: decoding, unknown, not worn, gaps, minutes, midnight."""

import csv
import dataclasses
import itertools
import math
from xml.etree import ElementTree

import numpy as np
import pytest
from made_predictions import make_labeled, make_predictions
from matplotlib.backends.backend_agg import FigureCanvasAgg
from scipy import linalg

from har_jax.cli import predict
from har_jax.config import Windowing
from har_jax.errors import UserError
from har_jax.recordings import Reading
from har_jax.signal.recording import Recording, Samples
from har_jax.timeline import Answers, Predictions, Rules, find_bouts, make_answers, score
from har_jax.timeline.bouts import Bout, Chain, Clock, cut_at_midnight
from har_jax.timeline.picture import Picture

_CARD = {'method': 'lora', 'temperature': 1.0, 'checksum': '0'}


def _bouts(predictions: Predictions, **rules) -> list[tuple[float, float, str]]:
  return [
    (round(bout.start_s, 2), round(bout.stop_s, 2), bout.activity)
    for bout in find_bouts(predictions, Rules(**rules))
  ]


def _reading(lengths_s: list[float], files: list[str], offsets_s: list[float], start: str = '') -> Reading:
  recordings = []
  for length_s in lengths_s:
    samples = Samples(np.array([0.0, length_s]), np.zeros((2, 3), np.float32))
    recordings.append(Recording('me', '', samples, samples, ()))
  return Reading(recordings, [], [], start, True, files, offsets_s)


def _answers(predictions: Predictions, reading: Reading, **rules) -> Answers:
  return make_answers(predictions, find_bouts(predictions, Rules(**rules)), Rules(**rules), reading, _CARD)


CODES = [0] * 10 + [1] + [0] * 10 + [1] * 20
DOUBTS = [0.9] * 20 + [0.55] * 20 + [0.9] * 20
LONG = dataclasses.replace(
  make_predictions([0, 0, 1, 1], starts=2.56 * np.arange(4)), windowing=Windowing(256)
)
STILL = make_predictions([0] * 10 + [1] * 60 + [0] * 10, still=[False] * 10 + [True] * 60 + [False] * 10)


@pytest.mark.parametrize(
  ('predictions', 'rules', 'expected'),
  [
    # Windows 0 to 3 have centers 1.28, 2.56, 3.84, 5.12: bouts meet midway between the second and the third.
    (make_predictions([0, 0, 1, 1]), {'mean_bout_s': 0.0}, [(0, 3.2, 'run'), (3.2, 6.4, 'sit')]),
    (LONG, {'mean_bout_s': 0.0}, [(0, 6.4, 'run'), (6.4, 12.8, 'sit')]),
    # Decoding removes a single window and keeps edges.
    (make_predictions(CODES), {}, [(0, 27.52, 'run'), (27.52, 53.76, 'sit')]),
    (make_predictions(CODES), {'mean_bout_s': 0.0}, 'run sit run sit'),
    # A low probability, of a bout or a part of it, is unknown; a change or a doubtful window is not.
    (make_predictions([0] * 10, confidence=0.55), {'unknown_below': 0.6}, 'unknown'),
    (make_predictions([0] * 10, confidence=0.65), {'unknown_below': 0.6}, 'run'),
    (make_predictions([0] * 60, confidence=DOUBTS), {'unknown_below': 0.7}, 'run unknown run'),
    (make_predictions([0] * 20 + [1] * 20, confidence=[0.9] * 10 + [0.55] + [0.9] * 29),
     {'unknown_below': 0.6}, 'run sit'),
    # Gaps belong to no bout and end a chain; a window between two would be outvoted by its neighbors.
    (make_predictions([0, 0, 0, 1, 1], starts=[0, 1.28, 2.56, 60, 61.28]), {},
     [(0, 5.12, 'run'), (60, 63.84, 'sit')]),
    (make_predictions([0, 0, 0, 1, 0, 0, 0], starts=[0, 1.28, 2.56, 60, 120, 121.28, 122.56]), {},
     'run sit run'),
    # After a gap the next window starts at least 2.56 s later; without one, 1.28 s and less than a sample.
    (make_predictions([0, 0], starts=[0, 2.56]), {}, [(0, 2.56, 'run'), (2.56, 5.12, 'run')]),
    (make_predictions([0, 0], starts=[0, 1.3]), {}, [(0, 3.86, 'run')]),
    (make_predictions([0, 0, 0, 0], recording=[0, 0, 1, 1]), {}, 'run run'),
    *((STILL, {'not_worn_min': minutes}, 'run sit run') for minutes in (0.0, 2.0)),
    (STILL, {'not_worn_min': 1.0}, 'run not_worn run'),
    # A window that is not worn in a part is as its neighbors, however sure it is.
    *(
      (make_predictions(codes, confidence=0.9 + 0.1 * np.array(codes), still=still),
       {'not_worn_min': 1.0}, words)
      for codes, still, words in (
        ([0] * 20 + [1] * 60, np.arange(80) > 20, 'run not_worn'),
        ([1] * 60 + [0] * 20, np.arange(80) < 59, 'not_worn run'),
      )
    ),
    # From the first sample to the last: 57.44 s and a window of 2.56 s are one minute exactly.
    *(
      (make_predictions([1] * 46, starts=np.linspace(0, last_s, 46), still=[True] * 46),
       {'not_worn_min': 1.0}, activity)
      for last_s, activity in ((57.44, 'not_worn'), (57.43, 'sit'))
    ),
  ],
)  # fmt: skip
def test_predictions_become_bouts_by_the_rules(predictions, rules, expected):
  before = predictions.probabilities.copy()
  bouts = _bouts(predictions, **rules)
  np.testing.assert_array_equal(predictions.probabilities, before)
  assert (' '.join(bout[2] for bout in bouts) if isinstance(expected, str) else bouts) == expected


def test_confidence_is_the_mean_probability_of_the_activity():
  (bout,) = find_bouts(make_predictions([0] * 10 + [1] + [0] * 9), Rules())
  assert bout.confidence == pytest.approx((19 * 0.9 + 0.1) / 20)
  (unknown,) = find_bouts(make_predictions([0] * 10, confidence=0.55), Rules(unknown_below=0.6))
  assert unknown.confidence == pytest.approx(0.55)
  assert np.isnan(find_bouts(STILL, Rules(not_worn_min=1.0))[1].confidence)


def test_where_most_windows_are_refused_a_bout_is_unknown():
  refused = np.isin(np.arange(60), [5, *range(20, 40)])
  refused[30] = False
  predictions = dataclasses.replace(make_predictions([0] * 60), refused=refused)
  expected = [(0, 26.24, 'run'), (26.24, 51.84, 'unknown'), (51.84, 78.08, 'run')]
  assert _bouts(predictions) == expected
  later = make_predictions([0] * 120, still=np.arange(120) < 60)
  later = dataclasses.replace(later, refused=np.r_[np.zeros(60, bool), refused])
  assert [bout[2] for bout in _bouts(later, not_worn_min=1.0)] == ['not_worn', 'run', 'unknown', 'run']
  of_two = dataclasses.replace(
    make_predictions([0] * 120, recording=np.arange(120) // 60), refused=later.refused
  )
  assert [bout[2] for bout in _bouts(of_two)] == ['run', 'run', 'unknown', 'run']
  assert predictions.is_unknown(0.0).tolist() == refused.tolist()
  assert score(predictions, make_labeled((0.0, 99.0, 'run'))).accuracy == pytest.approx(40 / 60)
  answered = make_answers(predictions, [], Rules(), _reading([80.0], ['day'], [0.0]), _CARD)
  assert (answered.windows['activity'] == 'unknown').tolist() == refused.tolist()


@pytest.mark.parametrize(
  'rules', [{'unknown_below': 1.5}, {'mean_bout_s': -1.0}, {'not_worn_min': float('nan')}]
)
def test_rules_out_of_range_are_errors(rules):
  (name,) = rules
  with pytest.raises(UserError, match=f'{name} is'):
    Rules(**rules)


def test_rules_in_words():
  assert str(Rules(0.0, not_worn_min=0.0)) == 'each window alone'
  assert str(Rules(0.0)) == 'each window alone; not worn after 30 minutes without movement'
  words = str(Rules(20.0, unknown_below=0.5, refusal_rate=0.05, not_worn_min=60.0)).split('; ')
  assert words[0].endswith('bout of 20 s')
  assert words[1:] == [
    'unknown below 0.5',
    'unknown if unlike all activities, at a refusal rate of 0.05',
    'not worn after 60 minutes without movement',
  ]


def test_rows_of_several_files_name_the_file_and_no_time_of_day(tmp_path):
  predictions = make_predictions([0, 0, 1, 1], recording=[0, 0, 1, 1], starts=[0, 1.28, 0, 1.28])
  reading = _reading([3.84, 3.84], ['a', 'b'], [0.0, 0.0], '2026-05-28T20:26:40')
  answers = _answers(predictions, reading)
  answers.save(tmp_path)
  assert (tmp_path / 'bouts.csv').read_text().splitlines() == [
    'file,start_s,end_s,activity,confidence,steps,cadence',
    'a,0.000,3.840,run,0.9000,0,',
    'b,0.000,3.840,sit,0.9000,,',
  ]
  windows = (tmp_path / 'windows.csv').read_text()
  assert windows.startswith('file,time_s,activity,confidence,p_run,p_sit\na,0.000,run,')
  assert answers.summary['minutes'] == {'run': 0.06, 'sit': 0.06}
  assert answers.summary['gap_minutes'] == 0
  with pytest.raises(UserError, match='holds files already: give another folder, or overwrite=True'):
    answers.save(tmp_path)
  answers.save(tmp_path, overwrite=True)


def test_sets_are_named_and_a_bout_may_be_of_the_activities_in_half_of_its_sets(tmp_path):
  sets = np.array([[True, False], [True, True], [False, True], [False, True]] + [[True, True]] * 60)
  starts = 1.28 * np.arange(64) + np.repeat([0, 100], [2, 62])  # a gap after the second
  predictions = make_predictions([0, 0, 1, 1] + [1] * 60, starts=starts, still=[False] * 4 + [True] * 60)
  predictions = dataclasses.replace(predictions, sets=sets)
  bouts = find_bouts(predictions, Rules(not_worn_min=1.0))
  assert [bout.set for bout in bouts] == [('run', 'sit'), ('sit',), ()]
  _answers(predictions, _reading([190.0], [''], [0.0]), not_worn_min=1.0).save(tmp_path)
  header, *rows = (tmp_path / 'bouts.csv').read_text().splitlines()
  assert header == 'start_s,end_s,activity,confidence,set,steps,cadence'
  assert [row.split(',')[4] for row in rows] == ['run | sit', 'sit', '']
  header, *rows = (tmp_path / 'windows.csv').read_text().splitlines()
  assert header == 'time_s,activity,confidence,set,p_run,p_sit'
  assert [row.split(',')[3] for row in rows[:4]] == ['run', 'run | sit', 'sit', 'sit']
  assert find_bouts(dataclasses.replace(predictions, sets=~sets), Rules())[0].set == ('run', 'sit')


def test_minutes_add_up_to_the_recorded_time():
  # 64 s of activity, 76.8 s unworn, and 40 s after the last window.
  still = [False] * 49 + [True] * 60
  predictions = make_predictions([0] * 49 + [1] * 60, still=still)
  answers = _answers(predictions, _reading([140.8 + 40.0], ['day'], [0.0]), not_worn_min=1.0)
  summary = answers.summary
  names = ('unknown_minutes', 'not_worn_minutes', 'gap_minutes')
  parts = [*summary['minutes'].values(), *(summary[name] for name in names)]
  assert parts == pytest.approx([63.36 / 60, 0, 0, 77.44 / 60, 40 / 60], abs=0.006)
  assert sum(parts) == pytest.approx(summary['recorded_minutes'], abs=0.02)
  assert answers.minutes['minutes'].sum() == pytest.approx(sum(parts))
  assert answers.minutes.index.name == 'activity'


def test_a_pause_within_a_file_is_recorded_time_without_a_signal():
  predictions = make_predictions([0, 0, 1, 1], recording=[0, 0, 1, 1], starts=[0, 1.28, 0, 1.28])
  summary = _answers(predictions, _reading([30.0, 30.0, 6.0], ['a', 'a', 'b'], [0.0, 60.0, 0.0])).summary
  assert summary['recorded_minutes'] == (90 + 6) / 60
  assert summary['gap_minutes'] == pytest.approx((96 - 2 * 3.84) / 60, abs=0.006)


def test_unknown_minutes_are_all_that_was_answered_unknown():
  predictions = make_predictions([0, 0, 1, 1], classes=('run', 'unknown'), starts=[0, 1.28, 60, 61.28])
  answers = _answers(predictions, _reading([64.0], ['a'], [0.0]))
  assert (answers.summary['minutes'], answers.summary['unknown_minutes']) == ({'run': 0.06}, 0.06)
  minutes = {'run': 0.06, 'unknown': 0.06, 'not worn': 0, 'no signal': 0.94}
  assert answers.minutes['minutes'].to_dict() == minutes
  assert answers.days.loc['a', ['steps', 'run', 'unknown']].tolist() == [0, 0.06, 0.06]
  assert answers.summary['start'] is None


def test_an_activity_that_a_day_lacks_has_no_minutes_there():
  predictions = make_predictions([0, 0, 1, 1], recording=[0, 0, 1, 1], starts=[0, 1.28, 0, 1.28])
  days = _answers(predictions, _reading([4.0, 4.0], ['a', 'b'], [0.0, 0.0])).days
  assert days[['run', 'sit']].to_numpy().tolist() == [[0.06, 0.0], [0.0, 0.06]]


def test_a_day_past_midnight_has_a_row_per_date():
  bouts = find_bouts(make_predictions([0] * 4000, classes=tuple('abcdefghij')), Rules())
  clock = Clock.from_reading(_reading([5200.0], ['day'], [0.0], '2026-05-28T23:30:00'))
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
  (axes,) = picture.draw().axes
  assert [label.get_text() for label in axes.get_yticklabels()] == ['2026-05-28', '2026-05-29']
  assert axes.yaxis_inverted()  # the first day is on top
  assert [label.get_text() for label in axes.get_xticklabels()][:3] == ['0:00', '2:00', '4:00']


@pytest.mark.slow
@pytest.mark.parametrize('length', [4, 16, 60])
def test_a_legend_of_many_activities_is_neither_cut_nor_over_the_rows(length):
  names = tuple(f'{number:02d}'.ljust(length, 'm') for number in range(30))
  bouts = [Bout(0, 60.0 * number, 60.0 * (number + 1), name, 0.9) for number, name in enumerate(names)]
  figure = Picture(bouts, Clock(('day',), (0.0,), None), names).draw()
  FigureCanvasAgg(figure).draw()
  legend, (axes,) = figure.legends[0].get_window_extent(), figure.axes
  assert legend.x1 <= figure.bbox.x1
  assert legend.y0 >= axes.get_window_extent().y1
  assert axes.get_window_extent().height > 0.3 * figure.dpi


def test_times_are_shown_in_the_time_zone_also_after_a_change_of_clocks():
  # On 2026-10-25 at 03:00, clocks in Berlin are put back to 02:00.
  reading = dataclasses.replace(
    _reading([7200.0], ['day'], [0.0], '2026-10-25T00:30:00+00:00'), time_zone='Europe/Berlin'
  )
  clock = Clock.from_reading(reading)
  assert clock.zone == 'Europe/Berlin'
  assert [clock.moment(file_s).isoformat() for file_s in (0.0, 3600.0)] == [
    '2026-10-25T02:30:00+02:00',
    '2026-10-25T02:30:00+01:00',
  ]
  in_utc = Clock.from_reading(dataclasses.replace(reading, time_zone=''))
  assert in_utc.moment(0.0).isoformat() == '2026-10-25T00:30:00+00:00'


def test_names_from_files_are_no_formulas_and_the_picture_stays_xml(tmp_path, capsys):
  classes = ('=cmd|1', 'a\x00\x1b[2J<script>\ud800')
  predictions = make_predictions([0] * 9 + [1] * 9, classes=classes)
  reading = _reading([30.0], ['=a.csv'], [0.0])
  answers = _answers(predictions, reading, mean_bout_s=0.0)
  answers.save(tmp_path / 'out')
  assert 'a\x00\x1b[2J<script>?' in answers.minutes.index
  assert 'a\x00\x1b[2J<script>?' in answers.days.columns
  assert '<script>' not in answers._repr_html_()
  predict._print_summary(answers)
  printed = capsys.readouterr().out
  assert r'a\x00\x1b[2J<script>?' in printed
  assert '\x1b' not in printed
  rows = list(csv.reader((tmp_path / 'out' / 'bouts.csv').read_text().splitlines()))
  assert "'=cmd|1" in rows[1]
  root = ElementTree.parse(tmp_path / 'out' / 'timeline.svg').getroot()
  texts = [''.join(each.itertext()).strip() for each in root.iter() if each.tag.endswith('}text')]
  assert any(text.startswith('a\ufffd\ufffd[2J<script>\ufffd, ') for text in texts)


# --- the chain of activities: the sum over all its paths


def _by_all_paths(mean_bout_s: float, hop_s: float, probabilities: np.ndarray) -> np.ndarray:
  """Posteriors of windows of 2.56 s, by definition; each window alone without a mean bout."""
  windows, activities = probabilities.shape
  moves = np.full((activities, activities), 1 / activities)
  if mean_bout_s:
    rates = np.full(moves.shape, 1 / (activities - 1) / mean_bout_s)
    np.fill_diagonal(rates, -1 / mean_bout_s)
    moves = linalg.expm(rates * hop_s)
  likelihoods = probabilities ** (min(2 * hop_s / 2.56, 1) if mean_bout_s else 1)
  posteriors = np.zeros(probabilities.shape)
  for path in itertools.product(range(activities), repeat=windows):
    weight = math.prod(moves[pair] for pair in itertools.pairwise(path))
    posteriors[np.arange(windows), path] += weight * likelihoods[np.arange(windows), path].prod()
  return posteriors / posteriors.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(
  ('activities', 'mean_bout_s', 'hop_s'),
  [(2, 7.0, 1.28), (5, 7.0, 1.28), (4, 20.0, 0.32), (3, 60.0, 2.56), (3, 60.0, 9.0), (4, 0, 1.28)],
)
def test_posteriors_are_those_of_all_paths(activities, mean_bout_s, hop_s):
  chain, posterior = Chain(mean_bout_s, hop_s, 2.56), None
  probabilities = np.random.default_rng(0).dirichlet(np.ones(activities), 4)
  assert chain.smoothed(probabilities) == pytest.approx(_by_all_paths(mean_bout_s, hop_s, probabilities))
  for count, row in enumerate(probabilities, start=1):  # the filter knows the windows so far
    posterior = chain.update(posterior, row)
    assert posterior == pytest.approx(_by_all_paths(mean_bout_s, hop_s, probabilities[:count])[-1])


def test_no_window_rules_an_activity_out():
  smoothed = Chain(5.0, 1.28, 2.56).smoothed(np.array([[1.0, 0.0], [0.0, 1.0]]))
  assert np.isfinite(smoothed).all()
  assert smoothed.argmax(axis=1).tolist() == [0, 1]

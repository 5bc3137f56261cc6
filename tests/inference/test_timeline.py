"""Answers to bouts, by hand: smoothing, not sure, not worn, gaps, minutes, midnight."""

import numpy as np
import pytest

from har_jax.data import user_recordings
from har_jax.data.recording import Recording, Samples, Span
from har_jax.errors import UserError
from har_jax.inference.timeline import Answers, Rules, find, score, write
from har_jax.inference.timeline.clock import Clock

_CARD = {'method': 'lora', 'temperature': 1.0, 'checksum': '0'}


def _answers(
  codes: list[int], *, sure: float = 0.9, starts=None, recording=None, still=None, classes=('run', 'sit')
) -> Answers:
  size, other = len(codes), (1 - sure) / (len(classes) - 1)
  shares = np.full((size, len(classes)), other, np.float32)
  shares[np.arange(size), codes] = sure
  return Answers(
    tuple(classes),
    np.zeros(size, int) if recording is None else np.array(recording),
    1.28 * np.arange(size) if starts is None else np.array(starts),
    shares,
    np.zeros(size, bool) if still is None else np.array(still),
  )


def _told(answers: Answers, **rules) -> list[tuple[float, float, str]]:
  return [
    (round(bout.start_s, 2), round(bout.stop_s, 2), bout.activity) for bout in find(answers, Rules(**rules))
  ]


def test_the_border_of_two_bouts_is_midway_between_their_windows():
  # Windows 0 to 3 have centers 1.28, 2.56, 3.84, 5.12: between the second and the third lies 3.2.
  assert _told(_answers([0, 0, 1, 1]), smooth_s=0.0) == [(0, 3.2, 'run'), (3.2, 6.4, 'sit')]


def test_a_lone_window_is_outvoted_and_a_change_stays_where_it_was():
  codes = [0] * 10 + [1] + [0] * 10 + [1] * 20
  assert _told(_answers(codes)) == [(0, 27.52, 'run'), (27.52, 53.76, 'sit')]
  assert len(_told(_answers(codes), smooth_s=0.0)) == 4


def test_at_a_change_both_are_sure_so_nothing_is_unknown():
  answers = _answers([0] * 20 + [1] * 20)
  (first, second) = find(answers, Rules(unknown_below=0.85))
  assert (first.activity, second.activity) == ('run', 'sit')
  assert first.confidence == pytest.approx(0.9)


def test_what_is_not_sure_is_unknown_and_keeps_its_confidence():
  (bout,) = find(_answers([0] * 10, sure=0.55), Rules(unknown_below=0.6))
  assert (bout.activity, round(bout.confidence, 2)) == ('unknown', 0.55)


def test_a_gap_is_no_part_of_a_bout_and_is_not_smoothed_over():
  answers = _answers([0, 0, 0, 1, 1], starts=[0, 1.28, 2.56, 60, 61.28])
  assert _told(answers) == [(0, 5.12, 'run'), (60, 63.84, 'sit')]
  other = _answers([0, 0, 0, 0], recording=[0, 0, 1, 1], starts=[0, 1.28, 2.56, 3.84])
  assert [bout.recording for bout in find(other, Rules())] == [0, 1]


def test_a_device_that_lies_still_for_long_is_not_worn_and_votes_for_nothing():
  still = [False] * 10 + [True] * 60 + [False] * 10
  answers = _answers([0] * 10 + [1] * 60 + [0] * 10, still=still)
  assert [each[2] for each in _told(answers, not_worn_min=1.0)] == ['run', 'not_worn', 'run']
  assert np.isnan(find(answers, Rules(not_worn_min=1.0))[1].confidence)
  for minutes in (2.0, 0.0):
    assert [each[2] for each in _told(answers, not_worn_min=minutes)] == ['run', 'sit', 'run']


@pytest.mark.parametrize(('smooth_s', 'windows'), [(0.0, 1), (1.0, 1), (10.0, 9), (2.56, 3)])
def test_smoothing_takes_an_odd_number_of_windows(smooth_s: float, windows: int):
  assert Rules(smooth_s=smooth_s).windows == windows


@pytest.mark.parametrize(
  'rules', [{'unknown_below': 1.5}, {'smooth_s': -1.0}, {'not_worn_min': float('nan')}]
)
def test_rules_that_make_no_sense_are_refused(rules: dict[str, float]):
  (name,) = rules
  with pytest.raises(UserError, match=f'{name} is'):
    Rules(**rules)


def _reading(
  lengths_s: list[float], files: list[str], offsets_s: list[float], start: str = ''
) -> user_recordings.Reading:
  recordings = []
  for length_s in lengths_s:
    samples = Samples(np.array([0.0, length_s]), np.zeros((2, 3), np.float32))
    recordings.append(Recording('me', '', samples, samples, ()))
  return user_recordings.Reading(recordings, [], [], start, True, files, offsets_s)


def test_of_several_files_each_row_names_its_own_and_no_clock_is_made_up(tmp_path):
  answers = _answers([0, 0, 1, 1], recording=[0, 0, 1, 1], starts=[0, 1.28, 0, 1.28])
  reading = _reading([3.84, 3.84], ['a', 'b'], [0.0, 0.0], '2026-05-28T20:26:40')
  told = write(tmp_path, answers, find(answers, Rules()), Rules(), reading, _CARD)
  assert (tmp_path / 'bouts.csv').read_text().splitlines() == [
    'file,start_s,end_s,activity,confidence',
    'a,0.000,3.840,run,0.9000',
    'b,0.000,3.840,sit,0.9000',
  ]
  assert (
    (tmp_path / 'windows.csv')
    .read_text()
    .startswith('file,time_s,activity,confidence,p_run,p_sit\na,0.000,run,')
  )
  assert told['minutes'] == {'run': 0.06, 'sit': 0.06}
  assert told['gap_minutes'] == 0


def test_a_day_that_goes_past_midnight_has_a_strip_a_date(tmp_path):
  pytest.importorskip('matplotlib')
  picture = pytest.importorskip('har_jax.inference.timeline.picture')
  bouts = find(_answers([0] * 4000, classes=tuple('abcdefghij')), Rules())
  clock = Clock(('day',), (0.0,), Clock.of(_reading([5200.0], ['day'], [0.0], '2026-05-28T23:30:00')).start)
  text = picture.svg(bouts, clock, tuple('abcdefghij')).decode()
  assert '2026-05-28' in text
  assert '2026-05-29' in text
  assert text == picture.svg(bouts, clock, tuple('abcdefghij')).decode()


def _labeled(*spans: tuple[float, float, str]) -> list[Recording]:
  still = Samples(np.zeros(1), np.zeros((1, 3), np.float32))
  return [Recording('', '', still, still, tuple(Span(*span) for span in spans))]


def test_a_score_is_of_whole_windows_within_a_label():
  # Begun at 0, 1.28, ..., 6.4: the labels hold the first two, half of the third, and the last one.
  told = score(_answers([0, 1, 0, 1, 0, 1]), _labeled((0.0, 3.84, 'run'), (6.4, 8.96, 'sit')))
  assert (told.windows, told.names, told.confusion) == (3, ('run', 'sit'), [[1, 1], [0, 1]])
  assert told.accuracy == pytest.approx(2 / 3)
  assert told.macro_f1 == pytest.approx(2 / 3)


def test_unknown_and_what_was_never_learned_count_as_wrong():
  answers = _answers([0, 1], sure=0.6)
  assert score(answers, _labeled((0.0, 9.0, 'run')), unknown_below=0.7).confusion == [[0, 2], [0, 0]]
  told = score(answers, _labeled((0.0, 9.0, 'swim')))
  assert (told.names, told.accuracy) == (('run', 'sit', 'swim'), 0)


def test_labels_of_another_recording_are_refused():
  with pytest.raises(UserError, match='no window lies within a labeled span'):
    score(_answers([0, 1]), _labeled((100.0, 200.0, 'run')))

"""Scores of answers, by hand: spans of labels, levels of stairs, languages, activities that are asked for."""

import contextlib
import copy
import dataclasses
import re
import threading
from typing import Any

import numpy as np
import pandas as pd
import pytest
import worn_device
from labeled_windows import SIGNALS
from made_predictions import make_labeled, make_predictions

from har_jax.errors import UserError
from har_jax.recognizer import comparison
from har_jax.recognizer.recognizer import Recognizer
from har_jax.timeline import Bout, predictions, recognize, score
from har_jax.timeline import picture as pictures
from har_jax.timeline.activities import by_direction, find_class, merge_labels, select, unknown_labels
from har_jax.timeline.adaptation import Adapted
from har_jax.timeline.bouts import Clock
from har_jax.timeline.picture import Picture

_STAIRS = ('walking', 'upstairs', 'downstairs', 'stairs')
_STILL = ('sitting', 'lying', 'standing', 'walking')
_DOUBT = make_predictions([0, 1], confidence=0.6)
_LANGUAGES = make_predictions([0, 1, 1], classes=('walking', 'sitting'))


@pytest.mark.parametrize(
  ('predictions', 'labels', 'unknown_below', 'names', 'confusion'),
  [
    # Windows start at 0, 1.28, …, 6.4: the labels contain the first two, half of the third, and the last one.
    (make_predictions([0, 1, 0, 1, 0, 1]), [(0.0, 3.84, 'run'), (6.4, 8.96, 'sit')], 0.0, 'run sit',
     [[1, 1], [0, 1]]),
    # Of four windows of run, one is called sit and one is unknown.
    (make_predictions([0, 0, 1, 0], confidence=[0.9, 0.9, 0.9, 0.6]), [(0.0, 9.0, 'run')], 0.7,
     'run sit unknown', [[2, 1, 1], [0, 0, 0], [0, 0, 0]]),
    (_DOUBT, [(0.0, 9.0, 'run')], 0.7, 'run unknown', [[0, 2], [0, 0]]),
    (_DOUBT, [(0.0, 9.0, 'swim')], 0.0, 'run sit swim', [[0, 0, 0], [0, 0, 0], [1, 1, 0]]),
    # Labels may be spelled otherwise, or in another language.
    (make_predictions([0, 1, 1, 1]), [(0.0, 2.6, 'RUN'), (2.6, 9.0, 'jog')], 0.0, 'jog run sit',
     [[0, 0, 1], [0, 1, 0], [0, 0, 0]]),
    (_LANGUAGES, [(0.0, 2.6, 'Gehen'), (1.28, 9.0, 'assise')], 0.0, 'sitting walking', [[2, 0], [0, 1]]),
    # Both directions together are more probable than 0.6, and each less.
    (make_predictions([1], confidence=0.4, classes=('walking', 'upstairs', 'downstairs')),
     [(0.0, 9.0, 'stairs')], 0.6, 'stairs', [[1]]),
    # A model of stairs alone, labels of directions.
    (make_predictions([1, 1], classes=('walking', 'stairs')), [(0.0, 9.0, 'upstairs')], 0.0, 'stairs', [[2]]),
  ],
)  # fmt: skip
def test_scores_count_windows_inside_one_label(predictions, labels, unknown_below, names, confusion):
  labeled = make_labeled(*labels)
  scored = score(predictions, labeled, unknown_below=unknown_below)
  assert (scored.names, scored.confusion) == (tuple(names.split()), confusion)
  right, total = np.trace(confusion), np.sum(confusion)
  assert (scored.windows, scored.accuracy) == (total, pytest.approx(right / total))
  unknown = {name for *_, name in labels} & {'swim', 'jog'}
  assert unknown_labels(predictions, labeled) == sorted(unknown)


def test_macro_f1_leaves_out_what_nobody_labeled():
  predictions = make_predictions([0, 0, 1, 0], confidence=[0.9, 0.9, 0.9, 0.6])
  scored = score(predictions, make_labeled((0.0, 9.0, 'run')), unknown_below=0.7)
  assert scored.macro_f1 == pytest.approx(2 * 2 / (4 + 2))
  both = make_labeled((0.0, 3.84, 'run'), (6.4, 8.96, 'sit'))
  assert score(make_predictions([0, 1, 0, 1, 0, 1]), both).macro_f1 == pytest.approx(2 / 3)
  apart = make_labeled((0.0, 9.0, 'run')) + make_labeled((0.0, 9.0, 'sit'))
  assert score(make_predictions([0, 1], recording=[0, 1]), apart).accuracy == 1


def test_colors_are_an_activitys_own_and_minutes_those_of_the_summary():
  base, adapter = ('walking', 'sitting', 'lying'), ('=x', 'lying', 'running', 'walking')
  for name in ('walking', 'lying', 'unknown'):
    assert pictures._style(name, base) == pictures._style(name, adapter)
  styles = [str(pictures._style(name, adapter)) for name in (*adapter, 'unknown', 'not_worn')]
  assert len(set(styles)) == 6
  bouts = [Bout(0, 0.0, 60 * 0.2496, 'walking', 1.0)]  # 0.25, which is printed as 0.2
  drawn = Picture(bouts, Clock(('day',), (0.0,), None), base).svg().decode()
  assert 'walking, 0.2 min' in drawn


@pytest.mark.parametrize(
  ('labels', 'names', 'right'),
  [
    (('stairs', 'stairs'), {'stairs'}, 4),  # one class
    (('upstairs', 'downstairs'), {'downstairs', 'upstairs'}, 4),  # stairs are up if likelier than down
    (('treppab', 'treppauf'), {'downstairs', 'upstairs'}, 0),
    (('bajar escaleras', 'Treppe rauf'), {'downstairs', 'upstairs'}, 0),
    (('upstairs', 'stairs'), {'stairs'}, 4),  # labels of both levels
  ],
)
def test_stairs_are_scored_at_the_level_of_the_labels(labels, names, right: int):
  predictions = make_predictions([1, 2, 3, 3], confidence=0.6, classes=_STAIRS)
  predictions.probabilities[2:, 1] += 0.1
  first, second = labels
  labeled = make_labeled((0.0, 2.6, first), (1.28, 3.9, second), (2.56, 9.0, first))
  scored = score(predictions, labeled)
  assert (set(scored.names), scored.accuracy) == (names, right / 4)
  assert not unknown_labels(predictions, labeled)


def test_answers_are_restricted_and_merged():
  predictions = make_predictions([3, 1, 0], confidence=0.4, classes=_STAIRS)
  chosen = select(predictions, ['stairs', 'gehen'])
  assert chosen.classes == ('stairs', 'gehen')
  assert chosen.probabilities == pytest.approx(np.array([[0.8, 0.2], [0.8, 0.2], [0.6, 0.4]]))
  with_sets = dataclasses.replace(predictions, sets=predictions.probabilities > 0.3)
  answered = select(with_sets, ['stairs', 'gehen']).sets
  assert answered is not None
  assert answered.tolist() == [[True, False], [True, False], [True, True]]  # the answer is always in it
  merged = select(with_sets, ['on foot=walking+stairs'])
  assert (merged.classes, merged.probabilities.tolist()) == (('on foot',), [[1], [1], [1]])
  assert merged.sets is not None
  assert merged.sets.all()
  directions = select(predictions, ['upstairs', 'downstairs'])
  assert directions.probabilities[:2] == pytest.approx(np.array([[0.5, 0.5], [2 / 3, 1 / 3]]))
  assert select(predictions, []) is predictions
  assert select(predictions, 'stairs,gehen').classes == ('stairs', 'gehen')


def test_of_classes_of_one_name_the_first_is_meant():
  assert find_class('WALKING', ('Walking', 'walking')) == 'Walking'
  assert find_class('gehen', ('marche', 'walking')) == 'marche'


def test_labels_are_merged_as_the_answers_are():
  activities, predictions = ['still=sitting+lying', 'walking'], make_predictions([0, 1, 2], classes=_STILL)
  labeled = make_labeled((0.0, 2.6, 'Sitzen'), (1.28, 3.9, 'lying'), (2.56, 9.0, 'standing'))
  chosen = select(predictions, activities)
  scored = score(chosen, merge_labels(labeled, activities, predictions.classes))
  assert (scored.names, scored.confusion) == (('standing', 'still'), [[0, 1], [0, 2]])
  assert merge_labels(labeled, (), predictions.classes) == labeled


def test_stairs_of_unknown_direction_are_shared_between_both_directions():
  answered = by_direction(make_predictions([3, 1, 0], confidence=0.4, classes=_STAIRS))
  assert answered.classes == ('walking', 'upstairs', 'downstairs')
  assert answered.probabilities == pytest.approx(
    np.array([[0.2, 0.4, 0.4], [0.2, 8 / 15, 4 / 15], [0.4, 0.3, 0.3]]), abs=1e-6
  )
  alone = make_predictions([1], classes=('walking', 'stairs'))
  assert by_direction(alone) is alone


@pytest.mark.parametrize(
  'activities', [['swimming'], ['walking', 'walking'], ['a=walking', 'walking'], ['=walking']]
)
def test_activities_that_are_no_class_or_named_twice_are_errors(activities: list[str]):
  with pytest.raises(UserError, match=r'activities (name|are)'):
    select(make_predictions([0], classes=_STAIRS), activities)


def test_labels_of_another_recording_are_an_error():
  with pytest.raises(UserError, match=r'no window of 2\.56 s lies within .* long enough'):
    score(make_predictions([0, 1]), make_labeled((100.0, 200.0, 'run')))


_LABELS = pd.DataFrame({'start': [0.0], 'end': [20.0], 'activity': ['walking']})


def _warnings(recognizer: Recognizer, **options: Any) -> list[str]:
  signals = pd.DataFrame(np.concatenate(SIGNALS[:9]), columns=['ax', 'ay', 'az', 'gx', 'gy', 'gz'])
  return recognize(signals, recognizer, rate_hz=50.0, frame='as_is', **options).warnings


def test_labels_that_score_answers_need_not_be_enough_to_learn_from(fitted):
  assert not any('label' in sentence for sentence in _warnings(fitted, labels=_LABELS.assign(end=6.0)))


@pytest.mark.parametrize('progress', [True, False])
def test_a_bar_is_drawn_where_progress_is_asked_for(fitted, capsys, progress):
  _warnings(fitted, progress=progress)
  assert ('recognizing' in capsys.readouterr().err) is progress


def test_a_bar_stands_where_the_last_answered_window_begins(fitted, monkeypatch):
  """Eight windows at a time, every 1.28 s: 15 of a file of 20.5 s, 11 of one of 15.4 s."""
  stood: list[int] = []

  class Bar(contextlib.nullcontext):
    n = 0

    def __enter__(self) -> 'Bar':
      return self

    def set_postfix_str(self, text: str, *, refresh: bool) -> None: ...

    def update(self, count: int) -> None:
      self.n += count
      stood.append(self.n)

  answer = np.full(len(fitted.classes_), 1 / len(fitted.classes_), np.float32)
  monkeypatch.setattr('tqdm.tqdm', lambda **_: Bar())
  monkeypatch.setattr(predictions, '_CHUNK', 8)
  monkeypatch.setattr(predictions, '_answer', lambda _, signals, with_inputs: ([answer] * len(signals), None))
  predictions.predict(fitted, worn_device.reading(one=SIGNALS[:8], other=SIGNALS[8:14]))
  assert stood == [9, 20, 36]


def test_a_window_has_the_activities_within_the_quantile_of_its_recognizers_scores(fitted, monkeypatch):
  """The quantile is the 18th of 19 scores, so sets hold activities with a probability of at least 0.15."""
  scores, answer = [*[0.1] * 17, 0.85, 0.99], np.float32([0.6, 0.3, 0.1])
  monkeypatch.setattr(Recognizer, 'set_scores', property(lambda self: scores))
  monkeypatch.setattr(Recognizer, 'adapt_probabilities', lambda _, probabilities, files: probabilities)
  monkeypatch.setattr(predictions, '_answer', lambda _, signals, with_inputs: ([answer] * len(signals), None))
  made = predictions.predict(fitted, worn_device.reading(one=SIGNALS[:8]), progress=False)
  assert made.sets is not None
  assert made.sets.tolist() == [[True, True, False]] * 15


def test_a_recording_is_checked_beside_its_answers_and_also_where_there_are_none(fitted, monkeypatch):
  answering, told = threading.Event(), []

  def check(reading, windowing):
    return ['It is checked.'] if answering.wait(timeout=20) else ['It waits for its checks.']

  def refuse(*_, **__):
    answering.set()
    raise UserError('no window fits')

  monkeypatch.setattr('har_jax.recordings.check', check)
  monkeypatch.setattr('har_jax.timeline.recognition.predict', refuse)
  with pytest.raises(UserError, match='no window fits'):
    _warnings(fitted, tell=lambda kind, sentence: told.append(sentence))
  assert 'It is checked.' in told


def test_names_of_an_adapter_of_others_are_printable_in_warnings(fitted):
  odd = copy.copy(fitted)
  odd.classes_ = np.array([f'{name}\x1b[2J' for name in fitted.classes_])
  warnings = _warnings(odd, labels=_LABELS)
  assert any(r'Its classes are lying\x1b[2J' in warning for warning in warnings)
  assert all(warning.isprintable() for warning in warnings)


def test_late_labels_are_said_next_to_their_score(fitted, monkeypatch):
  monkeypatch.setattr('har_jax.recordings.faults.find_late_s', lambda parts: 12 if parts[0].spans else None)
  warnings = _warnings(fitted, labels=_LABELS)
  assert any('labels fit the signal far better 12 s earlier' in warning for warning in warnings)


def test_a_single_activity_that_takes_all_windows_is_said(fitted):
  sentence = f'Every window is {fitted.classes_[0]}, since activities name no other one.'
  for count in (1, 2):
    assert (sentence in _warnings(fitted, activities=fitted.classes_[:count].tolist())) == (count == 1)


def test_what_was_adapted_shows_its_tables_and_escapes_its_sentences():
  validation = pd.DataFrame({'held out': [3]}, index=['<walking>'])
  compared = comparison.Comparison(comparison.Score('lora', 0.5, 0.25, 1.5, np.ones(3, bool)), [], ['a < b'])
  recognizer: Any = None
  made = Adapted(recognizer, validation, compared, None, {}, False, [], ['c & d'])
  assert made.scores.to_dict('index') == {'lora': {'macro_f1': 0.5, 'accuracy': 0.25, 'seconds': 1.5}}
  first, second = made._repr_html_().split('</table>')[:2]
  assert re.findall(r'<t[dh]>([^<]+)</t', first) == ['held out', '&lt;walking&gt;', '3']
  assert re.findall(r'<td>([^<]+)</td>', second) == ['0.500', '0.250', '1.500']
  assert made._repr_html_().endswith('<p>a &lt; b</p><p>c &amp; d</p>')

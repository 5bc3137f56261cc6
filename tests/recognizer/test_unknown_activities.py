"""Windows of activities that were never learned are refused, by distances and by what the base answers."""

import copy

import made_people
import numpy as np
import pytest
from fitted_recognizer import calibrated_copy
from labeled_windows import LABELS, SIGNALS

from har_jax import config_fields, files
from har_jax.errors import UserError
from har_jax.model import head_input_limits, head_input_widths
from har_jax.recognizer import unknown_activities
from har_jax.recognizer.calibration import calibrate
from har_jax.recognizer.recognizer import Recognizer
from har_jax.recognizer.recording_adaptation import adapt_to_recording
from har_jax.recognizer.unknown_activities import BaseHead
from har_jax.recordings import Reading
from har_jax.signal.recording import Recording, Samples
from har_jax.timeline import predict
from har_jax.train.objective import Classify

_CLASSES = ('walking', 'lying', 'cycling', 'upstairs', 'unknown')


def test_a_score_is_of_the_window_and_of_its_neighbors():
  """By hand: inputs of one number, class means of 0 and 4, and windows of which one is far from both."""
  inputs = np.zeros((20, 1))
  inputs[10] = 9
  answers = np.tile([0.75, 0.25], (20, 1))
  scores = unknown_activities.distances(inputs, answers, np.array([[0.0], [4]]), [slice(0, 20)])
  squares = 0.75 * np.array([0.0, 1, 81]) + 0.25 * np.array([16.0, 9, 25])  # at 0, 1 and 9
  far, near, usual = (squares[2] + squares[1]) / 2, (squares[0] + squares[1]) / 2, squares[0]
  np.testing.assert_allclose(scores[10], (far + 2 * near) / 3)
  np.testing.assert_allclose(scores[[9, 11]], (far + 2 * near) / 3)
  np.testing.assert_allclose(scores[[7, 8, 12, 13]], near)
  np.testing.assert_allclose(scores[[6, 14]], (usual + 2 * near) / 3)
  np.testing.assert_allclose(scores[[0, 4, 16, 19]], usual)


def test_scores_do_not_cross_a_gap_and_do_not_depend_on_blocks(monkeypatch):
  rng = np.random.default_rng(0)
  inputs, means, answers = rng.normal(size=(50, 3)), rng.normal(size=(2, 3)), rng.dirichlet([1, 1], 50)
  parts = [slice(0, 30), slice(30, 50)]
  scores = unknown_activities.distances(inputs, answers, means, parts)
  for part in parts:
    alone = unknown_activities.distances(
      inputs[part], answers[part], means, [slice(0, part.stop - part.start)]
    )
    np.testing.assert_allclose(scores[part], alone)
  monkeypatch.setattr(unknown_activities, '_BLOCK', 7)
  np.testing.assert_allclose(unknown_activities.distances(inputs, answers, means, parts), scores, rtol=1e-5)


@pytest.mark.parametrize(('count', 'refused'), [(19, [False, True]), (18, [False, False])])
def test_a_score_above_the_quantile_of_enough_others_is_refused(count, refused):
  held_out = np.arange(1.0, count + 1).tolist()
  assert unknown_activities.refuse(np.array([count, count + 1.0]), held_out, 0.05).tolist() == refused
  sentence = unknown_activities.refusal_shortage(held_out, 0.05)
  assert (sentence is None) == refused[1]
  assert refused[1] or 'needs 19 labeled windows' in sentence


def own_distances(recognizer, X):
  answers, inputs = recognizer.answer_with_inputs(X)
  np.testing.assert_allclose(answers, recognizer.probabilities(X), atol=1e-5)
  means = np.array(recognizer.adapter_.card.class_means)
  adapted = adapt_to_recording(answers**recognizer.temperature, recognizer.class_logits)
  return unknown_activities.distances(inputs, adapted, means, [slice(0, len(X))])


def test_each_recording_is_calibrated_by_itself(fitted):
  alone = calibrated_copy(fitted)  # the same temperature
  np.testing.assert_allclose(alone.unknown_scores, np.sort(own_distances(alone, SIGNALS)), rtol=1e-5)
  scores = [own_distances(alone, half) for half in np.split(SIGNALS, 2)]
  both = calibrated_copy(fitted, SIGNALS, LABELS, np.repeat(['a', 'b'], len(SIGNALS) // 2))
  np.testing.assert_allclose(both.unknown_scores, np.sort(np.concatenate(scores)), rtol=1e-5)
  with pytest.raises(UserError, match=r'the recordings are \[2\] for 72 windows'):
    calibrate(both, SIGNALS, LABELS, ['a', 'b'])


# --- what the base answers


@pytest.fixture(scope='module')
def base_with_head(drawn) -> files.Base:
  logits = np.round(3 * np.random.default_rng(1).standard_normal((5, 5)), 3).tolist()
  model = config_fields.to_json(made_people.SMALL)
  card = {'model': model, 'classes': _CLASSES, 'temperature': 2.0, 'class_logits': logits}
  return files.make_base(drawn(Classify(made_people.SMALL, 5).init), card)


@pytest.fixture(scope='module')
def linear(base_with_head) -> Recognizer:
  return Recognizer(base_with_head, method='linear').fit(SIGNALS, LABELS)


def test_the_head_of_the_base_answers_as_without_an_adapter(linear, base_with_head, monkeypatch):
  monkeypatch.setattr(unknown_activities, '_BLOCK', 50)  # less than all windows
  _, inputs = linear.answer_with_inputs(SIGNALS)
  head, own = BaseHead.find(linear), Recognizer(base_with_head)
  expected = own.probabilities(SIGNALS)
  widths = head_input_widths(linear.adapter_.card.model)
  is_inside = (np.abs(inputs) < head_input_limits(widths))[:, : widths[0]].all(axis=1)
  assert 10 < is_inside.sum() < len(SIGNALS)  # others are limited
  np.testing.assert_allclose(head.probabilities(inputs)[is_inside], expected[is_inside], atol=1e-4)
  assert np.abs(expected - expected.mean(axis=0)).max() > 0.01


def test_what_an_adapter_lacks_is_what_it_neither_names_nor_was_fitted_to(linear):
  head = BaseHead.find(linear)
  of_classes = head.probabilities(np.array(linear.adapter_.card.class_means)).max(axis=0)
  np.testing.assert_allclose(head.covered, [1, 1, of_classes[2], of_classes[3], 1])
  assert (of_classes < 1).all()
  _, inputs = linear.answer_with_inputs(SIGNALS)
  halves = np.repeat([1, 2], len(SIGNALS) // 2)
  lacking = head.lacking(inputs, halves)
  card = head.base.card
  for half in (1, 2):
    answers = head.probabilities(inputs[halves == half])
    adapted = adapt_to_recording(answers, np.array(card.class_logits) / card.temperature)
    np.testing.assert_allclose(lacking[halves == half], adapted @ (1 - head.covered), rtol=1e-6)


def test_a_head_of_few_windows_starts_from_the_head_of_the_base(base_with_head, linear):
  few = np.unique(LABELS, return_index=True)[1]
  known, plain = (
    Recognizer(base, method='linear').fit(SIGNALS[few], LABELS[few])
    for base in (base_with_head, files.make_base(base_with_head.encoder, {'model': linear.base_.card.model}))
  )
  kernel = 'params/head/dense_0/kernel'
  width = head_input_widths(linear.adapter_.card.model)[0]
  added = np.asarray(known.variables_[kernel]) - np.asarray(plain.variables_[kernel])
  assert np.abs(added[:width]).max() > 1e-3
  np.testing.assert_allclose(added[width:], 0, atol=1e-6)  # of the statistics
  again = copy.copy(known).refit(SIGNALS[few], LABELS[few])
  np.testing.assert_array_equal(again.variables_[kernel], known.variables_[kernel])


def test_activities_are_compared_in_any_language_and_stairs_by_direction():
  found = [
    unknown_activities._are_in(names, others).tolist()
    for names, others in (
      (['walking', 'lying', 'rowing'], ['Gehen', 'rowing', 3]),
      (['stairs', 'upstairs', 'downstairs'], ['downstairs']),
      (['stairs', 'upstairs', 'downstairs'], ['stairs']),
      (['stairs', 'upstairs', 'downstairs'], ['walking']),
    )
  ]
  assert found == [[True, False, True], [True, False, True], [True] * 3, [False] * 3]


def test_the_base_is_not_asked_where_it_cannot_know(fitted, linear, base_with_head):
  assert BaseHead.find(fitted) is None  # a base without a head
  lora = Recognizer(base_with_head, method='lora', rank=2, max_steps=1, batch=8).fit(SIGNALS, LABELS)
  assert BaseHead.find(lora) is None  # another encoder
  scratch = Recognizer(base_with_head, method='scratch', max_steps=1, batch=8).fit(SIGNALS, LABELS)
  assert BaseHead.find(scratch) is None
  side = Recognizer(base_with_head, method='side', max_steps=1, batch=8).fit(SIGNALS, LABELS)
  assert BaseHead.find(side) is not None
  for names, is_asked in ((('walking', 'lying', 'a'), True), (('walking', 'b', 'a'), False)):
    renamed = copy.copy(linear)
    renamed.adapter_ = linear.adapter_.with_card(classes=names)
    assert (BaseHead.find(renamed) is not None) == is_asked


def test_the_odds_are_of_three_windows_of_one_part():
  odds = unknown_activities.odds_of_lacking(np.array([0.0, 0, 0, 1, 1, 1]), [slice(0, 3), slice(3, 6)])
  np.testing.assert_allclose(odds, np.repeat([(0.01 / 1.01) ** 0.4, (1.01 / 0.01) ** 0.4], 3))
  (odds,) = unknown_activities.odds_of_lacking(np.array([0.5]), [slice(0, 1)])
  assert odds == 1
  odds = unknown_activities.odds_of_lacking(np.array([0.0, 0.9, 0, 0]), [slice(0, 4)])
  np.testing.assert_allclose(odds[:3], (0.31 / 0.71) ** 0.4)


def test_a_calibration_asks_the_base_and_says_so(linear, monkeypatch):
  assert not linear.adapter_.card.unknown_by_base
  answers, inputs = linear.answer_with_inputs(SIGNALS)
  recordings, parts = np.repeat([1, 2], len(SIGNALS) // 2), [slice(0, 36), slice(36, 72)]
  windows = inputs, linear.adapt_probabilities(answers, recordings), recordings, parts
  alone, asked = (unknown_activities.score(linear, *windows, ask_base=ask) for ask in (False, True))
  lacking = BaseHead.find(linear).lacking(inputs, recordings)
  np.testing.assert_allclose(asked, alone * unknown_activities.odds_of_lacking(lacking, parts))
  calibrated = calibrated_copy(linear, SIGNALS, LABELS, recordings)
  np.testing.assert_allclose(calibrated.unknown_scores, np.sort(asked), rtol=1e-4)
  assert calibrated.adapter_.card.unknown_by_base


@pytest.mark.parametrize('by_base', [True, False])
def test_predictions_ask_the_base_if_the_calibration_did(linear, monkeypatch, by_base):
  time_s = np.arange(800) / 50
  sensors = (Samples(time_s, np.tile(np.float32(values), (800, 1))) for values in ([0, 0, 9.8], [0, 0, 0]))
  recording = Recording('', 'Ann', *sensors, ())
  calibrated = calibrated_copy(linear)
  calibrated.adapter_ = calibrated.adapter_.with_card(unknown_by_base=by_base)
  calls, score = [], unknown_activities.score

  def spied(*windows, ask_base):
    calls.append((windows[2], windows[3], windows[4], ask_base))
    return score(*windows, ask_base=ask_base)

  monkeypatch.setattr(unknown_activities, 'score', spied)
  reading = Reading([recording, recording], [], [], '', True, ['a.csv', 'b.csv'], [0.0, 0.0])
  found = predict(calibrated, reading, refusal_rate=0.1, progress=False)
  ((answers, files_of_windows, parts, asked),) = calls
  np.testing.assert_array_equal(answers, found.probabilities)
  assert asked == by_base
  assert files_of_windows.tolist() == np.repeat(['a.csv', 'b.csv'], 11).tolist()
  assert parts == [slice(0, 11), slice(11, 22)]
  assert len(found.refused) == 22

"""What held-out windows tell: prediction sets, and how baselines compare."""

import math

import msgspec
import numpy as np
import pytest
from fitted_recognizer import calibrated_copy
from labeled_windows import LABELS, SIGNALS

from har_jax import records
from har_jax.errors import UserError
from har_jax.recognizer.comparison import mcnemar_p, score, verdict
from har_jax.recognizer.prediction_sets import MOST_SCORES, SetWarning, fit_scores, make_sets, shortage
from har_jax.recognizer.recognizer import Recognizer
from har_jax.stream import head_update


def _draw(rng: np.random.Generator, windows: int) -> tuple[np.ndarray, np.ndarray]:
  """Probabilities of four classes that are too sure, and labels."""
  labels = rng.integers(4, size=windows)
  logits = 3 * rng.standard_normal((windows, 4)) + 4 * np.eye(4)[labels]
  return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), labels


def test_the_threshold_is_the_quantile_by_hand():
  scores = [0.05, 0.1, 0.2, 0.3, 0.35, 0.4, 0.5, 0.6, 0.7]
  probabilities = np.array([[0.66, 0.31, 0.03], [0.39, 0.4, 0.21]])
  # The 9th of 9 scores: ceil((9 + 1) * 0.9). So classes of 0.3 and more, and the most probable one.
  np.testing.assert_array_equal(make_sets(probabilities, scores, 0.9), [[1, 1, 0], [1, 1, 0]])
  # The 5th, 0.35: classes of 0.65 and more.
  np.testing.assert_array_equal(make_sets(probabilities, scores, 0.5), [[1, 0, 0], [0, 1, 0]])
  # A class of just as much is in the set.
  assert make_sets(np.array([[0.5, 0.25, 0.25]]), [0.75], 0.5).all()
  # The 10th, which nine windows do not have.
  assert make_sets(probabilities, scores, 0.91).all()


@pytest.mark.parametrize('windows', [9, 30, 1000])
@pytest.mark.parametrize('coverage', [0.8, 0.9])
def test_exchangeable_windows_are_covered_as_asked(windows, coverage):
  rng, repeats, covered = np.random.default_rng(0), 2000, []
  for _ in range(repeats):
    probabilities, labels = _draw(rng, windows + 1)
    scores = fit_scores(probabilities[:-1], labels[:-1])
    covered.append(make_sets(probabilities[-1:], scores.tolist(), coverage)[0, labels[-1]])
  # At least as asked, but for four standard errors, and no more than ties and blocks of scores explain.
  deviation = 4 * math.sqrt(coverage * (1 - coverage) / repeats)
  most = coverage + 1 / (min(windows, MOST_SCORES) + 1)
  # A window whose most probable class is right is covered whatever the scores.
  most = max(most, (_draw(rng, 5000)[0].argmax(axis=1) == 0).mean())
  assert coverage - deviation <= np.mean(covered) <= most + deviation


def test_a_card_has_few_scores_that_lose_no_coverage():
  probabilities, labels = _draw(np.random.default_rng(1), 1234)
  scores, every = fit_scores(probabilities, labels), np.sort(1 - probabilities[np.arange(1234), labels])
  assert len(scores) == MOST_SCORES
  few = fit_scores(probabilities[:99], labels[:99]) - np.sort(1 - probabilities[np.arange(99), labels[:99]])
  assert (few >= 0).all()  # rounded up
  assert (few < 1e-6).all()
  for coverage in np.arange(0.05, 0.96, 0.05):
    exact = every[math.ceil(1235 * coverage) - 1]
    ours = scores[math.ceil((MOST_SCORES + 1) * coverage - 1e-9) - 1]
    assert exact <= ours <= every[min(math.ceil(1235 * coverage) + 14, 1233)] + 1e-6


def test_too_few_windows_give_all_classes_and_a_sentence(fitted):
  with pytest.warns(SetWarning, match='of 90 % need 9 labeled windows .* there are 0, so each set is of all'):
    assert fitted.predict_set(SIGNALS[:3]).all()
  with pytest.warns(SetWarning, match='of 95 % need 19 labeled windows .* there are 12'):
    assert calibrated_copy(fitted, SIGNALS[:12], LABELS[:12]).predict_set(SIGNALS[:3], coverage=0.95).all()
  assert shortage([0.1] * 9, 0.9) is None
  assert shortage([0.1] * 8, 0.9) is not None
  with pytest.raises(UserError, match='coverage is 90; give a number between 0 and 1'):
    fitted.predict_set(SIGNALS[:3], coverage=90)


def test_the_bundled_base_was_calibrated_on_people_of_its_sources():
  assert len(Recognizer.load().set_scores) == MOST_SCORES


def test_sets_are_dropped_with_another_head(fitted):
  recognizer = calibrated_copy(fitted)
  recognizer.adapter_ = recognizer.adapter_.with_card(class_spread=2.0)
  features = head_update.methods.output_layer(recognizer.variables_) + '/kernel'
  added = np.zeros((recognizer.variables_[features].shape[0] + 1, 3))
  corrected = head_update.add(recognizer, added)
  assert (corrected.set_scores, corrected.unknown_scores) == ([], [])
  assert corrected.adapter_.card.class_means is corrected.adapter_.card.class_spread is None
  assert recognizer.unknown_scores


@pytest.mark.parametrize(
  ('name', 'scores'),
  [
    *(
      ('set_scores', scores) for scores in ([0.2, 0.1], [0.5, 1.5], [-0.1], [math.nan], ['0.1'], [0.5] * 1001)
    ),
    ('unknown_scores', [2.0, 1.0]),
  ],
)
def test_scores_that_are_none_are_refused(fitted, name, scores):
  entries = records.to_json(fitted.adapter_.card)
  assert msgspec.convert(entries | {'set_scores': [0.1, 0.2]}, records.Adapter).set_scores == [0.1, 0.2]
  with pytest.raises(UserError, match=name):
    records.check(entries | {name: scores}, records.Adapter, 'the card', to_do='give others')


# --- baselines on the same windows: measures, the McNemar test, and the sentences


_TRUE = np.array(['sit'] * 8 + ['walk'] * 8)


def _wrong_on(*indices: int) -> np.ndarray:
  predicted = _TRUE.copy()
  predicted[list(indices)] = 'run'
  return predicted


def test_a_score_leaves_out_a_predicted_class_without_labels():
  made = score('lora', _TRUE, _wrong_on(0, 1), 3.0)
  assert made.accuracy == 14 / 16
  assert made.macro_f1 == pytest.approx((12 / 14 + 1) / 2)
  assert made.is_correct.tolist() == [False] * 2 + [True] * 14


@pytest.mark.parametrize(
  ('alone', 'other_alone', 'p'), [(0, 0, 1), (5, 0, 2 / 32), (0, 6, 2 / 64), (1, 1, 1), (1, 4, 2 * 6 / 32)]
)
def test_the_mcnemar_test_is_a_sign_test_over_windows_that_differ(alone, other_alone, p):
  assert mcnemar_p(alone, other_alone) == pytest.approx(p)


_CHANCE = 'lora and forest, the best baseline, differ by no more than chance may explain.'


def test_a_better_baseline_is_named_with_what_it_wins_and_whether_it_may_be_chance():
  forest, rocket = score('forest', _TRUE, _wrong_on(), 1.0), score('rocket', _TRUE, _wrong_on(1), 1.0)
  few = verdict(score('lora', _TRUE, _wrong_on(0, 9), 9.0), [rocket, forest])
  assert few.startswith(_CHANCE)
  assert 'Of 16 windows, forest alone is right on 2, lora alone on 0 (exact McNemar test: p = 0.5)' in few
  assert 'better' not in few
  many = verdict(score('lora', _TRUE, _wrong_on(*range(6)), 9.0), [rocket, forest])
  points = 100 * (1 - (2 * 2 / 10 + 1) / 2)
  assert f'The baseline forest is better than lora, by {points:.1f} points' in many
  assert 'method=forest takes it, in an adapter that holds your training windows.' in many
  assert 'p = 0.031' in many
  assert 'Chance is unlikely' in many
  other = verdict(score('rocket', _TRUE, _wrong_on(0), 9.0), [forest])
  assert other.startswith('rocket and forest, the best other baseline, differ by no more')


@pytest.mark.parametrize(('windows', 'is_chance'), [(5, True), (6, False)])
def test_a_p_of_one_in_twenty_is_the_limit(windows, is_chance):
  forest = score('forest', _TRUE, _wrong_on(), 1.0)
  sentence = verdict(score('lora', _TRUE, _wrong_on(*range(windows)), 9.0), [forest])
  assert ('differ by no more than chance' in sentence) == is_chance  # p = .0625 and .031


def test_neither_is_better_where_macro_f1_and_the_windows_disagree():
  true = np.array(['sit'] * 40 + ['walk'] * 4)
  adapted, forest = np.where(true == 'walk', 'sit', true), np.where(np.arange(44) < 16, 'run', true)
  # The best baseline is that of the best macro-F1, too, though rocket is right on more windows.
  baselines = [score('rocket', true, adapted, 1.0), score('forest', true, forest, 1.0)]
  sentence = verdict(score('lora', true, adapted, 9.0), baselines)
  assert 'forest alone is right on 4, lora alone on 16' in sentence
  assert 'p = 0.012' in sentence
  assert sentence.startswith(_CHANCE)


def test_a_worse_or_equal_baseline_is_said_so():
  best = score('lora', _TRUE, _wrong_on(), 9.0)
  worse = score('forest', _TRUE, _wrong_on(*range(8)), 1.0)
  assert verdict(best, [worse]).startswith('lora is better than forest')
  same = verdict(best, [score('forest', _TRUE, _wrong_on(), 1.0)])
  assert same.startswith(_CHANCE)
  assert 'p = 1)' in same

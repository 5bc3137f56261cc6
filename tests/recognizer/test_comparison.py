"""An adapter and baselines on the same held-out windows: measures, the McNemar test, and the sentences."""

import numpy as np
import pytest

from har_jax.recognizer.comparison import as_metrics, mcnemar_p, score, verdict

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
  assert as_metrics([made]) == {'lora': {'macro_f1': made.macro_f1, 'accuracy': 14 / 16, 'seconds': 3.0}}


@pytest.mark.parametrize(
  ('alone', 'other_alone', 'p'), [(0, 0, 1), (5, 0, 2 / 32), (0, 6, 2 / 64), (1, 1, 1), (1, 4, 2 * 6 / 32)]
)
def test_the_mcnemar_test_is_a_sign_test_over_windows_that_differ(alone, other_alone, p):
  one = np.repeat([True, False, True, False], [alone, other_alone, 5, 2])
  other = np.repeat([False, True, True, False], [alone, other_alone, 5, 2])
  assert mcnemar_p(one, other) == pytest.approx(p)


def test_a_better_baseline_is_named_with_what_it_wins_and_whether_it_may_be_chance():
  forest, rocket = score('forest', _TRUE, _wrong_on(), 1.0), score('rocket', _TRUE, _wrong_on(1), 1.0)
  few = verdict(score('lora', _TRUE, _wrong_on(0, 9), 9.0), [rocket, forest])
  assert few.startswith('lora and forest, the best baseline, differ by no more than chance may explain.')
  assert 'Of 16 windows, forest alone is right on 2, lora alone on 0 (exact McNemar test: p = 0.5)' in few
  assert 'better' not in few
  many = verdict(score('lora', _TRUE, _wrong_on(*range(6)), 9.0), [forest])
  points = 100 * (1 - (2 * 2 / 10 + 1) / 2)
  assert f'The baseline forest is better than lora, by {points:.1f} points' in many
  assert 'No adapter holds a baseline: label more windows of each activity, or try method=full.' in many
  assert 'p = 0.031' in many
  assert 'Chance is unlikely' in many
  assert 'method=lora' in verdict(score('linear', _TRUE, _wrong_on(*range(6)), 9.0), [forest])


def test_a_worse_or_equal_baseline_is_said_so():
  best = score('lora', _TRUE, _wrong_on(), 9.0)
  worse = score('forest', _TRUE, _wrong_on(*range(8)), 1.0)
  assert verdict(best, [worse]).startswith('lora is better than forest')
  same = verdict(best, [score('forest', _TRUE, _wrong_on(), 1.0)])
  assert 'no more than chance' in same
  assert 'p = 1)' in same

"""Classification metrics against a confusion matrix worked by hand."""

import numpy as np
import pytest
import sklearn.metrics

from har_jax import config
from har_jax.train import metrics
from har_jax.train.objective import Classify

_TABLE = [[4, 1, 0], [2, 3, 0], [0, 1, 4]]  # rows true, columns predicted


def _labels_and_predictions(table: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
  pairs = [(i, j) for i, row in enumerate(table) for j, count in enumerate(row) for _ in range(count)]
  labels, predicted = np.array(pairs).T
  return labels, predicted


def test_metrics_of_a_confusion_matrix_by_hand():
  measured = metrics.measure(*_labels_and_predictions(_TABLE), 3)
  assert measured.confusion == _TABLE
  assert measured.accuracy == pytest.approx(11 / 15)
  assert measured.precision == pytest.approx((4 / 6 + 3 / 5 + 4 / 4) / 3)
  assert measured.recall == pytest.approx((4 / 5 + 3 / 5 + 4 / 5) / 3)
  # 2 p r / (p + r): 8/11, 3/5, 8/9
  assert measured.macro_f1 == pytest.approx((8 / 11 + 3 / 5 + 8 / 9) / 3)


def test_a_class_without_a_prediction_has_precision_0_and_no_warning():
  measured = metrics.measure(*_labels_and_predictions([[3, 0], [2, 0]]), 2)
  assert measured.precision == pytest.approx((3 / 5 + 0) / 2)
  assert measured.macro_f1 == pytest.approx((2 * 0.6 / 1.6) / 2)


def test_macro_averages_leave_out_classes_that_do_not_occur():
  measured = metrics.measure(*_labels_and_predictions([[3, 0, 0], [0, 2, 0], [0, 0, 0]]), 3)
  assert measured.macro_f1 == 1
  assert np.shape(measured.confusion) == (3, 3)


def test_macro_f1_of_the_classes_that_have_labels_is_that_of_scikit_learn():
  answers = _labels_and_predictions([[3, 0, 1], [1, 2, 0], [0, 0, 0]])  # the last one is only answered
  expected = sklearn.metrics.f1_score(*answers, labels=[0, 1], average='macro')
  assert metrics.labeled_macro_f1(*answers) == pytest.approx(expected)


def test_risk_at_each_coverage_by_hand():
  probabilities = np.array([[0.7, 0.3], [0.1, 0.9], [0.2, 0.8], [0.6, 0.4]])
  measured = metrics.measure_selective(np.array([0, 1, 0, 0]), probabilities)
  risks = 0, 1 / 2, 1 / 3, 1 / 4  # the second surest is wrong
  assert measured.aurc == pytest.approx(np.mean(risks))
  tenths = 0, 0, 1 / 2, 1 / 2, 1 / 2, 1 / 3, 1 / 3, 1 / 4, 1 / 4, 1 / 4
  assert measured.risk == pytest.approx(tenths, abs=1e-6)


@pytest.mark.parametrize('labels', [[0, 1], [1, 0]])
def test_equally_sure_windows_share_their_errors(labels):
  measured = metrics.measure_selective(np.array(labels), np.array([[0.8, 0.2], [0.8, 0.2]]))
  assert measured.risk == [0.5] * 10


def test_classification_selects_by_macro_f1_not_accuracy():
  logits = np.float32([[1, 0], [1, 0], [1, 0], [1, 0]])  # predicts class 0 throughout
  scores = Classify(config.Model(), 2).score(logits, {'label': np.array([0, 0, 0, 1])})
  assert scores['accuracy'] == 0.75
  assert scores['score'] == scores['macro_f1'] == pytest.approx((6 / 7 + 0) / 2)

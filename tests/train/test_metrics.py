"""Recognition figures against a table worked by hand."""

import numpy as np
import pytest

from har_jax.train import metrics

_TABLE = [[4, 1, 0], [2, 3, 0], [0, 1, 4]]  # rows true, columns predicted


def _of_table(table: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
  pairs = [(i, j) for i, row in enumerate(table) for j, count in enumerate(row) for _ in range(count)]
  labels, predicted = np.array(pairs).T
  return labels, predicted


def test_figures_of_a_table_by_hand():
  measured = metrics.measure(*_of_table(_TABLE), 3)
  assert measured['confusion'] == _TABLE
  assert measured['accuracy'] == pytest.approx(11 / 15)
  assert measured['precision'] == pytest.approx((4 / 6 + 3 / 5 + 4 / 4) / 3)
  assert measured['recall'] == pytest.approx((4 / 5 + 3 / 5 + 4 / 5) / 3)
  # 2 p r / (p + r): 8/11, 3/5, 8/9
  assert measured['macro_f1'] == pytest.approx((8 / 11 + 3 / 5 + 8 / 9) / 3)


def test_a_class_never_predicted_has_precision_nought_and_no_warning():
  measured = metrics.measure(*_of_table([[3, 0], [2, 0]]), 2)
  assert measured['precision'] == pytest.approx((3 / 5 + 0) / 2)
  assert measured['macro_f1'] == pytest.approx((2 * 0.6 / 1.6) / 2)


def test_a_class_that_does_not_occur_is_no_part_of_the_means():
  measured = metrics.measure(*_of_table([[3, 0, 0], [0, 2, 0], [0, 0, 0]]), 3)
  assert measured['macro_f1'] == 1
  assert np.shape(measured['confusion']) == (3, 3)

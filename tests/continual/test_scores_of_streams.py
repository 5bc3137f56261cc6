"""Average, forgetting and forward transfer of a matrix made by hand."""

import numpy as np
import pytest

from har_jax.continual import run

_MATRIX = np.array([[0.9, 0.3, 0.2], [0.6, 0.8, 0.5], [0.7, 0.6, 0.9]])
_START = np.array([np.nan, 0.25, 0.6])
_BEST_AT_THE_END = np.array([*_MATRIX[:2], [0.95, 0.95, 0.9]])
_TRAINED_ONCE = np.array([*np.full((2, 3), np.nan), [0.9, 0.9, 0.9]])  # it forgets and transfers nothing


@pytest.mark.parametrize(
  ('matrix', 'average', 'forgetting', 'transfer'),
  [
    # The last row; the best score less the last one; the score just before a domain less that of the start.
    (_MATRIX, (0.7 + 0.6 + 0.9) / 3, ((0.9 - 0.7) + (0.8 - 0.6)) / 2, ((0.3 - 0.25) + (0.5 - 0.6)) / 2),
    (_BEST_AT_THE_END, (0.95 + 0.95 + 0.9) / 3, 0, ((0.3 - 0.25) + (0.5 - 0.6)) / 2),
    (_TRAINED_ONCE, 0.9, np.nan, np.nan),
  ],
)
def test_scores_of_a_stream_are_those_by_hand(matrix, average, forgetting, transfer):
  measured = run.average(matrix), run.forgetting(matrix), run.forward_transfer(matrix, _START)
  assert measured == pytest.approx((average, forgetting, transfer), nan_ok=True)

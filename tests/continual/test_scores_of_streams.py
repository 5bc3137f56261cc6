"""Average, forgetting and forward transfer of a matrix made by hand."""

import math

import numpy as np
import pytest

from har_jax.continual import scores

_MATRIX = np.array([[0.9, 0.3, 0.2], [0.6, 0.8, 0.5], [0.7, 0.6, 0.9]])


def test_the_average_is_of_the_last_row():
  assert scores.average(_MATRIX) == pytest.approx((0.7 + 0.6 + 0.9) / 3)


def test_forgetting_is_from_the_best_score_to_the_last():
  assert scores.forgetting(_MATRIX) == pytest.approx(((0.9 - 0.7) + (0.8 - 0.6)) / 2)


def test_a_domain_that_is_best_at_the_end_is_not_forgotten():
  better = _MATRIX.copy()
  better[2, :2] = 0.95
  assert scores.forgetting(better) == 0


def test_forward_transfer_is_over_the_start_just_before_each_domain():
  start = np.array([np.nan, 0.25, 0.6])
  assert scores.forward_transfer(_MATRIX, start) == pytest.approx(((0.3 - 0.25) + (0.5 - 0.6)) / 2)


def test_a_strategy_that_trains_once_has_neither():
  once = np.full((3, 3), np.nan)
  once[-1] = 0.9
  assert scores.average(once) == pytest.approx(0.9)
  assert math.isnan(scores.forgetting(once))
  assert math.isnan(scores.forward_transfer(once, np.array([np.nan, 0.1, 0.1])))

"""Calls that are compared are made in turn, and summed up turn by turn."""

import numpy as np
import pytest

from har_jax.bench import timing


def test_each_call_is_made_once_a_turn_in_an_order_that_changes():
  made: list[str] = []
  calls = {name: (lambda name=name: made.append(name)) for name in 'abc'}
  seconds = timing.side_by_side(calls, repeats=20)
  warm, timed = made[: -6 * 20], made[-6 * 20 :]
  assert sorted(warm) == sorted('abc' * 2)
  assert timed[::2] == timed[1::2]  # each after one of its own that is not timed
  turns = [tuple(timed[i : i + 6 : 2]) for i in range(0, 120, 6)]
  assert all(sorted(turn) == ['a', 'b', 'c'] for turn in turns)
  assert len(set(turns)) > 1
  assert {name: len(taken) for name, taken in seconds.items()} == {'a': 20, 'b': 20, 'c': 20}
  assert all((taken >= 0).all() for taken in seconds.values())


def test_a_ratio_is_the_median_of_the_ratios_turn_by_turn():
  # Turn by turn 2, 2 and 4; of the medians it would be 0.02 / 0.01 too, but of the means 2.67.
  summary = timing.summary(np.array([0.02, 0.04, 0.02]), np.array([0.01, 0.01, 0.01]))
  assert summary['ratio'] == pytest.approx(2)
  assert summary['ms'] == pytest.approx(20)
  assert summary['ms_quartiles'] == pytest.approx([20, 30])
  assert summary['repeats'] == 3
  assert timing.summary(np.array([0.02]), None)['ratio'] is None

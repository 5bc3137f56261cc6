"""Calls that are compared take turns, and ratios are taken turn by turn."""

import itertools

import numpy as np
import pytest

from har_jax.export import timing
from launch.bench import running


def test_each_call_is_timed_once_per_turn_in_random_order():
  made: list[str] = []
  calls = {name: (lambda name=name: made.append(name)) for name in 'abc'}
  seconds = timing.interleaved(calls, repeats=20)
  warm, timed = made[: -6 * 20], made[-6 * 20 :]
  assert sorted(warm) == sorted('abc' * 2)
  assert timed[::2] == timed[1::2]  # an untimed call of the same kind comes first
  turns = [tuple(timed[i : i + 6 : 2]) for i in range(0, 120, 6)]
  assert all(sorted(turn) == ['a', 'b', 'c'] for turn in turns)
  assert len(set(turns)) > 1
  assert {name: len(times) for name, times in seconds.items()} == {'a': 20, 'b': 20, 'c': 20}


def test_times_are_those_of_the_second_call_of_each_turn(monkeypatch):
  now_s, untimed = [0.0], itertools.cycle([True, False])

  def call() -> None:
    now_s[0] += 5.0 if next(untimed) else 0.25

  monkeypatch.setattr(timing.time, 'perf_counter', lambda: now_s[0])
  # A call that returns a float has timed itself.
  seconds = timing.interleaved({'here': call, 'elsewhere': lambda: 1.5}, repeats=3)
  assert seconds['here'].tolist() == [0.25] * 3
  assert seconds['elsewhere'].tolist() == [1.5] * 3


def test_the_ratio_is_the_median_over_turns():
  # 2, 4 and 2 turn by turn; the ratio of the means would be 2.67.
  summary = running.summary(np.array([0.02, 0.04, 0.02]), np.array([0.01, 0.01, 0.01]))
  assert summary['ratio'] == pytest.approx(2)
  assert summary['ms'] == pytest.approx(20)
  assert summary['ms_quartiles'] == pytest.approx([20, 30])
  assert summary['repeats'] == 3
  assert running.summary(np.array([0.02]), None)['ratio'] is None

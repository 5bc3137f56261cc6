"""Rows with clocks become recordings without gaps."""

import collections

import numpy as np
import pytest
from cut_pieces import samples_at

from har_jax.archives.runs import even_clock, in_order, recordings
from har_jax.signal.recording import Span


def test_rows_are_sorted_and_the_first_of_each_time_is_kept():
  dropped = collections.Counter()
  for _ in range(2):
    assert in_order(np.array([0.0, 2, 1, 2, 3]), dropped).tolist() == [0, 2, 1, 4]
  assert dropped == {'rows out of order, sorted': 2, 'rows at the same moment as another': 2}


def test_rows_in_bursts_get_the_times_of_an_even_sensor():
  true_s = np.arange(500) / 49.4
  bursts_s = np.ceil(true_s * 10) / 10  # each row comes with the next tenth of a second
  bursts_s[200:208] += 0.09  # one burst is late
  time_s = even_clock(bursts_s)
  np.testing.assert_allclose(np.diff(time_s), 1 / 49.4, rtol=2e-3)
  np.testing.assert_allclose(time_s - true_s, 0.05, atol=0.02)  # the mean delay of a burst


@pytest.mark.parametrize('lost', [10, 30])  # 0.2 and 0.6 s
def test_a_lost_burst_shifts_what_follows_and_keeps_the_rate(lost):
  rows = np.r_[0:200, 200 + lost : 500]
  true_s = rows / 49.4
  time_s = even_clock(np.ceil(true_s * 10) / 10)
  np.testing.assert_allclose(time_s - true_s, 0.05, atol=0.02)
  np.testing.assert_allclose(np.diff(time_s)[199], (lost + 1) / 49.4, atol=0.03)


@pytest.mark.parametrize('times', [[3.0], [0.0, 5.0, 10.0]])
def test_rows_that_lie_apart_keep_their_times(times):
  assert even_clock(np.array(times)).tolist() == times


def test_bursts_of_many_rows_one_after_the_other_do_not_let_the_clock_fall():
  slow, first, second = np.arange(200) / 10, np.full(50, 30.0), np.full(50, 30.3)
  assert np.diff(even_clock(np.concatenate([slow, first, second]))).min() == 0


@pytest.mark.parametrize(('gap_s', 'parts'), [(0.98, 1), (1.0, 1), (1.02, 2)])
def test_a_gap_over_one_second_splits(gap_s, parts):
  rows = samples_at(0, 0.5, 0.5 + gap_s, 1.0 + gap_s)
  assert len(list(recordings('7', 'waist', rows, rows, [], collections.Counter()))) == parts


def test_a_gap_in_either_sensor_splits_and_unpaired_rows_are_counted():
  acc = samples_at(100, 100.5, 101, 101.5, 110, 110.5, 111)
  gyro = samples_at(99.5, 100.25, 100.75, 101.25, 105, 110.25, 110.75)
  dropped = collections.Counter()
  first, second = recordings('7', 'waist', acc, gyro, [Span(100.25, 110.5, 'walking')], dropped)
  assert first.acc.values[:, 0].tolist() == [100, 100.5, 101]
  assert first.gyro.time_s.tolist() == [0.25, 0.75, 1.25]
  assert first.spans == (Span(0.25, 1.25, 'walking'),)
  assert second.acc.values[:, 0].tolist() == [110.5]
  assert second.spans == (Span(0.0, 0.25, 'walking'),)
  # acc: 101.5, 110 and 111; gyro: 99.5 and 105.
  assert dropped == {'rows of one sensor while the other was silent': 5}

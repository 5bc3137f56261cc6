"""Pairs of consecutive windows, and rows of one subject."""

import numpy as np

from har_jax.datasets.temporal_pairs import ROW_SIZE, next_windows, subject_rows


def test_the_partner_is_the_next_window_that_shares_no_sample():
  # Windows of 2 s, one every second; the last two have only previous partners.
  recording, start_s = np.zeros(6, int), np.arange(6.0)
  assert next_windows(recording, start_s, 2.0).tolist() == [2, 3, 4, 5, 2, 3]


def test_partners_are_of_one_recording_in_any_order_of_windows():
  recording = np.array([4, 4, 4, 9, 9, 9])
  start_s = np.array([100.0, 102.0, 104.0, 0.0, 2.0, 4.0])
  expected = np.array([1, 2, 1, 4, 5, 4])
  assert next_windows(recording, start_s, 2.0).tolist() == expected.tolist()
  shuffled = np.random.default_rng(0).permutation(6)
  found = next_windows(recording[shuffled], start_s[shuffled], 2.0)
  assert shuffled[found].tolist() == expected[shuffled].tolist()


def test_a_window_with_nothing_near_is_its_own_partner():
  # Alone in its recording; and before a gap of a minute.
  recording, start_s = np.array([0, 1, 1, 1]), np.array([0.0, 0.0, 60.0, 61.0])
  assert next_windows(recording, start_s, 2.0).tolist() == [0, 1, 2, 3]


def test_a_missing_window_is_replaced_by_the_nearest_after_it():
  recording, start_s = np.zeros(3, int), np.array([0.0, 1.0, 5.0])
  assert next_windows(recording, start_s, 2.0).tolist() == [2, 2, 1]


def test_no_windows_have_no_partners():
  assert next_windows(np.zeros(0, int), np.zeros(0), 2.0).tolist() == []


def test_rows_have_one_subject_and_cover_all_windows():
  subject = np.random.default_rng(0).permutation(np.repeat([4, 7, 9], [2 * ROW_SIZE, ROW_SIZE + 3, 5]))
  rows = subject_rows(subject, seed=0).reshape(-1, ROW_SIZE)
  assert set(rows.ravel()) == set(range(len(subject)))
  assert [len(set(subject[row])) for row in rows] == [1] * 5
  assert sorted(subject[rows[:, 0]]) == [4, 4, 7, 7, 9]
  # Windows repeat only to fill a subject's last row, and evenly.
  count = np.bincount(rows.ravel())
  ranges = [(count[subject == each].min(), count[subject == each].max()) for each in (4, 7, 9)]
  assert ranges == [(1, 1), (1, 2), (6, 7)]
  assert not np.array_equal(rows, subject_rows(subject, seed=1).reshape(-1, ROW_SIZE))

"""What follows a window in its recording, by hand."""

import numpy as np

from har_jax.data import temporal_pairs


def test_the_next_window_that_shares_no_sample_follows():
  # Windows of 2 s, begun each second.
  recording, start_s = np.zeros(6, int), np.arange(6.0)
  assert temporal_pairs.following(recording, start_s, 2.0).tolist() == [
    2,
    3,
    4,
    5,
    2,
    3,
  ]  # at the end, what came before


def test_no_other_recording_follows_and_order_is_of_no_account():
  recording = np.array([4, 4, 4, 9, 9, 9])
  start_s = np.array([100.0, 102.0, 104.0, 0.0, 2.0, 4.0])
  expected = np.array([1, 2, 1, 4, 5, 4])
  assert temporal_pairs.following(recording, start_s, 2.0).tolist() == expected.tolist()
  mixed = np.random.default_rng(0).permutation(6)
  found = temporal_pairs.following(recording[mixed], start_s[mixed], 2.0)
  assert mixed[found].tolist() == expected[mixed].tolist()


def test_what_has_nothing_near_is_its_own_neighbor():
  # Alone in its recording; and before a pause of a minute.
  recording, start_s = np.array([0, 1, 1, 1]), np.array([0.0, 0.0, 60.0, 61.0])
  assert temporal_pairs.following(recording, start_s, 2.0).tolist() == [0, 1, 2, 3]


def test_of_windows_left_out_the_nearest_that_is_there_follows():
  recording, start_s = np.zeros(3, int), np.array([0.0, 1.0, 5.0])
  assert temporal_pairs.following(recording, start_s, 2.0).tolist() == [2, 2, 1]


def test_no_windows_have_no_neighbors():
  assert temporal_pairs.following(np.zeros(0, int), np.zeros(0), 2.0).tolist() == []


def test_rows_are_of_one_person_and_hold_every_window():
  size = temporal_pairs.IN_A_ROW
  subject = np.random.default_rng(0).permutation(np.repeat([4, 7, 9], [2 * size, size + 3, 5]))
  rows = temporal_pairs.by_person(subject, seed=0).reshape(-1, size)
  assert set(rows.ravel()) == set(range(len(subject)))
  assert [len(set(subject[row])) for row in rows] == [1] * 5
  assert sorted(subject[rows[:, 0]]) == [4, 4, 7, 7, 9]
  # Again only where a last row must be filled up, and evenly then.
  times = np.bincount(rows.ravel())
  assert [(times[subject == person].min(), times[subject == person].max()) for person in (4, 7, 9)] == [
    (1, 1),
    (1, 2),
    (6, 7),
  ]
  assert not np.array_equal(rows, temporal_pairs.by_person(subject, seed=1).reshape(-1, size))

"""The last windows of each activity are held out and share no sample with the training windows."""

import numpy as np
import pytest

from har_jax.datasets.temporal_split import MIN_WINDOWS, hold_out
from har_jax.signal.cutting import Window

_SIGNAL = np.zeros((128, 6), np.float32)


def _windows(*runs: tuple[str, int, float, int]) -> list[Window]:
  """From (activity, recording, start_s, count): windows every 1.28 s."""
  return [
    Window(_SIGNAL, activity, 'me', recording, start_s + 1.28 * i)
    for activity, recording, start_s, count in runs
    for i in range(count)
  ]


def test_the_last_windows_are_held_out_and_their_neighbor_dropped():
  windows = _windows(('walk', 0, 0.0, 10), ('sit', 0, 20.0, 20))
  held_out, overlapping = hold_out(windows, 0.2)
  assert np.flatnonzero(held_out).tolist() == [8, 9, 26, 27, 28, 29]
  assert np.flatnonzero(overlapping).tolist() == [7, 25]


def test_adjacent_windows_and_other_recordings_do_not_overlap():
  # Two recordings of the same seconds: the last windows are those of the later recording.
  windows = _windows(
    ('walk', 1, 0.0, 5), ('walk', 0, 0.0, 5), ('sit', 0, 10.0, 4), ('sit', 0, 10 + 5 * 1.28, 1)
  )
  held_out, overlapping = hold_out(windows, 0.2)
  assert np.flatnonzero(held_out).tolist() == [3, 4, 14]
  assert np.flatnonzero(overlapping).tolist() == [2]


@pytest.mark.parametrize('fraction', [0.05, 0.3, 0.99])
def test_train_and_held_out_windows_share_no_sample(fraction: float):
  windows = _windows(
    ('walk', 0, 0.0, 9), ('sit', 0, 14.0, 6), ('walk', 0, 30.0, 7), ('run', 1, 0.0, MIN_WINDOWS)
  )
  held_out, overlapping = hold_out(windows, fraction)
  assert not (held_out & overlapping).any()
  train = ~held_out & ~overlapping
  assert {windows[i].activity for i in np.flatnonzero(train)} == {'walk', 'sit', 'run'}
  assert {windows[i].activity for i in np.flatnonzero(held_out)} == {'walk', 'sit', 'run'}
  for i in np.flatnonzero(train):
    for k in np.flatnonzero(held_out):
      if windows[i].recording == windows[k].recording:
        assert abs(windows[i].start_s - windows[k].start_s) > 2.55


@pytest.mark.parametrize(('sitting', 'fraction'), [(MIN_WINDOWS - 1, 0.2), (MIN_WINDOWS, 0.0)])
def test_nothing_is_held_out_of_too_few_windows(sitting: int, fraction: float):
  held_out, overlapping = hold_out(_windows(('walk', 0, 0.0, 30), ('sit', 0, 50.0, sitting)), fraction)
  assert not held_out.any()
  assert not overlapping.any()


def test_an_activity_with_few_windows_is_trained_and_not_validated():
  runs = (('walk', 0, 0.0, 10), ('sit', 0, 20.0, 10), ('stand_to_sit', 0, 40.0, 1))
  held_out, overlapping = hold_out(_windows(*runs), 0.2)
  assert np.flatnonzero(held_out).tolist() == [8, 9, 18, 19]
  assert np.flatnonzero(overlapping).tolist() == [7, 17]

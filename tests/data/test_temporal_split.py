"""What came last of each activity is kept apart, and shares no sample with what is learned from."""

import numpy as np
import pytest

from har_jax.data.temporal_split import FEWEST, hold_out
from har_jax.data.windows import Window

_NOTHING = np.zeros((128, 6), np.float32)


def _windows(*runs: tuple[str, int, float, int]) -> list[Window]:
  """Each (activity, recording, start_s, how many), every 1.28 s."""
  return [
    Window(_NOTHING, activity, 'me', recording, start_s + 1.28 * i)
    for activity, recording, start_s, count in runs
    for i in range(count)
  ]


def test_the_last_of_each_activity_is_kept_apart_and_its_neighbor_left_out():
  windows = _windows(('walk', 0, 0.0, 10), ('sit', 0, 20.0, 20))
  apart, overlapping = hold_out(windows, 0.2)
  assert np.flatnonzero(apart).tolist() == [8, 9, 26, 27, 28, 29]
  assert np.flatnonzero(overlapping).tolist() == [7, 25]


def test_windows_that_touch_do_not_overlap_and_other_recordings_have_clocks_of_their_own():
  # Of two recordings at the same seconds: the later recording's last are kept apart.
  windows = _windows(
    ('walk', 1, 0.0, 5), ('walk', 0, 0.0, 5), ('sit', 0, 10.0, 4), ('sit', 0, 10 + 5 * 1.28, 1)
  )
  apart, overlapping = hold_out(windows, 0.2)
  assert np.flatnonzero(apart).tolist() == [3, 4, 14]
  assert np.flatnonzero(overlapping).tolist() == [2]


@pytest.mark.parametrize('share', [0.05, 0.3, 0.99])
def test_no_window_learned_from_shares_a_sample_with_one_kept_apart(share: float):
  windows = _windows(('walk', 0, 0.0, 9), ('sit', 0, 14.0, 6), ('walk', 0, 30.0, 7), ('run', 1, 0.0, FEWEST))
  apart, overlapping = hold_out(windows, share)
  assert not (apart & overlapping).any()
  learned = ~apart & ~overlapping
  assert {windows[i].activity for i in np.flatnonzero(learned)} == {'walk', 'sit', 'run'}
  assert {windows[i].activity for i in np.flatnonzero(apart)} == {'walk', 'sit', 'run'}
  for i in np.flatnonzero(learned):
    for k in np.flatnonzero(apart):
      if windows[i].recording == windows[k].recording:
        assert abs(windows[i].start_s - windows[k].start_s) > 2.55


def test_where_an_activity_has_too_few_windows_none_is_kept_apart():
  for windows, share in (
    (_windows(('walk', 0, 0.0, 30), ('sit', 0, 50.0, FEWEST - 1)), 0.2),
    (_windows(('walk', 0, 0.0, 30)), 0.0),
  ):
    apart, overlapping = hold_out(windows, share)
    assert not apart.any()
    assert not overlapping.any()

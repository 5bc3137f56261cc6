"""Labeled windows kept apart by time: what came last of each activity, so that no window shares a sample with one learned from.

w windows.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool

from har_jax.config import WINDOW_SAMPLES
from har_jax.data.recording import RATE_HZ
from har_jax.data.windows import Window

FEWEST = 5  # windows of an activity, below which none of any is kept apart
_KEPT = 2  # at least: one to learn from, and one between, which may overlap


def hold_out(windows: Sequence[Window], share: float) -> tuple[Bool[np.ndarray, 'w'], Bool[np.ndarray, 'w']]:
  """True, first: kept apart; second: left out of both, since it overlaps one that is kept apart.

  Of each activity the last `share`, one window at least, of windows in order of time; none at all where `share` is nought
  or an activity has fewer than FEWEST. Windows drawn at random instead would have neighbors on both sides, which share
  half their samples: their figures flatter.
  """
  activity = np.array([window.activity for window in windows])
  recording = np.array([window.recording for window in windows])
  start_s = np.array([window.start_s for window in windows])
  apart, overlapping = np.zeros((2, len(windows)), bool)
  places = [np.flatnonzero(activity == each) for each in np.unique(activity)]
  if not share or min(map(len, places), default=0) < FEWEST:
    return apart, overlapping
  for of_activity in places:
    in_order = of_activity[np.lexsort((start_s[of_activity], recording[of_activity]))]
    count = min(max(1, round(share * len(in_order))), len(in_order) - _KEPT)
    apart[in_order[-count:]] = True
  window_s = (WINDOW_SAMPLES - 0.5) / RATE_HZ  # half a sample less: two that touch do not overlap
  for each in np.unique(recording[apart]):
    here = np.flatnonzero((recording == each) & ~apart)
    begins = np.sort(start_s[(recording == each) & apart])
    after = np.searchsorted(begins, start_s[here])
    nearest = np.minimum(
      np.abs(start_s[here] - begins[np.minimum(after, len(begins) - 1)]),
      np.abs(start_s[here] - begins[np.maximum(after - 1, 0)]),
    )
    overlapping[here[nearest < window_s]] = True
  return apart, overlapping

"""Held-out labeled windows: the last ones of each activity, which share no sample with the training windows.

w windows.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool

from har_jax.config import WINDOW_SAMPLES
from har_jax.signal.cutting import Window
from har_jax.signal.recording import RATE_HZ

MIN_WINDOWS = 5  # of an activity; with fewer, none of it is held out
_MIN_REST = 2  # windows per activity that are not held out: one to train on, and one that may overlap


def hold_out(
  windows: Sequence[Window], fraction: float
) -> tuple[Bool[np.ndarray, 'w'], Bool[np.ndarray, 'w']]:
  """Two masks, disjoint. First, True: held out. Second, True: overlaps a held-out window, so not to train on.

  Holds out the last `fraction` of each activity in time, at least one window, and nothing of an activity with
  fewer than `MIN_WINDOWS`. Holds out nothing at all if `fraction` is 0, or fewer than two activities remain.
  A random choice would be optimistic: it shares half of its samples with the training windows on either side.
  """
  activity = np.array([window.activity for window in windows])
  recording = np.array([window.recording for window in windows])
  start_s = np.array([window.start_s for window in windows])
  held_out, overlapping = np.zeros((2, len(windows)), bool)
  indices = [np.flatnonzero(activity == each) for each in np.unique(activity)]
  indices = [each for each in indices if len(each) >= MIN_WINDOWS]
  if not fraction or len(indices) < 2:
    return held_out, overlapping
  for activity_indices in indices:
    in_order = activity_indices[np.lexsort((start_s[activity_indices], recording[activity_indices]))]
    count = min(max(1, round(fraction * len(in_order))), len(in_order) - _MIN_REST)
    held_out[in_order[-count:]] = True
  window_s = (WINDOW_SAMPLES - 0.5) / RATE_HZ  # minus half a sample: adjacent windows do not overlap
  for each in np.unique(recording[held_out]):
    rest = np.flatnonzero((recording == each) & ~held_out)
    starts = np.sort(start_s[(recording == each) & held_out])
    after = np.searchsorted(starts, start_s[rest])
    nearest = np.minimum(
      np.abs(start_s[rest] - starts[np.minimum(after, len(starts) - 1)]),
      np.abs(start_s[rest] - starts[np.maximum(after - 1, 0)]),
    )
    overlapping[rest[nearest < window_s]] = True
  return held_out, overlapping

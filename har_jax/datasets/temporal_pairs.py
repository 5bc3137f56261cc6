"""Pairs of consecutive windows, and rows of windows of one subject, for contrastive pretraining.

w windows, r windows in rows.
"""

import numpy as np
from jaxtyping import Float, Int

ROW_SIZE = 32  # windows of one subject; four subjects are then in a batch of 128
_MAX_DISTANCE_S = 6.0  # between the starts of a pair: the activity has hardly changed


def next_windows(
  recording: Int[np.ndarray, 'w'], start_s: Float[np.ndarray, 'w'], window_s: float
) -> Int[np.ndarray, 'w']:
  """Index, for each window, of the next window of its recording that shares no sample with it.

  If none starts within `_MAX_DISTANCE_S` (the end of a recording, a gap), the previous such window;
  failing that, the window itself.
  """
  order = np.lexsort((start_s, recording))
  # One time axis for all recordings, with gaps too long for a pair.
  shift = np.ptp(start_s) + 2 * _MAX_DISTANCE_S if len(start_s) else 0.0
  along = (recording * shift + (start_s - start_s.min(initial=0.0)))[order]
  min_distance_s = window_s - 1e-3
  after = np.searchsorted(along, along + min_distance_s)
  before = np.searchsorted(along, along - min_distance_s, side='right') - 1
  partner = np.arange(len(order))
  for candidate in (before, after):  # the next window overrules the previous one
    inside = np.clip(candidate, 0, len(order) - 1)
    is_near = (candidate == inside) & (np.abs(along[inside] - along) <= _MAX_DISTANCE_S)
    partner = np.where(is_near, inside, partner)
  partners = np.empty(len(order), int)
  partners[order] = order[partner]
  return partners


def subject_rows(subject: Int[np.ndarray, 'w'], *, seed: int) -> Int[np.ndarray, 'r']:
  """Indices of all windows in rows of `ROW_SIZE` windows of one subject, in random order, as are the rows.

  The last row of a subject is filled with windows of the same subject.
  """
  rng = np.random.default_rng(seed)
  shuffled = rng.permutation(len(subject))
  rows = []
  for person in np.unique(subject):
    windows = shuffled[subject[shuffled] == person]
    rows.append(np.resize(windows, (-(-len(windows) // ROW_SIZE), ROW_SIZE)))
  return rng.permutation(np.concatenate(rows)).reshape(-1)

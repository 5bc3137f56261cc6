"""What follows a window in its recording, and what else its person did.   w windows, r in rows."""

import numpy as np
from jaxtyping import Float, Int

IN_A_ROW = 32  # windows of one person; four people are then in a batch of 128
_FARTHEST_S = 6.0  # of a neighbor: what is done has hardly changed


def following(
  recording: Int[np.ndarray, 'w'], start_s: Float[np.ndarray, 'w'], window_s: float
) -> Int[np.ndarray, 'w']:
  """Of each window the place of the next one of its recording that shares no sample with it.

  At a recording's end, or before a gap, the last one before it instead; and of a window that has neither near it, its own.
  """
  order = np.lexsort((start_s, recording))
  # One axis for all recordings, too far apart to be each other's neighbors.
  shift = np.ptp(start_s) + 2 * _FARTHEST_S if len(start_s) else 0.0
  along = (recording * shift + (start_s - start_s.min(initial=0.0)))[order]
  apart_s = window_s - 1e-3
  after = np.searchsorted(along, along + apart_s)
  before = np.searchsorted(along, along - apart_s, side='right') - 1
  place = np.arange(len(order))
  for candidate in (before, after):  # what comes after counts more
    inside = np.clip(candidate, 0, len(order) - 1)
    near = (candidate == inside) & (np.abs(along[inside] - along) <= _FARTHEST_S)
    place = np.where(near, inside, place)
  found = np.empty(len(order), int)
  found[order] = order[place]
  return found


def by_person(subject: Int[np.ndarray, 'w'], *, seed: int) -> Int[np.ndarray, 'r']:
  """Places of all windows in rows of `IN_A_ROW` of one person, drawn at random, as is the order of the rows.

  A person's last row is filled up with windows of theirs again.
  """
  rng = np.random.default_rng(seed)
  mixed = rng.permutation(len(subject))
  rows = []
  for person in np.unique(subject):
    own = mixed[subject[mixed] == person]
    rows.append(np.resize(own, (-(-len(own) // IN_A_ROW), IN_A_ROW)))
  return rng.permutation(np.concatenate(rows)).reshape(-1)

"""A recording of hours → a prediction per window, bouts, minutes per activity, a picture."""

from har_jax.timeline.bouts import Bout, Rules, find_bouts
from har_jax.timeline.outputs import write
from har_jax.timeline.predictions import Predictions, predict, warnings_for, windows_of
from har_jax.timeline.scoring import Score, score, unknown_labels

__all__ = [
  'Bout',
  'Predictions',
  'Rules',
  'Score',
  'find_bouts',
  'predict',
  'score',
  'unknown_labels',
  'warnings_for',
  'windows_of',
  'write',
]

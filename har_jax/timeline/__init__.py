"""A recording of hours → a prediction per window, bouts, minutes per activity, a picture; or an adapter."""

from har_jax.timeline.adaptation import OVERLAPPING, Adapted, adapt
from har_jax.timeline.answers import Answers, make_answers
from har_jax.timeline.bouts import Bout, Rules, find_bouts
from har_jax.timeline.predictions import Predictions, predict, warnings_for
from har_jax.timeline.recognition import recognize
from har_jax.timeline.scoring import Score, score, unknown_labels

__all__ = [
  'OVERLAPPING',
  'Adapted',
  'Answers',
  'Bout',
  'Predictions',
  'Rules',
  'Score',
  'adapt',
  'find_bouts',
  'make_answers',
  'predict',
  'recognize',
  'score',
  'unknown_labels',
  'warnings_for',
]

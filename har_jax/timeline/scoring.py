"""Predictions compared with labels."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from har_jax.config import Windowing
from har_jax.errors import UserError
from har_jax.signal.recording import Recording
from har_jax.timeline import activities
from har_jax.timeline.bouts import UNKNOWN
from har_jax.timeline.predictions import Predictions
from har_jax.train import metrics

_SLACK = 0.5  # samples: times are rounded to samples: a window that ends with the span is inside


@dataclasses.dataclass(frozen=True)
class Score:
  """Metrics over `windows` windows. The prediction `unknown` counts as an error.

  macro_f1: mean over the activities that have labels.
  """

  windows: int
  macro_f1: float
  accuracy: float
  names: tuple[str, ...]  # activities that occur, in the order of `confusion`
  confusion: list[list[int]]  # rows: labels, columns: predictions


def score(predictions: Predictions, labeled: Sequence[Recording], *, unknown_below: float = 0.0) -> Score:
  """Scores the windows that lie inside one labeled span; single windows, not bouts.

  `labeled` are the recordings of the predictions, with their spans. Stairs have the level of the labels: one
  class, or both directions.
  Raises UserError if no window lies inside a span.
  """
  labels = [
    label_at(labeled[recording], start_s, predictions.windowing)
    for recording, start_s in zip(predictions.recording, predictions.start_s, strict=True)
  ]
  is_labeled = np.array([label is not None for label in labels])
  if not is_labeled.any():
    raise UserError('no window lies within a labeled span: are the labels of this recording?')
  level, classes = activities.to_level(predictions.probabilities, predictions.classes, _labels(labeled))
  true = np.array([activities.find_class(label, classes) or label for label in labels if label is not None])
  predicted = np.array(classes)[level.argmax(axis=1)]
  is_unknown = dataclasses.replace(predictions, probabilities=level, sets=None).is_unknown(unknown_below)
  predicted = np.where(is_unknown, UNKNOWN, predicted)[is_labeled]
  names, codes = np.unique([true, predicted], return_inverse=True)
  true_codes, predicted_codes = codes.reshape(2, -1)
  # scikit-learn warns of a matrix of one class.
  measured = metrics.measure(true_codes, predicted_codes, max(len(names), 2))
  confusion = [row[: len(names)] for row in measured.confusion[: len(names)]]
  macro_f1 = metrics.labeled_macro_f1(confusion)
  return Score(len(true), macro_f1, measured.accuracy, tuple(names.tolist()), confusion)


def unknown_labels(predictions: Predictions, labeled: Sequence[Recording]) -> list[str]:
  """Labels that are no class, in whatever spelling or language: their windows cannot be right."""
  labels = _labels(labeled)
  _, classes = activities.to_level(predictions.probabilities[:0], predictions.classes, labels)
  return [label for label in labels if activities.find_class(label, classes) is None]


def _labels(labeled: Sequence[Recording]) -> list[str]:
  return sorted({span.activity for recording in labeled for span in recording.spans})


def label_at(recording: Recording, start_s: float, windowing: Windowing) -> str | None:
  """The activity of the span that contains the window that starts at `start_s`."""
  slack_s, stop_s = _SLACK / windowing.rate_hz, start_s + windowing.seconds
  for span in recording.spans:
    if span.start_s <= start_s + slack_s and stop_s <= span.stop_s + slack_s:
      return span.activity
  return None

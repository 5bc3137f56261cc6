"""Predictions compared with labels."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from har_jax.config import Windowing
from har_jax.errors import UserError
from har_jax.recordings import language
from har_jax.signal.recording import Recording
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

  `labeled` are the recordings of the predictions, with their spans.
  Raises UserError if no window lies inside a span.
  """
  labels = [
    label_at(labeled[recording], start_s, predictions.windowing)
    for recording, start_s in zip(predictions.recording, predictions.start_s, strict=True)
  ]
  is_labeled = np.array([label is not None for label in labels])
  if not is_labeled.any():
    raise UserError('no window lies within a labeled span: are the labels of this recording?')
  spelled = {language.normalize(name): name for name in predictions.classes}
  true = np.array([spelled.get(language.normalize(label), label) for label in labels if label is not None])
  probabilities = predictions.probabilities[is_labeled]
  predicted = np.array(predictions.classes)[probabilities.argmax(axis=1)]
  predicted = np.where(predictions.is_unknown(unknown_below)[is_labeled], UNKNOWN, predicted)
  names, codes = np.unique([true, predicted], return_inverse=True)
  true_codes, predicted_codes = codes.reshape(2, -1)
  measured = metrics.measure(true_codes, predicted_codes, len(names))
  macro_f1 = metrics.labeled_macro_f1(measured.confusion)
  return Score(len(true), macro_f1, measured.accuracy, tuple(names.tolist()), measured.confusion)


def unknown_labels(predictions: Predictions, labeled: Sequence[Recording]) -> list[str]:
  """Labels that are no class, whatever their spelling: their windows cannot be right."""
  classes = {language.normalize(name) for name in predictions.classes}
  labels = {span.activity for recording in labeled for span in recording.spans}
  return sorted(label for label in labels if language.normalize(label) not in classes)


def label_at(recording: Recording, start_s: float, windowing: Windowing) -> str | None:
  """The activity of the span that contains the window that starts at `start_s`."""
  slack_s, stop_s = _SLACK / windowing.rate_hz, start_s + windowing.seconds
  for span in recording.spans:
    if span.start_s <= start_s + slack_s and stop_s <= span.stop_s + slack_s:
      return span.activity
  return None

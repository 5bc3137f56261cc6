"""Calibrates a recognizer: its confidence by temperature scaling, and its prediction sets."""

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from har_jax.errors import UserError
from har_jax.recognizer import prediction_sets, temperature, unknown_activities, validation
from har_jax.signal import segments

if TYPE_CHECKING:
  from har_jax.recognizer.recognizer import Recognizer


@dataclasses.dataclass(frozen=True)
class Calibration:
  """The temperature, and what it changes on the windows that it was fitted to.

  confidence: mean probability of the predicted class, before and after; it should come close to `accuracy`.
  """

  temperature: float
  windows: int
  confidence: tuple[float, float]
  accuracy: float


def calibrate(
  recognizer: 'Recognizer',
  X: ArrayLike,
  y: ArrayLike,
  recordings: ArrayLike | None = None,
  people: ArrayLike | None = None,
) -> Calibration:
  """Fits temperature and prediction sets of the adapter to windows outside the training set.

  `predict_proba` and `predict_set` use them from then on, and `save` keeps them. Predicted labels do not
  change. The temperature of few windows is shrunk towards the expected one. The sets' scores are of the
  windows that the temperature was fitted to; one number fitted to them hardly moves the coverage.
  recordings: the recording of each window; None: all are of one. Refusals take its windows together.
  people: the person of each window. Then sets have the coverage for nine of ten people, and are larger; None:
    they have it for all windows together.
  Raises UserError if a label is not one of the recognizer's classes, and without a label for each window.
  """
  probabilities = recognizer.predict_proba(X)
  classes = recognizer.classes_.tolist()
  index_of = {label: index for index, label in enumerate(classes)}
  names = validation.one_per_window(y, len(probabilities), 'label').tolist()
  if unknown := sorted({repr(name) for name in names if name not in index_of}):
    raise UserError(
      f'not a class of the recognizer: {", ".join(unknown)}; it has {", ".join(map(repr, classes))}'
    )
  recording_of_window = np.zeros(len(names)) if recordings is None else recordings
  recording_of_window = validation.one_per_window(recording_of_window, len(names), 'recording')
  if people is not None:
    people = validation.one_per_window(people, len(names), 'person')
  labels = np.array([index_of[name] for name in names], np.int64)
  # The logits up to a constant per window, which no probability depends on.
  logits = np.log(np.maximum(probabilities, np.finfo(np.float64).tiny))
  expected = temperature.expect(recognizer.adapter_.card)
  logits *= recognizer.temperature
  fitted = temperature.shrink(temperature.fit(logits, labels), len(labels), expected)
  from scipy import special

  scores = prediction_sets.fit_scores(special.softmax(logits / fitted, axis=1), labels, people)
  recognizer.adapter_ = recognizer.adapter_.with_card(temperature=fitted, set_scores=scores.tolist())
  if recognizer.adapter_.card.class_means is not None:
    answers, inputs = recognizer.answer_with_inputs(X)
    answers = recognizer.adapt_probabilities(answers, recording_of_window)
    parts = [slice(*pair) for pair in segments.equal_runs(recording_of_window).tolist()]
    windows = inputs, answers, recording_of_window, parts
    unknown_scores = prediction_sets.thin(unknown_activities.score(recognizer, *windows, ask_base=True))
    recognizer.adapter_ = recognizer.adapter_.with_card(
      unknown_scores=unknown_scores.tolist(), unknown_by_base=True
    )
  before, after = (
    float(np.exp(special.log_softmax(logits / divisor, axis=1).max(axis=1)).mean())
    for divisor in (expected, fitted)
  )
  accuracy = float((logits.argmax(axis=1) == labels).mean())
  return Calibration(fitted, len(labels), (before, after), accuracy)

"""Calibrates a recognizer: its confidence by temperature scaling, and its prediction sets.

w windows, y classes.

Source: Guo et al., arXiv:1706.04599, section 4.2.
"""

import dataclasses
import math
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

from har_jax import records
from har_jax.errors import UserError
from har_jax.methods import METHODS
from har_jax.recognizer import prediction_sets, unknown_activities, validation
from har_jax.signal import segments

if TYPE_CHECKING:
  from har_jax.recognizer.recognizer import Recognizer

_MIN_TEMPERATURE, _MAX_TEMPERATURE = 0.05, 20.0  # bounds of the search, far beyond what data give
# The expected temperature counts as so many windows: that of two dozen is noise (docs/results/sets.md).
_PRIOR_WINDOWS = 100.0
# Of one labeled window of each activity, and for each factor of e more of them (docs/results/sets.md).
_OF_ONE_WINDOW, _OF_MORE = 0.5, 0.09


def fit_temperature(logits: Float[np.ndarray, 'w y'], labels: Int[np.ndarray, 'w']) -> float:
  """Minimizes the cross-entropy of softmax(logits / temperature) with smoothed targets.

  The target of the true class is (w + 1) / (w + 2), as in Platt scaling; the others share the rest equally.
  Without smoothing, a few windows that are all correct would drive every later confidence to 100 %.
  For small w, confidences come out slightly too low.
  Source: Platt, Advances in Large Margin Classifiers, 1999, section 2.2.
  """
  from scipy import optimize, special

  windows, classes = logits.shape
  targets = np.full(logits.shape, 1 / (windows + 2) / (classes - 1))
  targets[np.arange(windows), labels] = (windows + 1) / (windows + 2)

  def loss(log_temperature: float) -> float:
    log_probabilities = special.log_softmax(logits / math.exp(log_temperature), axis=1)
    return float(-(targets * log_probabilities).sum(axis=1).mean())

  bounds = math.log(_MIN_TEMPERATURE), math.log(_MAX_TEMPERATURE)
  minimum = optimize.minimize_scalar(loss, bounds=bounds, method='bounded', options={'xatol': 1e-4})
  return math.exp(float(minimum.x))


def expected_temperature(card: records.Adapter) -> float:
  """The temperature of an adapter before any window calibrates it.

  A linear head on a pretrained encoder is less sure than it should be, above all with few windows of each
  activity. Others have the temperature at which they adapt to a recording.
  """
  method = METHODS.get(card.method)
  if method is None or not method.pretrained or card.model.head or card.split is None:
    return card.adaptation_temperature
  windows = card.split.windows.get('train', 0) / len(card.classes)
  return min(_OF_ONE_WINDOW + _OF_MORE * math.log(max(windows, 1.0)), 1.0)


def shrink(temperature: float, windows: int, expected: float) -> float:
  """The temperature that was fitted to so many windows, closer to the expected one the fewer they are."""
  return expected * (temperature / expected) ** (windows / (windows + _PRIOR_WINDOWS))


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
  expected = expected_temperature(recognizer.adapter_.card)
  logits *= recognizer.temperature
  fitted = shrink(fit_temperature(logits, labels), len(labels), expected)
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
    float(np.exp(special.log_softmax(logits / temperature, axis=1).max(axis=1)).mean())
    for temperature in (expected, fitted)
  )
  accuracy = float((logits.argmax(axis=1) == labels).mean())
  return Calibration(fitted, len(labels), (before, after), accuracy)

"""Distribution shift: how far a recording's windows are from the training windows of the same activities.

w windows, y classes, f inputs of the head.

Another mixture of activities is no shift. So each class has its own mean, weighted by the answers, in the
standardized inputs of the linear head. The squared distances from the training windows' means are averaged
over the recording's classes. Their unit is that of the training windows from their own class mean.
New people of a known device and place rarely come to 1, and most others exceed it: docs/results/shift.md.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from har_jax import files

if TYPE_CHECKING:
  from har_jax.recognizer.recognizer import Recognizer

LARGE = 1.0
_FEWEST, _FEWEST_OF_CLASS = 30, 3.0  # windows
MOST = 1024  # windows that are enough


def measure_windows(
  recognizer: 'Recognizer', X: Float[np.ndarray, 'w n 6'], files_of_windows: np.ndarray
) -> float | None:
  """The shift of windows that have no answers yet; None where it cannot be measured."""
  if recognizer.adapter_.card.class_spread is None:
    return None
  answers, inputs = recognizer.answer_with_inputs(X)
  answers = recognizer.adapt_probabilities(answers, files_of_windows)
  return measure(recognizer.adapter_, inputs, answers, files_of_windows)


def measure(
  adapter: files.Adapter,
  inputs: Float[np.ndarray, 'w f'],
  answers: Float[np.ndarray, 'w y'],
  files_of_windows: np.ndarray,
) -> float | None:
  """The shift of a recording, as a mean over its files; None with too few windows.

  inputs, answers: of `Recognizer.answer_with_inputs`; the answers are adapted to each file.
  """
  class_means, class_spread = np.array(adapter.card.class_means), adapter.card.class_spread
  assert class_spread is not None
  step = max(len(inputs) // MOST, 1)
  inputs, answers, files_of_windows = inputs[::step], answers[::step], files_of_windows[::step]
  total, weights = 0.0, 0.0
  for name in dict.fromkeys(files_of_windows.tolist()):
    is_own = files_of_windows == name
    if is_own.sum() < _FEWEST:
      continue
    own, of_classes = inputs[is_own].astype(np.float64), answers[is_own].astype(np.float64)
    counts = of_classes.sum(axis=0)
    has_some = counts > _FEWEST_OF_CLASS
    means = (of_classes.T @ own)[has_some] / counts[has_some, None]
    squares = ((means - class_means[has_some]) ** 2).sum(axis=1)
    total += float(counts[has_some] @ squares)
    weights += float(counts[has_some].sum())
  return round(total / weights / class_spread, 3) if weights else None


def warnings(shift: float | None) -> Sequence[str]:
  """A sentence if the shift is large."""
  if shift is None or shift <= LARGE:
    return ()
  return (
    f'The windows are unlike the training windows of the same activities (distribution shift {shift:.1f}). '
    'The adapter seems not to know this device, place or person, so expect more errors. Label ten windows '
    'of each activity in this recording, and adapt to it.',
  )

"""Classification metrics.   w windows, y classes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped

from har_jax.records import Measures, Selective


def measure(labels: Int[np.ndarray, 'w'], predicted: Int[np.ndarray, 'w'], classes: int) -> Measures:
  """Measures predictions against labels.

  Macro averages are over the classes that occur in labels or predictions (scikit-learn's convention). A
  class without a prediction has precision 0.
  """
  from sklearn import metrics  # here, because importing it takes 0.5 s that --help need not pay

  precision, recall, f1, _ = metrics.precision_recall_fscore_support(
    labels, predicted, average='macro', zero_division=0
  )
  return Measures(
    accuracy=float(metrics.accuracy_score(labels, predicted)),
    macro_f1=float(f1),
    precision=float(precision),
    recall=float(recall),
    confusion=metrics.confusion_matrix(labels, predicted, labels=range(classes)).tolist(),
  )


def measure_selective(labels: Int[np.ndarray, 'w'], probabilities: Float[np.ndarray, 'w y']) -> Selective:
  """Measures answers to the most confident windows alone: the area under the risk-coverage curve (AURC).

  Windows of the same confidence have the same error, their mean. The confidence is the highest probability.
  Source: Geifman, Uziel and El-Yaniv, arXiv:1805.08206, section 2.
  """
  confidence, group = np.unique(-probabilities.max(axis=1), return_inverse=True)
  is_wrong = probabilities.argmax(axis=1) != labels
  errors = np.bincount(group, is_wrong, len(confidence)) / np.bincount(group, minlength=len(confidence))
  risk = errors[np.sort(group)].cumsum() / np.arange(1, len(labels) + 1)
  tenths = np.ceil(np.arange(1, 11) * len(labels) / 10).astype(int) - 1
  return Selective(float(risk.mean()), risk[tenths].round(6).tolist())


def labeled_macro_f1(labels: Shaped[np.ndarray, 'w'], predicted: Shaped[np.ndarray, 'w']) -> float:
  """Macro-F1 over the classes that have labels."""
  from sklearn import metrics  # late, as above

  return float(
    metrics.f1_score(labels, predicted, labels=np.unique(labels), average='macro', zero_division=0)
  )


def find_best(history: Sequence[dict[str, Any]]) -> dict[str, Any]:
  """The validation with the highest score; of equal ones the last."""
  return max(reversed(history), key=lambda entry: entry['score'])

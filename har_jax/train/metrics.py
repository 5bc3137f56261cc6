"""Classification metrics from scikit-learn.   w windows, y classes."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from har_jax.records import Measures


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


def labeled_macro_f1(confusion: Sequence[Sequence[int]]) -> float:
  """Macro-F1 over the classes that have labels. confusion: rows are labels, columns predictions."""
  counts = np.array(confusion)
  labels, predictions, correct = counts.sum(axis=1), counts.sum(axis=0), np.diag(counts)
  present = labels > 0
  return float((2 * correct / (labels + predictions).clip(1))[present].mean())

"""Classification metrics from scikit-learn.   w windows, y classes."""

from typing import Any

import numpy as np
from jaxtyping import Int


def measure(labels: Int[np.ndarray, 'w'], predicted: Int[np.ndarray, 'w'], classes: int) -> dict[str, Any]:
  """Accuracy, macro F1, precision and recall as fractions, and the confusion matrix.

  Macro averages are over the classes that occur in labels or predictions (scikit-learn's convention). A
  class without a prediction has precision 0. Rows of the matrix are true classes, columns predicted ones.
  """
  from sklearn import metrics  # here, because importing it takes 0.5 s that --help need not pay

  precision, recall, f1, _ = metrics.precision_recall_fscore_support(
    labels, predicted, average='macro', zero_division=0
  )
  return {
    'accuracy': float(metrics.accuracy_score(labels, predicted)),
    'macro_f1': float(f1),
    'precision': float(precision),
    'recall': float(recall),
    'confusion': metrics.confusion_matrix(labels, predicted, labels=range(classes)).tolist(),
  }

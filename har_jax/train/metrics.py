"""Recognition figures, all from scikit-learn.   w windows, y classes."""

from typing import Any

import numpy as np
from jaxtyping import Int


def measure(labels: Int[np.ndarray, 'w'], predicted: Int[np.ndarray, 'w'], classes: int) -> dict[str, Any]:
  """Accuracy; F1, precision and recall as plain means over classes, as fractions of one; the confusion matrix.

  The means are over the classes that occur among labels or predictions, scikit-learn's convention; a class without a
  prediction has precision nought. Rows of the matrix are true classes, columns predicted ones.
  """
  from sklearn import metrics  # late: 0.5 s of import that --help need not pay

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

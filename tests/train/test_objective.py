"""What objectives report to the training loop."""

import numpy as np
import pytest

from har_jax import config
from har_jax.train.objective import Classify


def test_classification_selects_by_macro_f1_not_accuracy():
  logits = np.float32([[1, 0], [1, 0], [1, 0], [1, 0]])  # predicts class 0 throughout
  metrics = Classify(config.Model(), 2).score(logits, {'label': np.array([0, 0, 0, 1])})
  assert metrics['accuracy'] == 0.75
  assert metrics['score'] == metrics['macro_f1'] == pytest.approx((6 / 7 + 0) / 2)

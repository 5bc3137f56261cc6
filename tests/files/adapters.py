"""What tests of files compare with."""

import numpy as np

from har_jax import config, variables
from har_jax.train.evaluation import predict
from har_jax.train.objective import Classify
from har_jax.variables import Variables

CLASSES = ('sitting', 'standing', 'walking', 'running', 'cycling', 'lying')  # as many as PyTorch's model has
LORA = config.Lora(rank=4, alpha=8.0, rate_ratio=4.0)
SIGNAL = (
  np.random.default_rng(0).standard_normal((5, config.Windowing.samples, config.CHANNELS)).astype(np.float32)
)


def assert_equal(leaves: Variables, expected: Variables) -> None:
  assert variables.difference(expected, leaves) == ''
  for path, leaf in expected.items():
    np.testing.assert_array_equal(leaves[path], leaf, err_msg=path)


def logits_of(objective: Classify, variables: Variables) -> np.ndarray:
  return predict(objective, variables, {'signal': SIGNAL})

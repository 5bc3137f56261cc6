"""What tests of files compare with."""

import numpy as np

from har_jax import config, variables
from har_jax.train.evaluation import predict
from har_jax.train.objective import Classify
from har_jax.variables import Variables

CLASSES = ('sitting', 'standing', 'walking', 'running', 'cycling', 'lying')  # as many as PyTorch's model has
LORA = config.Lora(rank=4, alpha=8.0)
SIGNAL = (
  np.random.default_rng(0).standard_normal((5, config.Windowing.samples, config.CHANNELS)).astype(np.float32)
)


def assert_equal(given: Variables, expected: Variables) -> None:
  assert variables.difference(expected, given) == ''
  for path, leaf in expected.items():
    np.testing.assert_array_equal(given[path], leaf, err_msg=path)


def logits_of(objective: Classify, held: Variables) -> np.ndarray:
  return predict(objective, held, {'signal': SIGNAL})

"""The batch on which methods are compared."""

import numpy as np
import pytest

from har_jax import config
from har_jax.datasets.batches import Batch


@pytest.fixture(scope='session')
def batch() -> Batch:
  rng = np.random.default_rng(0)
  signal = rng.standard_normal((6, config.Windowing.samples, config.CHANNELS)).astype(np.float32)
  return {
    'signal': signal,
    'label': np.arange(6, dtype=np.int32) % 3,
    'weight': np.ones(6, np.float32),
  }

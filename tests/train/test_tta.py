"""Test-time augmentation."""

import numpy as np
import pytest

from har_jax import config
from har_jax.train import evaluation
from har_jax.train.evaluation import predict
from har_jax.train.objective import Classify


@pytest.mark.parametrize('count', [5, 9])
def test_predictions_average_over_circular_shifts_by_fractions_of_a_patch(drawn, count, monkeypatch):
  monkeypatch.setattr(evaluation, 'BATCH_SIZES', (8,))
  model = config.Model(patch_size=16, width=24, mlp_dim=48, depth=1, decoder_depth=1, num_heads=2, head=(16,))
  objective = Classify(model, 3)
  variables = drawn(objective.init)
  signal = np.random.default_rng(0).standard_normal((count, 128, 6)).astype(np.float32)
  windows = {'signal': signal, 'label': np.zeros(count, np.int32)}
  shifted = [
    predict(
      objective,
      variables,
      windows | {'signal': np.concatenate([signal[:, -shift:], signal[:, :-shift]], axis=1)},
    )
    for shift in (4, 8, 12)
  ]
  once = predict(objective, variables, windows)
  np.testing.assert_allclose(
    predict(objective, variables, windows, tta_shifts=4), (once + sum(shifted)) / 4, atol=1e-6
  )
  assert np.abs(shifted[0] - once).max() > 1e-3
  np.testing.assert_array_equal(predict(objective, variables, windows, tta_shifts=1), once)

"""Predictions: their order, their random keys, and test-time augmentation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array
from line import Line, windows_of

from har_jax import config
from har_jax.train import evaluation
from har_jax.train.evaluation import predict
from har_jax.train.objective import Classify
from har_jax.variables import Variables


@pytest.mark.parametrize('size', [1, 256, 257, 600])
def test_predictions_are_in_the_order_of_the_windows(size):
  windows = windows_of(2, size)
  variables = {'params/head/kernel': jnp.float32([1, -2, 3]), 'params/frozen/value': jnp.float32(1)}
  predicted = predict(Line(), variables, windows)
  np.testing.assert_allclose(predicted, windows['label'], atol=1e-5)


class _Noise(Line):
  def predict(self, variables: Variables, batch: dict, key: Array) -> Array:
    return jax.random.normal(key, batch['weight'].shape)


class _Size(Line):
  def predict(self, variables: Variables, batch: dict, key: Array) -> Array:
    return jnp.full(batch['weight'].shape, len(batch['weight']))


@pytest.mark.parametrize(('count', 'size'), [(1, 64), (64, 64), (65, 256), (300, 256)])
def test_a_few_windows_are_padded_to_a_small_batch(count, size, monkeypatch):
  assert set(predict(_Size(), {}, windows_of(2, count)).tolist()) == {64}  # on a CPU always
  with monkeypatch.context() as patched:
    patched.setattr(jax, 'default_backend', lambda: 'gpu')
    assert set(predict(_Size(), {}, windows_of(2, count)).tolist()) == {size}
  assert set(predict(_Size(), {}, windows_of(2, count), sizes=(64,)).tolist()) == {64}


def test_one_program_takes_windows_with_and_without_labels():
  traced = []

  class Counted(Line):
    def predict(self, variables: Variables, batch: dict, key: Array) -> Array:
      traced.append(sorted(batch))
      return super().predict(variables, batch, key)

  variables = {'params/head/kernel': jnp.float32([1, -2, 3]), 'params/frozen/value': jnp.float32(1)}
  windows = windows_of(2, 5)
  first = predict(Counted(), variables, windows | {'origin': np.zeros((5, 2))})
  np.testing.assert_array_equal(predict(Counted(), variables, {'signal': windows['signal']}), first)
  assert traced == [['signal', 'weight']]


def test_each_evaluation_batch_has_its_own_reproducible_key():
  predicted = predict(_Noise(), {}, windows_of(2, 512))
  assert not np.array_equal(predicted[:256], predicted[256:])
  np.testing.assert_array_equal(predict(_Noise(), {}, windows_of(2, 512)), predicted)


@pytest.mark.parametrize('count', [5, 9])
def test_predictions_average_over_circular_shifts_by_fractions_of_a_patch(drawn, count, monkeypatch):
  monkeypatch.setattr(evaluation, 'BATCH_SIZES', (8,))
  model = config.Model(patch_size=16, width=24, mlp_dim=48, depth=1, decoder_depth=1, num_heads=2, head=(16,))
  objective = Classify(model, 3)
  variables = drawn(objective.init)
  signal = np.random.default_rng(0).standard_normal((count, 128, 6)).astype(np.float32)
  windows = {'signal': signal, 'label': np.zeros(count, np.int32)}
  shifted = [
    predict(objective, variables, windows | {'signal': np.roll(signal, shift, axis=1)})
    for shift in (4, 8, 12)
  ]
  once = predict(objective, variables, windows)
  np.testing.assert_allclose(
    predict(objective, variables, windows, tta_shifts=4), (once + sum(shifted)) / 4, atol=1e-6
  )
  assert np.abs(shifted[0] - once).max() > 1e-3
  np.testing.assert_array_equal(predict(objective, variables, windows, tta_shifts=1), once)

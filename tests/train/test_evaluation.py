"""Predictions: their order and their random keys."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array
from line import (
  Line,
  windows_of,
)

from har_jax.train.evaluation import predict
from har_jax.variables import Variables


@pytest.mark.parametrize('size', [1, 256, 257, 600])
def test_predictions_are_in_the_order_of_the_windows(size):
  windows = windows_of(2, size)
  kernel = jnp.asarray(np.float32([1, -2, 3]))
  predicted = predict(Line(), {'params/head/kernel': kernel}, windows)
  np.testing.assert_allclose(predicted, windows['label'], atol=1e-5)


class _Noise(Line):
  def predict(self, variables: Variables, batch: dict, key: Array) -> Array:
    return jax.random.normal(key, batch['label'].shape)


class _Size(Line):
  def predict(self, variables: Variables, batch: dict, key: Array) -> Array:
    return jnp.full(batch['label'].shape, len(batch['label']))


@pytest.mark.parametrize(('count', 'size'), [(1, 64), (64, 64), (65, 256), (300, 256)])
def test_a_few_windows_are_padded_to_a_small_batch(count, size):
  assert set(predict(_Size(), {}, windows_of(2, count)).tolist()) == {size}
  assert set(predict(_Size(), {}, windows_of(2, count), sizes=(64,)).tolist()) == {64}


def test_each_evaluation_batch_has_its_own_reproducible_key():
  predicted = predict(_Noise(), {}, windows_of(2, 512))
  assert not np.array_equal(predicted[:256], predicted[256:])
  np.testing.assert_array_equal(predict(_Noise(), {}, windows_of(2, 512)), predicted)

"""Each store holds the same matrix, and multiplies by what it gives back."""

import numpy as np
import pytest

from har_jax.bench import nf4, weight_formats

_RNG = np.random.default_rng(0)
_WEIGHTS = _RNG.standard_normal((64, 128), np.float32)
_X = _RNG.standard_normal((8, 64), np.float32)


@pytest.fixture(scope='module')
def held() -> dict[str, weight_formats.Store]:
  return {store.name: store for store in weight_formats.stores(_WEIGHTS, _X)}


def test_float32_comes_first_and_is_exact(held: dict[str, weight_formats.Store]):
  assert list(held)[:3] == ['float32', 'har_jax NF4', 'har_jax NF4 double']
  np.testing.assert_array_equal(held['float32'].unpacked, _WEIGHTS)
  assert held['float32'].held_bytes == 4 * 64 * 128
  assert held['har_jax NF4'].held_bytes == 64 * 128 // 2 + 4 * 64 * 128 // 64
  assert held['har_jax NF4 double'].held_bytes == 64 * 128 // 2 + 64 * 128 // 64 + 4 + 4


def test_what_is_given_back_is_what_is_multiplied(held: dict[str, weight_formats.Store]):
  for store in held.values():
    expected = _X.astype(np.float64) @ store.unpacked.astype(np.float64)
    np.testing.assert_allclose(np.asarray(store.calls['product']()), expected, atol=1e-3)
    assert np.linalg.norm(store.unpacked - _WEIGHTS) / np.linalg.norm(_WEIGHTS) < 0.095
    if 'dequantize' in store.calls:
      assert set(store.calls) == set(weight_formats.OPERATIONS)
      given = np.asarray(store.calls['dequantize']())
      # bitsandbytes holds the transposed matrix, as its products take it.
      np.testing.assert_array_equal(given if given.shape == _WEIGHTS.shape else given.T, store.unpacked)


def test_each_operation_is_measured_in_each_store():
  rows = list(nf4.matrices([(64, 128)], rows=8, repeats=2))
  measured = {(row['operation'], row['store']) for row in rows}
  assert {(operation, 'har_jax NF4 double') for operation in weight_formats.OPERATIONS} <= measured
  assert ('product', 'float32') in measured
  assert ('dequantize', 'float32') not in measured
  for row in rows:
    assert row['ms'] > 0
    assert (row['ratio'] is None) == (row['operation'] in ('quantize', 'dequantize'))
    if row['store'] == 'float32' and row['operation'] == 'product':
      assert row['gflop_s'] == pytest.approx(2 * 8 * 64 * 128 / row['ms'] / 1e6)

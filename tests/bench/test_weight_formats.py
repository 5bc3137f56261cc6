"""Every format holds the same matrix, and multiplies by what it dequantizes to."""

import numpy as np
import pytest

from launch.bench import nf4, weight_formats

_RNG = np.random.default_rng(0)
_WEIGHTS = _RNG.standard_normal((64, 128), np.float32)
_X = _RNG.standard_normal((8, 64), np.float32)


@pytest.fixture(scope='module')
def formats() -> dict[str, weight_formats.WeightFormat]:
  return {form.name: form for form in weight_formats.weight_formats(_WEIGHTS, _X)}


def test_float32_comes_first_and_is_exact(formats):
  assert list(formats)[:3] == ['float32', 'har_jax NF4', 'har_jax NF4 double']
  np.testing.assert_array_equal(formats['float32'].unpacked, _WEIGHTS)
  assert formats['float32'].held_bytes == 4 * 64 * 128
  assert formats['har_jax NF4'].held_bytes == 64 * 128 // 2 + 4 * 64 * 128 // 64
  assert formats['har_jax NF4 double'].held_bytes == 64 * 128 // 2 + 64 * 128 // 64 + 4 + 4


def test_products_are_those_of_the_dequantized_matrix(formats):
  for form in formats.values():
    expected = _X.astype(np.float64) @ form.unpacked.astype(np.float64)
    np.testing.assert_allclose(np.asarray(form.calls['product']()), expected, atol=1e-3)
    assert np.linalg.norm(form.unpacked - _WEIGHTS) / np.linalg.norm(_WEIGHTS) < 0.095
    if 'dequantize' in form.calls:
      assert set(form.calls) == set(weight_formats.OPERATIONS)
      matrix = np.asarray(form.calls['dequantize']())
      # bitsandbytes holds the transposed matrix.
      np.testing.assert_array_equal(matrix if matrix.shape == _WEIGHTS.shape else matrix.T, form.unpacked)


def test_each_operation_is_measured_in_each_format():
  rows = list(nf4.matrices([(64, 128)], rows=8, repeats=2))
  measured = {(row['operation'], row['format']) for row in rows}
  assert {(operation, 'har_jax NF4 double') for operation in weight_formats.OPERATIONS} <= measured
  assert ('product', 'float32') in measured
  assert ('dequantize', 'float32') not in measured
  for row in rows:
    assert row['ms'] > 0
    assert (row['ratio'] is None) == (row['operation'] in ('quantize', 'dequantize'))
    if row['format'] == 'float32' and row['operation'] == 'product':
      assert row['gflop_s'] == pytest.approx(2 * 8 * 64 * 128 / row['ms'] / 1e6)

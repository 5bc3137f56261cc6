"""Double quantization: by hand, against plain scales, its size and accuracy."""

import functools

import drawn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from har_jax import nf4
from har_jax.nf4.reference import SCALE_BLOCK, float_scales
from har_jax.nf4.tables import DYNAMIC


def test_the_dynamic_code_is_seven_decades_of_equal_steps():
  # The lowest decade has one entry, the midpoint of 1e-7 and 1e-6; the next has two, those of 1e-6, 5.5e-6,
  # 1e-5.
  np.testing.assert_allclose(DYNAMIC[128:131], [0.55e-6, 3.25e-6, 7.75e-6], rtol=1e-6)
  assert DYNAMIC[127] == 0
  assert DYNAMIC[255] == 1
  assert len(DYNAMIC) == 256
  np.testing.assert_array_equal(DYNAMIC[:127], -DYNAMIC[254:127:-1])
  decades = np.ceil(np.log10(DYNAMIC[128:255]))
  assert [int(np.sum(decades == decade)) for decade in range(-6, 1)] == [1, 2, 4, 8, 16, 32, 64]


def test_double_quantized_scales_by_hand():
  # Scales 1, 2, 6 minus their mean of 3: -2, -1, 3. Divided by the largest: -2/3, -1/3, 1. The top decade
  # has entries 0.1 + 0.9/64·(k + 1/2): -2/3 is nearest to k = 40 (0.6695), -1/3 to k = 16 (0.3320). It
  # starts at code 191 for positive values and, mirrored, at 63 for negative ones.
  packed = nf4.quantize(jnp.repeat(jnp.array([1.0, 2, 6]), 64), double=True)
  assert packed.scales.codes.tolist() == [63 - 40, 63 - 16, 255]
  assert packed.scales.codes.dtype == jnp.uint8
  assert packed.scales.scales.tolist() == [3]
  assert float(packed.scales.mean) == 3
  np.testing.assert_allclose(float_scales(packed), [3 - 3 * 0.66953125, 3 - 3 * 0.33203125, 6], rtol=1e-6)


@pytest.mark.parametrize('shape', [(), (65,), (24, 48)])
def test_double_quantization_keeps_codes_and_bounds_the_scales(shape):
  plain, double = (drawn.quantize(jnp.asarray(drawn.weights(shape)), double=each) for each in (False, True))
  np.testing.assert_array_equal(plain.codes, double.codes)
  distances = np.abs(np.asarray(plain.scales) - float(double.scales.mean))
  # Half the widest step of the dynamic code, 0.9 / 64 / 2 = 0.70 % of the largest distance, and a rounding.
  bound = 0.00704 * distances.max() + 1e-6
  assert np.abs(np.asarray(float_scales(double)) - np.asarray(plain.scales)).max() <= bound


def test_double_quantization_needs_4_127_bits_per_weight():
  weights = jax.ShapeDtypeStruct((1024, 1024), jnp.float32)
  bits = {}
  for double in (False, True):
    packed = jax.eval_shape(functools.partial(nf4.quantize, double=double), weights)
    held = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(packed))
    bits[double] = 8 * held / weights.size
  # A nibble; a scale per 64; or a byte per 64, a second-level scale per 64 · 256, one mean.
  assert bits[False] == 4 + 32 / 64
  assert bits[True] == 4 + 8 / 64 + 32 / (64 * SCALE_BLOCK) + 32 / weights.size
  tables = 8 * (nf4.LEVELS.nbytes + DYNAMIC.nbytes) / weights.size  # once per program
  assert round(bits[True] + tables, 2) == 4.14


def test_double_quantization_costs_little_accuracy():
  # Relative error in the Frobenius norm, for normal weights. Measured over twenty seeds: 0.0916 to 0.0925
  # for plain NF4, and 1.0001 to 1.0003 times that with double quantization. The limits add about the same
  # margin.
  for seed in range(3):
    weights = drawn.weights((192, 576), seed)
    plain, double = (
      float(np.linalg.norm(drawn.dequantize(drawn.quantize(jnp.asarray(weights), double=each)) - weights))
      / np.linalg.norm(weights)
      for each in (False, True)
    )
    assert 0.0910 < plain < 0.0930
    assert plain < double < 1.001 * plain


def test_from_leaves_inverts_to_leaves():
  for double in (False, True):
    packed = drawn.quantize(jnp.asarray(drawn.weights((24, 48))), double=double)
    leaves = nf4.to_leaves(packed, 'up/')
    again = nf4.from_leaves({name.removeprefix('up/'): leaf for name, leaf in leaves.items()}, (24, 48))
    assert jax.tree.structure(again) == jax.tree.structure(packed)
    assert jax.tree.all(jax.tree.map(np.array_equal, again, packed))

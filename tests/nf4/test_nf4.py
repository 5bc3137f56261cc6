"""NF4 against its definition: levels from normal quantiles, codes and scales by hand."""

import drawn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from har_jax import nf4
from har_jax.errors import UserError
from har_jax.nf4 import product


def _round_trip(weights: jax.Array, *, block: int = nf4.BLOCK) -> jax.Array:
  return drawn.dequantize(drawn.quantize(weights, block=block))


def test_levels_are_the_quantiles_of_a_normal_distribution():
  # Appendix E: probabilities from 1 - (1/32 + 1/30) / 2 to 1/2, in eight steps up and in seven down.
  outermost = 1 - (1 / 32 + 1 / 30) / 2
  positive = stats.norm.ppf(np.linspace(outermost, 0.5, 9)[:-1])
  negative = -stats.norm.ppf(np.linspace(outermost, 0.5, 8)[:-1])
  levels = np.sort(np.concatenate([negative, [0.0], positive])) / positive.max()
  np.testing.assert_allclose(nf4.LEVELS, levels, rtol=0, atol=1e-6)
  assert nf4.LEVELS.dtype == np.float32
  assert list(nf4.LEVELS[[0, 7, 15]]) == [-1, 0, 1]


def test_codes_and_scales_by_hand():
  # Block one, over 2:    1 → 15,   -1 → 0,   0 → 7,  0.5 → 12 (0.441; 0.563 is farther)
  # Block two, over 0.1:  1 → 15, -0.5 → 2 (-0.525), 0.25 → 10 (0.246), 1 → 15
  packed = nf4.quantize(jnp.array([2, -2, 0, 1, 0.1, -0.05, 0.025, 0.1]), block=4)
  assert packed.codes.tolist() == [0xF0, 0x7C, 0xF2, 0xAF]  # the earlier weight in the high nibble
  np.testing.assert_array_equal(packed.scales, np.float32([2, 0.1]))
  assert packed.codes.dtype == jnp.uint8
  expected = np.float32([2, -2, 0, 2 * 0.44070983, 0.1, -0.1 * 0.52507305, 0.1 * 0.24611230, 0.1])
  np.testing.assert_allclose(nf4.dequantize(packed), expected, rtol=1e-6)


def test_blocks_run_along_rows():
  weights = jnp.concatenate([jnp.full((1, 64), 3.0), jnp.full((1, 64), 0.5)])
  np.testing.assert_array_equal(drawn.quantize(weights).scales, np.float32([3, 0.5]))


def test_zeros_stay_zeros():
  packed = drawn.quantize(jnp.zeros((2, 64)))
  assert set(packed.codes.tolist()) == {0x77}
  assert packed.scales.tolist() == [0, 0]
  np.testing.assert_array_equal(drawn.dequantize(packed), np.zeros((2, 64)))
  among_others = drawn.weights((64,))
  among_others[5] = 0
  assert _round_trip(jnp.asarray(among_others))[5] == 0


@pytest.mark.parametrize('shape', drawn.SHAPES)
def test_numpy_dequantizes_to_the_same_bits(shape):
  packed = drawn.quantize(jnp.asarray(drawn.weights(shape)))
  np.testing.assert_array_equal(nf4.dequantize_on_host(packed), drawn.dequantize(packed))


def test_the_last_nibble_of_an_odd_number_of_weights_is_zero():
  assert drawn.quantize(jnp.array([1.0, -1, 1])).codes.tolist() == [0xF0, 0xF7]


@pytest.mark.parametrize('shape', drawn.SHAPES)
def test_any_shape_is_quantized_within_the_bound(shape):
  weights = drawn.weights(shape)
  packed = drawn.quantize(jnp.asarray(weights))
  assert (packed.codes.size, packed.scales.size) == (-(-weights.size // 2), -(-weights.size // 64))
  unpacked = drawn.dequantize(packed)
  assert unpacked.shape == shape
  _assert_within_bound(weights, unpacked, block=64)


@pytest.mark.parametrize('block', [2, 64, 128])
@pytest.mark.parametrize('seed', range(2))
def test_error_is_at_most_0152_of_the_largest_in_the_block(block, seed):
  rng = np.random.default_rng(seed)
  weights = (rng.standard_t(2, 5000) * 10.0 ** rng.uniform(-6, 6, 5000)).astype(np.float32)
  _assert_within_bound(weights, _round_trip(jnp.asarray(weights), block=block), block=block)


def _assert_within_bound(weights: np.ndarray, unpacked: jax.Array, *, block: int) -> None:
  errors = np.abs(np.asarray(unpacked) - weights).reshape(-1)
  for start in range(0, weights.size, block):
    largest = np.abs(weights.reshape(-1)[start : start + block]).max()
    assert errors[start : start + block].max() <= 0.152 * largest


def test_each_weight_takes_the_nearest_level():
  unit = np.float32(np.linspace(-1, 1, 4001))
  nearest = np.abs(unit[:, None].astype(np.float64) - nf4.LEVELS[None]).argmin(axis=1)
  np.testing.assert_array_equal(_codes(unit), nearest)


def test_a_midpoint_gets_the_lower_level_and_the_next_float_the_upper():
  midway = (nf4.LEVELS[1:] + nf4.LEVELS[:-1]) / 2
  above = np.nextafter(midway, np.float32(2))
  np.testing.assert_array_equal(_codes(np.append(midway, np.float32(1)))[:-1], range(15))
  np.testing.assert_array_equal(_codes(np.append(above, np.float32(1)))[:-1], range(1, 16))


def _codes(unit: np.ndarray) -> np.ndarray:
  """Codes of weights whose largest magnitude is one, in one block."""
  packed = drawn.quantize(jnp.asarray(unit), block=len(unit) + len(unit) % 2)
  return np.stack([packed.codes >> 4, packed.codes & 0xF], axis=-1).reshape(-1)[: len(unit)]


def test_quantizing_again_changes_nothing():
  once = _round_trip(jnp.asarray(drawn.weights((37, 11))))
  np.testing.assert_array_equal(_round_trip(once), once)


@pytest.mark.parametrize('scale', [1e-30, 1e30, 3e38])
def test_the_bound_holds_for_large_and_small_weights(scale):
  weights = np.float32(np.linspace(-1, 1, 64) * scale)
  _assert_within_bound(weights, _round_trip(jnp.asarray(weights)), block=64)


@pytest.mark.parametrize('largest', [1e-44, 1e-39, 1.17e-38])
def test_a_block_of_denormals_is_a_block_of_zeros(largest):
  packed = nf4.quantize(jnp.asarray(np.float32(np.linspace(-1, 1, 64) * largest)))
  assert set(packed.codes.tolist()) == {0x77}
  assert packed.scales.tolist() == [0]
  smallest = 2.0**-126  # normal number
  assert nf4.quantize(jnp.full(64, smallest, np.float32)).scales.tolist() == [smallest]


@pytest.mark.parametrize('bad', [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize('jit', [False, True])
def test_a_weight_that_is_not_finite_affects_its_block_only(bad, jit):
  weights = drawn.weights((3, 64))
  expected = np.asarray(_round_trip(jnp.asarray(weights)))
  weights[1, 7] = bad
  quantize, dequantize = (drawn.quantize, drawn.dequantize) if jit else (nf4.quantize, nf4.dequantize)
  unpacked = dequantize(quantize(jnp.asarray(weights)))
  assert not np.isfinite(unpacked[1]).any()
  np.testing.assert_array_equal(unpacked[::2], expected[::2])


@pytest.mark.parametrize('quantize', [nf4.quantize, jax.jit(nf4.quantize)], ids=['eager', 'jit'])
def test_full_blocks_use_a_rounded_reciprocal_and_a_short_one_divides(quantize):
  # As bitsandbytes. Near a midpoint, the product with the rounded reciprocal and the quotient are on
  # different sides. (XLA on CPU rewrites a plain division by the broadcast scales into that product.)
  above, below = (nf4.LEVELS[[11, 2]] + nf4.LEVELS[[12, 3]]) / 2
  near_3, near_7 = np.float32([1.1679376, -3.2199667])
  assert near_3 * (1 / np.float32(3)) > above >= near_3 / np.float32(3)
  assert near_7 * (1 / np.float32(7)) <= below < near_7 / np.float32(7)
  blocks = [[3, near_3, *[0] * 62], [7, near_7, *[0] * 62], [3, near_3]]
  codes = quantize(jnp.asarray(np.concatenate(blocks), jnp.float32)).codes
  assert [int(code) for code in codes[np.array([0, 32, 64])]] == [0xFC, 0xF2, 0xFB]


def test_a_short_block_of_zeros_has_the_scale_of_bitsandbytes():
  packed = nf4.quantize(jnp.zeros(70))
  assert set(packed.codes.tolist()) == {0x77}
  assert np.asarray(packed.scales).tolist() == [0, np.float32(1e-38)]
  np.testing.assert_array_equal(nf4.dequantize(packed), np.zeros(70))


@pytest.mark.parametrize('dtype', [jnp.bfloat16, jnp.float16])
def test_half_precision_is_quantized_as_its_float32_value(dtype):
  weights = jnp.asarray(drawn.weights((24, 48))).astype(dtype)
  packed, expected = drawn.quantize(weights), drawn.quantize(weights.astype(jnp.float32))
  np.testing.assert_array_equal(packed.codes, expected.codes)
  np.testing.assert_array_equal(packed.scales, expected.scales)
  assert packed.scales.dtype == jnp.float32
  assert nf4.dequantize(packed, dtype).dtype == dtype


def test_jit_and_vmap_change_nothing():
  weights = jnp.asarray(drawn.weights((3, 24, 5)))
  expected = jnp.stack([nf4.dequantize(nf4.quantize(each)) for each in weights])
  np.testing.assert_array_equal(jax.jit(jax.vmap(_round_trip))(weights), expected)
  np.testing.assert_array_equal(jax.jit(nf4.quantize)(weights[0]).codes, nf4.quantize(weights[0]).codes)


@pytest.mark.parametrize('kernel', ['auto', 'reference'])
@pytest.mark.parametrize('first', [-2.0, 0.5, 2.0])  # the CPU's product depends on it, but not in its result
def test_the_product_and_its_gradient_use_the_dequantized_weights(first, kernel):
  packed = drawn.quantize(jnp.asarray(drawn.weights((24, 48))))
  x, dy = (jnp.asarray(drawn.weights((2, 3, size), 1)).at[0, 0, 0].set(first) for size in (24, 48))
  y, pull = jax.vjp(lambda x: nf4.matmul(x, packed, kernel), x)
  weights = np.asarray(drawn.dequantize(packed), np.float64)
  # One rounding per summand.
  np.testing.assert_allclose(y, np.asarray(x, np.float64) @ weights, atol=24 * 2**-23 * 24)
  np.testing.assert_allclose(*pull(dy), np.asarray(dy, np.float64) @ weights.T, atol=48 * 2**-23 * 48)
  assert nf4.matmul(x.astype(jnp.bfloat16), packed).dtype == jnp.bfloat16


@pytest.mark.parametrize('block', [0, 1, 63])
def test_an_odd_block_is_refused(block):
  with pytest.raises(ValueError, match='even'):
    nf4.quantize(jnp.ones(64), block=block)


def test_products_of_many_layers_hold_one_float_kernel_at_a_time():
  size, layers = 256, 8
  packed = [drawn.quantize(jnp.asarray(drawn.weights((size, size), seed))) for seed in range(layers)]

  def loss(x: jax.Array, packed: list[nf4.Nf4]) -> jax.Array:
    for each in packed:
      x = jnp.tanh(nf4.matmul(x, each))
    return jnp.sum(x)

  compiled = jax.jit(jax.grad(loss)).lower(jnp.ones((4, size)), packed).compile()
  assert compiled.memory_analysis().temp_size_in_bytes < 3 * 4 * size * size  # of 8 float32 kernels


def test_a_fused_kernel_on_an_unsupported_platform_is_an_error():
  packed = drawn.quantize(jnp.ones((64, 64)))
  with pytest.raises(UserError, match='nf4_kernel=pallas'):
    nf4.matmul(jnp.ones((2, 64)), packed, 'pallas')


@pytest.mark.parametrize('platform', ['tpu', 'gpu'])
@pytest.mark.parametrize(
  ('kernel', 'faster', 'shape', 'fused'),
  [
    ('auto', False, (64, 128), False),
    ('auto', True, (64, 128), True),
    ('pallas', False, (64, 128), True),
    ('pallas', True, (64, 40), False),  # blocks extend over the ends of rows
    ('reference', True, (64, 128), False),
  ],
)
def test_which_kernel_computes_the_product(monkeypatch, platform, kernel, faster, shape, fused):
  packed = drawn.quantize(jnp.ones(shape))  # before the backend changes, and with it what is compiled
  monkeypatch.setattr(jax, 'default_backend', lambda: platform)
  monkeypatch.setattr(product, '_FASTER', frozenset({platform} if faster else ()))
  chosen = product.fused_kernels(jnp.ones((2, 64)), packed, kernel)
  assert (chosen.__name__ if chosen else None) == (f'har_jax.nf4.pallas_{platform}' if fused else None)
  assert product.fused_kernels(jnp.ones((2, 64)), packed.replace(block=128), kernel) is None

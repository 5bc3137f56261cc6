"""Four-bit weights against their definition: levels from the normal quantiles, codes and scales by hand."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from har_jax import nf4
from har_jax.errors import UserError
from har_jax.nf4 import product
from har_jax.nf4.reference import SCALE_BLOCK, float_scales
from har_jax.nf4.tables import DYNAMIC

_SHAPES = [(), (1,), (2,), (63,), (64,), (65,), (3, 5), (24, 48), (2, 3, 7), (1, 129), (2, 2, 2, 17)]


def _weights(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
  return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def _there_and_back(weights: jax.Array, *, block: int = nf4.BLOCK) -> jax.Array:
  return nf4.dequantize(nf4.quantize(weights, block=block))


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
  np.testing.assert_array_equal(nf4.quantize(weights).scales, np.float32([3, 0.5]))


def test_zeros_stay_zeros():
  packed = nf4.quantize(jnp.zeros((2, 64)))
  assert set(packed.codes.tolist()) == {0x77}
  assert packed.scales.tolist() == [0, 0]
  np.testing.assert_array_equal(nf4.dequantize(packed), np.zeros((2, 64)))
  among_others = _weights((64,))
  among_others[5] = 0
  assert _there_and_back(jnp.asarray(among_others))[5] == 0


def test_the_last_nibble_of_an_odd_number_is_a_zero():
  assert nf4.quantize(jnp.array([1.0, -1, 1])).codes.tolist() == [0xF0, 0xF7]


@pytest.mark.parametrize('shape', _SHAPES)
def test_any_shape_is_packed_within_the_bound(shape: tuple[int, ...]):
  weights = _weights(shape)
  packed = nf4.quantize(jnp.asarray(weights))
  assert (packed.codes.size, packed.scales.size) == (-(-weights.size // 2), -(-weights.size // 64))
  unpacked = nf4.dequantize(packed)
  assert unpacked.shape == shape
  _assert_within_bound(weights, unpacked, block=64)


@pytest.mark.parametrize('block', [2, 64, 128])
@pytest.mark.parametrize('seed', range(4))
def test_error_is_at_most_0152_of_the_largest_in_the_block(block: int, seed: int):
  rng = np.random.default_rng(seed)
  weights = (rng.standard_t(2, 5000) * 10.0 ** rng.uniform(-6, 6, 5000)).astype(np.float32)
  _assert_within_bound(weights, _there_and_back(jnp.asarray(weights), block=block), block=block)


def _assert_within_bound(weights: np.ndarray, unpacked: jax.Array, *, block: int) -> None:
  errors = np.abs(np.asarray(unpacked) - weights).reshape(-1)
  for start in range(0, weights.size, block):
    largest = np.abs(weights.reshape(-1)[start : start + block]).max()
    assert errors[start : start + block].max() <= 0.152 * largest


def test_each_weight_takes_the_nearest_level():
  unit = np.float32(np.linspace(-1, 1, 4001))
  nearest = np.abs(unit[:, None].astype(np.float64) - nf4.LEVELS[None]).argmin(axis=1)
  np.testing.assert_array_equal(_codes(unit), nearest)


def test_midway_takes_the_lower_level_and_a_hair_above_the_upper():
  midway = (nf4.LEVELS[1:] + nf4.LEVELS[:-1]) / 2
  above = np.nextafter(midway, np.float32(2))
  np.testing.assert_array_equal(_codes(np.append(midway, np.float32(1)))[:-1], range(15))
  np.testing.assert_array_equal(_codes(np.append(above, np.float32(1)))[:-1], range(1, 16))


def _codes(unit: np.ndarray) -> np.ndarray:
  """Codes of weights whose largest magnitude is one, in one block."""
  packed = nf4.quantize(jnp.asarray(unit), block=len(unit) + len(unit) % 2)
  return np.stack([packed.codes >> 4, packed.codes & 0xF], axis=-1).reshape(-1)[: len(unit)]


def test_what_was_packed_once_is_packed_without_loss():
  once = _there_and_back(jnp.asarray(_weights((37, 11))))
  np.testing.assert_array_equal(_there_and_back(once), once)


@pytest.mark.parametrize('scale', [1e-30, 1e30, 3e38])
def test_the_bound_holds_for_large_and_small_weights(scale: float):
  weights = np.float32(np.linspace(-1, 1, 64) * scale)
  _assert_within_bound(weights, _there_and_back(jnp.asarray(weights)), block=64)


@pytest.mark.parametrize('largest', [1e-44, 1e-39, 1.17e-38])
def test_a_block_of_denormals_is_a_block_of_zeros(largest: float):
  packed = nf4.quantize(jnp.asarray(np.float32(np.linspace(-1, 1, 64) * largest)))
  assert set(packed.codes.tolist()) == {0x77}
  assert packed.scales.tolist() == [0]


@pytest.mark.parametrize('bad', [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize('jit', [False, True])
def test_a_weight_that_is_not_finite_leaves_nothing_finite_in_its_block_and_all_else_as_it_was(
  bad: float, jit: bool
):
  weights = _weights((3, 64))
  expected = np.asarray(_there_and_back(jnp.asarray(weights)))
  weights[1, 7] = bad
  unpacked = (jax.jit(_there_and_back) if jit else _there_and_back)(jnp.asarray(weights))
  assert not np.isfinite(unpacked[1]).any()
  np.testing.assert_array_equal(unpacked[::2], expected[::2])


def test_a_full_block_is_scaled_by_a_rounded_reciprocal_and_a_short_one_divided():
  # A hair from three times the midpoint between codes 11 and 12: times the rounded third it lies above, divided by
  # three below. The ecosystem does the one in full blocks and the other in a short last block.
  near = 1.1679376
  assert nf4.quantize(jnp.array([3, near, *[0] * 62])).codes[0] == 0xFC
  assert nf4.quantize(jnp.array([3, near, 0, 0])).codes[0] == 0xFB


def test_a_short_block_of_zeros_has_the_ecosystems_scale():
  packed = nf4.quantize(jnp.zeros(70))
  assert set(packed.codes.tolist()) == {0x77}
  assert np.asarray(packed.scales).tolist() == [0, np.float32(1e-38)]
  np.testing.assert_array_equal(nf4.dequantize(packed), np.zeros(70))


@pytest.mark.parametrize('dtype', [jnp.bfloat16, jnp.float16])
def test_half_precision_is_packed_as_its_float32_value(dtype: jax.typing.DTypeLike):
  weights = jnp.asarray(_weights((24, 48))).astype(dtype)
  packed, expected = nf4.quantize(weights), nf4.quantize(weights.astype(jnp.float32))
  np.testing.assert_array_equal(packed.codes, expected.codes)
  np.testing.assert_array_equal(packed.scales, expected.scales)
  assert packed.scales.dtype == jnp.float32
  assert nf4.dequantize(packed, dtype).dtype == dtype


def test_jit_and_vmap_change_nothing():
  weights = jnp.asarray(_weights((3, 24, 5)))
  expected = jnp.stack([_there_and_back(each) for each in weights])
  np.testing.assert_array_equal(jax.vmap(_there_and_back)(weights), expected)
  np.testing.assert_array_equal(jax.jit(jax.vmap(_there_and_back))(weights), expected)
  np.testing.assert_array_equal(jax.jit(nf4.quantize)(weights[0]).codes, nf4.quantize(weights[0]).codes)


def test_product_is_that_of_the_unpacked_weights():
  packed, x = nf4.quantize(jnp.asarray(_weights((24, 48)))), jnp.asarray(_weights((2, 3, 24), 1))
  expected = np.asarray(x, np.float64) @ np.asarray(nf4.dequantize(packed), np.float64)
  np.testing.assert_allclose(nf4.matmul(x, packed), expected, atol=24 * 2**-23 * 24)  # a rounding a summand
  assert nf4.matmul(x.astype(jnp.bfloat16), packed).dtype == jnp.bfloat16


@pytest.mark.parametrize('block', [0, 1, 63])
def test_an_uneven_block_is_refused(block: int):
  with pytest.raises(ValueError, match='even'):
    nf4.quantize(jnp.ones(64), block=block)


@pytest.mark.parametrize('kernel', ['auto', 'reference'])
def test_the_gradient_is_that_of_the_unpacked_weights(kernel: str):
  packed, x = nf4.quantize(jnp.asarray(_weights((24, 48)))), jnp.asarray(_weights((2, 3, 24), 1))
  towards = jnp.asarray(_weights((2, 3, 48), 2))
  given = jax.grad(lambda x: jnp.sum(nf4.matmul(x, packed, kernel) * towards))(x)
  expected = np.asarray(towards, np.float64) @ np.asarray(nf4.dequantize(packed), np.float64).T
  np.testing.assert_allclose(given, expected, atol=48 * 2**-23 * 48)


def test_a_fused_kernel_asked_for_where_there_is_none_is_an_error():
  packed = nf4.quantize(jnp.ones((64, 64)))
  with pytest.raises(UserError, match='kernels for tpu, gpu and this is a cpu'):
    nf4.matmul(jnp.ones((2, 64)), packed, 'pallas')


@pytest.mark.parametrize('platform', ['tpu', 'gpu'])
@pytest.mark.parametrize(
  ('kernel', 'faster', 'shape', 'fused'),
  [
    ('auto', False, (64, 128), False),
    ('auto', True, (64, 128), True),
    ('pallas', False, (64, 128), True),
    ('pallas', True, (64, 40), False),  # blocks run over the ends of rows
    ('reference', True, (64, 128), False),
  ],
)
def test_who_multiplies(
  monkeypatch: pytest.MonkeyPatch,
  platform: str,
  kernel: str,
  faster: bool,
  shape: tuple[int, int],
  fused: bool,
):
  monkeypatch.setattr(jax, 'default_backend', lambda: platform)
  monkeypatch.setattr(product, '_FASTER', frozenset({platform} if faster else ()))
  packed = nf4.quantize(jnp.ones(shape))
  chosen = product._fused(jnp.ones((2, 64)), packed, kernel)
  assert (chosen.__name__ if chosen else None) == (f'har_jax.nf4.pallas_{platform}' if fused else None)


# --- double quantisation


def test_the_dynamic_code_is_seven_decades_of_equal_steps():
  # The lowest decade has one entry, the middle of 1e-7 and 1e-6; the one above two, the middles of 1e-6, 5.5e-6, 1e-5.
  np.testing.assert_allclose(DYNAMIC[128:131], [0.55e-6, 3.25e-6, 7.75e-6], rtol=1e-6)
  assert DYNAMIC[127] == 0
  assert DYNAMIC[255] == 1
  assert len(DYNAMIC) == 256
  np.testing.assert_array_equal(DYNAMIC[:127], -DYNAMIC[254:127:-1])
  decades = np.ceil(np.log10(DYNAMIC[128:255]))
  assert [int(np.sum(decades == decade)) for decade in range(-6, 1)] == [1, 2, 4, 8, 16, 32, 64]


def test_double_quantised_scales_by_hand():
  # Scales 1, 2, 6: less their mean of 3 they are -2, -1, 3, of which the largest is 3. Over it: -2/3, -1/3, 1.
  # The upper decade steps by 0.9/64 from 0.1, middles at 0.1 + 0.9/64·(k + 1/2): -2/3 is nearest to k = 40 (0.6695),
  # -1/3 to k = 16 (0.3320); the decade starts at 191 above zero and, mirrored, at 63 below it.
  packed = nf4.quantize(jnp.repeat(jnp.array([1.0, 2, 6]), 64), double=True)
  assert packed.scales.codes.tolist() == [63 - 40, 63 - 16, 255]
  assert packed.scales.codes.dtype == jnp.uint8
  assert packed.scales.scales.tolist() == [3]
  assert float(packed.scales.mean) == 3
  np.testing.assert_allclose(float_scales(packed), [3 - 3 * 0.66953125, 3 - 3 * 0.33203125, 6], rtol=1e-6)


@pytest.mark.parametrize('shape', _SHAPES)
def test_double_quantisation_keeps_codes_and_takes_its_scales_within_the_bound(shape: tuple[int, ...]):
  plain, double = (nf4.quantize(jnp.asarray(_weights(shape)), double=each) for each in (False, True))
  np.testing.assert_array_equal(plain.codes, double.codes)
  distances = np.abs(np.asarray(plain.scales) - float(double.scales.mean))
  # Half the widest step of the dynamic code, 0.9 / 64 / 2 = 0.70 % of the largest distance, and a rounding.
  bound = 0.00704 * distances.max() + 1e-6
  assert np.abs(np.asarray(float_scales(double)) - np.asarray(plain.scales)).max() <= bound


def test_double_quantisation_takes_4_127_bits_a_weight_with_everything_counted():
  weights = jnp.asarray(_weights((1024, 1024)))
  bits = {
    double: 8
    * sum(leaf.nbytes for leaf in jax.tree.leaves(nf4.quantize(weights, double=double)))
    / weights.size
    for double in (False, True)
  }
  # A nibble; a scale per 64; or a byte per 64, a second scale per 64 · 256, one mean.
  assert bits[False] == 4 + 32 / 64
  assert bits[True] == 4 + 8 / 64 + 32 / (64 * SCALE_BLOCK) + 32 / weights.size
  tables = 8 * (nf4.LEVELS.nbytes + DYNAMIC.nbytes) / weights.size  # once a program, however many kernels
  assert round(bits[True] + tables, 2) == 4.14


def test_double_quantisation_costs_little_accuracy():
  # Of normally distributed weights, relative in Frobenius' norm. Measured over these twenty seeds: plain NF4 in blocks
  # of 64 loses 0.0916 to 0.0925, double quantisation 1.0001 to 1.0003 times that. The limits leave about as much again.
  for seed in range(20):
    weights = _weights((192, 576), seed)
    plain, double = (
      float(np.linalg.norm(nf4.dequantize(nf4.quantize(jnp.asarray(weights), double=each)) - weights))
      / np.linalg.norm(weights)
      for each in (False, True)
    )
    assert 0.0910 < plain < 0.0930
    assert plain < double < 1.001 * plain


def test_leaves_make_the_packed_array_again():
  for double in (False, True):
    packed = nf4.quantize(jnp.asarray(_weights((24, 48))), double=double)
    leaves = nf4.to_leaves(packed, 'up/')
    again = nf4.from_leaves({name.removeprefix('up/'): leaf for name, leaf in leaves.items()}, (24, 48))
    assert jax.tree.structure(again) == jax.tree.structure(packed)
    assert jax.tree.all(jax.tree.map(np.array_equal, again, packed))


# --- bitsandbytes, where it is installed


def _by_bitsandbytes(weights: np.ndarray, *, double: bool = False):
  torch, functional = pytest.importorskip('torch'), pytest.importorskip('bitsandbytes.functional')
  packed, state = functional.quantize_4bit(
    torch.tensor(weights), quant_type='nf4', compress_statistics=double
  )
  return (
    packed.numpy().reshape(-1),
    state,
    functional.dequantize_4bit(packed, state).numpy().reshape(weights.shape),
  )


def _near_midpoints() -> np.ndarray:
  """Blocks of 64 of scales that have no exact reciprocal, with weights within four float32 steps of a midpoint."""
  rng, midway = np.random.default_rng(0), (nf4.LEVELS[1:] + nf4.LEVELS[:-1]) / 2
  scales = rng.choice(np.float32([3, 0.7, 1e-5, 7, 1 / 3]), (500, 1))
  weights = scales * rng.choice(midway, (500, 64))
  weights = (weights.view(np.int32) + rng.integers(-4, 5, weights.shape, np.int32)).view(np.float32)
  weights[:, :1] = scales
  return weights


def _with_zero_blocks() -> np.ndarray:
  weights = _weights((64, 130))
  weights[3:9] = weights[-1] = 0
  return weights


_MATRICES = {
  **{str(shape): _weights(shape) for shape in _SHAPES if math.prod(shape) and shape},
  'base': _weights((192, 576)),
  'ties, full blocks': _near_midpoints(),
  'ties, short block': _near_midpoints()[:, :30].reshape(-1)[:15017],
  'zero blocks': _with_zero_blocks(),
}


@pytest.mark.parametrize('name', _MATRICES)
def test_codes_and_scales_are_bitsandbytes_to_the_byte(name: str):
  codes, state, unpacked = _by_bitsandbytes(_MATRICES[name])
  packed = jax.jit(nf4.quantize)(jnp.asarray(_MATRICES[name]))
  np.testing.assert_array_equal(packed.codes, codes)
  np.testing.assert_array_equal(np.asarray(packed.scales).view(np.int32), state.absmax.numpy().view(np.int32))
  if (
    _MATRICES[name].shape[-1] % 64 == 0
  ):  # its CPU code takes wrong scales where a block runs on into the next row
    np.testing.assert_array_equal(nf4.dequantize(packed), unpacked)


def test_double_quantised_scales_are_bitsandbytes_but_for_its_second_choices():
  weights = _weights((1024, 1024))
  _, state, _ = _by_bitsandbytes(weights, double=True)
  scales = nf4.quantize(jnp.asarray(weights), double=True).scales
  np.testing.assert_allclose(DYNAMIC, state.state2.code.numpy(), rtol=0, atol=2**-24)
  np.testing.assert_allclose(scales.mean, state.offset.numpy(), rtol=1e-6)
  np.testing.assert_allclose(scales.scales, state.state2.absmax.numpy(), rtol=1e-6)
  # Its CPU code takes the second nearest entry for two in a thousand, near a midpoint; ours takes the nearest.
  apart = np.abs(np.asarray(scales.codes, np.int32) - state.absmax.numpy().astype(np.int32))
  assert apart.max() <= 1
  assert apart.mean() <= 0.005

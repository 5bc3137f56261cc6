"""NF4 against bitsandbytes, if it is installed."""

import math

import drawn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from har_jax import nf4
from har_jax.nf4.tables import DYNAMIC


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
  """Blocks whose scales have no exact reciprocal, with weights within four float32 steps of a midpoint."""
  rng, midway = np.random.default_rng(0), (nf4.LEVELS[1:] + nf4.LEVELS[:-1]) / 2
  scales = rng.choice(np.float32([3, 0.7, 1e-5, 7, 1 / 3]), (500, 1))
  weights = scales * rng.choice(midway, (500, 64))
  weights = (weights.view(np.int32) + rng.integers(-4, 5, weights.shape, np.int32)).view(np.float32)
  weights[:, :1] = scales
  return weights


def _with_zero_blocks() -> np.ndarray:
  weights = drawn.weights((64, 130))
  weights[3:9] = weights[-1] = 0
  return weights


_MATRICES = {
  **{str(shape): drawn.weights(shape) for shape in drawn.SHAPES if math.prod(shape) and shape},
  'base': drawn.weights((192, 576)),
  'ties, full blocks': _near_midpoints(),
  'ties, short block': _near_midpoints()[:, :30].reshape(-1)[:15017],
  'zero blocks': _with_zero_blocks(),
}


@pytest.mark.parametrize('name', _MATRICES)
def test_codes_and_scales_equal_bitsandbytes_byte_for_byte(name):
  codes, state, unpacked = _by_bitsandbytes(_MATRICES[name])
  packed = jax.jit(nf4.quantize)(jnp.asarray(_MATRICES[name]))
  np.testing.assert_array_equal(packed.codes, codes)
  np.testing.assert_array_equal(np.asarray(packed.scales).view(np.int32), state.absmax.numpy().view(np.int32))
  if _MATRICES[name].shape[-1] % 64 == 0:  # its CPU code uses wrong scales for a block over two rows
    np.testing.assert_array_equal(nf4.dequantize(packed), unpacked)


def test_double_quantized_scales_are_within_one_code_of_bitsandbytes():
  weights = drawn.weights((1024, 1024))
  _, state, _ = _by_bitsandbytes(weights, double=True)
  scales = nf4.quantize(jnp.asarray(weights), double=True).scales
  np.testing.assert_allclose(DYNAMIC, state.state2.code.numpy(), rtol=0, atol=2**-24)
  np.testing.assert_allclose(scales.mean, state.offset.numpy(), rtol=1e-6)
  np.testing.assert_allclose(scales.scales, state.state2.absmax.numpy(), rtol=1e-6)
  # Its CPU code uses the second nearest entry for two in a thousand, near a midpoint; ours the nearest.
  distance = np.abs(np.asarray(scales.codes, np.int32) - state.absmax.numpy().astype(np.int32))
  assert distance.max() <= 1
  assert distance.mean() <= 0.005

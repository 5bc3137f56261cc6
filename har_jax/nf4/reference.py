"""NF4 in plain jnp, the reference for every kernel.   c bytes of codes, s scales, z second-level scales.

Source: arXiv:2305.14314 (QLoRA), section 3 and appendix E. Codes and scales equal those of bitsandbytes,
byte for byte.
"""

import math
from collections.abc import Mapping
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

from har_jax.nf4.tables import DYNAMIC, LEVELS, midpoints

BLOCK = 64  # weights that share a scale
SCALE_BLOCK = 256  # scales that share a second-level scale
_SMALLEST = np.finfo(np.float32).tiny  # the smallest normal number: some devices flush smaller ones to zero
_TAIL_FLOOR = np.float32(1e-38)  # the scale that bitsandbytes stores for a short last block of zeros


# Fields of type Any: JAX also builds these dataclasses from placeholders and shapes.


@flax.struct.dataclass
class QuantizedScales:
  """8-bit scales: after subtracting their mean, a dynamic code each and a scale per block of 256."""

  codes: Any  # UInt8[Array, 's']
  scales: Any  # Float[Array, 'z']
  mean: Any  # Float[Array, '']


@flax.struct.dataclass
class Nf4:
  """A quantized array: two codes per byte, the first in the high nibble; blocks in row-major order."""

  codes: Any  # UInt8[Array, 'c']
  scales: Any  # Float[Array, 's'], float32: the largest magnitude of each block; or QuantizedScales
  shape: tuple[int, ...] = flax.struct.field(pytree_node=False)
  block: int = flax.struct.field(pytree_node=False, default=BLOCK)


def quantize(weights: Float[Array, '...'], *, block: int = BLOCK, double: bool = False) -> Nf4:
  """Quantizes weights of any shape, float32 or half precision, to 4-bit codes and a float32 scale per block.

  `block` is even. The last block may be short. For an odd number of weights, the last nibble is the code of
  zero. `double` quantizes the scales to 8 bits: 4.127 instead of 4.5 bits per weight.

  Error: at most 0.152 of the block's largest weight, half the widest step between levels. `double` adds at
  most 0.7 % of the largest distance of a scale from the mean scale. Ties: a weight midway between two
  levels gets the lower one. Zeros: zero stays zero. Weights below 2^-126 count as zeros. Not finite: a
  block with such a weight dequantizes to values that are not finite.
  """
  if block % 2 or block < 2:
    raise ValueError(f'block {block}: two codes share a byte, so a block must be even')
  # One program for a shape instead of 16. A short last block has another last scale in it, so it is without.
  pack = _pack if weights.size % block else _compiled_pack
  packed, scales = pack(weights, block)
  return Nf4(packed, _quantize_scales(scales) if double else scales, weights.shape, block)


def _pack(weights: Float[Array, '...'], block: int) -> tuple[UInt8[Array, 'c'], Float[Array, 's']]:
  codes, scales = _nearest(weights.astype(jnp.float32).reshape(-1), block, LEVELS)
  pairs = jnp.pad(codes, (0, codes.size % 2), constant_values=7).reshape(-1, 2)  # 7: the code of a zero
  return (pairs[:, 0] << 4) | pairs[:, 1], scales


_compiled_pack = jax.jit(_pack, static_argnums=1)


def _nearest(values: Float[Array, 'n'], block: int, table: np.ndarray) -> tuple[UInt8[Array, 'n'], Array]:
  """The table entry nearest to each value divided by its block's absolute maximum; and these maxima."""
  tail = values.size % block
  blocks = jnp.pad(values, (0, -values.size % block)).reshape(-1, block)
  scales = jnp.max(jnp.abs(blocks), axis=1)
  # Not `scales >= _SMALLEST`: a NaN must stay.
  scales = jnp.where(scales < _SMALLEST, 0, scales)
  # Above 2^126 the reciprocal is a denormal, which some devices flush to zero; scaling by a power of two is
  # exact.
  shrink = jnp.where(scales > 1, 2.0**-64, 1.0)
  divisor = jnp.where(scales == 0, 1, scales * shrink)
  # As bitsandbytes: full blocks times a rounded reciprocal, a short last block divided. Near a midpoint
  # they differ.
  unit = blocks * shrink[:, None] * (1 / divisor)[:, None]
  if tail:
    # Without the barrier, XLA replaces a division by a scalar with a product with its reciprocal.
    by = jax.lax.optimization_barrier(jnp.broadcast_to(divisor[-1], block))
    unit = unit.at[-1].set(blocks[-1] * shrink[-1] / by)
    scales = scales.at[-1].set(jnp.where(scales[-1] == 0, _TAIL_FLOOR, scales[-1]))
  # Counts the midpoints below: 45 times as fast as a binary search on x86-64. A value rounded above 1 does
  # no harm.
  codes = jnp.sum(unit.reshape(-1, 1) > midpoints(table)[None], axis=1, dtype=jnp.uint8)
  return codes[: values.size], scales


def _quantize_scales(scales: Float[Array, 's']) -> QuantizedScales:
  mean = jnp.mean(scales) if scales.size else jnp.float32(0)
  return QuantizedScales(*_nearest(scales - mean, SCALE_BLOCK, DYNAMIC), mean)


def dequantize(packed: Nf4, dtype: jax.typing.DTypeLike = jnp.float32) -> Float[Array, '...']:
  """The weights: level times scale in float32, rounded to `dtype`."""
  # Both nibbles in one shift and a gather without bounds check: XLA fuses them into one loop, 1.1 to 10
  # times as fast as selects or a table of 256 pairs on x86-64.
  nibbles = (packed.codes[:, None] >> np.array([[4, 0]], np.uint8)) & 0xF
  levels = jnp.asarray(LEVELS).at[nibbles.reshape(-1)].get(mode='promise_in_bounds')
  return (
    _scaled(levels, float_scales(packed), packed.block, math.prod(packed.shape))
    .reshape(packed.shape)
    .astype(dtype)
  )


def dequantize_on_host(packed: Nf4) -> Float[np.ndarray, '...']:
  """The float32 weights, by NumPy."""
  codes, scales = np.asarray(packed.codes), np.asarray(float_scales(packed))
  levels = LEVELS[np.stack([codes >> 4, codes & 0xF], axis=1).reshape(-1)]
  levels = np.pad(levels, (0, scales.size * packed.block - levels.size)).reshape(-1, packed.block)
  return (levels * scales[:, None]).reshape(-1)[: math.prod(packed.shape)].reshape(packed.shape)


def float_scales(packed: Nf4) -> Float[Array, 's']:
  """The float32 scale of each block."""
  scales = packed.scales
  if not isinstance(scales, QuantizedScales):
    return scales
  distances = jnp.asarray(DYNAMIC).at[scales.codes].get(mode='promise_in_bounds')
  return _scaled(distances, scales.scales, SCALE_BLOCK, scales.codes.size) + scales.mean


def _scaled(
  values: Float[Array, 'n'], scales: Float[Array, 's'], block: int, size: int
) -> Float[Array, 'size']:
  """The first `size` values, times their block's scale."""
  values = jnp.pad(values, (0, scales.size * block - values.size)).reshape(-1, block)
  return (values * scales[:, None]).reshape(-1)[:size]


def to_leaves(packed: Nf4, prefix: str = '') -> dict[str, Array]:
  """The arrays by name: codes and scales; or codes, scale_codes, scale_scales and scale_mean."""
  scales = packed.scales
  if not isinstance(scales, QuantizedScales):
    return {f'{prefix}codes': packed.codes, f'{prefix}scales': scales}
  return {
    f'{prefix}codes': packed.codes,
    f'{prefix}scale_codes': scales.codes,
    f'{prefix}scale_scales': scales.scales,
    f'{prefix}scale_mean': scales.mean,
  }


def from_leaves(leaves: Mapping[str, Array], shape: tuple[int, ...]) -> Nf4:
  """The inverse of `to_leaves`, for blocks of 64."""
  if 'scales' in leaves:
    return Nf4(leaves['codes'], leaves['scales'], shape)
  return Nf4(
    leaves['codes'],
    QuantizedScales(leaves['scale_codes'], leaves['scale_scales'], leaves['scale_mean']),
    shape,
  )

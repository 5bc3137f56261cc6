"""NF4 in plain jnp: the definition that every kernel is held to.

Source: arXiv:2305.14314 (QLoRA), section 3 and appendix E. Codes and scales are byte for byte what bitsandbytes
stores of the same matrix.   c bytes of codes, s scales, z second scales.
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
SCALE_BLOCK = 256  # scales that share a second scale
_SMALLEST = np.finfo(np.float32).tiny  # the smallest normal number: devices flush what lies below, or do not
_TAIL_FLOOR = np.float32(
  1e-38
)  # what the ecosystem stores as the scale of a short last block that is all zeros


# Fields of any kind: JAX also builds these of placeholders and of shapes.


@flax.struct.dataclass
class QuantizedScales:
  """Scales in eight bits: their mean taken off, then a dynamic code and a scale per block of 256."""

  codes: Any  # UInt8[Array, 's']
  scales: Any  # Float[Array, 'z']
  mean: Any  # Float[Array, '']


@flax.struct.dataclass
class Nf4:
  """A packed array: two codes a byte, the earlier weight in the high nibble, blocks in row-major order."""

  codes: Any  # UInt8[Array, 'c']
  scales: Any  # Float[Array, 's'], float32: the largest magnitude of each block; or QuantizedScales
  shape: tuple[int, ...] = flax.struct.field(pytree_node=False)
  block: int = flax.struct.field(pytree_node=False, default=BLOCK)


def quantize(weights: Float[Array, '...'], *, block: int = BLOCK, double: bool = False) -> Nf4:
  """Packs weights of any shape, float32 or half precision, into four bits each and a float32 scale a block.

  `block` is even. The last block may be short; of an odd number of weights the last nibble is a zero's code.
  With `double` the scales take eight bits: 4.127 bits a weight where 4.5 are taken without.

  Error: at most 0.152 of the block's largest weight (half the widest step between levels), and with `double` another
  0.7 % of the largest distance of a scale from the scales' mean.
  Ties: a weight midway between two levels takes the lower one.
  Zeros, denormals: a zero comes back as zero. Weights under 2^-126 count as zeros, a block of them as a zero block.
  Not finite: this function is traced and cannot refuse; of a block with such a weight nothing finite comes back.
  """
  if block % 2 or block < 2:
    raise ValueError(f'block {block}: two codes share a byte, so a block must be even')
  codes, scales = _nearest(weights.astype(jnp.float32).reshape(-1), block, LEVELS)
  pairs = jnp.pad(codes, (0, codes.size % 2), constant_values=7).reshape(-1, 2)  # 7: the code of a zero
  packed = (pairs[:, 0] << 4) | pairs[:, 1]
  return Nf4(packed, _quantize_scales(scales) if double else scales, weights.shape, block)


def _nearest(values: Float[Array, 'n'], block: int, table: np.ndarray) -> tuple[UInt8[Array, 'n'], Array]:
  """Of each value, over its block's largest magnitude, the nearest entry of the table; and those magnitudes."""
  tail = values.size % block
  # Zeros do not move a largest magnitude.
  blocks = jnp.pad(values, (0, -values.size % block)).reshape(-1, block)
  scales = jnp.max(jnp.abs(blocks), axis=1)
  # As written, and as its negation: a NaN is not small.
  scales = jnp.where(scales < _SMALLEST, 0, scales)
  # The reciprocal of a weight over 2^126 is a denormal, a zero to some devices; a power of two loses nothing.
  shrink = jnp.where(scales > 1, 2.0**-64, 1.0)
  divisor = jnp.where(scales == 0, 1, scales * shrink)
  # The ecosystem multiplies full blocks by a rounded reciprocal and divides a short last one: near a midpoint these differ.
  unit = blocks * shrink[:, None] * (1 / divisor)[:, None]
  if tail:
    # Behind a barrier, or XLA makes a product with the reciprocal of a division by one number.
    by = jax.lax.optimization_barrier(jnp.broadcast_to(divisor[-1], block))
    unit = unit.at[-1].set(blocks[-1] * shrink[-1] / by)
    scales = scales.at[-1].set(jnp.where(scales[-1] == 0, _TAIL_FLOOR, scales[-1]))
  # The midpoints below, counted: 45 times as fast as a binary search on x86-64. A rounding over one does no harm.
  codes = jnp.sum(unit.reshape(-1, 1) > midpoints(table)[None], axis=1, dtype=jnp.uint8)
  return codes[: values.size], scales


def _quantize_scales(scales: Float[Array, 's']) -> QuantizedScales:
  mean = jnp.mean(scales) if scales.size else jnp.float32(0)
  return QuantizedScales(*_nearest(scales - mean, SCALE_BLOCK, DYNAMIC), mean)


def dequantize(packed: Nf4, dtype: jax.typing.DTypeLike = jnp.float32) -> Float[Array, '...']:
  """The weights again: level times scale in float32, then rounded to `dtype`."""
  # The shift of both nibbles at once, and a gather that need not check its bounds: XLA makes one loop of it, which
  # beat selects and pairs from a table of 256 by 1.1 to 10 times on x86-64.
  nibbles = (packed.codes[:, None] >> np.array([[4, 0]], np.uint8)) & 0xF
  levels = jnp.asarray(LEVELS).at[nibbles.reshape(-1)].get(mode='promise_in_bounds')
  return (
    _scaled(levels, float_scales(packed), packed.block, math.prod(packed.shape))
    .reshape(packed.shape)
    .astype(dtype)
  )


def float_scales(packed: Nf4) -> Float[Array, 's']:
  """Each block's scale in float32."""
  scales = packed.scales
  if not isinstance(scales, QuantizedScales):
    return scales
  distances = jnp.asarray(DYNAMIC).at[scales.codes].get(mode='promise_in_bounds')
  return _scaled(distances, scales.scales, SCALE_BLOCK, scales.codes.size) + scales.mean


def _scaled(
  values: Float[Array, 'n'], scales: Float[Array, 's'], block: int, size: int
) -> Float[Array, 'size']:
  """Values times their block's scale, as many as `size`."""
  values = jnp.pad(values, (0, scales.size * block - values.size)).reshape(-1, block)
  return (values * scales[:, None]).reshape(-1)[:size]


def to_leaves(packed: Nf4, prefix: str = '') -> dict[str, Array]:
  """The arrays by name: codes and scales, or codes, scale_codes, scale_scales and scale_mean."""
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
  """What `to_leaves` took apart, in blocks of 64."""
  if 'scales' in leaves:
    return Nf4(leaves['codes'], leaves['scales'], shape)
  return Nf4(
    leaves['codes'],
    QuantizedScales(leaves['scale_codes'], leaves['scale_scales'], leaves['scale_mean']),
    shape,
  )

"""NF4 in plain jnp: the definition that every kernel is held to.

Source: arXiv:2305.14314 (QLoRA), section 3 and appendix E.   n weights, c bytes of codes, s blocks.
"""

import math

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

BLOCK = 64  # weights that share a scale

# Quantiles of the standard normal: eight steps on the positive side and seven on the negative, the largest scaled
# to one, and an exact zero (the test derives them). The ecosystem stores these float32 values.
LEVELS = np.array(
  [
    -1.0,
    -0.6961928009986877,
    -0.5250730514526367,
    -0.39491748809814453,
    -0.28444138169288635,
    -0.18477343022823334,
    -0.09105003625154495,
    0.0,
    0.07958029955625534,
    0.16093020141124725,
    0.24611230194568634,
    0.33791524171829224,
    0.44070982933044434,
    0.5626170039176941,
    0.7229568362236023,
    1.0,
  ],
  np.float32,
)
_MIDPOINTS = (LEVELS[1:] + LEVELS[:-1]) / 2


@flax.struct.dataclass
class Nf4:
  """A packed array: two codes a byte, the earlier weight in the high nibble, blocks in row-major order."""

  codes: UInt8[Array, 'c']
  scales: Float[Array, 's']  # float32: the largest magnitude of each block
  shape: tuple[int, ...] = flax.struct.field(pytree_node=False)
  block: int = flax.struct.field(pytree_node=False, default=BLOCK)


def packed_sizes(size: int, block: int = BLOCK) -> tuple[int, int]:
  """Bytes of codes and number of scales that so many weights take."""
  return -(-size // 2), -(-size // block)


def quantize(weights: Float[Array, '...'], *, block: int = BLOCK) -> Nf4:
  """Packs weights of any shape into four bits each; `block` is even.

  Error: at most 0.152 of the block's largest weight (half the widest step between levels). A block of zeros comes
  back as zeros, and so does a zero anywhere. A weight midway between two levels takes the lower one. The last block
  may be short; of an odd number of weights the last nibble is a zero's code.
  A weight that is not finite makes its whole block so: this function is traced and cannot refuse it.
  """
  if block % 2 or block < 2:
    raise ValueError(f'block {block}: two codes share a byte, so a block must be even')
  flat = weights.astype(jnp.float32).reshape(-1)
  blocks = jnp.pad(flat, (0, -flat.size % block)).reshape(-1, block)  # zeros do not move a largest magnitude
  scales = jnp.max(jnp.abs(blocks), axis=1)
  unit = blocks / jnp.where(scales > 0, scales, 1)[:, None]
  codes = jnp.searchsorted(jnp.asarray(_MIDPOINTS), unit.reshape(-1), side='left').astype(jnp.uint8)
  pairs = codes.reshape(-1, 2)[: packed_sizes(flat.size)[0]]
  return Nf4((pairs[:, 0] << 4) | pairs[:, 1], scales, weights.shape, block)


def dequantize(packed: Nf4, dtype: jax.typing.DTypeLike = jnp.float32) -> Float[Array, '...']:
  """The weights again: level times scale in float32, then rounded to `dtype`."""
  size, (count,) = math.prod(packed.shape), packed.scales.shape
  codes = jnp.stack([packed.codes >> 4, packed.codes & 0xF], axis=-1).reshape(-1)
  codes = jnp.pad(codes, (0, count * packed.block - codes.size)).reshape(count, packed.block)
  weights = jnp.asarray(LEVELS)[codes] * packed.scales[:, None]
  return weights.reshape(-1)[:size].reshape(packed.shape).astype(dtype)


def matmul(x: Float[Array, '*b i'], packed: Nf4) -> Float[Array, '*b o']:
  """x times the unpacked [i, o] weights, in the dtype of x."""
  return x @ dequantize(packed, x.dtype)

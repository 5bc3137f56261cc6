"""The product with NF4 weights in one TPU kernel.   m rows, i in, o out, c bytes of codes, s scales.

Float weights exist only in the core's memory (VMEM). The grid runs over tiles of the weight and, innermost,
over tiles of rows. A tile's codes do not depend on the rows. They are fetched once, decoded at the first
tile of rows, and kept in scratch for the others.

A byte holds two neighbors of a row, and vector registers cannot interleave lanes. The matrix unit can:
bytes times a matrix of ones and zeros puts each byte in two columns. This is exact, since bfloat16 holds
integers up to 256, and costs as much as 256 rows of x. Two products for even and odd columns, interleaved
by XLA, would copy the result three times.
"""

import functools
import math

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu as pltpu
from jaxtyping import Array, Float, UInt8

from har_jax.nf4.tables import LEVELS

PLATFORM = 'tpu'
_ONE_PASS = (None, 'default', 'bfloat16')  # JAX's names for float32 products rounded to bfloat16
_BLOCK = 64
_LANES = 128  # columns of a register
_SUBLANES = 32  # rows of a register, for bytes
_BUDGET = 14 * 2**20  # bytes, of the 16 MiB that a v5e allows a kernel


def may_run(shape: tuple[int, ...], dtype: jax.typing.DTypeLike, block: int) -> bool:
  """Returns whether both products support the shape: full blocks, a multiple of 32 rows, tiles that fit."""
  if len(shape) != 2 or block != _BLOCK or jnp.dtype(dtype) not in (jnp.float32, jnp.bfloat16):
    return False
  if shape[0] % _SUBLANES or shape[1] % _BLOCK or not all(shape):
    return False
  return all(_tiles(shape, dtype, transposed=transposed)[0] for transposed in (False, True))


# Traced once per shape, not per layer: a trace takes 25 to 50 ms.
@functools.partial(jax.jit, static_argnames=('shape', 'interpret'))
def forward(
  x: Float[Array, 'm i'],
  codes: UInt8[Array, 'c'],
  scales: Float[Array, 's'],
  shape: tuple[int, ...],
  *,
  interpret: bool = False,
) -> Float[Array, 'm o']:
  """x times the [i, o] weights, each rounded to the dtype of x, accumulated in float32.

  Scales are float32, one per block of 64. Defined where `may_run` holds. The kernel reads codes and scales
  once; before, XLA copies the codes from their flat layout into tiles. `jax_default_matmul_precision` sets
  the precision of float32 products, as everywhere on a TPU.
  """
  (i, o), (tile, rows) = shape, _tiles(shape, x.dtype, transposed=False)
  if not len(x):
    return jnp.zeros((0, o), x.dtype)  # a grid must not be empty
  rows = min(rows, len(x))
  return pl.pallas_call(
    _forward,
    out_shape=jax.ShapeDtypeStruct((len(x), o), x.dtype),
    grid=(o // tile, pl.cdiv(len(x), rows)),
    in_specs=[
      pl.BlockSpec((rows, i), lambda column, row: (row, 0)),
      pl.BlockSpec((i, tile // 2), lambda column, row: (0, column)),
      # All scales at once: those of one tile would be padded to 128 lanes, in device memory too.
      pl.BlockSpec(pipeline_mode=pl.Buffered(1)),
    ],
    out_specs=pl.BlockSpec((rows, tile), lambda column, row: (row, column)),
    **_options((i, tile), x.dtype, interpret, 'nf4_forward'),
  )(x, codes.reshape(i, o // 2), scales.reshape(i, o // _BLOCK))


@functools.partial(jax.jit, static_argnames=('shape', 'interpret'))
def backward(
  g: Float[Array, 'm o'],
  codes: UInt8[Array, 'c'],
  scales: Float[Array, 's'],
  shape: tuple[int, ...],
  *,
  interpret: bool = False,
) -> Float[Array, 'm i']:
  """g times the transposed weights; otherwise as `forward`."""
  (i, o), (tile, rows) = shape, _tiles(shape, g.dtype, transposed=True)
  if not len(g):
    return jnp.zeros((0, i), g.dtype)
  rows = min(rows, len(g))
  return pl.pallas_call(
    _backward,
    out_shape=jax.ShapeDtypeStruct((len(g), i), g.dtype),
    grid=(i // tile, pl.cdiv(len(g), rows)),
    in_specs=[
      pl.BlockSpec((rows, o), lambda column, row: (row, 0)),
      pl.BlockSpec((tile, o // 2), lambda column, row: (column, 0)),
      pl.BlockSpec((tile, o // _BLOCK), lambda column, row: (column, 0)),
    ],
    out_specs=pl.BlockSpec((rows, tile), lambda column, row: (row, column)),
    **_options((tile, o), g.dtype, interpret, 'nf4_backward'),
  )(g, codes.reshape(i, o // 2), scales.reshape(i, o // _BLOCK))


def _options(decoded: tuple[int, int], dtype: jnp.dtype, interpret: bool, name: str) -> dict:
  return {
    'scratch_shapes': [pltpu.VMEM(decoded, dtype)],
    # Tiles of the weight may run on several cores. Rows run in order: their first tile decodes.
    'compiler_params': pltpu.CompilerParams(dimension_semantics=('parallel', 'arbitrary')),
    'interpret': interpret,
    'name': name,
  }


def _forward(x_ref, codes_ref, scales_ref, y_ref, weights_ref):
  first = pl.program_id(0) * (weights_ref.shape[1] // _BLOCK)
  _decode_at_first_rows(codes_ref, scales_ref, weights_ref, first)
  y_ref[...] = _dot(x_ref[...], weights_ref[...], 0).astype(y_ref.dtype)


def _backward(g_ref, codes_ref, scales_ref, x_ref, weights_ref):
  _decode_at_first_rows(codes_ref, scales_ref, weights_ref, 0)
  x_ref[...] = _dot(g_ref[...], weights_ref[...], 1).astype(x_ref.dtype)


def _dot(left, right, axis: int):
  """Contracts the columns of `left` with an axis of `right`."""
  # Explicit, because the compiler fails for bfloat16 at a higher precision, and supports only one pass or
  # all.
  setting = jax.config.jax_default_matmul_precision  # type: ignore[attr-defined]
  all_passes = left.dtype == jnp.float32 and setting not in _ONE_PASS
  precision = jax.lax.Precision.HIGHEST if all_passes else jax.lax.Precision.DEFAULT
  dimensions = (((1,), (axis,)), ((), ()))
  return jax.lax.dot_general(left, right, dimensions, precision=precision, preferred_element_type=jnp.float32)


def _decode_at_first_rows(codes_ref, scales_ref, weights_ref, first_block):
  """Fills the scratch. `first_block` is the index, among the scales, of its leftmost block."""
  # In chunks of up to 128 rows of 128 bytes: the compiler would unroll the whole tile, register by
  # register.
  size = math.gcd(codes_ref.shape[0], _LANES)

  def decode(index, _):
    rows = pl.ds(pl.multiple_of(index * size, size), size)
    scales = scales_ref[rows, :]
    for left in range(0, codes_ref.shape[1], _LANES):
      codes = _unpack(codes_ref[rows, left : min(left + _LANES, codes_ref.shape[1])])
      scale = _spread(scales, first_block + 2 * left // _BLOCK, codes.shape)
      columns = slice(2 * left, 2 * left + codes.shape[1])
      weights_ref[rows, columns] = (levels(codes) * scale).astype(weights_ref.dtype)

  @pl.when(pl.program_id(1) == 0)
  def _():
    jax.lax.fori_loop(0, codes_ref.shape[0] // size, decode, None)


def _unpack(packed):
  """Unpacks [r, n] bytes into [r, 2n] integers whose low nibble is the column's code."""
  n = packed.shape[1]
  byte, column = (jax.lax.broadcasted_iota(jnp.int32, (n, 2 * n), axis) for axis in (0, 1))
  twice = (column // 2 == byte).astype(jnp.float32).astype(jnp.bfloat16)
  # These are the casts that the compiler supports.
  values = packed.astype(jnp.int32).astype(jnp.float32).astype(jnp.bfloat16)
  pairs = _dot(values, twice, 0).astype(jnp.int32)
  is_odd = jax.lax.broadcasted_iota(jnp.int32, pairs.shape, 1) % 2 == 1
  return jnp.where(is_odd, pairs, pairs >> 4)


def _spread(scales, first, shape):
  """A row's scales from index `first`, each repeated over the columns of its block, exactly (by selects)."""
  block_of_scale = jax.lax.broadcasted_iota(jnp.int32, scales.shape, 1)
  block_of_column = jax.lax.broadcasted_iota(jnp.int32, shape, 1) // _BLOCK
  spread = jnp.zeros(shape, jnp.float32)
  for block in range(shape[1] // _BLOCK):
    scale = jnp.sum(jnp.where(block_of_scale == first + block, scales, 0), axis=1, keepdims=True)
    spread = jnp.where(block_of_column == block, scale, spread)
  return spread


@jax.jit  # traced once: each select takes 0.3 ms to trace
def levels(codes):
  """The level of each low nibble, by 15 selects on its four bits.

  A gather from a table is slow or unsupported on a TPU; selects are exact on all devices.
  """
  values = [jnp.float32(level) for level in LEVELS]
  for bit in range(4):
    is_set = (codes & (1 << bit)) != 0
    values = [jnp.where(is_set, odd, even) for even, odd in zip(values[::2], values[1::2], strict=True)]
  return values[0]


def _tiles(shape: tuple[int, ...], dtype: jax.typing.DTypeLike, *, transposed: bool) -> tuple[int, int]:
  """Columns of the weight's tile (transposed: its rows) and rows of x; zeros if nothing fits.

  As many rows as fit, then the widest tile.
  """
  i, o = shape
  # The full side, or full registers: of bytes or, transposed, of the result.
  side = i if transposed else o
  parts = [size for size in ((512, 256, 128) if transposed else (1024, 512, 256)) if side % size == 0]
  for rows in (256, 128, 64, 32):
    for size in (side, *parts):
      decoded = (size, o) if transposed else (i, size)
      if _vmem_bytes(decoded, o, rows, size, jnp.dtype(dtype).itemsize, transposed=transposed) <= _BUDGET:
        return size, rows
  return 0, 0


def _vmem_bytes(
  decoded: tuple[int, int], o: int, rows: int, size: int, itemsize: int, *, transposed: bool
) -> int:
  """Bytes of VMEM. What changes from step to step is double-buffered."""
  height, width = decoded
  codes = 2 * height * _padded(width // 2)
  scales = (2 if transposed else 1) * 4 * height * _padded(o // _BLOCK)
  weights, x, y = height * _padded(width), rows * _padded(o if transposed else height), rows * _padded(size)
  # Weights and x once more: at the highest precision the compiler splits float32 into parts.
  return codes + scales + (2 * weights + 3 * x + 2 * y) * itemsize


def _padded(columns: int) -> int:
  return pl.cdiv(columns, _LANES) * _LANES

"""The product with packed weights in one TPU kernel.   m rows, i in, o out, c bytes of codes, s scales.

Bytes come in, and the float weight lives and dies in the core's memory (VMEM): the grid runs over tiles of the weight
and, innermost, over tiles of rows. A tile's codes do not depend on the rows, so they are fetched once, decoded at the
first tile of rows and kept in scratch for the others.

A byte holds two neighbors of a row, and vector registers do not weave lanes. The matrix unit does: bytes times a
matrix of ones and zeros puts each byte in two columns, exactly, as bfloat16 holds whole numbers up to 256. That costs
as much as 256 rows of x. Even and odd columns as two products, woven by XLA, would copy all of the result three times.
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
_ONE_PASS = (None, 'default', 'bfloat16')  # JAX's names for float32 products of bfloat16 roundings
_BLOCK = 64
_LANES = 128  # a register's columns
_SUBLANES = 32  # and rows, of bytes
_BUDGET = 14 * 2**20  # bytes; of the 16 MiB that a v5e grants a kernel


def may_run(shape: tuple[int, ...], dtype: jax.typing.DTypeLike, block: int) -> bool:
  """Whether both products take weights of this shape: whole blocks in a row, rows by 32, and tiles that fit."""
  if len(shape) != 2 or block != _BLOCK or jnp.dtype(dtype) not in (jnp.float32, jnp.bfloat16):
    return False
  if shape[0] % _SUBLANES or shape[1] % _BLOCK or not all(shape):
    return False
  return all(_tiles(shape, dtype, transposed=transposed)[0] for transposed in (False, True))


# Traced once a shape, not once a layer: a trace takes 25 to 50 ms.
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

  Scales are float32, one a block of 64. Defined where `may_run` holds. The kernel reads codes and scales once;
  before, XLA copies the packed bytes from their flat layout into tiles. A float32 product is as precise as
  `jax_default_matmul_precision` says, as everywhere on a TPU.
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
      # All scales, whole and once: a tile's few would be padded to 128 lanes, in device memory too.
      pl.BlockSpec((i, o // _BLOCK), lambda column, row: (0, 0), pipeline_mode=pl.Buffered(1)),
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
  """g times the transposed weights; all else as in `forward`."""
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
    # Cores may share the weight's tiles. Rows stay in order: the first tile of them decodes.
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
  """Left's columns against this axis of the right."""
  # Said here, for the compiler fails where bfloat16, whose products are exact, is asked for more, and knows nothing
  # between one pass and all.
  wanted = jax.config.jax_default_matmul_precision  # type: ignore[attr-defined]
  takes_all = left.dtype == jnp.float32 and wanted not in _ONE_PASS
  precision = jax.lax.Precision.HIGHEST if takes_all else jax.lax.Precision.DEFAULT
  over = (((1,), (axis,)), ((), ()))
  return jax.lax.dot_general(left, right, over, precision=precision, preferred_element_type=jnp.float32)


def _decode_at_first_rows(codes_ref, scales_ref, weights_ref, first_block):
  """Fills the scratch. Its left column is that of block `first_block` in the scales."""
  # At a time, up to 128 rows of 128 bytes: all at once the compiler would unroll, register by register.
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
  """From [r, n] bytes to [r, 2n] whole numbers whose low nibble is the column's code."""
  n = packed.shape[1]
  byte, column = (jax.lax.broadcasted_iota(jnp.int32, (n, 2 * n), axis) for axis in (0, 1))
  twice = (column // 2 == byte).astype(jnp.float32).astype(jnp.bfloat16)
  # These are the casts that the compiler has.
  values = packed.astype(jnp.int32).astype(jnp.float32).astype(jnp.bfloat16)
  pairs = _dot(values, twice, 0).astype(jnp.int32)
  is_odd = jax.lax.broadcasted_iota(jnp.int32, pairs.shape, 1) % 2 == 1
  return jnp.where(is_odd, pairs, pairs >> 4)


def _spread(scales, first, shape):
  """Of a row's scales those from `first` on, each over the columns of its block. By selects, which round nothing."""
  block_of_scale = jax.lax.broadcasted_iota(jnp.int32, scales.shape, 1)
  block_of_column = jax.lax.broadcasted_iota(jnp.int32, shape, 1) // _BLOCK
  spread = jnp.zeros(shape, jnp.float32)
  for block in range(shape[1] // _BLOCK):
    scale = jnp.sum(jnp.where(block_of_scale == first + block, scales, 0), axis=1, keepdims=True)
    spread = jnp.where(block_of_column == block, scale, spread)
  return spread


@jax.jit  # traced once: each select takes 0.3 ms
def levels(codes):
  """The level of each low nibble: its four bits choose one of 16 in 15 selects.

  A TPU's gather from a table is slow or missing; selects are exact and the same everywhere.
  """
  values = [jnp.float32(level) for level in LEVELS]
  for bit in range(4):
    is_set = (codes & (1 << bit)) != 0
    values = [jnp.where(is_set, odd, even) for even, odd in zip(values[::2], values[1::2], strict=True)]
  return values[0]


def _tiles(shape: tuple[int, ...], dtype: jax.typing.DTypeLike, *, transposed: bool) -> tuple[int, int]:
  """Columns of the weight's tile (transposed: its rows) and rows of x, or zeros where nothing fits.

  The most rows that fit, then the widest tile.
  """
  i, o = shape
  # The whole; or whole registers, of bytes, or transposed of the result.
  whole = i if transposed else o
  parts = [size for size in ((512, 256, 128) if transposed else (1024, 512, 256)) if whole % size == 0]
  for rows in (256, 128, 64, 32):
    for size in (whole, *parts):
      decoded = (size, o) if transposed else (i, size)
      if _held(decoded, o, rows, size, jnp.dtype(dtype).itemsize, transposed=transposed) <= _BUDGET:
        return size, rows
  return 0, 0


def _held(decoded: tuple[int, int], o: int, rows: int, size: int, itemsize: int, *, transposed: bool) -> int:
  """Bytes of VMEM. What changes from step to step is there twice: the next is on its way."""
  height, width = decoded
  codes = 2 * height * _padded(width // 2)
  scales = (2 if transposed else 1) * 4 * height * _padded(o // _BLOCK)
  weights, x, y = height * _padded(width), rows * _padded(o if transposed else height), rows * _padded(size)
  # And weights and x once more: at the highest precision the compiler takes float32 apart.
  return codes + scales + (2 * weights + 3 * x + 2 * y) * itemsize


def _padded(columns: int) -> int:
  return pl.cdiv(columns, _LANES) * _LANES

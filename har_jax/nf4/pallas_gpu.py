"""The product with NF4 weights in one GPU kernel (Triton).   m rows, i in, o out, c bytes of codes, s scales.

A program computes one tile of the result. Along the contraction it loads a tile of codes, decodes it in
registers and multiplies. Each tile of rows decodes again. Programs that share codes run next to each other:
rows are the grid's fast axis. So a byte is read once from device memory, then from the L2 cache.
"""

import functools
import math

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton
from jaxtyping import Array, Float, UInt8

from har_jax.nf4.pallas_tpu import levels

PLATFORM = 'gpu'
_BLOCK = 64  # also a tile's columns: one scale per row
_SMALLEST = 16  # the least side of a Triton product


def may_run(shape: tuple[int, ...], dtype: jax.typing.DTypeLike, block: int) -> bool:
  """Returns whether both products support the shape: rows of full blocks, and a multiple of 16 rows."""
  if len(shape) != 2 or block != _BLOCK or jnp.dtype(dtype) not in (jnp.float32, jnp.bfloat16):
    return False
  return not (shape[0] % _SMALLEST or shape[1] % _BLOCK) and all(shape)


# Traced once per shape, not per layer: a trace takes 10 ms.
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

  Scales are float32, one per block of 64. Defined where `may_run` holds. As in XLA's product, float32 is
  rounded to TF32 unless `jax_default_matmul_precision` is `highest`.
  """
  return _product(_forward, x, codes, scales, shape, shape[1], interpret)


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
  return _product(_backward, g, codes, scales, shape, shape[0], interpret)


def _product(kernel, x, codes, scales, shape, width, interpret):
  i, o = shape
  if not len(x):
    return jnp.zeros((0, width), x.dtype)  # a grid must not be empty
  rows = min(max(pl.next_power_of_2(len(x)), _SMALLEST), 64)
  tile = math.gcd(i, 64)  # rows of the weight; Triton needs powers of two
  return pl.pallas_call(
    functools.partial(kernel, rows=rows, tile=tile),
    out_shape=jax.ShapeDtypeStruct((len(x), width), x.dtype),
    grid=(pl.cdiv(len(x), rows), o // _BLOCK if kernel is _forward else i // tile),
    # Without them, JAX 0.10 uses its other GPU compiler. JAX 0.12 deprecates Triton, but warns where the
    # caller's program is compiled, so that no filter here would catch it.
    compiler_params=triton.CompilerParams(num_warps=4, num_stages=2),
    interpret=interpret,
    name=kernel.__name__.replace('_', 'nf4_'),
  )(x, codes.reshape(i, o // 2), scales.reshape(i, o // _BLOCK))


def _forward(x_ref, codes_ref, scales_ref, y_ref, *, rows, tile):
  rows, block = _tile(0, rows), pl.program_id(1)

  def add(step, total):
    inner = step * tile + jnp.arange(tile)
    weights = _decode(codes_ref, scales_ref, inner, block, x_ref.dtype)
    return total + jnp.dot(_load(x_ref, rows, inner), weights, preferred_element_type=jnp.float32)

  total = jnp.zeros((len(rows), _BLOCK), jnp.float32)
  total = jax.lax.fori_loop(0, x_ref.shape[1] // tile, add, total)
  _store(y_ref, rows, _tile(1, _BLOCK), total)


def _backward(g_ref, codes_ref, scales_ref, x_ref, *, rows, tile):
  rows, inner = _tile(0, rows), _tile(1, tile)

  def add(block, total):
    weights = _decode(codes_ref, scales_ref, inner, block, g_ref.dtype)
    g = _load(g_ref, rows, block * _BLOCK + jnp.arange(_BLOCK))
    return total + jnp.dot(g, weights.T, preferred_element_type=jnp.float32)

  total = jnp.zeros((len(rows), tile), jnp.float32)
  total = jax.lax.fori_loop(0, g_ref.shape[1] // _BLOCK, add, total)
  _store(x_ref, rows, inner, total)


def _tile(axis, size):
  """Indices of this program's tile."""
  return pl.program_id(axis) * size + jnp.arange(size)


def _decode(codes_ref, scales_ref, rows, block, dtype):
  """One block of each of these rows of the weight: [rows, 64].

  By selects, not a table of 16: a load per weight would compete with the loads of x.
  """
  half = _BLOCK // 2
  codes = codes_ref[rows[:, None], (block * half + jnp.arange(half))[None]].astype(jnp.int32)
  pairs = jnp.stack([levels(codes >> 4), levels(codes)], axis=-1)
  return (pairs.reshape(-1, _BLOCK) * scales_ref[rows, block][:, None]).astype(dtype)


def _load(ref, rows, columns):
  return triton.load(ref.at[rows[:, None], columns[None]], mask=_inside(ref, rows, columns), other=0)


def _store(ref, rows, columns, values):
  values = values.astype(ref.dtype)
  triton.store(ref.at[rows[:, None], columns[None]], values, mask=_inside(ref, rows, columns))


def _inside(ref, rows, columns):
  """The last tile of rows may be partly outside."""
  return jnp.broadcast_to(rows[:, None] < ref.shape[0], (len(rows), len(columns)))

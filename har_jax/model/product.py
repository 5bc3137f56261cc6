"""The matrix products of every dense layer.   i in, o out, r rank."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from har_jax import nf4
from har_jax.products import dot_general, matmul


@jax.custom_vjp
def product(x: Float[Array, '*b i'], w: Float[Array, 'i o']) -> Float[Array, '*b o']:
  """x w, with the gradient of w in a form that is fast on CPU.

  JAX derives it as (dyᵀ x)ᵀ. XLA folds this into a product that contracts the first axis of its left
  operand. That has no fast kernel on CPU: full fine-tuning in bfloat16 took 2.5 times as long. If x and
  dy are contracted over all leading axes at once, XLA transposes x and uses the fast kernel.
  """
  return matmul(x, w)


def _forward(x: Array, w: Array) -> tuple[Array, tuple[Array, Array]]:
  return matmul(x, w), (x, w)


def _backward(residuals: tuple[Array, Array], dy: Array) -> tuple[Array, Array]:
  x, w = residuals
  return matmul(dy, w.T), _over_rows(x, dy)


product.defvjp(_forward, _backward)


@jax.custom_vjp
def low_rank_product(
  x: Float[Array, '*b i'],
  w: Float[Array, 'i o'] | nf4.Nf4,
  left: Float[Array, 'i r'],
  right: Float[Array, 'r o'],
) -> Float[Array, '*b o']:
  """x (w + left right), in the dtype of x; w is frozen and has no gradient.

  The sum is formed in float32 before the product, as in merging. With more than i o / (i + o) rows, it takes
  fewer operations than x w + (x left) right. It needs no second array of outputs.
  """
  return matmul(x, _sum(w, left, right, x))


def _sum(w: Array | nf4.Nf4, left: Array, right: Array, x: Array) -> Array:
  kernel = nf4.dequantize_after(w, x) if isinstance(w, nf4.Nf4) else w
  return (kernel + left @ right).astype(x.dtype)


def _low_rank_forward(
  x: Array, w: Array | nf4.Nf4, left: Array, right: Array
) -> tuple[Array, tuple[Array, Array | nf4.Nf4, Array, Array]]:
  return low_rank_product(x, w, left, right), (x, w, left, right)


def _low_rank_backward(
  residuals: tuple[Array, Array | nf4.Nf4, Array, Array], dy: Array
) -> tuple[Array, None, Array, Array]:
  x, w, left, right = residuals
  dx = matmul(dy, _sum(w, left, right, dy).T)
  (inputs, rank), outputs = left.shape, right.shape[1]
  if 2 * rank * (inputs + outputs) > inputs * outputs:  # then the gradient of w takes fewer operations
    dw = _over_rows(x, dy, jnp.float32)
    return dx, None, dw @ right.T, left.T @ dw
  dleft = _over_rows(x, matmul(dy, right.T.astype(dy.dtype)), jnp.float32)
  return dx, None, dleft, _over_rows(matmul(x, left.astype(x.dtype)), dy, jnp.float32)


low_rank_product.defvjp(_low_rank_forward, _low_rank_backward)


def _over_rows(x: Float[Array, '*b i'], dy: Float[Array, '*b o'], dtype: Any = None) -> Float[Array, 'i o']:
  """The sum over all rows of the outer products of x and dy.

  XLA transposes the left operand on CPU, so that is the narrower one. A barrier keeps their order.
  """
  leading = tuple(range(x.ndim - 1))
  if x.shape[-1] > dy.shape[-1]:
    return jax.lax.optimization_barrier(_over_rows(dy, x, dtype)).T
  return dot_general(x, dy, ((leading, leading), ((), ())), dtype)

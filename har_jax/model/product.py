"""The matrix product of every dense layer.   i in, o out."""

import jax
from jaxtyping import Array, Float


@jax.custom_vjp
def product(x: Float[Array, '*b i'], w: Float[Array, 'i o']) -> Float[Array, '*b o']:
  """x w, with the gradient of w in a form that is fast on CPU.

  JAX derives it as (dyᵀ x)ᵀ. XLA folds this into a product that contracts the first axis of its left
  operand. That has no fast kernel on CPU: full fine-tuning in bfloat16 took 2.5 times as long. If x and
  dy are contracted over all leading axes at once, XLA transposes x and uses the fast kernel.
  """
  return x @ w


def _forward(x: Array, w: Array) -> tuple[Array, tuple[Array, Array]]:
  return x @ w, (x, w)


def _backward(residuals: tuple[Array, Array], dy: Array) -> tuple[Array, Array]:
  x, w = residuals
  leading = tuple(range(x.ndim - 1))
  return dy @ w.T, jax.lax.dot_general(x, dy, ((leading, leading), ((), ())))


product.defvjp(_forward, _backward)

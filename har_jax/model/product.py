"""The one product of every dense layer.   i in, o out."""

import jax
from jaxtyping import Array, Float


@jax.custom_vjp
def product(x: Float[Array, '*b i'], w: Float[Array, 'i o']) -> Float[Array, '*b o']:
  """x w, with the weight's gradient in a form that CPU compilers multiply fast.

  Derived by JAX it is (dyᵀ x)ᵀ. XLA folds that into a product that contracts the first axis of its left side, for which its
  CPU has no fast kernel: full fine-tuning in bfloat16 took 2.5 times as long. Contracting x and dy over all leading axes at
  once, it copies x the other way round and takes the fast kernel.
  """
  return x @ w


def _forward(x: Array, w: Array) -> tuple[Array, tuple[Array, Array]]:
  return x @ w, (x, w)


def _backward(kept: tuple[Array, Array], dy: Array) -> tuple[Array, Array]:
  x, w = kept
  leading = tuple(range(x.ndim - 1))
  return dy @ w.T, jax.lax.dot_general(x, dy, ((leading, leading), ((), ())))


product.defvjp(_forward, _backward)

"""Matrix products that are fast: with every version of JAX, and by NumPy beside it.   i in, o out."""

from contextlib import AbstractContextManager
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

# On CPU, JAX 0.10 multiplies bfloat16 as slowly as float32, unless the result is float32. Later ones do not:
# there, a float32 result only costs memory.
_RESULT = jnp.float32 if jax.__version_info__ < (0, 11) else None


def matmul(x: Float[Array, '*b i'], w: Float[Array, 'i o']) -> Float[Array, '*b o']:
  """x w."""
  return dot_general(x, w, (((x.ndim - 1,), (0,)), ((), ())))


def dot_general(x: Array, y: Array, dimensions: Any, dtype: Any = None) -> Array:
  """`jax.lax.dot_general`, by default in the dtype of x."""
  product = jax.lax.dot_general(x, y, dimensions, preferred_element_type=dtype or _RESULT)
  return product.astype(dtype or x.dtype)


def on_one_thread() -> AbstractContextManager[Any]:
  """Lets NumPy, SciPy and scikit-learn multiply on one thread within a block. Import them before.

  Threads of their libraries wait for each other in a loop. Where XLA or another program keeps a core busy,
  products of small matrices would take ten times as long.
  """
  from threadpoolctl import threadpool_limits  # late: it looks for the libraries that are loaded

  return threadpool_limits(1, user_api='blas')

"""Matrix products that are fast with every version of JAX.   i in, o out."""

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

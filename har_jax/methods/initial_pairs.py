"""Initial pairs of LoRA.   i in, o out, r rank."""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from har_jax import config, initializers
from har_jax.errors import UserError
from har_jax.methods import packing
from har_jax.methods.method import Settings
from har_jax.variables import Variables, modules_with

_LOFTQ_ITERATIONS = 5  # as in its source's experiments


def start(
  kernel: Float[Array, 'i o'], path: str, settings: Settings, key: jax.Array
) -> tuple[Float[Array, 'i o'], Float[Array, 'i r'], Float[Array, 'r o']]:
  """Returns kernel, A and B before the first step.

  zero: A is uniform, like a dense layer, and B is zero.
  pissa: scale · A B holds the largest singular values, the kernel the rest (arXiv:2404.02948, section 3).
  loftq: the kernel is in four bits, and scale · A B holds what they miss (arXiv:2310.08659, section 3).
  Each follows from the base's kernel, so that an adapter file need not hold the kernel.
  Raises UserError for loftq if kernels are not in four bits.
  """
  lora, bound = settings.lora, kernel.shape[0] ** -0.5
  shape = (kernel.shape[0], lora.rank)
  a = jax.device_put(initializers.draw(jax.random.uniform, key, shape, minval=-bound, maxval=bound))
  b = initializers.zeros(key, (lora.rank, kernel.shape[1]))
  if lora.start == 'loftq' and not settings.four_bits:
    raise UserError('lora_start loftq needs kernels in four bits: take qlora, or lora_start zero or pissa')
  if lora.start == 'pissa':
    a, b = _principal(kernel, a, b)
    kernel = kernel - a @ b
  elif lora.start == 'loftq' and packing.is_packed(path):
    a, b, kernel = _loftq(kernel, a, b, double=settings.precision.nf4_double)
  else:
    return kernel, a, b
  return kernel, a * lora.scale**-0.5, b * lora.scale**-0.5


def _principal(
  kernel: Float[Array, 'i o'], a: Float[Array, 'i r'], b: Float[Array, 'r o']
) -> tuple[Float[Array, 'i r'], Float[Array, 'r o']]:
  """The product of this rank that is closest to the kernel; a and b fill a rank beyond the kernel's own."""
  left, values, right = jnp.linalg.svd(kernel, full_matrices=False)
  rank = min(a.shape[1], len(values))
  root = jnp.sqrt(values[:rank])
  return a.at[:, :rank].set(left[:, :rank] * root[None]), b.at[:rank].set(root[:, None] * right[:rank])


def _loftq(
  kernel: Float[Array, 'i o'], a: Float[Array, 'i r'], b: Float[Array, 'r o'], *, double: bool
) -> tuple[Float[Array, 'i r'], Float[Array, 'r o'], Float[Array, 'i o']]:
  """A, B, and the kernel in four bits: alternately what is closest to the kernel without the other."""
  pair, residual = (a, b), kernel
  for _ in range(_LOFTQ_ITERATIONS):
    rounded = packing.rounded(residual, double=double)
    pair = _principal(kernel - rounded, a, b)
    residual = kernel - pair[0] @ pair[1]
  return *pair, rounded


def plain_start(encoder: Variables, adapter: Variables, settings: Settings) -> tuple[config.Lora, Variables]:
  """Turns pairs that start at singular values into pairs of twice the rank for the base's own kernels.

  W' + s A B = W + s [A, A₀] [B; -B₀], since W' = W - s A₀ B₀.   Source: arXiv:2404.02948, appendix C.
  """
  lora = settings.lora
  changed = dict(adapter)
  for module in modules_with(adapter, 'lora', 'a'):
    a, b, kernel = f'lora/{module}/a', f'lora/{module}/b', f'params/{module}/kernel'
    _, first, second = start(jnp.asarray(encoder[kernel]), kernel, settings, jax.random.key(0))
    changed[a] = jnp.concatenate([adapter[a], first], axis=1)
    changed[b] = jnp.concatenate([adapter[b], -second])
  alpha = lora.alpha * (2 if lora.scaling == 'rank' else 2**0.5)
  return dataclasses.replace(lora, rank=2 * lora.rank, alpha=alpha, start='zero'), changed

"""The matrix product with NF4 weights, forward and backward.   i in, o out."""

import dataclasses
import functools
import importlib
from types import ModuleType

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt8

from har_jax import products
from har_jax.errors import UserError
from har_jax.nf4.reference import Nf4, dequantize, float_scales

# The fused kernels, by platform. Imported when needed: Pallas takes half a second to import.
_FUSED = {'tpu': 'har_jax.nf4.pallas_tpu', 'gpu': 'har_jax.nf4.pallas_gpu'}
# Platforms where `auto` uses them: where `launch.bench.nf4` measured them faster than XLA. None measured
# so far.
_FASTER: frozenset[str] = frozenset()


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def matmul(x: Float[Array, '*b i'], packed: Nf4, kernel: str = 'auto') -> Float[Array, '*b o']:
  """x times the dequantized [i, o] weights, in the dtype of x. NF4 weights have no gradient.

  Each pass dequantizes the weights and drops them after the product, so a step over many layers holds one
  float kernel at a time. `kernel` is `config.Precision.nf4_kernel`. `pallas` falls back to jnp for products
  that the platform's fused kernel does not support.
  Raises UserError for `pallas` on a platform without fused kernels.
  """
  if fused := fused_kernels(x, packed, kernel):
    y = fused.forward(_as_rows(x), packed.codes, float_scales(packed), packed.shape)
    return y.reshape(*x.shape[:-1], packed.shape[1])
  return products.matmul(x, dequantize_after(packed, x, x.dtype))


def _forward(x: Array, packed: Nf4, kernel: str) -> tuple[Array, Nf4]:
  return matmul(x, packed, kernel), packed


def _backward(kernel: str, packed: Nf4, gradient: Array) -> tuple[Array, None]:
  if fused := fused_kernels(gradient, packed, kernel):
    rows = fused.backward(_as_rows(gradient), packed.codes, float_scales(packed), packed.shape)
    x_gradient = rows.reshape(*gradient.shape[:-1], packed.shape[0])
  else:
    x_gradient = products.matmul(gradient, dequantize_after(packed, gradient, gradient.dtype).T)
  return x_gradient, None


matmul.defvjp(_forward, _backward)


def _as_rows(x: Float[Array, '*b i']) -> Float[Array, 'm i']:
  return x.reshape(-1, x.shape[-1])


def fused_kernels(x: Array, packed: Nf4, kernel: str) -> ModuleType | None:
  """The platform's fused kernels if they compute this product; None: jnp does."""
  platform = getattr(jax.config.values['jax_default_device'], 'platform', None) or jax.default_backend()
  if kernel == 'pallas' and platform not in _FUSED:
    raise UserError(
      f'--nf4_kernel=pallas has kernels for {", ".join(_FUSED)}, and this platform is {platform}; use auto'
    )
  if kernel == 'reference' or (kernel == 'auto' and platform not in _FASTER):
    return None
  fused = importlib.import_module(_FUSED[platform])
  return fused if fused.may_run(packed.shape, x.dtype, packed.block) else None


def dequantize_after(packed: Nf4, x: Array, dtype: jax.typing.DTypeLike = jnp.float32) -> Float[Array, 'i o']:
  """The weights, from codes that are available to the compiler only after x is computed.

  Without this, the compiler dequantizes the weights of all layers at once and keeps them for the backward
  pass.
  """
  codes, x = jax.lax.optimization_barrier((packed.codes, x))
  # The CPU compiler drops barriers before it schedules the program (JAX 0.10; 0.12 keeps some). There the
  # codes depend on a value of x.
  codes = jax.lax.platform_dependent(codes, x, cpu=_depend_on, default=lambda codes, x: codes)
  return dequantize(dataclasses.replace(packed, codes=codes), dtype)


def _depend_on(codes: UInt8[Array, 'c'], x: Array) -> UInt8[Array, 'c']:
  first = x.reshape(-1)[:1]  # also valid for an empty x
  return codes ^ jnp.any((first > 1) & (first < 0)).astype(jnp.uint8)  # never true, but XLA cannot know

"""The product with packed weights, forward and backward.   i in, o out."""

import dataclasses
import functools
import importlib
from types import ModuleType

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt8

from har_jax.errors import UserError
from har_jax.nf4.reference import Nf4, dequantize, float_scales

# The fused kernels, by platform. Imported when needed: Pallas takes half a second to import.
_FUSED = {'tpu': 'har_jax.nf4.pallas_tpu', 'gpu': 'har_jax.nf4.pallas_gpu'}
# Where `auto` takes them: where launch/bench_nf4.py has shown them to be faster than XLA's own product at our shapes.
# So far no such device was at hand.
_FASTER: frozenset[str] = frozenset()


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def matmul(x: Float[Array, '*b i'], packed: Nf4, kernel: str = 'auto') -> Float[Array, '*b o']:
  """x times the unpacked [i, o] weights, in the dtype of x. Packed weights have no gradient.

  The weights are unpacked once here and once more in the backward pass, and each time are dropped after their product:
  a step over many layers holds one float kernel at a time. `kernel` is `config.Precision.nf4_kernel`: with `pallas`,
  products that the fused kernel of the platform cannot take are done in jnp all the same.
  Raises UserError for `pallas` where the platform has no such kernel.
  """
  if fused := _fused(x, packed, kernel):
    y = fused.forward(_rows(x), packed.codes, float_scales(packed), packed.shape)
    return y.reshape(*x.shape[:-1], packed.shape[1])
  return x @ dequantize(_after(packed, x), x.dtype)


def _forward(x: Array, packed: Nf4, kernel: str) -> tuple[Array, Nf4]:
  return matmul(x, packed, kernel), packed


def _backward(kernel: str, packed: Nf4, gradient: Array) -> tuple[Array, None]:
  if fused := _fused(gradient, packed, kernel):
    rows = fused.backward(_rows(gradient), packed.codes, float_scales(packed), packed.shape)
    towards_x = rows.reshape(*gradient.shape[:-1], packed.shape[0])
  else:
    towards_x = gradient @ dequantize(_after(packed, gradient), gradient.dtype).T
  return towards_x, None  # of packed weights there is none


matmul.defvjp(_forward, _backward)


def _rows(x: Float[Array, '*b i']) -> Float[Array, 'm i']:
  return x.reshape(-1, x.shape[-1])


def _fused(x: Array, packed: Nf4, kernel: str) -> ModuleType | None:
  """The platform's fused kernels where they are to do this product; None: jnp does it."""
  platform = getattr(jax.config.values['jax_default_device'], 'platform', None) or jax.default_backend()
  if kernel == 'pallas' and platform not in _FUSED:
    raise UserError(
      f'nf4_kernel pallas: there are kernels for {", ".join(_FUSED)} and this is a {platform}; use auto'
    )
  if kernel == 'reference' or (kernel == 'auto' and platform not in _FASTER):
    return None
  fused = importlib.import_module(_FUSED[platform])
  return fused if fused.may_run(packed.shape, x.dtype, packed.block) else None


def _after(packed: Nf4, x: Array) -> Nf4:
  """The packed weights, but not before x is there.

  Without this the compiler unpacks the weights of all layers at once and keeps them for the backward pass.
  """
  codes, x = jax.lax.optimization_barrier((packed.codes, x))
  # The CPU compiler drops barriers before it puts the program in order (JAX 0.10; 0.12 heeds some): there the codes
  # wait for a value of x.
  codes = jax.lax.platform_dependent(codes, x, cpu=_marked, default=lambda codes, x: codes)
  return dataclasses.replace(packed, codes=codes)


def _marked(codes: UInt8[Array, 'c'], x: Array) -> UInt8[Array, 'c']:
  first = x.reshape(-1)[:1]  # an empty x is none to wait for
  return codes ^ jnp.any((first > 1) & (first < 0)).astype(jnp.uint8)  # never true, as only we know

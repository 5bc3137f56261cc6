"""Formats of a weight matrix: float32, our NF4, and the NF4 of other libraries, if they are installed."""

import dataclasses
import functools
import importlib
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from har_jax import nf4, variables


@dataclasses.dataclass(frozen=True)
class WeightFormat:
  """A matrix [i, o] in one format, and calls that multiply it with activations [m, i]."""

  name: str
  held_bytes: int
  calls: dict[str, Callable[[], Any]]  # operation → call without arguments
  unpacked: np.ndarray  # the matrix after dequantization


OPERATIONS = ('quantize', 'dequantize', 'product', 'product and gradient')


def weight_formats(weights: np.ndarray, x: np.ndarray) -> Iterator[WeightFormat]:
  """The formats that are installed. float32 comes first, as the reference."""
  yield _float32(weights, x)
  kernels = ['reference'] if jax.default_backend() == 'cpu' else ['reference', 'pallas']
  for double in (False, True):
    for kernel in kernels:
      yield _har_jax(weights, x, double=double, kernel=kernel)
  for peer in (_bitsandbytes, _qwix):
    try:
      yield peer(weights, x)
    except ModuleNotFoundError as missing:
      if missing.name not in ('torch', 'bitsandbytes', 'qwix'):
        raise


def _float32(weights: np.ndarray, x: np.ndarray) -> WeightFormat:
  # The matrix is an argument: XLA could fold a constant.
  kernel, rows = jnp.asarray(weights), jnp.asarray(x)
  gradient = jax.jit(lambda x, kernel: jax.value_and_grad(lambda x: jnp.sum(x @ kernel))(x))
  product = jax.jit(lambda x, kernel: x @ kernel)
  calls = {'product': lambda: product(rows, kernel), 'product and gradient': lambda: gradient(rows, kernel)}
  return WeightFormat('float32', variables.resident(kernel), calls, weights)


def _har_jax(weights: np.ndarray, x: np.ndarray, *, double: bool, kernel: str) -> WeightFormat:
  name = f'har_jax NF4{" double" if double else ""}{", Pallas" if kernel == "pallas" else ""}'
  quantize = functools.partial(nf4.quantize, double=double)
  return _in_jax(name, weights, x, quantize, nf4.dequantize, lambda x, packed: nf4.matmul(x, packed, kernel))


def _qwix(weights: np.ndarray, x: np.ndarray) -> WeightFormat:
  qwix: Any = importlib.import_module('qwix')
  quantize = functools.partial(qwix.quantize, qtype='nf4', channelwise_axes=(0,), tiled_axes={1: nf4.BLOCK})
  return _in_jax('qwix NF4', weights, x, quantize, qwix.dequantize, qwix.dot)


def _in_jax(
  name: str, weights: np.ndarray, x: np.ndarray, quantize: Callable, dequantize: Callable, matmul: Callable
) -> WeightFormat:
  """The format of a JAX library. Packed weights are an argument: XLA could fold a constant."""
  matrix, rows = jnp.asarray(weights), jnp.asarray(x)
  quantize, dequantize, product = jax.jit(quantize), jax.jit(dequantize), jax.jit(matmul)
  gradient = jax.jit(lambda x, packed: jax.value_and_grad(lambda x: jnp.sum(matmul(x, packed)))(x))
  packed = quantize(matrix)
  calls = {
    'quantize': lambda: quantize(matrix),
    'dequantize': lambda: dequantize(packed),
    'product': lambda: product(rows, packed),
    'product and gradient': lambda: gradient(rows, packed),
  }
  return WeightFormat(name, variables.resident(packed), calls, np.asarray(dequantize(packed)))


def _bitsandbytes(weights: np.ndarray, x: np.ndarray) -> WeightFormat:
  torch: Any = importlib.import_module('torch')
  library: Any = importlib.import_module('bitsandbytes')
  functional = library.functional
  matrix = torch.tensor(np.ascontiguousarray(weights.T))  # bitsandbytes multiplies with [o, i]
  quantize = functools.partial(functional.quantize_4bit, matrix, quant_type='nf4')
  packed, state = quantize()
  rows = torch.tensor(x)

  def gradient() -> Any:
    leaf = rows.clone().requires_grad_()
    library.matmul_4bit(leaf, packed.t(), state).sum().backward()
    return leaf.grad.numpy()

  def product() -> Any:
    with torch.no_grad():
      return library.matmul_4bit(rows, packed.t(), state).numpy()

  calls = {
    'quantize': lambda: quantize()[0].numpy(),
    'dequantize': lambda: functional.dequantize_4bit(packed, state).numpy(),
    'product': product,
    'product and gradient': gradient,
  }
  size_bytes = sum(tensor.numel() * tensor.element_size() for tensor in (packed, state.absmax))
  return WeightFormat(
    'bitsandbytes NF4', size_bytes, calls, functional.dequantize_4bit(packed, state).numpy().T
  )

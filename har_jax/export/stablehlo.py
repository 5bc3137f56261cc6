"""StableHLO, written by `jax.export`: for JAX on any platform, and for readers of portable StableHLO.

i in, o out.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Int8

from har_jax import config
from har_jax.export.format import Format, Run
from har_jax.export.merged import Merged

_PLATFORMS = ('cpu', 'cuda', 'tpu')
_MAX_CODE = 127  # -128 is not used, so that codes are symmetric


def _build(merged: Merged, precision: str) -> bytes:
  """The program for any number of windows per call. int8 kernels are multiplied in float32."""
  recognize = merged.recognize if precision == 'float32' else _with_int8_kernels(merged)
  shape = jax.export.symbolic_shape(f'windows, {merged.model.window_samples}, {config.CHANNELS}')
  with _without_paths():
    exported = jax.export.export(jax.jit(recognize), platforms=_PLATFORMS)(
      jax.ShapeDtypeStruct(shape, np.float32)
    )
  return bytes(exported.serialize())


@contextlib.contextmanager
def _without_paths() -> Iterator[None]:
  """Keeps the source file of each operation out of the program: its path may have a user's name."""
  name = 'jax_traceback_in_locations_limit'
  limit = getattr(jax.config, name)
  jax.config.update(name, 0)
  try:
    yield
  finally:
    jax.config.update(name, limit)


def _start(content: bytes) -> Run:
  recognize = jax.jit(jax.export.deserialize(bytearray(content)).call)
  return lambda signals: np.asarray(recognize(signals))


def quantize(
  kernel: Float32[np.ndarray, 'i o'],
) -> tuple[Int8[np.ndarray, 'i o'], Float32[np.ndarray, '1 o']]:
  """Codes, and one scale per output. Error: at most half a scale, 1/254 of the output's largest weight."""
  scale = np.maximum(np.abs(kernel).max(axis=0, keepdims=True), np.finfo(np.float32).tiny) / _MAX_CODE
  return np.rint(kernel / scale).astype(np.int8), scale


def _with_int8_kernels(merged: Merged) -> Callable[[Array], Array]:
  packed = {path: quantize(leaf) for path, leaf in merged.variables.items() if path.endswith('/kernel')}

  def recognize(signal: Float[Array, 'b n c']) -> Float[Array, 'b y']:
    kernels = {
      path: jnp.asarray(codes).astype(jnp.float32) * scale for path, (codes, scale) in packed.items()
    }
    return dataclasses.replace(merged, variables=merged.variables | kernels).recognize(signal)

  return recognize


STABLEHLO = Format('stablehlo', 'model.stablehlo', (), ('float32', 'int8'), _build, _start)

"""Versions of packages and the device, for result files."""

import importlib.metadata
import os
import pathlib
import platform
from collections.abc import Sequence

import jax

import har_jax
from har_jax import records

_CPU_PRODUCTS = frozenset({'avx512_bf16', 'amx_bf16'})


def versions(also: Sequence[str] = ()) -> dict[str, str]:
  """Versions of packages; `also` names further packages, skipped if not installed."""
  names = ('jax', 'jaxlib', 'flax', 'optax', 'orbax-checkpoint', 'grain', 'numpy', 'scikit-learn', 'scipy')
  return (
    {'har_jax': har_jax.__version__, 'python': platform.python_version()}
    | {name: importlib.metadata.version(name) for name in names}
    | {name: number for name in also if (number := version(name))}
  )


def device() -> records.Device:
  """JAX's device and its host."""
  first = jax.devices()[0]
  return records.Device(
    platform=first.platform,
    kind=first.device_kind,
    count=jax.device_count(),
    host_cores=len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1,
    # With the instructions that bfloat16 products use: their speed depends on these.
    machine=' '.join([platform.machine(), *sorted(_CPU_PRODUCTS & _cpu_features())]),
  )


def fastest_dtype() -> str:
  """The dtype of the fastest matrix products on JAX's device: float32 or bfloat16.

  On CPUs, bfloat16 is faster with AVX-512 BF16 or AMX, and slower without.
  """
  if jax.default_backend() != 'cpu':
    return 'bfloat16'
  has_products = not _CPU_PRODUCTS.isdisjoint(_cpu_features())
  return 'bfloat16' if has_products else 'float32'


def _cpu_features() -> set[str]:
  """The processor's features as Linux names them; none elsewhere."""
  try:
    text = pathlib.Path('/proc/cpuinfo').read_text()
  except OSError:
    return set()
  return {word for line in text.splitlines() if line.startswith('flags') for word in line.split()}


def version(name: str) -> str | None:
  """The version of a package; None if it is not installed."""
  try:
    return importlib.metadata.version(name)
  except importlib.metadata.PackageNotFoundError:
    return None

"""Versions and device, for result files."""

import importlib.metadata
import os
import platform
from collections.abc import Sequence
from typing import Any

import jax

import har_jax


def describe(also: Sequence[str] = ()) -> dict[str, Any]:
  """Versions of packages and the device; `also` names further packages, skipped if not installed."""
  names = ('jax', 'jaxlib', 'flax', 'optax', 'orbax-checkpoint', 'grain', 'numpy', 'scikit-learn', 'scipy')
  device = jax.devices()[0]
  return {
    'versions': {'har_jax': har_jax.__version__, 'python': platform.python_version()}
    | {name: importlib.metadata.version(name) for name in names}
    | {name: version for name in also if (version := _version(name))},
    'device': {
      'platform': device.platform,
      'kind': device.device_kind,
      'count': jax.device_count(),
      'host_cores': len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count(),
      'machine': platform.machine(),
    },
  }


def _version(name: str) -> str | None:
  try:
    return importlib.metadata.version(name)
  except importlib.metadata.PackageNotFoundError:
    return None

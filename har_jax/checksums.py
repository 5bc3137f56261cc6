"""Checksums of files and arrays.

XXH3 of 128 bits finds damage and mix-ups, not forgery. SHA-256, which names a base, takes six times as long.
"""

import hashlib
import json
import pathlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import xxhash


def hash_bytes(content: Any) -> str:
  """The checksum of bytes, or of anything that holds bytes in one piece."""
  return xxhash.xxh3_128_hexdigest(content)


def hash_file(path: pathlib.Path) -> str:
  """The checksum of a file on disk."""
  with path.open('rb') as file:
    return hashlib.file_digest(file, xxhash.xxh3_128).hexdigest()


def hash_arrays(arrays: Iterable[np.ndarray]) -> str:
  """The checksum of arrays in their order: of types, shapes and bytes."""
  digest = xxhash.xxh3_128()
  for array in arrays:
    digest.update(f'{array.dtype.name}{list(array.shape)}'.encode())
    digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
  return digest.hexdigest()


def hash_entries(entries: Any) -> str:
  """The checksum of JSON values. Spaces and the order of entries do not matter: they change no number."""
  return hash_bytes(json.dumps(entries, sort_keys=True, separators=(',', ':')).encode())

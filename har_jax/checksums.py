"""Checksums of files, and cards: JSON entries sealed with those of the files next to them and of themselves.

A card is its folder's manifest. It is written last, so what a killed job leaves has none that fits.
The checksum is XXH3 of 128 bits: it finds damage and mix-ups, not forgery. SHA-256, which names a base,
takes six times as long.
"""

import json
import mmap
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import xxhash

KEY = 'sums'
_ITSELF = 'itself'


def of(content: Any) -> str:
  """The checksum of bytes, or of anything that holds bytes in one piece."""
  return xxhash.xxh3_128_hexdigest(content)


def of_file(path: pathlib.Path) -> str:
  """The checksum of a file on disk, read through a memory map: nothing is copied."""
  if not path.stat().st_size:  # it cannot be mapped
    return of(b'')
  with path.open('rb') as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
    return of(content)


def of_arrays(arrays: Iterable[np.ndarray]) -> str:
  """The checksum of arrays in their order: of types, shapes and bytes."""
  digest = xxhash.xxh3_128()
  for array in arrays:
    digest.update(f'{array.dtype.name}{list(array.shape)}'.encode())
    digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
  return digest.hexdigest()


def of_entries(entries: Any) -> str:
  """The checksum of JSON values. Spaces and the order of entries do not matter: they change no number."""
  return of(json.dumps(entries, sort_keys=True, separators=(',', ':')).encode())


def seal(entries: Mapping[str, Any], files: Mapping[str, str] | None = None) -> dict[str, Any]:
  """The entries and, under `sums`, those of the files given and of the entries.

  files: name → sum. Raises ValueError where an entry is no JSON value, such as NaN.
  """
  plain = json.loads(json.dumps({**entries, KEY: files or {}}, allow_nan=False))
  return plain | {KEY: plain[KEY] | {_ITSELF: of_entries(plain)}}


def unseal(sealed: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
  """The entries, and the files' sums. Raises ValueError where the entries are not those that were sealed."""
  files = sealed.get(KEY)
  if not isinstance(files, dict) or not isinstance(expected := files.get(_ITSELF), str):
    raise ValueError('it has no sums, as an older version wrote it')
  rest = {name: sum_ for name, sum_ in files.items() if name != _ITSELF}
  if (found := of_entries({**sealed, KEY: rest})) != expected:
    raise ValueError(f'the sum of its entries is {found}, and it says {expected}')
  return {name: value for name, value in sealed.items() if name != KEY}, rest

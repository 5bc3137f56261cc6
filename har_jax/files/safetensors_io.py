"""Variables in a safetensors file, which runs no code when it is read, and a JSON card next to it."""

import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any, TypeVar

import jax
import numpy as np
import safetensors
import safetensors.numpy

from har_jax import checksums, records, storage
from har_jax.config import CHANNELS, Windowing
from har_jax.errors import UserError, shorten
from har_jax.records import Card
from har_jax.storage import Place
from har_jax.variables import Variables

_Kind = TypeVar('_Kind', bound=Card)
UNITS = ['m/s²'] * (CHANNELS // 2) + ['rad/s'] * (CHANNELS // 2)
MAKE_AGAIN = 'fetch or write it again'


def input_entries(windowing: Windowing) -> dict[str, int | list[str]]:
  """The input of a model, as stated in its card."""
  return {'rate_hz': windowing.rate_hz, 'window': windowing.samples, 'units': UNITS}


def checksum(leaves: Variables) -> str:
  """SHA-256 over names, types, shapes and bytes; the order of the entries does not matter."""
  digest = hashlib.sha256()
  for path in sorted(leaves):
    leaf = np.asarray(leaves[path])
    digest.update(f'{path} {leaf.dtype.name}{list(leaf.shape)}\n'.encode())
    digest.update(leaf.tobytes())
  return digest.hexdigest()


def write(folder: Place, name: str, leaves: Variables, card: Card) -> None:
  """Writes <name>.safetensors, and the card as <name>.json. Raises as `with_card` and `write_files`."""
  write_files(folder, contents_of(name, leaves, card))


def read(folder: Place, name: str, kind: type[_Kind]) -> tuple[Variables, _Kind]:
  """What `write` wrote.

  Raises UserError, naming the file, if one is missing, has another format, or another checksum.
  """
  card, expected = storage.read_card(folder / f'{name}.json', kind, to_do=MAKE_AGAIN)
  file = folder / f'{name}.safetensors'
  return from_bytes(file, storage.read_file(file, expected.get(file.name), to_do=MAKE_AGAIN)), card


def contents_of(name: str, leaves: Variables, card: Card) -> dict[str, bytes]:
  """The files of `write`, by their names. Raises UserError as `with_card`."""
  return with_card({f'{name}.safetensors': to_bytes(leaves)}, f'{name}.json', card)


def with_card(contents: Mapping[str, bytes], name: str, card: Card) -> dict[str, bytes]:
  """Files, and the file of their card. Raises UserError if an entry of it is not valid."""
  entries = records.to_json(card)
  records.check(entries, type(card), name, to_do='nothing was written')
  sums = {file: checksums.hash_bytes(content) for file, content in contents.items()}
  return {**contents, name: storage.card(entries, sums)}


def to_bytes(leaves: Variables) -> bytes:
  # In C order; a scalar stays one, which np.ascontiguousarray would not leave it.
  return safetensors.numpy.save({path: np.asarray(leaves[path], order='C') for path in sorted(leaves)})


def from_bytes(path: Place, content: bytes) -> Variables:
  """A safetensors file's leaves. Raises UserError where it is none."""
  try:
    read = safetensors.numpy.load(content)
  except (ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
    raise UserError(f'{path} cannot be read ({shorten(error)}); {MAKE_AGAIN}') from error
  return jax.device_put(read)


def to_text(entries: Mapping[str, Any]) -> bytes:
  """JSON that others read: it holds no sums."""
  return f'{json.dumps(entries, indent=1, ensure_ascii=False)}\n'.encode(errors='backslashreplace')


def write_files(
  folder: Place | str | os.PathLike[str], contents: Mapping[str, bytes], *, overwrite: bool = True
) -> None:
  """Writes files into a folder, all or none. Raises UserError as `storage.write_files` and `refuse_used`."""
  place = storage.place(folder)
  storage.refuse_used(place, overwrite=overwrite)
  paths = {place / name: content for name, content in contents.items()}
  storage.write_files(paths, f'{", ".join(contents)} to {place}')

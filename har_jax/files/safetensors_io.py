"""Variables in a safetensors file, which runs no code when it is read, and a JSON card next to it."""

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy

from har_jax import storage
from har_jax.config import CHANNELS, WINDOW_SAMPLES
from har_jax.data.recording import RATE_HZ
from har_jax.errors import UserError
from har_jax.storage import Place
from har_jax.variables import Variables

# The input of every model, as stated in its card.
INPUT: dict[str, Any] = {
  'rate_hz': RATE_HZ,
  'window': WINDOW_SAMPLES,
  'units': ['m/s²'] * (CHANNELS // 2) + ['rad/s'] * (CHANNELS // 2),
}


def checksum(leaves: Variables) -> str:
  """SHA-256 over names, types, shapes and bytes; the order of the entries does not matter."""
  digest = hashlib.sha256()
  for path in sorted(leaves):
    leaf = np.asarray(leaves[path])
    digest.update(f'{path} {leaf.dtype.name}{list(leaf.shape)}\n'.encode())
    digest.update(leaf.tobytes())
  return digest.hexdigest()


def write(folder: Place, name: str, leaves: Variables, card: Mapping[str, Any]) -> None:
  """<name>.safetensors, and the card as <name>.json. Raises UserError as `write_files` does."""
  write_files(folder, {f'{name}.safetensors': to_bytes(leaves), f'{name}.json': to_text(card)})


def read(
  folder: Place, name: str, format: str, *, decode: Callable[[Variables], Variables] = dict
) -> tuple[Variables, dict[str, Any]]:
  """What `write` wrote. decode: applied to the leaves before the checksum, such as unpacking kernels.

  Raises UserError, naming the file, where one is missing or has another format, and where the checksum
  differs.
  """
  card = read_card(folder / f'{name}.json', format)
  leaves = decode(from_file(folder / f'{name}.safetensors'))
  if (held := checksum(leaves)) != card['checksum']:
    raise UserError(
      f'{folder / name}.safetensors is damaged or does not belong to {name}.json: its checksum is {held}, '
      f'the card says {card["checksum"]}; fetch or write both again'
    )
  return leaves, card


def read_card(path: Place, format: str) -> dict[str, Any]:
  """Raises UserError where it is missing, no JSON object, or of another format or schema version."""
  try:
    card = json.loads(path.read_bytes().decode())
  except (OSError, ValueError) as error:
    raise UserError(f'{path} cannot be read: {error}') from error
  held = card.get('format') if isinstance(card, dict) else None
  if held != format:
    raise UserError(f'{path} has the format {held!r}, and this version reads {format!r}; make it again')
  return card


def to_bytes(leaves: Variables) -> bytes:
  # In C order; a scalar stays one, which np.ascontiguousarray would not leave it.
  return safetensors.numpy.save({path: np.asarray(leaves[path], order='C') for path in sorted(leaves)})


def from_file(path: Place) -> Variables:
  """Raises UserError where it cannot be read."""
  try:
    read = safetensors.numpy.load(path.read_bytes())
  except (OSError, ValueError, safetensors.SafetensorError) as error:
    raise UserError(f'{path} cannot be read ({error}); fetch or write it again') from error
  return {name: jnp.asarray(leaf) for name, leaf in read.items()}


def to_text(card: Mapping[str, Any]) -> bytes:
  return f'{json.dumps(card, indent=1, ensure_ascii=False)}\n'.encode()


def write_files(folder: Place, contents: Mapping[str, bytes]) -> None:
  """Writes files into a folder, all of them or none; other files stay.

  All are written under temporary names, then renamed; the card comes last, so that a reader in between finds
  a checksum that does not match. Raises UserError where the disk is full or the folder is not writable.
  """
  partial = {name: folder / f'.{name}.{os.getpid()}.partial' for name in contents}
  try:
    if storage.is_bucket(folder):  # an object appears when all of it is there
      for name, content in contents.items():
        (folder / name).write_bytes(content)
      return
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
      partial[name].write_bytes(content)
    for name in contents:
      os.replace(partial[name], folder / name)
  except OSError as error:
    for path in partial.values():
      with contextlib.suppress(OSError):
        path.unlink()
    raise UserError(
      f'cannot write {", ".join(contents)} to {folder}: {error.strerror or error}; '
      'free some space or write elsewhere'
    ) from error

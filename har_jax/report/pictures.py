"""Embeddings and reconstructions, as `har-jax paper` writes them into the folders of runs. Needs no JAX."""

from typing import Any

from har_jax import storage
from har_jax.errors import UserError
from har_jax.storage import Place

Picture = dict[str, Any]


def find(folder: Place, kind: str) -> list[Picture]:
  """Every <kind>s.json below a folder, by path. Raises UserError if one has another format.

  kind: embedding or reconstruction.
  """
  found = {path: storage.read(path) for path in sorted(folder.rglob(f'{kind}s.json'))}
  for path, picture in found.items():
    if picture.get('format') != f'har_jax {kind} 3':
      raise UserError(f"{path} is not of format 'har_jax {kind} 3'; delete it and run har-jax paper again")
  return list(found.values())

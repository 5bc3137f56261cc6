"""Embeddings and reconstructions, as `har-jax paper` writes them into the folders of runs. Needs no JAX."""

from typing import Any

from har_jax import storage
from har_jax.errors import UserError
from har_jax.storage import Place

Picture = dict[str, Any]


def embeddings(folder: Place) -> list[Picture]:
  """Every embeddings.json below a folder, by path. Raises UserError if one has another format."""
  return _found(folder, 'embeddings.json', 'har_jax embedding 2')


def reconstructions(folder: Place) -> list[Picture]:
  """Every reconstructions.json below a folder, by path. Raises UserError if one has another format."""
  return _found(folder, 'reconstructions.json', 'har_jax reconstruction 2')


def _found(folder: Place, name: str, expected: str) -> list[Picture]:
  found = {path: storage.read(path) for path in sorted(folder.rglob(name))}
  for path, picture in found.items():
    if picture.get('format') != expected:
      raise UserError(f'{path} is not of format {expected!r}; delete it and run har-jax paper again')
  return list(found.values())

"""Embeddings and reconstructions, as `har-jax paper` writes them into the folders of runs. Needs no JAX."""

from typing import Any

import numpy as np

from har_jax import storage
from har_jax.errors import UserError
from har_jax.report.figures import CHANNELS
from har_jax.storage import Place

Picture = dict[str, Any]

_EMBEDDING = ('target', 'method', 'seed', 'split', 'classes', 'label', 'before', 'after')
_RECONSTRUCTION = ('target', 'patch_size', 'windows')


def embeddings(folder: Place) -> list[Picture]:
  """Every embeddings.json below a folder, by path. Raises UserError if one is invalid."""
  found = []
  for path in sorted(folder.rglob('embeddings.json')):
    picture = _read(path, 'har_jax embedding 2', _EMBEDDING)
    for when in ('before', 'after'):
      expected = (len(picture['label']), 2)
      _check(path, np.shape(picture[when]) == expected, f'{when!r} is not of shape {expected}')
    known = range(len(picture['classes']))
    _check(path, all(label in known for label in picture['label']), "a label is none of 'classes'")
    found.append(picture)
  return found


def reconstructions(folder: Place) -> list[Picture]:
  """Every reconstructions.json below a folder, by path. Raises UserError if one is invalid."""
  found = []
  for path in sorted(folder.rglob('reconstructions.json')):
    picture = _read(path, 'har_jax reconstruction 2', _RECONSTRUCTION)
    _check(path, len(picture['windows']) > 0, "'windows' is empty")
    for window in picture['windows']:
      expected = (picture['patch_size'] * len(window['hidden']), len(CHANNELS))
      for name in ('signal', 'reconstructed'):
        shape = np.shape(window[name])
        _check(path, shape == expected, f'{name!r} is {shape}, but its tokens need {expected}')
    found.append(picture)
  return found


def _read(path: Place, expected: str, keys: tuple[str, ...]) -> Picture:
  picture = storage.read(path)
  _check(
    path, picture.get('format') == expected, f'its format is {picture.get("format")!r}, not {expected!r}'
  )
  missing = [name for name in keys if name not in picture]
  _check(path, not missing, f'it lacks {", ".join(missing)}')
  return picture


def _check(path: Place, is_valid: bool, why: str) -> None:
  if not is_valid:
    raise UserError(f'{path} cannot be shown: {why}; delete it and run har-jax paper again')

"""Fitted scikit-learn estimators in a skops file, which runs no code when it is read, and a JSON card."""

import importlib.metadata
import io
import re
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from har_jax import records
from har_jax.errors import UserError, shorten
from har_jax.files import safetensors_io
from har_jax.storage import Place

# Types beyond those that skops trusts. Each holds arrays and numbers alone.
_TRUSTED = [
  'sklearn.tree._tree.Tree',
  'aeon.transformations.collection.convolution_based._minirocket.MiniRocket',
]

_PACKAGES = ('scikit-learn', 'aeon')
_ID = re.compile(r'(?<="__id__": )\d+|(?<="file": ")\d+(?=\.npy")')


def check_installed() -> None:
  """Raises UserError if skops cannot be imported."""
  try:
    import skops.io  # noqa: F401
  except Exception as error:
    raise UserError(
      f"an ensemble's file needs skops: pip install 'har_jax[baselines]' ({shorten(error)})"
    ) from error


def write(folder: Place, name: str, estimators: Mapping[str, Any], card: records.Ensemble) -> None:
  """<name>.skops, and <name>.json: the card with versions. All of it or nothing.

  Raises UserError without skops, and where the files cannot be written.
  """
  check_installed()
  import skops.io

  content = _without_chance(skops.io.dumps(dict(estimators)))
  card.versions = {package: importlib.metadata.version(package) for package in _PACKAGES}
  safetensors_io.write_with_card(folder, {f'{name}.skops': content}, f'{name}.json', card)


def read(folder: Place, name: str) -> tuple[dict[str, Any], records.Ensemble]:
  """What `write` wrote: estimators and card.

  Raises UserError without skops or aeon, and where the file is of a newer scikit-learn or aeon. Also where a
  file is missing, damaged, of another format, or holds a type that is not trusted.
  """
  check_installed()
  import skops.io

  file = f'{name}.skops'
  card, contents = safetensors_io.read_with_card(folder, [file], f'{name}.json', records.Ensemble)
  for package, version in card.versions.items():
    here = importlib.metadata.version(package) if package in _PACKAGES else version
    if _release(version) > _release(here):
      raise UserError(
        f'{folder / file} was written with {package} {shorten(version)}, and {here} may read it wrongly: '
        f'install that version, or fit the ensemble again'
      )
  try:
    return skops.io.loads(contents[file], trusted=_TRUSTED), card
  except Exception as error:  # whatever a changed class raises
    versions = ', '.join(f'{package} {version}' for package, version in card.versions.items())
    raise UserError(f'{folder / file} cannot be loaded ({error}); it was written with {versions}') from error


def _release(version: str) -> list[int]:
  """1.9.1 as [1, 9]: files of one such release are alike."""
  return [int(number) for number in re.findall(r'\d{1,9}', version)[:2]]


def _without_chance(dumped: bytes) -> bytes:
  """The same file without what differs each time: addresses of memory as names, hours, padding."""
  with zipfile.ZipFile(io.BytesIO(dumped)) as made:
    parts = {name.removesuffix('.npy'): made.read(name) for name in made.namelist()}
  numbers: dict[str, str] = {}
  schema = parts.pop('schema.json').decode()
  schema = _ID.sub(lambda match: numbers.setdefault(match[0], str(len(numbers))), schema)
  contents = {f'{numbers[name]}.npy': _padded(part) for name, part in parts.items()}
  written = io.BytesIO()
  with zipfile.ZipFile(written, 'w') as zipped:
    for name, content in (contents | {'schema.json': schema.encode()}).items():
      zipped.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED, 6)  # of 1980
  return written.getvalue()


def _padded(npy: bytes) -> bytes:
  """An array of records with zeros between its fields, where memory is as it was."""
  array = np.load(io.BytesIO(npy), allow_pickle=False)
  if array.dtype.names is None:
    return npy
  clean = np.zeros(array.shape, array.dtype)
  for name in array.dtype.names:
    clean[name] = array[name]
  written = io.BytesIO()
  np.save(written, clean)
  return written.getvalue()

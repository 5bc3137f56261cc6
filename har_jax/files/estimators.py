"""Fitted scikit-learn estimators in a skops file, which runs no code when it is read, and a JSON card."""

import hashlib
import importlib.metadata
import importlib.util
import zipfile
from collections.abc import Mapping
from typing import Any

from har_jax.errors import UserError
from har_jax.files import safetensors_io
from har_jax.storage import Place

# Types beyond those that skops trusts. Each holds arrays and numbers alone.
_TRUSTED = [
  'sklearn.tree._tree.Tree',
  'aeon.transformations.collection.convolution_based._minirocket.MiniRocket',
]


def check_installed() -> None:
  """Raises UserError without skops."""
  if importlib.util.find_spec('skops') is None:
    raise UserError("an ensemble's file needs skops: pip install 'har_jax[baselines]'")


def write(folder: Place, name: str, estimators: Mapping[str, Any], card: Mapping[str, Any]) -> None:
  """<name>.skops, and <name>.json: the card with checksum and versions. All of it or nothing.

  Raises UserError without skops, and where the files cannot be written.
  """
  check_installed()
  import skops.io

  content = skops.io.dumps(dict(estimators), compression=zipfile.ZIP_DEFLATED, compresslevel=6)
  filled = {
    **card,
    'checksum': hashlib.sha256(content).hexdigest(),
    'versions': {package: importlib.metadata.version(package) for package in ('scikit-learn', 'aeon')},
  }
  contents = {f'{name}.skops': content, f'{name}.json': safetensors_io.to_text(filled)}
  safetensors_io.write_files(folder, contents)


def read(folder: Place, name: str, format: str) -> tuple[dict[str, Any], dict[str, Any]]:
  """What `write` wrote: estimators and card.

  Raises UserError without skops or aeon, where a file is missing, of another format, damaged, or holds a type
  that is not trusted, and where another version of scikit-learn or aeon cannot read it.
  """
  check_installed()
  import skops.io

  card = safetensors_io.read_card(folder / f'{name}.json', format)
  path = folder / f'{name}.skops'
  try:
    content = path.read_bytes()
  except OSError as error:
    raise UserError(f'{path} cannot be read: {error.strerror or error}; fetch or write it again') from error
  if (held := hashlib.sha256(content).hexdigest()) != card['checksum']:
    raise UserError(
      f'{path} is damaged or does not belong to {name}.json: its checksum is {held}, '
      f'the card says {card["checksum"]}; fetch or write both again'
    )
  try:
    return skops.io.loads(content, trusted=_TRUSTED), card
  except Exception as error:  # whatever a changed class raises
    versions = ', '.join(f'{package} {version}' for package, version in card['versions'].items())
    raise UserError(f'{path} cannot be loaded ({error}); it was written with {versions}') from error

"""Fitted scikit-learn estimators in a skops file, which runs no code when it is read, and a JSON card."""

import importlib.metadata
import zipfile
from collections.abc import Mapping
from typing import Any

from har_jax import records
from har_jax.errors import UserError, require
from har_jax.files import safetensors_io
from har_jax.storage import Place

# Types beyond those that skops trusts. Each holds arrays and numbers alone.
_TRUSTED = [
  'sklearn.tree._tree.Tree',
  'aeon.transformations.collection.convolution_based._minirocket.MiniRocket',
]


def check_installed() -> None:
  """Raises UserError without skops."""
  require('skops', "an ensemble's file needs skops: pip install 'har_jax[baselines]'")


def write(folder: Place, name: str, estimators: Mapping[str, Any], card: records.Ensemble) -> None:
  """<name>.skops, and <name>.json: the card with versions. All of it or nothing.

  Raises UserError without skops, and where the files cannot be written.
  """
  check_installed()
  import skops.io

  content = skops.io.dumps(dict(estimators), compression=zipfile.ZIP_DEFLATED, compresslevel=6)
  card.versions = {package: importlib.metadata.version(package) for package in ('scikit-learn', 'aeon')}
  safetensors_io.write_with_card(folder, {f'{name}.skops': content}, f'{name}.json', card)


def read(folder: Place, name: str) -> tuple[dict[str, Any], records.Ensemble]:
  """What `write` wrote: estimators and card.

  Raises UserError without skops or aeon, and where this version of scikit-learn or aeon cannot read a file.
  Also where a file is missing, damaged, of another format, or holds a type that is not trusted.
  """
  check_installed()
  import skops.io

  file = f'{name}.skops'
  card, contents = safetensors_io.read_with_card(folder, [file], f'{name}.json', records.Ensemble)
  try:
    return skops.io.loads(contents[file], trusted=_TRUSTED), card
  except Exception as error:  # whatever a changed class raises
    versions = ', '.join(f'{package} {version}' for package, version in card.versions.items())
    raise UserError(f'{folder / file} cannot be loaded ({error}); it was written with {versions}') from error

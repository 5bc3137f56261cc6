"""Parts of the page that show windows: embeddings and reconstructions, as launch/paper.py leaves them. Needs no JAX."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from har_jax import storage
from har_jax.errors import UserError
from har_jax.report import figures
from har_jax.report.blocks import Commands, Gallery, Note, Part
from har_jax.storage import Place

Picture = dict[str, Any]

_EMBEDDING = {'format': 'har_jax embedding 1'} | dict.fromkeys(
  ('target', 'method', 'seed', 'split', 'classes', 'label', 'before', 'after')
)
_RECONSTRUCTION = {'format': 'har_jax reconstruction 1'} | dict.fromkeys(('target', 'patch', 'windows'))
_WINDOWS = 4  # drawn of a file
_COMMAND = 'python launch/paper.py --windows=windows --table=2'


def embeddings(folder: Place) -> list[Picture]:
  """Every embeddings.json below a folder, by path. Raises UserError where one cannot be read."""
  return [_embedding(path) for path in sorted(folder.rglob('embeddings.json'))]


def reconstructions(folder: Place) -> list[Picture]:
  """Every reconstructions.json below a folder, by path. Raises UserError where one cannot be read."""
  return [_reconstruction(path) for path in sorted(folder.rglob('reconstructions.json'))]


def embedded(found: Sequence[Picture], folder: str) -> Part:
  parts = [
    Part(
      f'embeddings-{number}',
      f'{picture["target"]}, {picture["method"]}, by {picture["split"]}',
      [
        Gallery(
          f'Test windows of {picture["target"]} as the encoder sees them, in the plane by t-SNE: as pretrained, and after '
          f'adaptation by {picture["method"]}, seed {picture["seed"]}, split by {picture["split"]}. Colors and markers are '
          f'the true classes; directions and distances between far groups mean nothing.{_fewer(picture)}',
          [figures.embedding(picture, when, f'embeddings-{number}-{when}') for when in ('before', 'after')],
        )
      ],
    )
    for number, picture in enumerate(found, start=1)
  ]
  return Part(
    'embeddings', 'Embeddings before and after adaptation', parts or _missing('embeddings.json', folder)
  )


def _fewer(picture: Picture) -> str:
  drawn, every = len(picture['label'][:: figures.thinned(picture)]), len(picture['label'])
  return f' {drawn} of {every} windows, evenly spaced.' if drawn < every else ''


def reconstructed(found: Sequence[Picture], folder: str) -> Part:
  parts = [
    Part(
      f'reconstructions-{number}',
      picture['target'],
      [
        Gallery(
          f'Windows and what the autoencoder pretrained for {picture["target"]} made of the tokens that were hidden from it '
          f'(shaded; {picture["patch"]} samples each). Normalized units: one is a standard deviation of the dataset. '
          f'{min(_WINDOWS, len(picture["windows"]))} of {len(picture["windows"])} windows.',
          [
            figures.reconstruction(window, picture['patch'], f'reconstructions-{number}-{place}')
            for place, window in enumerate(picture['windows'][:_WINDOWS], start=1)
          ],
        )
      ],
    )
    for number, picture in enumerate(found, start=1)
  ]
  return Part(
    'reconstructions', 'Masked windows, reconstructed', parts or _missing('reconstructions.json', folder)
  )


def _missing(name: str, folder: str) -> list[Any]:
  return [
    Note(f'There is no {name} below {folder}. It is left there, as --out, by'),
    Commands('To make it', [_COMMAND]),
  ]


# --- files


def _embedding(path: Place) -> Picture:
  picture = _read(path, _EMBEDDING)
  count = len(picture['label'])
  for when in ('before', 'after'):
    _refuse_unless(
      path, np.shape(picture[when]) == (count, 2), f'{when!r} has not a place for each of {count} labels'
    )
  known = range(len(picture['classes']))
  _refuse_unless(path, all(label in known for label in picture['label']), "a label is none of 'classes'")
  return picture


def _reconstruction(path: Place) -> Picture:
  picture = _read(path, _RECONSTRUCTION)
  _refuse_unless(path, len(picture['windows']) > 0, 'it has no windows')
  for window in picture['windows']:
    samples = picture['patch'] * len(window['hidden'])
    for name in ('signal', 'reconstructed'):
      expected = (samples, len(figures.CHANNELS))
      given = np.shape(window[name])
      _refuse_unless(path, given == expected, f'{name!r} is {given}; its tokens make it {expected}')
  return picture


def _read(path: Place, form: dict[str, Any]) -> Picture:
  picture = storage.read(path)
  given, known = picture.get('format'), form['format']
  _refuse_unless(path, given == known, f'its format is {given!r}; this report reads {known!r}')
  lacking = [name for name in form if name not in picture]
  _refuse_unless(path, not lacking, f'it lacks {", ".join(lacking)}')
  return picture


def _refuse_unless(path: Place, holds: bool, why: str) -> None:
  if not holds:
    raise UserError(f'{path} cannot be shown: {why}; make it again, or move it away')

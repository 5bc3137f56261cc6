"""The formats of recordings: one file and one line each. The first that knows a file reads it."""

import collections
import dataclasses
import difflib
import pathlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from har_jax.errors import UserError, shorten
from har_jax.recordings import files as user_files
from har_jax.recordings import labels, language, opening, tables
from har_jax.recordings.files import File, Files
from har_jax.recordings.formats import (
  devices,
  edge_impulse,
  phyphox,
  physics_toolbox,
  plain,
  sensor_log,
  sensor_logger,
)
from har_jax.recordings.formats.export import Export, Format
from har_jax.recordings.labels import Labels
from har_jax.recordings.opening import is_table, open_table
from har_jax.recordings.tables import NoRecording, printable

if TYPE_CHECKING:
  import pandas as pd

LABELS_ENDING = '.labels'
# phyphox comes before formats of single tables, as its workbooks have several sheets.
FORMATS = (
  Format(sensor_logger.APP, 'zip, folder or JSON', sensor_logger.find, ('.json',)),
  Format(phyphox.APP, 'zip, folder, CSV or Excel', phyphox.find, (), phyphox.COLUMNS),
  Format(sensor_log.APP, 'CSV', sensor_log.find, (), sensor_log.COLUMNS),
  Format(physics_toolbox.APP, 'CSV', physics_toolbox.find, (), physics_toolbox.COLUMNS),
  Format(
    edge_impulse.APP,
    'CSV, JSON, CBOR, or a folder with info.labels',
    edge_impulse.find,
    edge_impulse.SUFFIXES,
    edge_impulse.COLUMNS,
  ),
  *(Format(device.maker, suffix, devices.find, (suffix,)) for suffix, device in devices.DEVICES.items()),
  Format(plain.APP, '.csv, .tsv, .txt, .parquet or .xlsx', plain.find, (), 'time, ax, ay, az, gx, gy, gz'),
)
_SUFFIXES = tuple(dict.fromkeys([*opening.SUFFIXES, '.zip', *(s for form in FORMATS for s in form.suffixes)]))


def is_recording(file: File) -> bool:
  """Returns whether the suffix is of a format, and the name is not of labels."""
  return file.suffix in _SUFFIXES and not file.stem.lower().endswith(LABELS_ENDING)


def read_labels(path: 'pathlib.Path | pd.DataFrame') -> Labels:
  """A file of labels, or a DataFrame: a table, or Sensor Logger's Annotation.csv. Raises UserError."""
  if not isinstance(path, pathlib.Path):
    return labels.read_labels(tables.make_table(pathlib.Path('labels'), path))
  if not path.is_file():
    raise UserError(f'no file {path}: give a CSV file with the columns start, end and activity')
  file = user_files.make_file(path)
  if not is_table(file):
    raise UserError(f'{path} is none of {", ".join(opening.SUFFIXES)}: write the labels as CSV')
  table = open_table(file)
  is_annotation = set(table.names) >= sensor_logger.ANNOTATION_COLUMNS
  annotated = sensor_logger.make_labels(opening.rows(file), path.parent) if is_annotation else None
  return labels.read_labels(table) if annotated is None else annotated


def find(path: pathlib.Path, ignored: pathlib.Path | None = None) -> tuple[list[Export], list[str]]:
  """Finds the recordings at a path, and sentences on files that are none. `ignored`: the file of labels.

  They are in order of their names. Raises UserError: nothing there, an unknown format, no recording in a
  folder.
  """
  if path.is_file():
    found = _find_in_file(user_files.list_siblings(path))
  elif path.is_dir():
    folders = (user_files.list_folder(child) for child in user_files.visible(path) if child.is_dir())
    found = _find_below(path, user_files.list_folder(path), folders, ignored)
  else:
    raise UserError(f'no recording at {path}: give a file, a zip or a folder; {_list_formats()}')
  return _distinguish(_exports(found)), [sentence for sentence in found if isinstance(sentence, str)]


def find_in_frame(frame: 'pd.DataFrame') -> list[Export]:
  """The recording in a DataFrame, as that of a file with its columns. Raises UserError as `find`."""
  name = pathlib.Path('DataFrame')
  path = name.with_suffix(opening.PARQUET[0])  # nobody looks for an app's text in it
  file = File(path, path.parent, path.open, {'table': tables.make_table(name, frame)})
  exports = _exports(_find_in_file(Files(name.name, {path.name: file}, file)))
  apps = {plain.APP: 'a table'}
  return [
    dataclasses.replace(export, folder=None, app=apps.get(export.app, export.app)) for export in exports
  ]


def _exports(found: list[Export | str]) -> list[Export]:
  return [export for export in found if isinstance(export, Export)]


def _distinguish(exports: list[Export]) -> list[Export]:
  """Sorts by name; those of one name get more of their paths. The name of a file or folder that several have
  names none."""
  files_of = [{*export.files, _path(export).absolute().parent.name} for export in exports]
  owners = collections.Counter(name for files in files_of for name in files)
  names = collections.Counter(export.name for export in exports)
  ends = collections.Counter((export.name, end) for export in exports for end in _ends(export))
  named = []
  for export, names_of in zip(exports, files_of, strict=True):
    # Marks of direction and control characters would reach terminals and pictures.
    name, stem = printable(export.name), export.stem or export.name
    if names[export.name] > 1:
      name = printable('/'.join(next(end for end in _ends(export) if ends[export.name, end] == 1)))
    files = frozenset(file for file in names_of if owners[file] == 1)
    named.append(dataclasses.replace(export, files=files, name=name, stem=stem))
  return sorted(named, key=lambda export: export.name)


def _ends(export: Export) -> list[tuple[str, ...]]:
  """The last part of its path, the last two, …, all."""
  parts = _path(export).parts
  return [parts[-count:] for count in range(1, len(parts) + 1)]


def _path(export: Export) -> pathlib.Path:
  return next(iter(export.tables.values())).path


def nearest(names: tuple[str, ...]) -> str:
  """The formats, and the one whose typical columns are most like some names, for a message."""
  columns = {word for name in names for word in language.words(name)}
  scores = {}
  for form in FORMATS:
    typical = set(language.words(form.columns))
    scores[form] = len(columns & typical) / max(len(columns | typical), 1)
  best = max(scores, key=lambda form: scores[form])
  apps = ', '.join(form.app for form in FORMATS)
  near = f', nearest is {best.app}: {best.columns}' if scores[best] else ''
  return f'; it is of none of {apps}{near}'


def _find_together(files: Files) -> list[Export]:
  """The recordings of files that belong together."""
  return next((exports for form in FORMATS if (exports := form.find(files))), [])


def _find_in_file(files: Files) -> list[Export | str]:
  """The recordings of a file or zip, and a sentence for each file in a zip that is none."""
  file = files.single
  assert file is not None
  if file.suffix == '.zip':
    if not file.path.is_file():
      raise UserError(f'{file.path} is a zip in a zip: extract it first')
    zipped = user_files.list_zip(file.path)
    return _find_below(file.path, zipped, zipped.folders)
  if exports := _find_together(files):
    return [*exports]
  if file.suffix in ('.json', '.cbor'):
    raise NoRecording(f'{file.path} is JSON or CBOR of none of these apps; {_list_formats()}')
  close = difflib.get_close_matches(file.suffix, _SUFFIXES, 1, 0.5)
  near = f'; nearest to {shorten(file.suffix, 20)} is {close[0]}' if close else ''
  raise UserError(f'{file.path} is of no known format{near}. {_list_formats()}')


def _find_below(
  path: pathlib.Path, files: Files, folders: Iterable[Files], ignored: pathlib.Path | None = None
) -> list[Export | str]:
  """The recordings in a folder or zip, and sentences on what is none or is not read.

  Raises UserError if there is no recording.
  """
  if exports := _find_together(files):
    names = [below.name for below in files.folders if _find_together(below)]
    said = f'Not read: {shorten(", ".join(names))}, as {path} holds a recording itself.'
    return [*exports, said] if names else [*exports]
  found = [*_find_one_by_one(files, ignored)]
  is_read = path.is_file() or not _exports(found)  # tables in folders, which may be answers
  for below in folders:
    if together := _find_together(below):
      found += together
    elif is_read:
      found += _find_one_by_one(below, ignored)
    elif names := [f'{below.name}/{file.name}' for file in below.top if is_table(file)]:
      found.append(f'Not read: {shorten(", ".join(names))}, as {path} holds recordings itself.')
  if not _exports(found):
    listed, first = shorten(', '.join(files.by_name)), f'. {found[0]}' if found else ''
    holds = f'{listed}, but no recording' if listed else 'no recording'
    raise UserError(f'{path} holds {holds}: {_list_formats()}{first}')
  return found


def _find_one_by_one(files: Files, ignored: pathlib.Path | None) -> Iterator[Export | str]:
  """The recordings of each file in a folder, and a sentence for each file that is none."""
  for file in files.top:
    if is_recording(file) and (ignored is None or file.path.resolve() != ignored):
      try:
        yield from _find_in_file(files.only(file))
      except NoRecording as error:
        yield f'Left out: {error}'


def _list_formats() -> str:
  return 'these are read: ' + '; '.join(f'{form.app} ({form.give})' for form in FORMATS)

"""A user's own dataset: a folder per subject with recordings and labels as `har-jax adapt` reads them.

<folder>/dataset.toml                    name, license, position; see `load`
<folder>/<subject>/<recording>.csv       and <recording>.labels.csv, or a column of labels
"""

import collections
import dataclasses
import logging
import pathlib
import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from har_jax.archives import ARCHIVES
from har_jax.archives.archive import Archive
from har_jax.archives.source import Source
from har_jax.errors import UserError, shorten
from har_jax.signal.recording import Recording

_LOG = logging.getLogger(__name__)
FILE = 'dataset.toml'
# The parser takes memory that grows with the square of a key's parts.
_MOST_LETTERS, _MOST_DOTS = 200_000, 100
# Key → type; those of `columns` and `units` go to `recordings.read`.
_KEYS: dict[str, type] = {
  **{'name': str, 'title': str, 'license': str, 'position': str, 'rate_hz': float},
  **{'activities': dict, 'columns': dict, 'units': dict},
}
_UNITS = {'acc': 'acc_unit', 'gyro': 'gyro_unit', 'time': 'time_unit'}
_NAME = re.compile(r'[a-z][a-z0-9_]{0,39}')


def load(path: str | pathlib.Path) -> Archive:
  """The archive that a dataset.toml describes; `path` is the file.

  `name` is required. Optional are `title`, `license`, `position` (where the device is worn) and `rate_hz`.
  So are three tables: `activities` (a label of the files = its activity), `columns` (role = column) and
  `units` (acc, gyro, time = unit).
  Raises UserError where the file cannot be read, a key is unknown, or a value has another type.
  """
  path = pathlib.Path(path)
  entries = _entries(path)
  name = entries.get('name', '')
  if not _NAME.fullmatch(name) or name in ARCHIVES:
    raise UserError(
      f'{path}: name = "{name}"; give lower-case letters, digits and _, and not the name of a public archive '
      f'({", ".join(ARCHIVES)})'
    )
  return Archive(
    name,
    entries.get('title', name),
    marker=FILE,
    positions=(entries.get('position', 'unknown'),),
    read=lambda source, position, dropped: _read(source, position, dropped, entries),
    url='',
    license=entries.get('license', 'unknown'),
  )


def _entries(path: pathlib.Path) -> dict[str, Any]:
  try:
    with path.open(encoding='utf-8') as file:
      text = file.read(_MOST_LETTERS + 1)
    if len(text) > _MOST_LETTERS or any(line.count('.') > _MOST_DOTS for line in text.splitlines()):
      raise ValueError(f'it has over {_MOST_LETTERS:,} letters, or over {_MOST_DOTS} dots in a line')
    entries = tomllib.loads(text)
  except OSError as error:
    raise UserError(f'{path}: {error.strerror}; give the dataset.toml of a folder of recordings') from error
  except (ValueError, RecursionError) as error:  # TOML's and Unicode's errors are ValueErrors
    raise UserError(f'{path} cannot be read as TOML: {shorten(error)}') from error
  for key, value in entries.items():
    if key not in _KEYS:
      raise UserError(f'{path}: unknown key {key}; known are {", ".join(_KEYS)}')
    wanted = (int, float) if _KEYS[key] is float else _KEYS[key]
    if not isinstance(value, wanted):
      raise UserError(f'{path}: {key} = {value!r}; it must be a TOML {_KEYS[key].__name__}')
    for name, entry in value.items() if isinstance(value, dict) else ():
      if not (isinstance(entry, str) and entry.strip()):
        raise UserError(f'{path}: {name} = {entry!r} in [{key}]; it must be a TOML str that is not empty')
  if unknown := set(entries.get('units', {})) - set(_UNITS):
    raise UserError(f'{path}: unknown units of {", ".join(sorted(unknown))}; known are {", ".join(_UNITS)}')
  return entries


def _read(
  source: Source, position: str, dropped: collections.Counter, entries: Mapping[str, Any]
) -> Iterator[Recording]:
  """The recordings subject by subject; a label that `activities` lacks keeps its name."""
  from har_jax import recordings  # imports pandas
  from har_jax.recordings import files, formats, sentences, tables

  folders = sorted(path for path in source.path.iterdir() if path.is_dir() and not path.name.startswith('.'))
  if not folders:
    raise UserError(
      f'{source.path} has no folder: put the recordings of each subject into a folder of its own'
    )
  # A text may be a readme.
  beside = [path for path in sorted(source.path.iterdir()) if path.is_file() and path.suffix != '.txt']
  if lost := [path.name for path in beside if formats.is_recording(files.make_file(path))]:
    _LOG.warning('%s: not read. Put the recordings of each subject into a folder.', shorten(', '.join(lost)))
  # As labels of files are read: a blank at an end would make another class.
  activities = entries.get('activities', {}).items()
  named = {tables.as_label(label): tables.as_label(activity) for label, activity in activities}
  unused = set(named)
  warnings: dict[str, list[str]] = {}
  for folder in folders:
    reading = recordings.read(
      folder,
      columns=entries.get('columns'),
      **{_UNITS[sensor]: unit for sensor, unit in entries.get('units', {}).items()},
      rate_hz=entries.get('rate_hz'),
      subject=folder.name,
      position=position,
    )
    warnings[folder.name] = [text for text in reading.warnings if not text.startswith('Left out')]
    if others := len(reading.warnings) - len(warnings[folder.name]):
      dropped['files that are no recordings'] += others
    if not reading.has_gyro:
      dropped['recordings without a gyroscope: its samples are zeros'] += len(reading.recordings)
    if not any(recording.spans for recording in reading.recordings):
      _LOG.warning('%s: no recording has a label, so there is no window of this subject', folder.name)
    for recording in reading.recordings:
      unused -= {span.activity for span in recording.spans}
      spans = tuple(
        dataclasses.replace(span, activity=named.get(span.activity, span.activity))
        for span in recording.spans
      )
      yield dataclasses.replace(recording, spans=spans)
  for sentence in sentences.gather(warnings, named=True, of='subjects'):
    _LOG.warning('%s', sentence)
  if unused:
    _LOG.warning(
      '%s: no label is %s: write it in [activities] as the recordings have it, or delete it',
      FILE,
      shorten(', '.join(sorted(unused))),
    )

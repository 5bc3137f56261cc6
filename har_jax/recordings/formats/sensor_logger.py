"""Sensor Logger (iOS, Android): one CSV a sensor in a zip or folder, or one JSON."""

import dataclasses
import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from har_jax.errors import UserError, shorten
from har_jax.recordings.files import File, Files
from har_jax.recordings.formats.export import Export
from har_jax.recordings.labels import Labels
from har_jax.recordings.opening import open_table, rows
from har_jax.recordings.tables import Axes, Table, border, make_table, printable

APP = 'Sensor Logger'
# Best first: with gravity; without, if it is there to be added; unfiltered; of the watch.
_ACC = ('totalacceleration', 'accelerometer', 'accelerometeruncalibrated', 'watchaccelerometeruncalibrated')
_GYRO = ('gyroscope', 'gyroscopeuncalibrated')
_LINEAR = 'accelerometer'
_WRIST = 'wristmotion'
_KNOWN = (*_ACC, *_GYRO, 'gravity', _WRIST)
_MAX_JSON = 2 << 30
_PLATFORMS = ('ios', 'android')
ANNOTATION_COLUMNS = frozenset(('time', 'seconds_elapsed', 'text'))


def find(files: Files) -> list[Export]:
  """Raises UserError: acceleration without gravity alone, no acceleration, damaged files."""
  if files.single is not None and files.single.suffix == '.json':
    return _from_json(files.single, files.name)
  by_stem = {_key(file.stem): file for file in files.top if file.suffix in ('.csv', '.txt', '.tsv')}
  candidates = {files.single} if files.single is not None else set(by_stem.values())
  tables = {}
  for stem in _KNOWN:
    file = by_stem.get(stem)
    # The app writes a file with names only for a sensor that gave nothing.
    if file in candidates and file is not None and len(file.text(4096).splitlines()) > 1:
      table = open_table(file)
      if table.index('time') is not None and table.index('seconds_elapsed') is not None:
        tables[stem] = table
  if not tables:
    return []
  first = by_stem[next(iter(tables))]
  metadata = next(iter(rows(by_stem['metadata'])), {}) if 'metadata' in by_stem else {}
  annotations = rows(by_stem['annotation']) if 'annotation' in by_stem else []
  # The file of a folder's export lies in it, its labels may lie beside the folder.
  return [_export(files.name, tables, metadata, annotations, first.path.parent, first.folder)]


def _key(name: str) -> str:
  return re.sub(r'[\W_]', '', name.lower())


def _export(
  name: str,
  tables: Mapping[str, Table],
  metadata: Mapping[str, str],
  annotations: list[dict[str, str]],
  path: Any,
  folder: Any,
) -> Export:
  notes, warnings = [], []
  is_standard = metadata.get('standardisation', '').strip().lower() in ('true', '1', 'yes')
  # Signs are opposite to Android's on iOS, unless frames are standardized.
  platform = metadata.get('platform', '').lower()
  is_flipped = platform == 'ios' and not is_standard
  if platform not in _PLATFORMS:
    warnings.append(
      f'{path} has no Metadata with the platform iOS or Android: if this is of an iPhone, the signs of '
      'acceleration may be opposite; export all files of the recording.'
    )
  else:
    signs = 'opposite to ours, and reversed' if is_flipped else 'ours'
    standard = 'with' if is_standard else 'without'
    notes.append(f'{APP} on {metadata["platform"]}, {standard} standardized frames: its signs are {signs}.')
  sensors = _sensors(tables, is_flipped, path)
  if _WRIST in tables and '' not in sensors:
    notes.append(f'{tables[_WRIST].path.name} is of the watch: give that file alone to read it.')
  return Export(
    name,
    sensors,
    APP,
    frozenset(table.path.name for table in tables.values()),
    folder,
    labels=make_labels(annotations, path),
    time_zone=metadata.get('recording timezone', ''),
    has_sure_signs=platform in _PLATFORMS,
    notes=tuple(notes),
    warnings=tuple(warnings),
  )


def _sensors(tables: Mapping[str, Table], is_flipped: bool, path: Any) -> dict[str, Table]:
  """Tables by sensor, with what their columns are. Their numbers tell the unit: it depends on a setting."""
  acc = next((stem for stem in _ACC if stem in tables and (stem != _LINEAR or 'gravity' in tables)), None)
  gyro = next((stem for stem in _GYRO if stem in tables), None)
  if acc is None and _WRIST in tables:
    return {'': _wrist(tables[_WRIST], is_flipped)}
  if acc is None:
    fault = (
      f'{tables[_LINEAR].path.name} is without gravity' if _LINEAR in tables else 'there is no acceleration'
    )
    raise UserError(
      f'{path}: {fault}; give the whole folder or zip, recorded with Accelerometer and Gravity, or with '
      'Total Acceleration'
    )
  sensors = {'acc': _table(tables[acc], 'acc', is_linear=acc == _LINEAR, is_flipped=is_flipped)}
  if gyro:
    sensors['gyro'] = _table(tables[gyro], 'gyro', unit='rad/s')
  if acc == _LINEAR:
    sensors['gravity'] = _table(tables['gravity'], 'gravity')
  return sensors


def _table(table: Table, sensor: str, **entries: Any) -> Table:
  columns = table.xyz()
  if columns is None:
    raise UserError(f'{table.path} lacks x, y or z; its columns are {table.listed()}: export it again')
  return dataclasses.replace(table, axes={sensor: Axes(columns, **entries)}, time=table.index('time'))


def _wrist(table: Table, is_flipped: bool) -> Table:
  acc, gravity, gyro = (table.xyz(prefix) for prefix in ('acceleration', 'gravity', 'rotationrate'))
  if acc is None or gravity is None:
    raise UserError(f'{table.path} lacks acceleration or gravity; its columns are {table.listed()}')
  axes = {'acc': Axes(acc, is_linear=True, is_flipped=is_flipped), 'gravity': Axes(gravity)}
  if gyro is not None:
    axes['gyro'] = Axes(gyro, 'rad/s')
  return dataclasses.replace(table, axes=axes, time=table.index('time'))


def make_labels(annotations: list[dict[str, str]], path: Any) -> Labels | None:
  """The labels of Annotation.csv's rows, in the folder `path`; None if they have no text.

  Each annotation is a moment: its activity begins there and ends at the next; one without text is none.
  """
  with border(path, 'CSV file'):
    moments = sorted((int(float(row['time'])), printable(row.get('text', ''))) for row in annotations)
  if not any(text for _, text in moments):
    return None
  starts = np.array([time for time, _ in moments], np.float64)
  stops = np.r_[starts[1:], np.inf]  # the last one lasts to the end of the recording
  named = [i for i, (_, text) in enumerate(moments) if text and starts[i] < stops[i]]
  texts = tuple(moments[i][1] for i in named)
  return Labels(path / 'Annotation.csv', starts[named], stops[named], 'zoned', '', texts, None)


def _from_json(file: File, name: str) -> list[Export]:
  """The app's JSON, a list of {sensor, time, …}; or what it sends: {payload: [{name, time, values}]}."""
  with border(file.path, 'JSON file'):
    entries = _entries(json.loads(file.bytes(_MAX_JSON)))
  if not entries:
    return []
  import pandas as pd

  rows_by_sensor: dict[str, list[dict[str, Any]]] = {}
  for sensor, row in entries:
    rows_by_sensor.setdefault(_key(sensor), []).append(row)
  with border(file.path, f"file of {APP}'s JSON"):
    tables = {}
    for stem in filter(rows_by_sensor.__contains__, _KNOWN):
      frame = pd.DataFrame(rows_by_sensor[stem])
      columns = [name for name in frame.columns if name == 'time' or name[-1:].lower() in ('x', 'y', 'z')]
      # All numbers are strings in this JSON.
      tables[stem] = make_table(file.path, frame[columns].apply(pd.to_numeric))
  if not tables:
    listed = shorten(', '.join(dict.fromkeys(sensor for sensor, _ in entries)))
    raise UserError(f'{file.path} holds {listed}, but no accelerometer: record it, too')
  metadata = {str(key).lower(): str(value) for key, value in rows_by_sensor.get('metadata', [{}])[0].items()}
  annotations = [
    {key: str(value) for key, value in row.items()} for row in rows_by_sensor.get('annotation', [])
  ]
  return [_export(name, tables, metadata, annotations, file.path, file.folder)]


def _entries(content: Any) -> list[tuple[str, dict[str, Any]]]:
  """(sensor, row) of each entry; none if it is other JSON."""
  if isinstance(content, dict) and 'messageId' in content:
    content = [content]
  if not isinstance(content, list) or not all(isinstance(entry, dict) for entry in content):
    return []
  if any('messageId' in message for message in content):
    sent = [entry for message in content for entry in message.get('payload', [])]
    return [
      (str(entry['name']), {'time': entry['time'], **entry['values']})
      for entry in sent
      if isinstance(entry.get('values'), dict)
    ]
  return [(str(entry['sensor']), entry) for entry in content if 'sensor' in entry]

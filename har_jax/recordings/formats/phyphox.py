"""phyphox: CSV (zip or folder, five dialects) or Excel; one table a sensor, seconds without pauses."""

import dataclasses
import pathlib
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from har_jax.errors import UserError
from har_jax.recordings import language, opening, units
from har_jax.recordings.files import Files
from har_jax.recordings.formats.export import Export
from har_jax.recordings.language import words
from har_jax.recordings.opening import open_table, open_workbook, rows
from har_jax.recordings.tables import Axes, Table, border, map_column

APP = 'phyphox'
COLUMNS = 'Time (s), Acceleration x (m/s^2), Absolute acceleration (m/s^2), Gyroscope x (rad/s)'
_TIMES = 'Metadata Time'  # the sheet of meta/time.csv
_ZONE = re.compile(r'UTC[+-]\d\d:?\d\d')


def find(files: Files) -> list[Export]:
  """Raises UserError: acceleration without gravity alone, no acceleration, damaged files."""
  if files.single is not None and files.single.suffix in opening.EXCEL:
    sheets = open_workbook(files.single)
    times = sheets.get(_TIMES)
    lower = [] if times is None else [name.strip().lower() for name in times.names]
    events = [] if times is None else [dict(zip(lower, row, strict=True)) for row in times.cells]
    tables = {name: table for name, table in sheets.items() if not name.startswith('Metadata')}
  else:
    candidates = files.top if files.single is None else [files.single]
    tables = {}
    for file in candidates:
      # The first line is the quoted or unquoted names of a sensor's table.
      head = file.text(4096).partition('\n')[0].strip() if file.suffix == '.csv' else ''
      titles = re.split(r'[,;\t]', head)
      if len(titles) >= 4 and _is_time(titles[0]):
        tables[file.stem] = open_table(file)
    events = rows(files.by_name['meta/time.csv']) if 'meta/time.csv' in files.by_name else []
  axes_of = {name: axes for name, table in tables.items() if (axes := _axes(table)) is not None}
  if not axes_of:
    return []
  sensors: dict[str, Table] = {}
  for name, axes in axes_of.items():
    terms = {*words(tables[name].names[axes.columns[0]]), *words(name)}
    is_linear = bool(terms & language.COLUMNS['linear'])
    kind = 'gyro' if axes.unit in units.GYRO else 'linear' if is_linear else 'acc'
    sensors[kind] = dataclasses.replace(tables[name], axes={kind: axes}, time=0)
  if len(sensors) < len(axes_of) and files.single is None:
    return []  # several recordings of one sensor
  paths = [tables[name].path for name in axes_of]
  path = files.single.path if files.single is not None else paths[0].parent
  if 'acc' not in sensors:
    raise UserError(
      f'{path} holds {", ".join(axes_of)}, but no acceleration with gravity: record "Acceleration '
      f'(with g)" in {APP}'
    )
  sensors = {kind: table for kind, table in sorted(sensors.items()) if kind != 'linear'}
  zone, mapped = _on_wall_clock(sensors, events, path)
  first = files.single or files.top[0]
  notes = () if not events else (f'{APP} names the moments of start and pause: times are on the wall clock.',)
  names = frozenset(path.name for path in paths) | {first.name}
  if len(mapped) == 1 and 'gyro' not in mapped:
    mapped = {'': mapped['acc']}
  return [Export(files.name, mapped, APP, names, first.folder, time_zone=zone, notes=notes)]


def _is_time(name: str) -> bool:
  return units.time_unit(words(name)) == 's' and bool(set(words(name)) & language.COLUMNS['time'])


def _axes(table: Table) -> Axes | None:
  """The columns of x, y and z, and their unit, of a table of time and one sensor: 'X (rad/s)'."""
  if not _is_time(table.names[0]):
    return None
  columns: dict[str, tuple[int, str]] = {}
  for index, name in enumerate(table.names):
    bare, unit = units.split(name)
    axis = [word for word in words(bare) if word in ('x', 'y', 'z')]
    if len(axis) == 1:
      if axis[0] in columns or not unit or '(' not in name:
        return None
      columns[axis[0]] = (index, unit)
  if set(columns) != {'x', 'y', 'z'} or len({unit for _, unit in columns.values()}) > 1:
    return None
  return Axes((columns['x'][0], columns['y'][0], columns['z'][0]), columns['x'][1])


def _on_wall_clock(
  sensors: Mapping[str, Table], events: list[dict[str, str]], path: pathlib.Path
) -> tuple[str, dict[str, Table]]:
  """Seconds from the start → since 1970: during a pause the wall clock goes on, the app's does not."""
  with border(path / 'meta' / 'time.csv', 'table of events'):
    starts = [
      (_number(event['experiment time']), _number(event['system time']))
      for event in events
      if event.get('event', '').strip().upper() == 'START'
    ]
  if not starts:
    return '', dict(sensors)
  from_s, wall_s = np.array(sorted(starts)).T

  def to_wall(time_s: Any) -> Any:
    last = np.clip(np.searchsorted(from_s, time_s, side='right') - 1, 0, None)
    return wall_s[last] + (time_s - from_s[last])

  zone = _ZONE.search(events[0].get('system time text', ''))
  mapped = {kind: map_column(table, 0, to_wall) for kind, table in sensors.items()}
  return zone[0] if zone else '', mapped


def _number(text: str) -> float:
  return float(text.replace(',', '.'))

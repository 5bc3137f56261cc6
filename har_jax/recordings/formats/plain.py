"""Any table with known names of columns, and one file a sensor under known names of files."""

import dataclasses
import re

from har_jax.errors import shorten
from har_jax.recordings.files import File, Files
from har_jax.recordings.formats.export import Export, export_single
from har_jax.recordings.language import WORDS
from har_jax.recordings.opening import is_table, open_table

APP = 'CSV or Parquet'


def find(files: Files) -> list[Export]:
  """One recording of one file a sensor, as many apps export it; or one of a single file."""
  if files.single is not None:
    return export_single(files, open_table(files.single), APP) if is_table(files.single) else []
  recordings: dict[str, dict[str, tuple[int, File]]] = {}  # by what else is in a file's name
  tables = [file for file in files.top if is_table(file)]
  for file in tables:
    sensor, rank, others = _sensor(file.stem)
    if sensor:
      sensors = recordings.setdefault(others, {})
      sensors[sensor] = min(sensors.get(sensor, (rank, file)), (rank, file), key=lambda ranked: ranked[0])
  exports = []
  for name, sensors in recordings.items():
    if 'acc' in sensors and len(sensors) > 1:
      names = frozenset(file.name for _, file in sensors.values())
      opened = {sensor: open_table(file) for sensor, (_, file) in sensors.items()}
      exports.append(Export(name or files.name, opened, APP, names, sensors['acc'][1].folder))
  used = set().union(*(export.files for export in exports))
  if exports and (unused := [file.name for file in tables if file.name not in used]):
    lost = [sensors['acc'][1].name for sensors in recordings.values() if [*sensors] == ['acc']]
    warnings = (f'{shorten(", ".join(lost))}: left out, as no gyroscope has such a name; read it alone.',)
    notes = (f'Not read: {shorten(", ".join(unused))}.',)
    exports[0] = dataclasses.replace(exports[0], notes=notes, warnings=warnings if lost else ())
  return exports


def _sensor(stem: str) -> tuple[str, int, str]:
  """The sensor in a file's name or '', its rank, and other words: 'acc' and 'monday' of monday_accel.csv."""
  parts = [part for part in re.split(r'[\W_]+', stem.lower()) if part]
  for sensor, names in WORDS['files'].items():
    for rank, name in enumerate(names):
      if ''.join(parts) == name:
        return sensor, rank, ''
      if name in parts:
        return sensor, rank, '_'.join(part for part in parts if part != name)
  return '', 0, ''

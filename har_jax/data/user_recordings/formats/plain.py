"""Any table with known names of columns, and one file a sensor under known names of files."""

import re

from har_jax.data.user_recordings.files import Files
from har_jax.data.user_recordings.formats.export import Export, single
from har_jax.data.user_recordings.formats.opening import is_table, open_table

APP = 'CSV or Parquet'
# Names of files of one sensor, best first.
_SENSORS = {
  'acc': (
    *('totalacceleration', 'accelerometer', 'acceleration', 'rawaccelerometer', 'accelerometerraw', 'acc'),
    *('linearacceleration', 'linearaccelerometer'),
  ),
  'gyro': ('gyroscope', 'gyro', 'rotationrate', 'rawgyroscope', 'gyroscoperaw', 'gyr'),
  'gravity': ('gravity',),
}


def find(files: Files) -> list[Export]:
  """One recording of one file a sensor, as many apps export it; or one of a single file."""
  if files.single is not None:
    return single(files, open_table(files.single), APP) if is_table(files.single) else []
  tables = [file for file in files.top if is_table(file)]
  by_name = {re.sub(r'[\W_]', '', file.stem.lower()): file for file in reversed(tables)}
  sensors = {
    sensor: by_name[known[0]]
    for sensor, names in _SENSORS.items()
    if (known := [name for name in names if name in by_name])
  }
  if 'acc' not in sensors or len(sensors) < 2:
    return []
  names = frozenset(file.name for file in sensors.values())
  opened = {sensor: open_table(file) for sensor, file in sensors.items()}
  return [Export(files.name, opened, APP, names, sensors['acc'].folder)]

"""Which files make one recording: one each, or one a sensor, as many phone apps export them."""

import dataclasses
import pathlib
import re

from har_jax.data.user_recordings.table import is_table, stem
from har_jax.errors import UserError

LABELS_ENDING = '.labels'
# Names of files that hold one sensor, best first: Sensor Logger's Accelerometer lacks gravity, TotalAcceleration has it.
_SENSORS = {
  'acc': (
    *('totalacceleration', 'accelerometer', 'acceleration', 'rawaccelerometer', 'accelerometerraw', 'acc'),
    *('linearacceleration', 'linearaccelerometer'),
  ),
  'gyro': ('gyroscope', 'gyro', 'rotationrate', 'rawgyroscope', 'gyroscoperaw', 'gyr'),
  'gravity': ('gravity',),
}


@dataclasses.dataclass(frozen=True)
class Item:
  """One recording. `files` holds one file under '', or several by sensor: 'acc', 'gyro', 'gravity'."""

  name: str
  files: dict[str, pathlib.Path]

  @property
  def own_labels(self) -> pathlib.Path | None:
    """The labels file that lies beside it."""
    folder = next(iter(self.files.values())).parent
    folders = [folder] if '' in self.files else [folder, folder.parent]
    beside = [where / f'{self.name}{LABELS_ENDING}.csv' for where in folders]
    return next((file for file in beside if file.is_file()), None)


def items(path: pathlib.Path, labels: pathlib.Path | None) -> list[Item]:
  """The recordings at a path, by name. Raises UserError where there is none."""
  if path.is_file():
    return [Item(stem(path), {'': path})]
  if not path.is_dir():
    raise UserError(f'no recording at {path}: give a CSV or Parquet file, or a folder of them')
  own = labels.resolve() if labels else None
  found = _of_folder(path, own)
  for folder in sorted(child for child in path.iterdir() if child.is_dir()):
    found += [item for item in _of_folder(folder, own) if '' not in item.files]
  if not found:
    raise UserError(f'{path} holds no CSV or Parquet file: give the folder of your recordings')
  return sorted(found, key=lambda item: item.name)


def _of_folder(folder: pathlib.Path, labels: pathlib.Path | None) -> list[Item]:
  tables = [
    file
    for file in sorted(folder.iterdir())
    if file.is_file()
    and is_table(file)
    and not file.name.startswith(('.', '~'))
    and not stem(file).lower().endswith(LABELS_ENDING)
    and file.resolve() != labels
  ]
  by_name = {re.sub(r'[\W_]', '', stem(file).lower()): file for file in reversed(tables)}
  sensors = {
    sensor: by_name[known[0]]
    for sensor, names in _SENSORS.items()
    if (known := [name for name in names if name in by_name])
  }
  if 'acc' in sensors and len(sensors) > 1:
    return [Item(folder.name, sensors)]
  return [Item(stem(file), {'': file}) for file in tables]

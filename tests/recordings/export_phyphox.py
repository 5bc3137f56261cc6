"""One recording as phyphox exports it."""

import pathlib
from collections.abc import Sequence

import numpy as np
import pandas as pd
from export_base import EPOCH_S, FLOAT32, Recording, Written, folder_of, zip_of

PHYPHOX_DIALECTS = ((',', '.'), ('\t', '.'), (';', '.'), ('\t', ','), (';', ','))
_PHYPHOX_NAMES = {
  'Accelerometer': ('Acceleration {} (m/s^2)', 'Absolute acceleration (m/s^2)'),
  'Gyroscope': ('Gyroscope {} (rad/s)', 'Absolute (rad/s)'),
  'Linear Acceleration': ('Linear Acceleration {} (m/s^2)', 'Absolute acceleration (m/s^2)'),
}


def phyphox_table(
  sensor: str, time_s: np.ndarray, values: np.ndarray, *, short: bool = False
) -> pd.DataFrame:
  name, total = _PHYPHOX_NAMES[sensor]
  name = f'{{}} ({name.rpartition("(")[2]}' if short else name
  columns = {'Time (s)': time_s}
  columns |= {name.format(axis.upper() if short else axis): values[:, i] for i, axis in enumerate('xyz')}
  return pd.DataFrame(columns) if short else pd.DataFrame(columns | {total: np.linalg.norm(values, axis=1)})


def phyphox_text(frame: pd.DataFrame, separator: str = ',', decimal: str = '.') -> str:
  """A quoted header, and nine digits after the point with an exponent."""
  lines = [separator.join(f'"{name}"' for name in frame.columns)]
  rows = frame.to_numpy()
  lines += [
    separator.join('NaN' if np.isnan(value) else f'{value:.9E}'.replace('E+00', 'E0') for value in row)
    for row in rows
  ]
  lines[1:] = [line.replace('.', decimal) for line in lines[1:]]
  return '\n'.join(lines) + '\n'


def phyphox_time(events: Sequence[tuple[str, float, float]], separator: str = ',', decimal: str = '.') -> str:
  rows = [('event', 'experiment time', 'system time', 'system time text')]
  text = '2026-05-28 22:26:40.000 UTC+02:00'
  for name, at, wall in events:
    rows.append((name, f'{at:.9E}'.replace('.', decimal), f'{wall:.3f}'.replace('.', decimal), text))
  return '\n'.join(separator.join(f'"{cell}"' for cell in row) for row in rows) + '\n'


def phyphox_files(
  one: Recording, separator: str, decimal: str, *, short: bool = False
) -> dict[str, str | bytes]:
  tables = {
    name: phyphox_table(name, one.time_s, values, short=short)
    for name, values in (
      ('Accelerometer', one.acc),
      ('Gyroscope', one.gyro),
      ('Linear Acceleration', one.linear),
    )
  }
  files: dict[str, str | bytes] = {
    f'{name}.csv': phyphox_text(table, separator, decimal) for name, table in tables.items()
  }
  events = [('START', 0.0, EPOCH_S), ('PAUSE', one.time_s[-1] + 1, EPOCH_S + one.time_s[-1] + 1)]
  files['meta/time.csv'] = phyphox_time(events, separator, decimal)
  files['meta/device.csv'] = '"property","value"\n"version","1.1.15"\n'
  return files


def phyphox_zip(folder: pathlib.Path, one: Recording) -> Written:
  path = zip_of(folder / 'walk.zip', phyphox_files(one, ',', '.'))
  return Written(path, FLOAT32, FLOAT32)


def phyphox_commas(folder: pathlib.Path, one: Recording) -> Written:
  path = folder_of(folder / 'walk', phyphox_files(one, ';', ',', short=True))
  return Written(path, FLOAT32, FLOAT32)


def phyphox_excel(folder: pathlib.Path, one: Recording) -> Written:
  with pd.ExcelWriter(folder / 'walk.xlsx') as writer:
    for name, values in (('Accelerometer', one.acc), ('Gyroscope', one.gyro)):
      phyphox_table(name, one.time_s, values).to_excel(writer, sheet_name=name, index=False)
    pd.DataFrame({'property': ['version'], 'value': ['1']}).to_excel(writer, sheet_name='Metadata Device')
    events = pd.DataFrame({'event': ['START'], 'experiment time': [0.0], 'system time': [float(EPOCH_S)],
                           'system time text': ['2026-05-28 22:26:40.000 UTC+02:00']})  # fmt: skip
    events.to_excel(writer, sheet_name='Metadata Time', index=False)
  return Written(folder / 'walk.xlsx', FLOAT32, FLOAT32)


def phyphox_raw_data(folder: pathlib.Path, one: Recording) -> Written:
  """One sensor, without the wall clock."""
  files: dict[str, str | bytes] = {
    'Raw Data.csv': phyphox_text(phyphox_table('Accelerometer', one.time_s, one.acc), '\t', ',')
  }
  return Written(zip_of(folder / 'walk.zip', files), FLOAT32, None)

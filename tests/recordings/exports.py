"""One recording as every app exports it, written from the documented layouts.

A function a format: folder, recording → what was written. Nothing of the package's readers is used.
"""

import functools
import json
import pathlib
from collections.abc import Callable
from typing import Any

import export_devices
import export_phyphox
import export_sensor_logger
import numpy as np
import pandas as pd
from export_base import DEGREES, G, Recording, Written, atol, columns_of, folder_of

# --- plain


def _plain(
  name: str, write: Callable[..., Any], digits: int, folder: pathlib.Path, one: Recording
) -> Written:
  """A column for each axis, and one of labels. write: a method of a DataFrame."""
  frame = columns_of(one.time_s, {'a{}': one.acc, 'g{}': one.gyro}, digits).assign(label=one.activities)
  write(frame, folder / name, index=False)
  return Written(folder / name, atol(digits), atol(digits), one.labels)


plain_csv = functools.partial(_plain, 'walk.csv', pd.DataFrame.to_csv, 6)


# --- Physics Toolbox


def physics_toolbox(folder: pathlib.Path, one: Recording) -> Written:
  frame = columns_of(one.time_s, {'gF{}': one.acc / G}).assign(TgF=1.0)
  (folder / 'walk.csv').write_text('# Physics Toolbox Sensor Suite\n# 2026\n' + frame.to_csv(index=False))
  return Written(folder / 'walk.csv', atol(6, G), None)


def physics_toolbox_rows(folder: pathlib.Path, one: Recording) -> Written:
  """Several sensors: a row holds one of them. Semicolons, decimal commas, and a clock HH:MM:SS:mmm."""
  lines = ['time;gFx;gFy;gFz;wx;wy;wz;Bx;By;Bz']
  for at, acc, gyro in zip(one.time_s, (one.acc / G).round(6), one.gyro.round(6), strict=True):
    clock = f'08:15:{int(at) + 10:02d}:{round(at % 1 * 1000):d}'
    lines.append(';'.join([clock, *map(str, acc), '', '', '', '', '', '']).replace('.', ','))
    lines.append(';'.join([clock, '', '', '', *map(str, gyro), '', '', '']).replace('.', ','))
  (folder / 'walk.csv').write_text('\n'.join(lines) + '\n')
  return Written(folder / 'walk.csv', atol(6, G), atol(6))


# --- Edge Impulse


def _edge_impulse(one: Recording) -> dict[str, Any]:
  names = [f'{sensor}{axis}' for sensor in ('acc', 'gyr') for axis in 'XYZ']
  sensors = [{'name': name, 'units': 'm/s2' if name.startswith('acc') else 'deg/s'} for name in names]
  values = np.concatenate([one.acc, one.gyro * DEGREES], axis=1).round(6)
  return {
    'protected': {'ver': 'v1', 'alg': 'none'},
    'signature': '00',
    'payload': {'device_type': 'PHONE', 'interval_ms': 20, 'sensors': sensors, 'values': values.tolist()},
  }


_WHOLE = ((0.0, 24.0, 'walk'),)


def _edge_impulse_sample(suffix: str, write: Callable[[Recording], bytes], folder, one: Recording) -> Written:
  path = folder / f'walk.2f3a{suffix}'
  path.write_bytes(write(one))
  return Written(path, atol(6), atol(6), _WHOLE)


def _edge_impulse_cbor(one: Recording) -> bytes:
  import cbor2

  return cbor2.dumps(_edge_impulse(one))


def _edge_impulse_csv(one: Recording) -> bytes:
  times_ms = {'timestamp': np.round(one.time_s * 1000).astype(int)}
  frame = columns_of(times_ms, {'acc{}': one.acc, 'gyr{}': one.gyro})
  names = [name[:-1] + name[-1].upper() for name in frame.columns[1:]]
  return frame.set_axis(['timestamp', *names], axis=1).to_csv(index=False).encode()


edge_impulse_csv = functools.partial(_edge_impulse_sample, '.csv', _edge_impulse_csv)


def edge_impulse_dataset(folder: pathlib.Path, one: Recording) -> Written:
  label = {'type': 'label', 'label': 'walk'}
  listed = [{'path': 'training/a.json', 'name': 'a', 'category': 'training', 'label': label}]
  files: dict[str, str | bytes] = {
    'training/a.json': json.dumps(_edge_impulse(one)),
    'info.labels': json.dumps({'version': 1, 'files': listed}),
  }
  return Written(folder_of(folder / 'dataset', files), atol(6), atol(6), _WHOLE)


# Libraries that formats need, by a part of the writer's name.
LIBRARIES = {
  'Parquet': 'pyarrow',
  'Excel': 'openpyxl',
  'CBOR': 'cbor2',
}

WRITERS: dict[str, Callable[[pathlib.Path, Recording], Written]] = {
  'CSV': plain_csv,
  'Parquet': functools.partial(_plain, 'walk.parquet', pd.DataFrame.to_parquet, 9),
  'Excel': functools.partial(_plain, 'walk.xlsx', pd.DataFrame.to_excel, 6),
  'Sensor Logger, iOS (zip)': export_sensor_logger.sensor_logger_ios,
  'Sensor Logger, iOS, standardized (folder)': export_sensor_logger.sensor_logger_ios_standardized,
  'Sensor Logger, Android (folder)': export_sensor_logger.sensor_logger_android,
  'Sensor Logger, Apple Watch (zip)': export_sensor_logger.sensor_logger_watch,
  'Sensor Logger, iOS (JSON)': export_sensor_logger.sensor_logger_json,
  'Sensor Logger, sent to a server (JSON)': export_sensor_logger.sensor_logger_push,
  'SensorLog, motion': export_sensor_logger.sensor_log,
  'SensorLog, accelerometer': export_sensor_logger.sensor_log_raw,
  'phyphox (zip)': export_phyphox.phyphox_zip,
  'phyphox, decimal commas (folder)': export_phyphox.phyphox_commas,
  'phyphox (Excel)': export_phyphox.phyphox_excel,
  'phyphox, one sensor (zip)': export_phyphox.phyphox_raw_data,
  'Physics Toolbox, one sensor': physics_toolbox,
  'Physics Toolbox, several sensors': physics_toolbox_rows,
  'Edge Impulse (CSV)': edge_impulse_csv,
  'Edge Impulse (JSON)': functools.partial(
    _edge_impulse_sample, '.json', lambda one: json.dumps(_edge_impulse(one)).encode()
  ),
  'Edge Impulse (CBOR)': functools.partial(_edge_impulse_sample, '.cbor', _edge_impulse_cbor),
  'Edge Impulse, dataset': edge_impulse_dataset,
  'Axivity (.cwa)': export_devices.axivity,
  'Axivity (.cwa, packed)': export_devices.axivity_packed,
  'Axivity (.cwa of an AX6)': export_devices.axivity_six,
  'GENEActiv (.bin)': export_devices.geneactiv,
  'ActiGraph (.gt3x)': export_devices.actigraph,
  'ActiGraph (.gt3x, 12 bits)': export_devices.actigraph_packed,
}

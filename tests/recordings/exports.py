"""One recording as every app exports it, written from the documented layouts.

A function a format: folder, recording → what was written. Nothing of the package's readers is used.
"""

import csv
import io
import json
import pathlib
from collections.abc import Callable
from typing import Any

import export_devices
import export_phyphox
import export_sensor_logger
import numpy as np
from export_base import DEGREES, FLOAT32, G, Recording, Written, atol, columns_of, folder_of

# --- plain


def plain_csv(folder: pathlib.Path, one: Recording) -> Written:
  frame = columns_of(one.time_s, {'a{}': one.acc, 'g{}': one.gyro}).assign(label=one.activities)
  frame.to_csv(folder / 'walk.csv', index=False)
  return Written(folder / 'walk.csv', atol(6), atol(6), one.labels)


def plain_parquet(folder: pathlib.Path, one: Recording) -> Written:
  frame = columns_of(one.time_s, {'a{}': one.acc, 'g{}': one.gyro}, 9).assign(label=one.activities)
  frame.to_parquet(folder / 'walk.parquet')
  return Written(folder / 'walk.parquet', FLOAT32, FLOAT32, one.labels)


def plain_excel(folder: pathlib.Path, one: Recording) -> Written:
  frame = columns_of(one.time_s, {'a{}': one.acc, 'g{}': one.gyro}).assign(label=one.activities)
  frame.to_excel(folder / 'walk.xlsx', index=False)
  return Written(folder / 'walk.xlsx', atol(6), atol(6), one.labels)


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


def edge_impulse_json(folder: pathlib.Path, one: Recording) -> Written:
  (folder / 'walk.2f3a.json').write_text(json.dumps(_edge_impulse(one)))
  return Written(folder / 'walk.2f3a.json', atol(6), atol(6), _WHOLE)


def edge_impulse_cbor(folder: pathlib.Path, one: Recording) -> Written:
  import cbor2

  (folder / 'walk.2f3a.cbor').write_bytes(cbor2.dumps(_edge_impulse(one)))
  return Written(folder / 'walk.2f3a.cbor', atol(6), atol(6), _WHOLE)


def edge_impulse_csv(folder: pathlib.Path, one: Recording) -> Written:
  text = io.StringIO()
  writer = csv.writer(text, lineterminator='\n')
  writer.writerow(['timestamp', *(f'{sensor}{axis}' for sensor in ('acc', 'gyr') for axis in 'XYZ')])
  values = np.concatenate([one.acc, one.gyro], axis=1).round(6)
  for at, row in zip(one.time_s, values.tolist(), strict=True):
    writer.writerow([round(at * 1000), *row])
  (folder / 'walk.2f3a.csv').write_text(text.getvalue())
  return Written(folder / 'walk.2f3a.csv', atol(6), atol(6), _WHOLE)


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
  'Parquet': plain_parquet,
  'Excel': plain_excel,
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
  'Edge Impulse (JSON)': edge_impulse_json,
  'Edge Impulse (CBOR)': edge_impulse_cbor,
  'Edge Impulse, dataset': edge_impulse_dataset,
  'Axivity (.cwa)': export_devices.axivity,
  'Axivity (.cwa, packed)': export_devices.axivity_packed,
  'Axivity (.cwa of an AX6)': export_devices.axivity_six,
  'GENEActiv (.bin)': export_devices.geneactiv,
  'ActiGraph (.gt3x)': export_devices.actigraph,
  'ActiGraph (.gt3x, 12 bits)': export_devices.actigraph_packed,
}

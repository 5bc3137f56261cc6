"""One recording as every app exports it, written from the documented layouts.

A function a format: folder, recording → what was written. Nothing of the package's readers is used.
"""

import functools
import json
import pathlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import export_devices
import numpy as np
import pandas as pd
import zips
from export_base import DEGREES, EPOCH_S, FLOAT32, G, Recording, Written, atol, columns_of

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
  return Written(zips.write(folder / 'dataset', files), atol(6), atol(6), _WHOLE)


# --- phyphox


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
  names = separator.join(f'"{name}"' for name in frame.columns)
  options = {'sep': separator, 'decimal': decimal, 'float_format': '%.9E', 'na_rep': 'NaN'}
  return f'{names}\n' + frame.to_csv(index=False, header=False, **options).replace('E+00', 'E0')


def phyphox_time(events: Sequence[tuple[str, float, float]], separator: str = ',', decimal: str = '.') -> str:
  rows = [('event', 'experiment time', 'system time', 'system time text')]
  text = '2026-05-28 22:26:40.000 UTC+02:00'
  for name, at, wall in events:
    rows.append((name, f'{at:.9E}'.replace('.', decimal), f'{wall:.3f}'.replace('.', decimal), text))
  return '\n'.join(separator.join(f'"{cell}"' for cell in row) for row in rows) + '\n'


def phyphox_files(
  one: Recording, separator: str, decimal: str, *, short: bool = False
) -> dict[str, str | bytes]:
  sensors = {'Accelerometer': one.acc, 'Gyroscope': one.gyro, 'Linear Acceleration': one.linear}
  files: dict[str, str | bytes] = {
    f'{name}.csv': phyphox_text(phyphox_table(name, one.time_s, values, short=short), separator, decimal)
    for name, values in sensors.items()
  }
  events = [('START', 0.0, EPOCH_S), ('PAUSE', one.time_s[-1] + 1, EPOCH_S + one.time_s[-1] + 1)]
  files['meta/time.csv'] = phyphox_time(events, separator, decimal)
  files['meta/device.csv'] = '"property","value"\n"version","1.1.15"\n'
  return files


def phyphox_zip(folder: pathlib.Path, one: Recording) -> Written:
  path = zips.write_zip(folder / 'walk.zip', phyphox_files(one, ',', '.'))
  return Written(path, FLOAT32, FLOAT32)


def phyphox_commas(folder: pathlib.Path, one: Recording) -> Written:
  path = zips.write(folder / 'walk', phyphox_files(one, ';', ',', short=True))
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
  return Written(zips.write_zip(folder / 'walk.zip', files), FLOAT32, None)


# --- Sensor Logger


def annotations(moments: Iterable[tuple[float, str]]) -> str:
  """Annotations at these seconds; one without text ends an activity."""
  rows = [f'{EPOCH_S * 10**9 + int(at * 1e9)},{at},{text},\n' for at, text in moments]
  return ''.join(['time,seconds_elapsed,text,millisecond_press_duration\n', *rows])


def sensor_logger_files(
  one: Recording, platform: str, *, standardized: bool = False, wrist: bool = False, total: bool = False
) -> dict[str, str | bytes]:
  """Columns run z, y, x. On iOS acceleration and gravity have the other sign, unless standardized."""
  sign = -1.0 if platform == 'ios' and not standardized else 1.0

  def table(values: np.ndarray) -> str:
    frame = pd.DataFrame({'time': one.stamps_ns, 'seconds_elapsed': one.time_s - 0.1})
    return frame.assign(**{axis: values[:, 'xyz'.index(axis)].round(6) for axis in 'zyx'}).to_csv(index=False)

  files: dict[str, str | bytes] = {
    'Metadata.csv': 'version,device name,recording epoch time,recording time,recording timezone,platform,'
    'appVersion,device id,sensors,sampleRateMs,standardisation,platform version\n'
    f'3,phone,{EPOCH_S * 1000},2026-05-28_20-26-40,Europe/Berlin,{platform},1.47,7f,Accelerometer|Gyroscope,'
    f'20|20,{str(standardized).lower()},18.0\n',
    'Annotation.csv': annotations((at, name) for at, _, name in one.labels),
    'Barometer.csv': f'time,seconds_elapsed,pressure\n{EPOCH_S * 10**9},0,1013\n',
  }
  if wrist:
    columns = {'time': one.stamps_ns, 'seconds_elapsed': one.time_s}
    unit = G if not standardized else 1.0
    for name, values in (
      ('rotationRate', one.gyro),
      ('gravity', sign * one.gravity / unit),
      ('acceleration', sign * one.linear / unit),
    ):
      columns |= {f'{name}{axis.upper()}': values[:, i].round(6) for i, axis in enumerate('xyz')}
    files['WristMotion.csv'] = pd.DataFrame(columns).assign(quaternionW=1.0).to_csv(index=False)
    return files
  files['Accelerometer.csv'] = table(sign * one.linear)
  files['Gravity.csv'] = table(sign * one.gravity)
  files['Gyroscope.csv'] = table(one.gyro)
  if total:
    files['TotalAcceleration.csv'] = table(one.acc)
  return files


def _sensor_logger(
  platform: str, is_zip: bool, acc_atol: float, folder: pathlib.Path, one: Recording, **options: bool
) -> Written:
  files = sensor_logger_files(one, platform, **options)
  path = zips.write_zip(folder / 'walk.zip', files) if is_zip else zips.write(folder / 'walk', files)
  return Written(path, acc_atol, atol(6), one.labels)


_SUM = atol(6, terms=2)
sensor_logger_ios = functools.partial(_sensor_logger, 'ios', True, _SUM)
sensor_logger_ios_standardized = functools.partial(_sensor_logger, 'ios', False, _SUM, standardized=True)
sensor_logger_android = functools.partial(_sensor_logger, 'android', False, atol(6), total=True)
sensor_logger_watch = functools.partial(_sensor_logger, 'ios', True, atol(6, G, terms=2), wrist=True)


def sensor_logger_json(folder: pathlib.Path, one: Recording) -> Written:
  """A list of entries whose values are all strings."""
  entries: list[dict[str, str]] = [{'sensor': 'Metadata', 'platform': 'ios', 'standardisation': 'false'}]
  for sensor, values in (('Accelerometer', -one.linear), ('Gravity', -one.gravity), ('Gyroscope', one.gyro)):
    for at, stamp, (x, y, z) in zip(one.time_s, one.stamps_ns, values.round(6), strict=True):
      row = {'time': stamp, 'seconds_elapsed': at, 'x': x, 'y': y, 'z': z}
      entries.append({'sensor': sensor} | {name: str(value) for name, value in row.items()})
  for at, _, name in one.labels:
    entries.append({'sensor': 'Annotation', 'time': str(EPOCH_S * 10**9 + int(at * 1e9)), 'text': name})
  (folder / 'walk.json').write_text(json.dumps(entries))
  return Written(folder / 'walk.json', atol(6, terms=2), atol(6), one.labels)


def sensor_logger_push(folder: pathlib.Path, one: Recording) -> Written:
  """What the app sends to a server, kept as a list of messages."""
  payload = [
    {'name': name, 'time': int(stamp), 'values': dict(zip('xyz', row.tolist(), strict=True))}
    for name, values in (('totalacceleration', one.acc), ('gyroscope', one.gyro))
    for stamp, row in zip(one.stamps_ns, values.round(6), strict=True)
  ]
  messages = [{'messageId': i, 'sessionId': 's', 'deviceId': 'd', 'payload': payload[i::2]} for i in range(2)]
  (folder / 'walk.json').write_text(json.dumps(messages))
  return Written(folder / 'walk.json', atol(6), atol(6))


# --- SensorLog


def _sensor_log(one: Recording, *, raw: bool) -> pd.DataFrame:
  """g, Core Motion's sign; a button's count as label, 0 before it is pressed."""
  moments = pd.to_datetime(one.stamps_ns + 2 * 3600 * 10**9).strftime('%Y-%m-%d %H:%M:%S.%f +0200')
  columns: dict[str, Any] = {'loggingTime(txt)': moments, 'loggingSample(N)': range(len(one.time_s))}
  parts = [('motionUserAcceleration', '(G)', -one.linear / G), ('motionGravity', '(G)', -one.gravity / G)]
  if raw:
    parts = [('accelerometerAcceleration', '(G)', -one.acc / G)]
  for name, unit, values in (*parts, ('motionRotationRate', '(rad/s)', one.gyro)):
    columns |= {f'{name}{axis.upper()}{unit}': values[:, i].round(6) for i, axis in enumerate('xyz')}
  columns['activity(txt)'] = 'stationary'  # what iOS recognizes, no label
  columns['label(N)'] = [{'': 0, 'walk': 1, 'sit': 2}[name] for name in one.activities]
  return pd.DataFrame(columns)


_SENSOR_LOG_LABELS = ((0.0, 12.0, '1'), (12.0, 24.0, '2'))


def sensor_log(folder: pathlib.Path, one: Recording) -> Written:
  _sensor_log(one, raw=False).to_csv(folder / 'walk.csv', index=False)
  return Written(folder / 'walk.csv', atol(6, G, terms=2), atol(6), _SENSOR_LOG_LABELS)


def sensor_log_raw(folder: pathlib.Path, one: Recording) -> Written:
  _sensor_log(one, raw=True).to_csv(folder / 'walk.csv', index=False, sep='|')
  return Written(folder / 'walk.csv', atol(6, G), atol(6), _SENSOR_LOG_LABELS)


# Libraries that formats need, by a part of the writer's name.
LIBRARIES = {'Parquet': 'pyarrow', 'Excel': 'openpyxl', 'CBOR': 'cbor2'}

WRITERS: dict[str, Callable[[pathlib.Path, Recording], Written]] = {
  'CSV': plain_csv,
  'Parquet': functools.partial(_plain, 'walk.parquet', pd.DataFrame.to_parquet, 9),
  'Excel': functools.partial(_plain, 'walk.xlsx', pd.DataFrame.to_excel, 6),
  'Sensor Logger, iOS (zip)': sensor_logger_ios,
  'Sensor Logger, iOS, standardized (folder)': sensor_logger_ios_standardized,
  'Sensor Logger, Android (folder)': sensor_logger_android,
  'Sensor Logger, Apple Watch (zip)': sensor_logger_watch,
  'Sensor Logger, iOS (JSON)': sensor_logger_json,
  'Sensor Logger, sent to a server (JSON)': sensor_logger_push,
  'SensorLog, motion': sensor_log,
  'SensorLog, accelerometer': sensor_log_raw,
  'phyphox (zip)': phyphox_zip,
  'phyphox, decimal commas (folder)': phyphox_commas,
  'phyphox (Excel)': phyphox_excel,
  'phyphox, one sensor (zip)': phyphox_raw_data,
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

"""One recording as Sensor Logger and SensorLog export it."""

import functools
import json
import pathlib
from typing import Any

import numpy as np
import pandas as pd
from export_base import EPOCH_S, G, Recording, Written, atol, folder_of, zip_of

# --- Sensor Logger


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
    'Annotation.csv': 'time,seconds_elapsed,text,millisecond_press_duration\n'
    + ''.join(f'{EPOCH_S * 10**9 + int(at * 1e9)},{at},{name},\n' for at, _, name in one.labels),
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
  path = zip_of(folder / 'walk.zip', files) if is_zip else folder_of(folder / 'walk', files)
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

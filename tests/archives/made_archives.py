"""A small made-up archive in each official layout: name → files. A dict among the files is a zip within."""

import hashlib
import io
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Files = Mapping[str, Any]  # name → text, or the files of a zip within
_RNG = np.random.default_rng()
_START_MS = 1_424_696_600_000
# What a reader gives: the numbers, as a hash, and what it said about them.
Read = tuple[str, str]


def digest(*parts: Any) -> str:
  sha = hashlib.sha256()
  for part in parts:
    sha.update(part.tobytes() if isinstance(part, np.ndarray) else repr(part).encode(errors='replace'))
  return sha.hexdigest()


def zipped(files: Files) -> bytes:
  content = io.BytesIO()
  with zipfile.ZipFile(content, 'w', zipfile.ZIP_DEFLATED) as archive:
    for name, text in files.items():
      entry = zipfile.ZipInfo(name)  # of a fixed date
      entry.compress_type = zipfile.ZIP_DEFLATED
      archive.writestr(entry, text if isinstance(text, str | bytes) else zipped(text))
  return content.getvalue()


def _motion(rows: int) -> np.ndarray:
  """Acceleration in m/s² and angular velocity in rad/s of a walk at 50 Hz."""
  phase = 2 * np.pi * 1.9 * np.arange(rows)[:, None] / 50 + np.arange(6)
  size = np.array([1.0, 0.7, 2.0, 1.5, 0.4, 0.9])
  return np.array([0.5, -1.5, 9.6, 0, 0, 0]) + size * np.sin(phase) + _RNG.normal(0, 0.05, (rows, 6))


def _lines(values: np.ndarray, delimiter: str = ',', end: str = '\n') -> str:
  return ''.join(delimiter.join(f'{value:.4f}' for value in row) + end for row in values)


def _hapt() -> Files:
  files: dict[str, Any] = {'RawData/labels.txt': '1 1 1 1 200\n1 1 4 201 340\n2 2 5 1 340\n'}
  for number in (1, 2):
    values = _motion(340)
    suffix = f'exp{number:02}_user{number:02}.txt'
    files[f'RawData/acc_{suffix}'] = _lines(values[:, :3] / 9.80665, ' ')
    files[f'RawData/gyro_{suffix}'] = _lines(values[:, 3:], ' ')
  return files


def _motionsense() -> Files:
  quantities = ('attitude', 'gravity', 'rotationRate', 'userAcceleration')
  axes = ('roll', 'pitch', 'yaw'), 'xyz', 'xyz', 'xyz'
  names = [f'{quantity}.{axis}' for quantity, of in zip(quantities, axes, strict=True) for axis in of]
  files = {}
  for name in ('wlk_7/sub_1', 'sit_5/sub_2'):
    values = _motion(200)
    rows = np.concatenate([0 * values[:, :3], 0 * values[:, :3], values[:, 3:], -values[:, :3] / 9.8], axis=1)
    rows[:, 5] = -1
    text = ''.join(f'{number},{line}\n' for number, line in enumerate(_lines(rows).splitlines()))
    files[f'A_DeviceMotion_data/{name}.csv'] = ',' + ','.join(names) + '\n' + text
  return files


def _dsads() -> Files:
  return {
    f'data/a{activity:02}/p{person}/s{segment:02}.txt': _lines(
      np.tile(np.concatenate([_motion(125), np.ones((125, 3))], axis=1), 5)
    )
    for activity, person in ((1, 1), (9, 2))
    for segment in (1, 2)
  }


def _wisdm() -> Files:
  files = {}
  for subject in (1600, 1601):
    for sensor, columns in (('accel', slice(0, 3)), ('gyro', slice(3, 6))):
      text = ''
      for number, code in enumerate('AD'):
        rows = _lines(_motion(90)[:, columns], end=';\n').splitlines()
        first = 252_207_666_810_782 + number * 10**12
        text += ''.join(
          f'{subject},{code},{first + 50_000_000 * row},{line}\n' for row, line in enumerate(rows)
        )
      files[f'wisdm-dataset/raw/phone/{sensor}/data_{subject}_{sensor}_phone.txt'] = text
  return files


def _hhar() -> Files:
  header = 'Index,Arrival_Time,Creation_Time,x,y,z,User,Model,Device,gt\n'
  inner = {}
  for sensor, columns in (('accelerometer', slice(0, 3)), ('gyroscope', slice(3, 6))):
    rows = _lines(np.repeat(_motion(300), 2, axis=0)[:, columns]).splitlines()
    inner[f'Activity recognition exp/Phones_{sensor}.csv'] = header + ''.join(
      f'{row},{_START_MS + 10 * row + 7},{(_START_MS + 10 * row) * 10**6},{line},a,nexus4,nexus4_1,'
      f'{"walk" if row < 300 else "sit"}\n'
      for row, line in enumerate(rows)
    )
  return {'Activity recognition exp.zip': inner}


def _realworld() -> Files:
  files = {}
  for proband, activity in ((1, 'walking'), (2, 'sitting')):
    for sensor, word, columns in (('acc', 'acc', slice(0, 3)), ('gyr', 'Gyroscope', slice(3, 6))):
      rows = _lines(_motion(250)[:, columns]).splitlines()
      text = 'id,attr_time,attr_x,attr_y,attr_z\n' + ''.join(
        f'{row},{_START_MS + 20 * row},{line}\n' for row, line in enumerate(rows)
      )
      files[f'proband{proband}/data/{sensor}_{activity}_csv.zip'] = {f'{word}_{activity}_waist.csv': text}
  return files


def _pamap2() -> Files:
  inner = {}
  for subject in (101, 102):
    table = np.zeros((600, 54))
    table[:, 0] = 8 + np.arange(600) / 100
    table[:, 1] = np.where(np.arange(600) < 300, 1, 4)
    values = np.repeat(_motion(300), 2, axis=0)
    for first in (3, 20, 37):
      table[:, first + 1 : first + 4], table[:, first + 7 : first + 10] = values[:, :3], values[:, 3:]
    text = '\n'.join(' '.join(f'{value:.5g}' for value in row) for row in table) + '\n'
    inner[f'PAMAP2_Dataset/Protocol/subject{subject}.dat'] = text
  return {'PAMAP2_Dataset.zip': inner}


def _ucihar() -> Files:
  files = {}
  for part, subjects, labels in (('train', (1, 1, 3), (1, 4, 6)), ('test', (2, 2), (2, 5))):
    files[f'{part}/subject_{part}.txt'] = ''.join(f'{subject}\n' for subject in subjects)
    files[f'{part}/y_{part}.txt'] = ''.join(f'{label}\n' for label in labels)
    for number, sensor in enumerate(('total_acc', 'body_gyro')):
      for axis, letter in enumerate('xyz'):
        rows = [_motion(128)[:, 3 * number + axis] for _ in subjects]
        files[f'{part}/Inertial Signals/{sensor}_{letter}_{part}.txt'] = _lines(np.array(rows), '  ')
  return {'UCI HAR Dataset.zip': {f'UCI HAR Dataset/{name}': text for name, text in files.items()}}


def _pdiot() -> Files:
  header = ',timestamp,accel_x,accel_y,accel_z,gyro_x,gyro_y,gyro_z\n'
  files = {}
  for subject, activity in (('s7', 'normalWalking'), ('s10', 'sitting')):
    rows = _lines(_motion(100) / np.array([9.8] * 3 + [0.02] * 3)).splitlines()
    files[f'updated/Thingy/{subject}/{subject}_thingy_{activity}_breathingNormal.csv'] = header + ''.join(
      f'{row},{1697605965 + 40 * row},{line}\n' for row, line in enumerate(rows)
    )
  return files


def _weda_fall() -> Files:
  files = {'dataset/fall_timestamps.csv': 'filename,start_time,end_time\nF01/U01_R01,0.5,4.5\n'}
  for trial in ('D01/U01_R01', 'F01/U01_R01'):
    for sensor, columns in (('accel', slice(0, 3)), ('gyro', slice(3, 6))):
      header = ','.join(f'{sensor}_{column}_list' for column in ('time', 'x', 'y', 'z'))
      rows = _lines(_motion(250)[:, columns]).splitlines()
      text = ''.join(f'{row // 5 / 10 + row % 5 / 1000:.3f},{line}\n' for row, line in enumerate(rows))
      files[f'dataset/50Hz/{trial}_{sensor}.csv'] = f'{header}\n{text}'
  return files


def _sp_sw_har() -> Files:
  header = 'x_acc,y_acc,z_acc,x_gyro,y_gyro,z_gyro,timestamp,label\n'
  labels = ('SEATED', 'STANDING_UP', 'WALKING', 'TURNING', 'SITTING_DOWN')
  files = {}
  for subject in ('s01', 's02'):
    rows = _lines(np.repeat(_motion(300), 2, axis=0)).splitlines()
    files[f'DATA/{subject}/{subject}_01_sp.csv'] = header + ''.join(
      f'{line},{1657533977813 + 100 * (row // 10)},{labels[row // 120]}\n' for row, line in enumerate(rows)
    )
  return files


_MADE: dict[str, Callable[[], Files]] = {
  'hapt': _hapt,
  'motionsense': _motionsense,
  'dsads': _dsads,
  'wisdm': _wisdm,
  'hhar': _hhar,
  'realworld': _realworld,
  'pamap2': _pamap2,
  'ucihar': _ucihar,
  'pdiot': _pdiot,
  'weda_fall': _weda_fall,
  'sp_sw_har': _sp_sw_har,
}
NAMES = tuple(_MADE)


def made(name: str) -> Files:
  """The same files at every call."""
  global _RNG
  _RNG = np.random.default_rng(5)
  return _MADE[name]()

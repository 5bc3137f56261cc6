"""Small archives in their official layout, one writer each, all of the same motion.

A writer turns m/s², rad/s and seconds into the files, units, axes and clocks of the archive's authors. What a
reader makes of them must be the motion again.   n samples.
"""

import dataclasses
import io
import pathlib
import zipfile
from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Float

from har_jax.archives.source import Source
from har_jax.signal.recording import STANDARD_GRAVITY_M_S2

SECONDS = 30
_AXIS, _UP = np.array([0.4, -0.7, 0.3]), np.array([2.0, -1.0, 9.5])
START_MS = 1_435_993_000_000


def motion(time_s: Float[np.ndarray, 'n']) -> tuple[Float[np.ndarray, 'n 3'], Float[np.ndarray, 'n 3']]:
  """Acceleration, m/s², and angular velocity, rad/s, of a device that swings about a tilted axis.

  The angle is sin(t), so that gravity turns against it in the device's axes.
  """
  axis, up = _AXIS / np.linalg.norm(_AXIS), STANDARD_GRAVITY_M_S2 * _UP / np.linalg.norm(_UP)
  angle = -np.sin(time_s)[:, None]
  acc = up * np.cos(angle) + np.cross(axis, up) * np.sin(angle) + axis * (axis @ up) * (1 - np.cos(angle))
  return acc, np.cos(time_s)[:, None] * axis


@dataclasses.dataclass(frozen=True)
class Official:
  """An archive's rate as declared, and its writer: from a folder and the rate to what a reader is given.

  up: (position, activity) → the axis of the device that points up in the real archive, if it is known.
  """

  rate_hz: float
  write: Callable[[pathlib.Path, float], pathlib.Path]
  up: Mapping[tuple[str, str], tuple[int, int, int]] = dataclasses.field(default_factory=dict)


def _table(
  header: str, columns: list[Float[np.ndarray, 'n']], form: str = '%.9g', delimiter: str = ','
) -> str:
  text = io.StringIO()
  np.savetxt(text, np.stack(columns, axis=1), form, delimiter, header=header, comments='')
  return text.getvalue() if header else text.getvalue().lstrip('\n')


def write(folder: pathlib.Path, files: Mapping[str, str | bytes]) -> pathlib.Path:
  for name, content in files.items():
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
  return folder


def zipped(files: dict[str, str | bytes]) -> bytes:
  content = io.BytesIO()
  with zipfile.ZipFile(content, 'w', zipfile.ZIP_DEFLATED) as file:
    for name, text in files.items():
      file.writestr(zipfile.ZipInfo(name), text, zipfile.ZIP_DEFLATED)  # of a fixed date
  return content.getvalue()


def read_texts(source: Source) -> dict[str, str]:
  """Files by name; of a zip within, <zip>/<name>."""
  contents = {}
  for name in source.names:
    with source.open(name) as file:
      contents[name] = file.read().decode()
  return contents


def _clock(rate_hz: float) -> Float[np.ndarray, 'n']:
  return np.arange(round(SECONDS * rate_hz)) / rate_hz


def _hapt(folder: pathlib.Path, rate_hz: float) -> pathlib.Path:
  """Acceleration in g; rows are numbered from 1."""
  acc, gyro = motion(_clock(rate_hz))
  files = {'labels.txt': f'1 1 1 1 {len(acc)}\n'}
  for sensor, values in (('acc', acc / STANDARD_GRAVITY_M_S2), ('gyro', gyro)):
    files[f'{sensor}_exp01_user01.txt'] = _table('', list(values.T), delimiter=' ')
  return write(folder, {f'RawData/{name}': text for name, text in files.items()})


def _motionsense(folder: pathlib.Path, rate_hz: float) -> pathlib.Path:
  """The layout of iOS: in g, with gravity that points down, apart from the user's acceleration."""
  acc, gyro = motion(_clock(rate_hz))
  user = np.tile([0.05, -0.02, 0.01], (len(acc), 1))
  gravity = -acc / STANDARD_GRAVITY_M_S2 - user
  names = [f'{kind}.{axis}' for kind in ('gravity', 'rotationRate', 'userAcceleration') for axis in 'xyz']
  text = _table(',' + ','.join(names), [np.arange(len(acc)), *gravity.T, *gyro.T, *user.T])
  return write(folder, {'A_DeviceMotion_data/wlk_7/sub_1.csv': text})


def _dsads(folder: pathlib.Path, rate_hz: float) -> pathlib.Path:
  """Segments of 5 s, with five units of accelerometer, gyroscope and magnetometer."""
  unit = np.concatenate([*motion(_clock(rate_hz)), np.ones((round(SECONDS * rate_hz), 3))], axis=1)
  segments = np.tile(unit, (1, 5)).reshape(-1, 125, 45)
  texts = {f'p1/s{number:02}.txt': _table('', list(segment.T)) for number, segment in enumerate(segments, 1)}
  return write(
    folder, {f'data/{code}/{name}': text for code in ('a01', 'a09') for name, text in texts.items()}
  )


def _wisdm(folder: pathlib.Path, rate_hz: float) -> pathlib.Path:
  """Nanoseconds since the phone's start, in a file for each sensor."""
  time_s = _clock(rate_hz)
  files = {}
  for sensor, values in zip(('accel', 'gyro'), motion(time_s), strict=True):
    rows = zip((time_s * 1e9).round().astype(int).tolist(), values.tolist(), strict=True)
    text = ''.join(f'1600,A,{10**15 + time},{x:.9g},{y:.9g},{z:.9g};\n' for time, (x, y, z) in rows)
    files[f'wisdm-dataset/raw/phone/{sensor}/data_1600_{sensor}_phone.txt'] = text
  return write(folder, files)


def _hhar(folder: pathlib.Path, rate_hz: float) -> pathlib.Path:
  """One table a sensor, in a zip within a zip."""
  time_s = _clock(rate_hz)
  times_ns = [START_MS * 10**6 + round(second * 1e9) for second in time_s.tolist()]
  files: dict[str, str | bytes] = {}
  for sensor, values in zip(('accelerometer', 'gyroscope'), motion(time_s), strict=True):
    rows = [
      f'{row},{time // 10**6},{time},{x:.9g},{y:.9g},{z:.9g},a,nexus4,nexus4_1,walk\n'
      for row, (time, (x, y, z)) in enumerate(zip(times_ns, values.tolist(), strict=True))
    ]
    header = 'Index,Arrival_Time,Creation_Time,x,y,z,User,Model,Device,gt\n'
    files[f'Activity recognition exp/Phones_{sensor}.csv'] = header + ''.join(rows)
  (folder / 'hhar.zip').write_bytes(zipped({'Activity recognition exp.zip': zipped(files)}))
  return folder / 'hhar.zip'


def _realworld(folder: pathlib.Path, rate_hz: float) -> pathlib.Path:
  """A zip for each sensor and activity, of milliseconds since 1970."""
  time_s = _clock(rate_hz)
  sensors = (('acc', 'acc_walking_waist.csv'), ('gyr', 'Gyroscope_walking_waist.csv'))
  files: dict[str, str | bytes] = {}
  for (sensor, name), values in zip(sensors, motion(time_s), strict=True):
    rows = [np.arange(len(time_s)) + 1, START_MS + (1000 * time_s).round(), *values.T]
    text = _table('id,attr_time,attr_x,attr_y,attr_z', rows, '%.14g')
    files[f'realworld2016_dataset/proband1/data/{sensor}_walking_csv.zip'] = zipped({name: text})
  (folder / 'realworld.zip').write_bytes(zipped(files))
  return folder / 'realworld.zip'


def _pamap2(folder: pathlib.Path, rate_hz: float) -> pathlib.Path:
  """Fifty-four columns: time, activity, heart rate, then hand, chest and ankle with seventeen each."""
  time_s = _clock(rate_hz)
  acc, gyro = motion(time_s)
  table = np.full((len(time_s), 54), 7.0)
  table[:, 0], table[:, 1] = 8.38 + time_s, 4
  for first in (3, 20, 37):  # temperature, acceleration up to 16 g, up to 6 g, angular velocity
    table[:, first + 1 : first + 4], table[:, first + 7 : first + 10] = acc, gyro
  text = _table('', list(table.T), delimiter=' ')
  inner = zipped({'PAMAP2_Dataset/Protocol/subject101.dat': text})
  (folder / 'pamap2.zip').write_bytes(zipped({'PAMAP2_Dataset.zip': inner}))
  return folder / 'pamap2.zip'


def _ucihar(folder: pathlib.Path, rate_hz: float) -> pathlib.Path:
  """Windows of 128 samples, a file for each axis; acceleration in g."""
  acc, gyro = motion(np.arange(128 * 10) / rate_hz)
  files = {'activity_labels.txt': '1 WALKING\n'}
  for part in ('train', 'test'):
    files[f'{part}/subject_{part}.txt'] = files[f'{part}/y_{part}.txt'] = '1\n' * 10
    for sensor, values in (('total_acc', acc / STANDARD_GRAVITY_M_S2), ('body_gyro', gyro)):
      for axis, column in zip('xyz', values.T, strict=True):
        text = _table('', list(column.reshape(10, 128).T), delimiter=' ')
        files[f'{part}/Inertial Signals/{sensor}_{axis}_{part}.txt'] = text
  inner = zipped({f'UCI HAR Dataset/{name}': text for name, text in files.items()})
  (folder / 'har.zip').write_bytes(zipped({'UCI HAR Dataset.zip': inner}))
  return folder / 'har.zip'


def _pdiot(folder: pathlib.Path, rate_hz: float) -> pathlib.Path:
  """Acceleration in g, angular velocity in degrees per second."""
  time_s = _clock(rate_hz)
  acc, gyro = motion(time_s)
  rows = [
    np.arange(len(acc)),
    START_MS + 1000 * time_s,
    *(acc / STANDARD_GRAVITY_M_S2).T,
    *np.rad2deg(gyro).T,
  ]
  header = ',timestamp,accel_x,accel_y,accel_z,gyro_x,gyro_y,gyro_z'
  files = {}
  for device, factor in (('Thingy', 1.0), ('Respeck', -1 / 2)):
    name = f'{device}/s1/s1_{device.lower()}_normalWalking_breathingNormal.csv'
    scaled = [*rows[:5], *(factor * np.stack(rows[5:]))]
    files[f'updated_anonymized_dataset_2023/{name}'] = _table(header, scaled, '%.14g')
  return write(folder, files)


def _liara(folder: pathlib.Path, rate_hz: float) -> pathlib.Path:
  """Fifteen pieces without a clock; g, and degrees per second with the other sign."""
  acc, gyro = motion(np.arange(15 * 112) / rate_hz)
  rows = np.concatenate([acc / STANDARD_GRAVITY_M_S2, -np.rad2deg(gyro), np.zeros_like(acc)], axis=1)
  names = [f'raw/A/shortWalking/iteration_{piece}.csv' for piece in range(1, 16)]
  files = {
    f'ActivitiesExercisesRecognition/{name}': _table('ax,ay,az,gx,gy,gz,mx,my,mz', list(piece.T))
    for name, piece in zip(names, np.split(rows, 15), strict=True)
  }
  return write(folder, files)


def _weda_fall(folder: pathlib.Path, rate_hz: float) -> pathlib.Path:
  """A file for each sensor, in seconds from its own start."""
  time_s = _clock(rate_hz)
  files = {'dataset/fall_timestamps.csv': '\ufefffilename,start_time,end_time\nF01/U01_R01,1.5,4.5\n'}
  for sensor, values in zip(('accel', 'gyro'), motion(time_s), strict=True):
    header = ','.join(f'{sensor}_{column}_list' for column in ('time', 'x', 'y', 'z'))
    files[f'dataset/50Hz/D01/U01_R01_{sensor}.csv'] = _table(header, [time_s, *values.T])
  return write(folder, files)


def _sp_sw_har(folder: pathlib.Path, rate_hz: float) -> pathlib.Path:
  """A file for each device, with a label in each row."""
  time_s = _clock(rate_hz)
  acc, gyro = motion(time_s)
  rows = [*acc.T, *gyro.T, START_MS + (1000 * time_s).round()]
  table = _table('', rows, '%.14g').replace('\n', ',WALKING\n')
  text = 'x_acc,y_acc,z_acc,x_gyro,y_gyro,z_gyro,timestamp,label\n' + table
  return write(folder, {f'DATA/s01/s01_01_{device}.csv': text for device in ('sp', 'sw')})


# Archive → its writer; those without files need none.
OFFICIAL = {
  'hapt': Official(50, _hapt, {('waist', 'standing'): (1, 0, 0)}),
  'motionsense': Official(
    50, _motionsense, {('pocket', 'standing'): (0, -1, 0), ('pocket', 'walking'): (0, -1, 0)}
  ),
  'dsads': Official(25, _dsads),
  'wisdm': Official(20, _wisdm),
  'hhar': Official(100, _hhar),
  'realworld': Official(50, _realworld),
  'pamap2': Official(100, _pamap2),
  'ucihar': Official(50, _ucihar),
  'pdiot': Official(25, _pdiot),
  'weda_fall': Official(50, _weda_fall),
  'sp_sw_har': Official(102, _sp_sw_har),
  'liara': Official(54, _liara),
}

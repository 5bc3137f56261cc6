"""Small archives in their official layout, one writer each, all of the same motion.

A writer turns m/s², rad/s and seconds into the files, units, axes and clocks of the archive's authors. What a
reader makes of them must be the motion again.   n samples.
"""

import dataclasses
import io
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float
from zips import Texts, write, zipped_texts

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
  """An archive's rate as declared, and its writer: from a folder, rate and code to what a reader is given.

  activities: code in the archive's files → activity, as its authors publish them. The first one is written.
  up: (position, activity) → the axis of the device that points up in the real archive, if it is known.
  """

  rate_hz: float
  write_code: Callable[[pathlib.Path, float, Any], pathlib.Path]
  activities: Mapping[Any, str]
  up: Mapping[tuple[str, str], tuple[int, int, int]] = dataclasses.field(default_factory=dict)

  def write(self, folder: pathlib.Path, code: Any = None) -> pathlib.Path:
    folder.mkdir(parents=True, exist_ok=True)
    return self.write_code(folder, self.rate_hz, next(iter(self.activities)) if code is None else code)


def _table(
  header: str, columns: list[Float[np.ndarray, 'n']], form: str = '%.9g', delimiter: str = ','
) -> str:
  text = io.StringIO()
  np.savetxt(text, np.stack(columns, axis=1), form, delimiter, header=header, comments='')
  return text.getvalue() if header else text.getvalue().lstrip('\n')


def _write_zip(folder: pathlib.Path, texts: Texts) -> pathlib.Path:
  return write(folder, {'archive.zip': zipped_texts(texts)}) / 'archive.zip'


def read_texts(source: Source) -> Texts:
  contents = {}
  for name in source.names:
    with source.open(name) as file:
      contents[name] = file.read().decode()
  return contents


def _clock(rate_hz: float) -> Float[np.ndarray, 'n']:
  return np.arange(round(SECONDS * rate_hz)) / rate_hz


def _hapt(folder: pathlib.Path, rate_hz: float, code: int) -> pathlib.Path:
  """Acceleration in g; rows are numbered from 1."""
  acc, gyro = motion(_clock(rate_hz))
  files = {'labels.txt': f'1 1 {code} 1 {len(acc)}\n'}
  for sensor, values in (('acc', acc / STANDARD_GRAVITY_M_S2), ('gyro', gyro)):
    files[f'{sensor}_exp01_user01.txt'] = _table('', list(values.T), delimiter=' ')
  return write(folder, {f'RawData/{name}': text for name, text in files.items()})


def _motionsense(folder: pathlib.Path, rate_hz: float, code: str) -> pathlib.Path:
  """The layout of iOS: in g, with gravity that points down, apart from the user's acceleration."""
  acc, gyro = motion(_clock(rate_hz))
  user = np.tile([0.05, -0.02, 0.01], (len(acc), 1))
  gravity = -acc / STANDARD_GRAVITY_M_S2 - user
  names = [f'{kind}.{axis}' for kind in ('gravity', 'rotationRate', 'userAcceleration') for axis in 'xyz']
  text = _table(',' + ','.join(names), [np.arange(len(acc)), *gravity.T, *gyro.T, *user.T])
  return write(folder, {f'A_DeviceMotion_data/{code}_7/sub_1.csv': text})


def _dsads(folder: pathlib.Path, rate_hz: float, code: int) -> pathlib.Path:
  """Segments of 5 s, with five units of accelerometer, gyroscope and magnetometer."""
  unit = np.concatenate([*motion(_clock(rate_hz)), np.ones((round(SECONDS * rate_hz), 3))], axis=1)
  segments = np.tile(unit, (1, 5)).reshape(-1, 125, 45)
  texts = {f'p1/s{number:02}.txt': _table('', list(segment.T)) for number, segment in enumerate(segments, 1)}
  # The marker is of the first activity.
  return write(folder, {f'data/a{n:02}/{name}': text for n in (1, code) for name, text in texts.items()})


def _wisdm(folder: pathlib.Path, rate_hz: float, code: str) -> pathlib.Path:
  """Nanoseconds since the phone's start, in a file for each sensor."""
  time_s = _clock(rate_hz)
  files = {}
  for sensor, values in zip(('accel', 'gyro'), motion(time_s), strict=True):
    rows = zip((time_s * 1e9).round().astype(int).tolist(), values.tolist(), strict=True)
    text = ''.join(f'1600,{code},{10**15 + time},{x:.9g},{y:.9g},{z:.9g};\n' for time, (x, y, z) in rows)
    files[f'wisdm-dataset/raw/phone/{sensor}/data_1600_{sensor}_phone.txt'] = text
  return write(folder, files)


_HHAR = 'Activity recognition exp'


def _hhar(folder: pathlib.Path, rate_hz: float, code: str) -> pathlib.Path:
  """One table a sensor, in a zip within a zip."""
  time_s = _clock(rate_hz)
  times_ns = [START_MS * 10**6 + round(second * 1e9) for second in time_s.tolist()]
  texts = {}
  for sensor, values in zip(('accelerometer', 'gyroscope'), motion(time_s), strict=True):
    rows = [
      f'{row},{time // 10**6},{time},{x:.9g},{y:.9g},{z:.9g},a,nexus4,nexus4_1,{code}\n'
      for row, (time, (x, y, z)) in enumerate(zip(times_ns, values.tolist(), strict=True))
    ]
    header = 'Index,Arrival_Time,Creation_Time,x,y,z,User,Model,Device,gt\n'
    texts[f'{_HHAR}.zip/{_HHAR}/Phones_{sensor}.csv'] = header + ''.join(rows)
  return _write_zip(folder, texts)


def _realworld(folder: pathlib.Path, rate_hz: float, code: str) -> pathlib.Path:
  """A zip for each sensor and activity, of milliseconds since 1970."""
  time_s = _clock(rate_hz)
  sensors = (('acc', f'acc_{code}_waist.csv'), ('gyr', f'Gyroscope_{code}_waist.csv'))
  texts = {}
  for (sensor, name), values in zip(sensors, motion(time_s), strict=True):
    rows = [np.arange(len(time_s)) + 1, START_MS + (1000 * time_s).round(), *values.T]
    text = _table('id,attr_time,attr_x,attr_y,attr_z', rows, '%.14g')
    texts[f'realworld2016_dataset/proband1/data/{sensor}_{code}_csv.zip/{name}'] = text
  return _write_zip(folder, texts)


def _pamap2(folder: pathlib.Path, rate_hz: float, code: int) -> pathlib.Path:
  """Fifty-four columns: time, activity, heart rate, then hand, chest and ankle with seventeen each."""
  time_s = _clock(rate_hz)
  acc, gyro = motion(time_s)
  table = np.full((len(time_s), 54), 7.0)
  table[:, 0], table[:, 1] = 8.38 + time_s, code
  for first in (3, 20, 37):  # temperature, acceleration up to 16 g, up to 6 g, angular velocity
    table[:, first + 1 : first + 4], table[:, first + 7 : first + 10] = acc, gyro
  text = _table('', list(table.T), delimiter=' ')
  return _write_zip(folder, {'PAMAP2_Dataset.zip/PAMAP2_Dataset/Protocol/subject101.dat': text})


def _ucihar(folder: pathlib.Path, rate_hz: float, code: int) -> pathlib.Path:
  """Windows of 128 samples, a file for each axis; acceleration in g."""
  acc, gyro = motion(np.arange(128 * 10) / rate_hz)
  files = {'activity_labels.txt': '1 WALKING\n'}
  for part in ('train', 'test'):
    files |= {f'{part}/subject_{part}.txt': '1\n' * 10, f'{part}/y_{part}.txt': f'{code}\n' * 10}
    for sensor, values in (('total_acc', acc / STANDARD_GRAVITY_M_S2), ('body_gyro', gyro)):
      for axis, column in zip('xyz', values.T, strict=True):
        text = _table('', list(column.reshape(10, 128).T), delimiter=' ')
        files[f'{part}/Inertial Signals/{sensor}_{axis}_{part}.txt'] = text
  return _write_zip(
    folder, {f'UCI HAR Dataset.zip/UCI HAR Dataset/{name}': text for name, text in files.items()}
  )


def _pdiot(folder: pathlib.Path, rate_hz: float, code: str) -> pathlib.Path:
  """Acceleration in g, angular velocity in degrees per second."""
  time_s = _clock(rate_hz)
  acc, gyro = motion(time_s)
  header = ',timestamp,accel_x,accel_y,accel_z,gyro_x,gyro_y,gyro_z'
  files = {}
  for device, factor in (('Thingy', 1.0), ('Respeck', -1 / 2)):
    name = f'{device}/s1/s1_{device.lower()}_{code}_breathingNormal.csv'
    sensors = np.concatenate([acc / STANDARD_GRAVITY_M_S2, factor * np.rad2deg(gyro)], axis=1)
    rows = [np.arange(len(acc)), START_MS + 1000 * time_s, *sensors.T]
    files[f'updated_anonymized_dataset_2023/{name}'] = _table(header, rows, '%.14g')
  return write(folder, files)


def _liara(folder: pathlib.Path, rate_hz: float, code: str) -> pathlib.Path:
  """Fifteen pieces without a clock; g, and degrees per second with the other sign."""
  acc, gyro = motion(np.arange(15 * 112) / rate_hz)
  rows = np.concatenate([acc / STANDARD_GRAVITY_M_S2, -np.rad2deg(gyro), np.zeros_like(acc)], axis=1)
  tables = [_table('ax,ay,az,gx,gy,gz,mx,my,mz', list(piece.T)) for piece in np.split(rows, 15)]
  path = f'ActivitiesExercisesRecognition/raw/A/{code}'
  return write(folder, {f'{path}/iteration_{n}.csv': text for n, text in enumerate(tables, 1)})


def _weda_fall(folder: pathlib.Path, rate_hz: float, code: str) -> pathlib.Path:
  """A file for each sensor, in seconds from its own start."""
  time_s = _clock(rate_hz)
  fall = code if code[0] == 'F' else 'F01'
  files = {'dataset/fall_timestamps.csv': f'\ufefffilename,start_time,end_time\n{fall}/U01_R01,1.5,4.5\n'}
  for sensor, values in zip(('accel', 'gyro'), motion(time_s), strict=True):
    header = ','.join(f'{sensor}_{column}_list' for column in ('time', 'x', 'y', 'z'))
    files[f'dataset/50Hz/{code}/U01_R01_{sensor}.csv'] = _table(header, [time_s, *values.T])
  return write(folder, files)


def _sp_sw_har(folder: pathlib.Path, rate_hz: float, code: str) -> pathlib.Path:
  """A file for each device, with a label in each row."""
  time_s = _clock(rate_hz)
  acc, gyro = motion(time_s)
  rows = [*acc.T, *gyro.T, START_MS + (1000 * time_s).round()]
  table = _table('', rows, '%.14g').replace('\n', f',{code}\n')
  text = 'x_acc,y_acc,z_acc,x_gyro,y_gyro,z_gyro,timestamp,label\n' + table
  return write(folder, {f'DATA/s01/s01_01_{device}.csv': text for device in ('sp', 'sw')})


_UCI = {1: 'walking', 2: 'upstairs', 3: 'downstairs', 4: 'sitting', 5: 'standing', 6: 'lying'}
# Archive → its writer; those without files need none.
OFFICIAL = {
  'hapt': Official(50, _hapt, _UCI | {
    7: 'stand_to_sit', 8: 'sit_to_stand', 9: 'sit_to_lie', 10: 'lie_to_sit', 11: 'stand_to_lie',
    12: 'lie_to_stand',
  }, {('waist', 'standing'): (1, 0, 0)}),
  'motionsense': Official(50, _motionsense, {
    'wlk': 'walking', 'jog': 'running', 'dws': 'downstairs', 'ups': 'upstairs', 'sit': 'sitting',
    'std': 'standing',
  }, {('pocket', 'standing'): (0, -1, 0), ('pocket', 'walking'): (0, -1, 0)}),
  'dsads': Official(25, _dsads, {
    9: 'walking', 1: 'sitting', 2: 'standing', 3: 'lying', 4: 'lying_on_side', 5: 'upstairs',
    6: 'downstairs', 7: 'standing_in_elevator', 8: 'moving_in_elevator', 10: 'treadmill_walking',
    11: 'treadmill_incline_walking', 12: 'running', 13: 'exercising_on_stepper',
    14: 'exercising_on_cross_trainer', 15: 'cycling', 16: 'cycling', 17: 'rowing', 18: 'jumping',
    19: 'playing_basketball',
  }),
  'wisdm': Official(20, _wisdm, {
    'A': 'walking', 'B': 'running', 'C': 'stairs', 'D': 'sitting', 'E': 'standing', 'F': 'typing',
    'G': 'brushing_teeth', 'H': 'eating_soup', 'I': 'eating_chips', 'J': 'eating_pasta', 'K': 'drinking',
    'L': 'eating_sandwich', 'M': 'kicking', 'O': 'catching', 'P': 'dribbling', 'Q': 'writing',
    'R': 'clapping', 'S': 'folding_laundry',
  }),
  'hhar': Official(100, _hhar, {
    'walk': 'walking', 'bike': 'cycling', 'sit': 'sitting', 'stand': 'standing', 'stairsup': 'upstairs',
    'stairsdown': 'downstairs',
  }),
  'realworld': Official(50, _realworld, {
    'walking': 'walking', 'climbingdown': 'downstairs', 'climbingup': 'upstairs', 'jumping': 'jumping',
    'lying': 'lying', 'running': 'running', 'sitting': 'sitting', 'standing': 'standing',
  }),
  'pamap2': Official(100, _pamap2, {
    4: 'walking', 1: 'lying', 2: 'sitting', 3: 'standing', 5: 'running', 6: 'cycling', 7: 'nordic_walking',
    9: 'watching_tv', 10: 'computer_work', 11: 'driving', 12: 'upstairs', 13: 'downstairs',
    16: 'vacuuming', 17: 'ironing', 18: 'folding_laundry', 19: 'house_cleaning', 20: 'playing_soccer',
    24: 'jumping',
  }),
  'ucihar': Official(50, _ucihar, _UCI),
  'pdiot': Official(25, _pdiot, {
    'normalWalking': 'walking', 'ascending': 'upstairs', 'descending': 'downstairs', 'lyingBack': 'lying',
    'lyingLeft': 'lying_on_side', 'lyingRight': 'lying_on_side', 'lyingStomach': 'lying_on_stomach',
    'miscMovement': 'miscellaneous_movement', 'running': 'running', 'shuffleWalking': 'shuffle_walking',
    'sitting': 'sitting', 'standing': 'standing',
  }),
  'weda_fall': Official(50, _weda_fall, {
    'D01': 'walking', 'D02': 'running', 'D03': 'stairs', 'D04': 'sitting_and_getting_up',
    'D05': 'collapsing_into_chair', 'D06': 'crouching', 'D07': 'stumbling', 'D08': 'jumping_to_reach',
    'D09': 'hitting_table', 'D10': 'clapping', 'D11': 'opening_door',
  } | {f'F0{kind}': 'falling' for kind in range(1, 9)}),
  'sp_sw_har': Official(102, _sp_sw_har, {
    'WALKING': 'walking', 'SEATED': 'sitting', 'STANDING_UP': 'sit_to_stand', 'TURNING': 'turning',
    'SITTING_DOWN': 'stand_to_sit',
  }),
  'liara': Official(54, _liara, {
    'shortWalking': 'walking', 'ExoFente': 'lunging', 'ExoMarche': 'marching', 'ExoSitUp': 'sit_ups',
    'ExoSquat': 'squatting', 'shortRunning': 'running', 'shortSeat': 'sitting',
    'shortSitting': 'stand_to_sit', 'shortStanding': 'sit_to_stand', 'shortSwitch': 'turning_wrist',
  }),
}  # fmt: skip

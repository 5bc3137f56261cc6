"""Bad files and options, the fault of each, and the sentence that refuses it: a table."""

import gzip
import itertools
import re
import sys

import export_base
import exports
import numpy as np
import pandas as pd
import pytest
import user_files
import zips
from user_files import ACC, AXES, FRAME, GYRO

from har_jax import recordings
from har_jax.errors import UserError
from har_jax.recordings import files, limits
from har_jax.signal.recording import STANDARD_GRAVITY_M_S2 as G

GOOD = 'time,ax,ay,az,gx,gy,gz\n' + ''.join(f'{i / 50},0.{i},0.2,9.8,0.1,0.{i},0.3\n' for i in range(10, 60))
TOOLBOX = 'time,ax,ay,az,aT\n' + ''.join(f'{i / 50},0.{i},0.2,0.1,0.3\n' for i in range(10, 60))
LINEAR = TOOLBOX.replace('ax,ay,az,aT', 'linacc_x,linacc_y,linacc_z,n')
ONE = export_base.recording()
PHYPHOX = exports.phyphox_files(ONE, ',', '.')
SENSOR_LOGGER = exports.sensor_logger_files(ONE, 'ios')
AXIVITY, GENEACTIV = map(user_files.content, ('Axivity (.cwa)', 'GENEActiv (.bin)'))
ACTIGRAPH = zips.unzipped(user_files.content('ActiGraph (.gt3x)'))


def _rows(text: str, count: int) -> str:
  return 'time,ax,ay,az\n' + ''.join(text.format(i=i) for i in range(count))


def _without(files: dict, *names: str) -> dict:
  return {name: text for name, text in files.items() if name not in names}


def _with_a_comma_too_many() -> str:
  """Writes one decimal comma between commas: the rest would be read as other numbers."""
  lines = FRAME.round(3).to_csv(index=False).splitlines()
  lines[700] = lines[700].replace('.', ',', 1)
  return '\n'.join(lines)


def _encrypted() -> bytes:
  data = bytearray(zips.zipped({'walk.csv': b'time,ax\n' * 9}))
  for signature, place in ((b'PK\x03\x04', 6), (b'PK\x01\x02', 8)):
    data[data.index(signature) + place] |= 1  # the bit that says so
  return bytes(data)


def _halves() -> pd.DataFrame:
  """Acceleration in the first half of the time, angular velocity in the second."""
  is_first = FRAME.index < 500
  return FRAME.assign(**{name: FRAME[name].where(is_first == (name in ACC)) for name in AXES})


def _two_devices(name: str, later_s: float) -> pd.DataFrame:
  watch = FRAME.assign(
    time=FRAME.time + later_s, **dict(zip(ACC, FRAME[['az', 'ax', 'ay']].T.values, strict=True))
  )
  both = pd.concat([FRAME.assign(**{name: 'phone'}), watch.assign(**{name: 'watch'})])
  return both.sort_values('time', kind='stable')


def _sensor_rows(column: str, names: tuple, later_s: float, order: list[str]) -> pd.DataFrame:
  parts = [
    FRAME[['time', *axes]].set_axis(['time', *'xyz'], axis=1).assign(**{column: name})
    for axes, name in zip((ACC, GYRO), names, strict=True)
  ]
  parts[1]['time'] += later_s
  return pd.concat(parts).sort_values(order)


SCALED = {
  'mean 0 and standard deviation 1': lambda x: (x - x.mean()) / x.std(),
  'minimum 0 and maximum 1': lambda x: (x - x.min()) / (x.max() - x.min()),
  'minimum -1 and maximum 1': lambda x: 2 * (x - x.min()) / (x.max() - x.min()) - 1,
}
TABLE: list = [
  # no table, or no times and axes in it
  ('', 'is empty: export or write it again'),
  ('\n\n', 'is empty'),
  ('time,ax,ay,az\n', 'time, ax, ay, az and no row'),
  ('hello\nworld\n', 'is no table'),
  ('0.0,1,2,3\n0.02,1,2,3\n', 'add a first line, such as time,ax.* or start,end,activity for labels'),
  (GOOD.replace('time', 'what'), r'no column of time .* what, ax, .* rate_hz'),
  (TOOLBOX.replace('ax', 'left'), r'accelerometer .* time, left, ay'),
  (GOOD.replace('0.30,0.2', '0.30,oops'), r"line 22 has 'oops' in column 'ay'"),
  (GOOD.replace('0.6,0.30', 'soon,0.30'), r"line 22 has 'soon' in column 'time'"),
  (GOOD.replace(',9.8', ','), 'holds 0 samples of three axes'),
  (_with_a_comma_too_many(), r'line 701 has 8 fields, but there are 7 names .is a comma its decimal'),
  # A point among decimal commas.
  (FRAME.assign(time=[f'{1000 * second:,.0f}'.replace(',', '.') for second in FRAME.time])
   .to_csv(index=False, sep=';', decimal=','), r"line 52 has '1\.000' in column 'time', which is no number"),
  (FRAME.rename(columns={'ax': 'x' * 10_000}), r'known name; its columns are .*characters\)'),
  (('day.csv', b'time,ax,ay,az\nnow,1,2,9\nthen,1,2,9\n'), r"'time' holds 'now', which is no time"),
  # times that are none
  (_rows('5,1,2,9\n', 9), 'never changes'),
  (_rows('{i},1,2,9\n', 60), 'counts rows: give rate_hz'),
  (FRAME.assign(time=np.arange(1000) + 17), 'counts rows: give rate_hz'),
  (''.join([_rows('', 0), *(f'{i // 50},1,2,9.{i}\n' for i in range(600))]), '98% of the .* too coarse'),
  (_rows('2026-05-0{i} at ten,1,2,9\n', 9), "'2026-05-00 at ten' .* is no time"),
  (FRAME.assign(time=FRAME.time * 1e298), 'spans .* days'),
  (FRAME.assign(time=np.where(FRAME.index == 7, 1e300, FRAME.time)), 'spans .* days'),
  (FRAME.assign(time=np.where(FRAME.index == 0, -1e300, FRAME.time)), 'is no time in any unit'),
  (FRAME.assign(time=45_000 + FRAME.time / 86_400), r"'time' makes 4.\d+e\+06 Hz in s: is it the time"),
  (FRAME.assign(time=1e3 * FRAME.time), r"'time' makes 5e\+07 Hz in ns: is it the time", {'time_unit': 'ns'}),
  (_halves(), 'do not overlap in time'),
  (FRAME.assign(time=pd.date_range('2020-01-01', periods=1000)), r'rows are 8\.64e\+04 s apart'),
  (FRAME.assign(time=np.arange(1000) * 3600.0), r'rows are 3\.6e\+03 s apart', {'time_unit': 's'}),
  (FRAME.drop(columns='time').rename(columns={'gx': ''}), 'its columns are ax, ay, az, gy, gz: name'),
  # units and sensors that are none
  (FRAME.assign(**FRAME[ACC] / G * 16384), 'acceleration is in no known unit: .* raw counts'),
  (FRAME.assign(**FRAME[ACC] * 3.28), 'acceleration is in no known unit'),
  (FRAME.assign(**FRAME[GYRO] * user_files.DEGREES * 131), 'angular velocity is in no known unit: .* raw c'),
  ({'ana.csv': FRAME, 'ben.csv': FRAME.assign(**FRAME[GYRO] * 1e4)}, '^ben: angular velocity is in no known'),
  (FRAME.assign(ax=FRAME.ax > 0), "column 'ax' holds True and False, no numbers"),
  (FRAME.set_axis(['time', *ACC, 'gx', 'gy', 'gy'], axis=1).assign(gz=0.1), "'gy' is there 2 times: rename"),
  (pd.concat([FRAME, FRAME.time + 9], axis=1), "'time' is there 2 times: rename"),
  (FRAME.set_axis(['time', *GYRO, *ACC], axis=1), 'gravity is in the columns of the gyroscope'),
  (FRAME.set_axis(['time', 'tx', 'ty', 'tz', *GYRO], axis=1), 'a gyroscope, but no three acc.* ax=<its'),
  *(
    (FRAME.assign(**scale(FRAME[axes])), f'{words}: the values were scaled, .* as measured')
    for words, scale in SCALED.items()
    for axes in (ACC, GYRO)
  ),
  # rows of several devices or sensors
  *(
    (
      _two_devices(name, later_s),
      f"column '{name}' says that rows are of phone, watch, .* a file for.* delete the column",
    )
    for name, later_s in itertools.product(('device', 'deviceName', 'sensor_id', 'Subject'), (0.0, 0.007))
  ),
  (_two_devices('device', 0.007).assign(label='walk'), "'device' says that rows are of phone, watch"),
  *(
    (
      _sensor_rows('sensor', ('accelerometer', 'gyroscope'), later_s, order),
      'rows are of accelerometer, gyroscope, .*Accelerometer.csv and Gyro',
    )
    for order in (['time', 'sensor'], ['sensor', 'time'])
    for later_s in (0.0, 0.003)
  ),
  (_sensor_rows('type', (1, 4), 0.003, ['time']), "column 'type' says that rows are of 1, 4"),
  # acceleration without gravity
  ({'Raw Data.csv': PHYPHOX['Linear Acceleration.csv']}, 'no acceleration with gravity: record "Acc'),
  (_without(PHYPHOX, 'Accelerometer.csv'), 'no acceleration with gravity'),
  (_without(SENSOR_LOGGER, 'Gravity.csv'), r'Accelerometer\.csv is without gravity; give the whole folder'),
  (_without(SENSOR_LOGGER, 'Gravity.csv', 'Accelerometer.csv'), 'there is no acceleration'),
  ({'walk.csv': TOOLBOX}, r'linear accelerometer .* G-Force Meter'),
  ({'a.csv': LINEAR}, 'without gravity: record it with gravity'),
  ('motionUserAccelerationX(G),motionUserAccelerationY(G),motionUserAccelerationZ(G)\n1,2,3\n',
   'acceleration without gravity only: log the gravity of motion, too'),
  (pd.DataFrame({'time': FRAME.time} | {f'{name}.{axis}': FRAME.ax for axis in 'xyz'
                                        for name in ('linear acceleration (g)', 'gravity (m/s2)')}),
   'without gravity: record it with gravity'),
  # other formats, damaged or cut short
  ({}, ' holds no recording: these are read: Sensor Logger'),
  (('day.xls', b'PK'), r'of no known format; nearest to \.xls is \.xlsx'),
  (('day.parquett', b'PAR1'), r'nearest to \.parquett is \.parquet\. these are read: Sensor Logger'),
  (('day.json', b'{"a": 1}'), 'JSON or CBOR of none of these apps; these are read'),
  (('day.json', b'[' * 100_000), r'no JSON file, was damaged or was cut short.*RecursionError'),
  ('loggingSample(N),motionYaw(rad)\n1,2.0\n2,3.0\n', 'a known name.*nearest is SensorLog'),
  ('time,x,y\n1,2.0,3.0\n2,3.0,4.0\n', 'nearest is CSV or Parquet'),  # others have these, and more names
  (
    ('day.json', b'[{"sensor": "TotalAcceleration", "time": "1", "x": "abc", "y": "1", "z": "2"}]'),
    "no file of Sensor Logger's JSON, was damaged or was cut short.*abc",
  ),
  (('day.gt3x', b'PK'), 'is no recording of ActiGraph, was damaged or was cut short'),
  (('day.gt3x', zips.zipped(ACTIGRAPH | {'log.bin': ACTIGRAPH['log.bin'][:-10]})),
   'was damaged or was cut short.*no record at byte'),
  (('day.cwa', b'AX'), 'is no recording of Axivity: it does not begin with MD'),
  *(
    (('day.cwa', short), 'holds no block of samples that is whole|was cut short')
    for short in (AXIVITY[:1024], AXIVITY[:20], AXIVITY[:1024] + bytes(512))
  ),
  *(
    (('day.bin', re.sub(old, new, GENEACTIV)), message)
    for old, new, message in (
      (rb'Frequency:50 Hz', b'Frequency:0 Hz', 'a frequency of 0.0 Hz'),
      (rb'Frequency:50 Hz', b'Frequency:inf Hz', 'a frequency of inf Hz'),
      (rb'x gain:25600', b'x gain:0', 'gains of'),
      (rb'x offset:0', b'x offset:nan', 'offsets of'),
      (rb'Page Time:2026', b'Page Time:9999', 'holds no block'),
      (rb'(?s)Recorded Data.*', b'', 'holds no block'),
      (rb'[0-9A-F]{3600}', b'0' * 36_000, 'holds no block'),
    )
  ),
  (('day.bin', b'\x00'), 'is no recording of GENEActiv'),
  (('day.zip', b'PK\x05\x06' + b'\x00' * 18), ' holds no recording: these are read'),
  (('day.zip', b'PK'), 'is no zip, was damaged or was cut short'),
  (('day.xlsx', b'PK'), 'openpyxl|no Excel workbook'),
  (('day.cbor', b'\x1c'), 'cbor2|no CBOR file'),
  (('day.zip', _encrypted()), r'RuntimeError.*password'),
  (('day.zip', zips.zipped({'b.zip': zips.zipped({'walk.csv': ''})})), 'is a zip in a zip: extract it'),
  *(
    (('day.csv.gz', gzip.compress((GOOD * 2000).encode(), mtime=0)[:size]), 'gz cannot be read')
    for size in (900, 3000)
  ),
  # options that do not fit a good file
  *(
    (GOOD, message, options)
    for options, message in (
      ({'columns': {'ax': 'left', 'ay': 'ay', 'az': 'az'}}, r"no column 'left' \(for ax\); it has time, ax"),
      ({'columns': {'ax': 'ax'}}, r'columns gives ax=ax: a sensor has three axes'),
      ({'columns': {'ax': 'ax', 'ay': 'ax', 'az': 'az'}}, 'ax=ax, ay=ax, az=az'),
      ({'columns': {'acc': 'ax'}}, 'columns has no role acc; it maps time, ax'),
      ({'columns': {'label': 'time'}}, 'label=time, which is a sensor or the time'),
      ({'acc_unit': 'stone'}, r"acc_unit is 'stone'; it must be auto or one of m/s2, g, mg"),
      ({'gyro_unit': 'g'}, r"gyro_unit is 'g'; it must be auto or one of rad/s, deg/s"),
      ({'time_unit': 'weeks'}, "time_unit is 'weeks'"),
      ({'time_unit': 'iso'}, 'holds numbers, not ISO times'),
      ({'rate_hz': 0.0}, 'rate_hz is 0.0; it must lie in 0.2 to 20000'),
      ({'rate_hz': 1e-300}, 'rate_hz is 1e-300'),
      ({'time_zone': 'Asia/Tokio'}, r"time_zone is 'Asia/Tokio'; give a name such as Asia/Tokyo"),
      ({'time_zone': 'CEST'}, r"time_zone is 'CEST'; give a name such as Europe/Berlin"),
      ({'time_zone': '?'}, r"time_zone is '\?'; give a name such as Europe/Berlin"),
    )
  ),
]  # fmt: skip


@pytest.mark.parametrize(('content', 'message', 'options'), [(*row, {})[:3] for row in TABLE])
def test_a_bad_file_is_refused_in_a_short_sentence(tmp_path, content, message, options):
  path = user_files.put(tmp_path, content)
  with pytest.raises(UserError, match=message) as caught:
    recordings.read(path, **options)
  assert len(str(caught.value)) < 1500


def test_scaled_values_and_linear_axes_are_read_if_the_user_says_what_they_are(tmp_path):
  scaled = SCALED['minimum 0 and maximum 1'](FRAME[AXES])
  for axes in (ACC, GYRO):
    path = user_files.put(tmp_path, FRAME.assign(**scaled[axes]))
    recordings.read(path, acc_unit='g', gyro_unit='rad/s')
  axes = {'ax': 'linacc_x', 'ay': 'linacc_y', 'az': 'linacc_z'}
  reading = recordings.read(user_files.put(tmp_path, LINEAR), columns=axes, acc_unit='m/s2')
  assert len(reading.recordings[0].acc.time_s) == 50


def test_paths_without_a_file_are_refused(tmp_path):
  with pytest.raises(UserError, match='no recording at'):
    recordings.read(tmp_path / 'nowhere.csv')
  path = user_files.put(tmp_path, GOOD)
  assert recordings.read(path).seconds == pytest.approx(0.98)
  with pytest.raises(UserError, match=r'no file .*labels\.csv'):
    recordings.read(path, labels=tmp_path / 'labels.csv')


@pytest.mark.parametrize(
  ('content', 'message'),
  [
    (('a.zip', zips.zipped({'walk.csv': b'0' * (4 << 20)})), r'would unpack [\d,]+ bytes to 4 MiB'),
    (('b.csv.gz', gzip.compress(b'0' * (4 << 20), 1)), 'first line of over 64 KiB'),
    (('c.csv.gz', gzip.compress(b'time,ax,ay,az\n0.0,1,2,9\n' + b'\n' * (4 << 20), 1)), 'would unpack'),
    (('d.zip', zips.zipped({f'{i}.csv': b'' for i in range(5)})), 'has over 3 files'),
  ],
)  # fmt: skip
def test_what_unpacks_to_too_much_is_refused_before_it_is_unpacked(tmp_path, monkeypatch, content, message):
  monkeypatch.setattr('har_jax.recordings.limits._ANY_RATIO_BYTES', 1 << 20)
  monkeypatch.setattr('har_jax.recordings.limits.MAX_MEMBERS', 3)
  with pytest.raises(UserError, match=message):
    recordings.read(user_files.put(tmp_path, content))


@pytest.mark.parametrize(('packed', 'most'), [(1, 64 << 20), (1 << 20, 100 << 20)])
def test_64_mib_may_be_unpacked_at_any_ratio_and_more_at_100_times(packed, most):
  assert [limits.is_bomb(size, packed) for size in (most, most + 1)] == [False, True]


def test_folders_are_listed_until_there_are_too_many_files(tmp_path, monkeypatch):
  zips.write(tmp_path, {f'{folder}/{name}.csv': b'' for folder in 'abcd' for name in 'xy'})
  monkeypatch.setattr('har_jax.recordings.limits.MAX_MEMBERS', 3)
  assert len(files.list_folder(tmp_path).by_name) == 4


@pytest.mark.parametrize(
  ('name', 'data', 'extra'),
  [('a.parquet', b'PAR1', 'parquet'), ('a.xlsx', b'PK', 'formats'), ('a.cbor', b'\xa0', 'formats')],
)
def test_without_its_library_a_format_names_the_extra(tmp_path, monkeypatch, name, data, extra):
  for library in ('pyarrow', 'openpyxl', 'cbor2'):
    monkeypatch.setitem(sys.modules, library, None)
  with pytest.raises(UserError, match=rf'har_jax\[{extra}\]'):
    recordings.read(user_files.put(tmp_path, (name, data)))


def test_a_parquet_with_a_name_twice_is_refused(tmp_path):
  pyarrow = pytest.importorskip('pyarrow')
  pytest.importorskip('pyarrow.parquet')
  table = pyarrow.Table.from_pandas(FRAME)
  pyarrow.parquet.write_table(
    table.rename_columns(['time', 'ax', 'ax', *table.column_names[3:]]), tmp_path / 'walk.parquet'
  )
  with pytest.raises(UserError, match='has the column ax 2 times'):
    recordings.read(tmp_path / 'walk.parquet')


def test_a_file_is_read_alone_where_its_folder_cannot_be_listed(tmp_path, monkeypatch):
  def refuse(folder):
    raise UserError(f'{folder} cannot be listed')

  monkeypatch.setattr(files, 'list_folder', refuse)
  path = tmp_path / 'day.csv'
  alone = files.list_siblings(path)
  assert (alone.name, alone.single.path, alone.by_name) == ('day', path, {'day.csv': alone.single})

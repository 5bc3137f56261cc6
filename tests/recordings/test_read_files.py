"""Files of any app, also with a fault, and what is read of them: a table of file, fault and sentences."""

import dataclasses
import gzip
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
import user_files
from user_files import ACC, AXES, DEGREES, EPOCH_S, FRAME, GYRO, START

from har_jax import recordings
from har_jax.config import DEFAULT_WINDOWING, Windowing
from har_jax.errors import UserError
from har_jax.recordings import windows
from har_jax.signal.recording import STANDARD_GRAVITY_M_S2 as G

TIME_S, ACC_M_S2, GYRO_RAD_S = user_files.signal()
LONG = user_files.frame(*user_files.signal(2000))
WALKS = ['walk'] * 600 + ['run'] * 400
AUTO = {'gyro_unit': 'auto'}  # rad/s is the default of rows: in a calm recording the unit is a guess


def row(fault: str, content: Any, options: dict[str, Any] | None = None, /, **expected: Any):
  """content: of `user_files.put`. expected: of `user_files.expect`."""
  return pytest.param(content, {'gyro_unit': 'rad/s'} | (options or {}), expected, id=fault)


def at(times: Any) -> pd.DataFrame:
  return FRAME.assign(time=times)


def clock(seconds: np.ndarray, form: str) -> pd.DataFrame:
  return at(pd.to_datetime((seconds * 1e9).round().astype(np.int64)).strftime(form))


def changed(columns: str | list[str], rows: Any, value: Any) -> pd.DataFrame:
  table = FRAME.copy()
  table.loc[rows, columns] = value
  return table


def named(names: str, table: pd.DataFrame = FRAME) -> pd.DataFrame:
  return table.set_axis(names.split('|'), axis=1)


def csv(table: pd.DataFrame, encoding: str = 'utf-8', **options: Any) -> bytes:
  return table.to_csv(index=False, **options).encode(encoding)


# --- apps: names, encodings, separators, dates

APPS = (
  ('time|ax|ay|az|gx|gy|gz', 1, 1),
  ('timestamp|acc_x|acc_y|acc_z|gyro_x|gyro_y|gyro_z', 1, 1),
  ('Timestamp|AccX|AccY|AccZ|GyrX|GyrY|GyrZ', 1, 1),
  ('t|a_x|a_y|a_z|g_x|g_y|g_z', 1, 1),
  ('t|ax_in_g|ay_in_g|az_in_g|gyro_x_deg/s|gyro_y_deg/s|gyro_z_deg/s', 1 / G, DEGREES),
  ('time_s|accel_x_g|accel_y_g|accel_z_g|gyro_x_dps|gyro_y_dps|gyro_z_dps', 1 / G, DEGREES),
  ('Zeit|Beschleunigung x|Beschleunigung y|Beschleunigung z|Drehrate x|Drehrate y|Drehrate z', 1, 1),
  ('Time (s)|Accelerometer.X|Accelerometer.Y|Accelerometer.Z|Gyroscope.X|Gyroscope.Y|Gyroscope.Z', 1, 1),
  ('elapsed (s)|x-axis (g)|y-axis (g)|z-axis (g)|x-axis (deg/s)|y-axis (deg/s)|z-axis (deg/s)',
   1 / G, DEGREES),
  ('epoch|ACCELEROMETER X (m/s²)|ACCELEROMETER Y (m/s²)|ACCELEROMETER Z (m/s²)'
   '|GYROSCOPE X (rad/s)|GYROSCOPE Y (rad/s)|GYROSCOPE Z (rad/s)', 1, 1),  # AndroSensor
  ('accelerometerTimestamp_sinceReboot(s)|accelerometerAccelerationX(G)|accelerometerAccelerationY(G)'
   '|accelerometerAccelerationZ(G)|motionRotationRateX(rad/s)|motionRotationRateY(rad/s)'
   '|motionRotationRateZ(rad/s)', -1 / G, 1),  # SensorLog: gravity points down
)  # fmt: skip
OWN = {name: f'column {number}' for number, name in enumerate(FRAME.columns)}
IN_DEGREES = named(
  'time|acc x (m/s²)|acc y (m/s²)|acc z (m/s²)|gyro x (°/s)|gyro y (°/s)|gyro z (°/s)',
  FRAME.assign(**FRAME[GYRO] * DEGREES),
)
MOMENTS = pd.DatetimeIndex(pd.to_datetime(np.round((EPOCH_S + TIME_S) * 1e3).astype(np.int64), unit='ms'))
DATES: tuple[tuple[str, Callable[[pd.Index], pd.Index], str], ...] = (
  ('%Y-%m-%d %H:%M:%S.%f', pd.Index, START),
  ('%Y-%m-%dT%H:%M:%S.%fZ', pd.Index, f'{START}+00:00'),
  ('%Y-%m-%d %H:%M:%S.%f +0200', pd.Index, '2026-05-28T18:26:40+00:00'),
  ('%Y-%m-%d %H:%M:%S:%f', lambda texts: texts.str[:-3], START),  # AndroSensor
  ('%Y-%m-%dT%H.%M.%S.%f', lambda texts: texts.str[:-3], START),  # MetaBase
  ('%H:%M:%S.%f', pd.Index, ''),
)


def rows_of_apps() -> Iterator[Any]:
  rng = np.random.default_rng(2)
  for names, acc_per, gyro_per in APPS:
    table = named(names, user_files.frame(TIME_S, ACC_M_S2 * acc_per, GYRO_RAD_S * gyro_per))
    first, sign = table.columns[1], 'of iOS'
    table = table.assign(magnetometer_x=1.0)
    table = table[list(rng.permutation(table.columns))]
    expected = {'notes': [first, sign]} if acc_per < 0 else {'notes': [first], 'not_noted': [sign]}
    yield row(first, table, AUTO, same=True, **expected)
  for encoding in ('utf-8-sig', 'cp1252', 'utf-16'):
    content = 'day.csv', csv(IN_DEGREES, encoding)
    yield row(encoding, content, AUTO, same=True, notes=['acc x (m/s²)'])
  for separator, decimal in (',.', ';.', '\t.', '|.', ';,', '\t,', '|,'):
    content = 'day.txt', csv(FRAME, sep=separator, decimal=decimal)
    yield row(f'separated by {separator!r}, decimal {decimal!r}', content, same=True)
  for form, change, start in DATES:
    yield row(form, at(change(MOMENTS.strftime(form))), same=True, start=start)


PULL = np.tile([0.0, 0.0, G], (1000, 1))
MOVED = ACC_M_S2 - PULL


def in_columns(**parts: np.ndarray) -> pd.DataFrame:
  columns = {f'{name}.{axis}': part[:, n] for name, part in parts.items() for n, axis in enumerate('xyz')}
  return pd.DataFrame({'time': TIME_S} | columns)


HALF = pd.DataFrame(dict(zip(['time', *GYRO], [TIME_S[::2] + 0.004, *GYRO_RAD_S[::2].T], strict=True)))
IRREGULAR_S = TIME_S + np.random.default_rng(5).uniform(0, 0.015, 1000)
UNITS_BELOW = 'time,ax,ay,az,gx,gy,gz\nms,g,g,g,rad/s,rad/s,rad/s\n' + user_files.frame(
  TIME_S * 1e3, ACC_M_S2 / G, GYRO_RAD_S
).to_csv(index=False, header=False)
AXES_BELOW = f'first,y,z,x,y,z\n{FRAME.to_csv(index=False, header=False)}'
COMMENTED = 'sep=,\n# device: 7, rate: 50 Hz\n\n' + csv(FRAME).decode().replace('\n', ',\n')
APP_ROWS = [
  *rows_of_apps(),
  row('columns that the user names', FRAME.rename(columns=OWN)
      .assign(ax=0.0, ay=0.0, az=0.0, **{f'Gravity.{axis}': G for axis in 'xyz'}),
      {'columns': OWN}, same=True),
  row('comments and trailing separators', COMMENTED, same=True),
  row('units in the line below the names', UNITS_BELOW, AUTO, same=True, silent=True),
  *(row(f'axes below sensors, {first}', AXES_BELOW.replace('first', first), same=True, silent=True)
    for first in ('time,acc,acc,acc,gyro,gyro,gyro\n,x', 'Time,Accelerometer,,,Gyroscope,,\n(s),x')),
  row('linear acceleration next to it', FRAME.assign(**{f'linear acc {axis}': 0.0 for axis in 'xyz'})
      .rename(columns=lambda name: f'total acc {name[1]}' if name in ACC else name), same=True),
  row('compressed', ('walk.csv.gz', gzip.compress(csv(FRAME))), same=True),
  row('time of day over midnight', clock(TIME_S + 86_395, '%H:%M:%S.%f'), same=True),
  row('without a gyroscope', FRAME[['time', *ACC]], same=True, has_gyro=False, notes=['No gyroscope'],
      arrays={'gyro': (np.zeros((1000, 3)), 0)}),
  row('sensors in separate rows', pd.concat([FRAME[['time', *ACC]], HALF]).sort_values('time'),
      arrays={'time_s': (TIME_S[1:-1] - 0.004, 1e-9), 'gyro': (GYRO_RAD_S[::2], 1e-3)}),  # both have begun
  *(
    row(f'gravity apart: {", ".join(parts)}', in_columns(**parts, rotationRate=GYRO_RAD_S),
        arrays={'acc': (acc, 1e-3)}, notes=['gravity was added'])
    for parts, acc in (
      ({'Linear Acceleration': MOVED / G, 'Gravity': PULL / G}, ACC_M_S2),
      ({'userAcceleration': -MOVED / G, 'gravity': -PULL / G}, ACC_M_S2),
      ({'linear acceleration': 4 * MOVED, 'Gravity': PULL}, 4 * MOVED + PULL),
      ({'acc': MOVED, 'Gravity (m/s2)': PULL}, ACC_M_S2),
      ({'acc (m/s2)': MOVED, 'Gravity': PULL}, ACC_M_S2),
    )
  ),
  row('gravity apart, and within', in_columns(acc=ACC_M_S2, Gravity=PULL, gyro=GYRO_RAD_S), same=True),
  # Its length is about 1 and would pass for g; that of its mean would not.
  row('acceleration without gravity',
      user_files.frame(TIME_S, (ACC_M_S2 - ACC_M_S2.mean(axis=0)) / 2, GYRO_RAD_S),
      arrays={'acc': ((ACC_M_S2 - ACC_M_S2.mean(axis=0)) / 2, 1e-3)},
      warnings=['acc_unit', 'linear acceleration']),
  row('rows without a time', named('row|ax|ay|az|gx|gy|gz', at(np.arange(1000))), {'rate_hz': 50}, same=True),
  row('an irregular clock', user_files.frame(IRREGULAR_S, ACC_M_S2, GYRO_RAD_S), AUTO,
      arrays={'time_s': (IRREGULAR_S - IRREGULAR_S[0], 1e-9)},
      notes=['The rate of the accelerometer is', 'steps from']),
  row('two columns of time', FRAME.assign(timestamp=FRAME['time']), same=True,
      notes=['Time is read from time; timestamp could be it']),
  row('an axis under the name of labels', FRAME.rename(columns={'ax': 'label'}),
      {'columns': {'ax': 'label', 'ay': 'ay', 'az': 'az'}}, same=True, spans=[]),
  row('a second without values first', changed(AXES, slice(49), None).assign(time=MOMENTS),
      start=START.replace('40', '41'), arrays={'time_s': (TIME_S[:950], 1e-5)}),
  # 0.9 s a sample: a gap is 2.7 s.
  row('a slow clock', at(TIME_S * 45).head(60), {'time_unit': 's'}, offsets_s=[0.0]),
  row('labels of all rows', FRAME.assign(label='walk'), spans=[(0, 20, 'walk')],
      notes=['1 labeled span from the column of labels.']),
  row('dates in a column without a name',
      FRAME.assign(time=pd.to_datetime(FRAME.time, unit='s')).rename(columns={'time': ''}), same=True,
      notes=['time from a column without a name;', 'The column without a name holds dates']),
  row('dates without a name, next to a clock',
      FRAME.rename(columns={'time': 'clock'}).assign(
        recorded=pd.date_range('2026-01-01', periods=1000, freq='h')
      ),
      same=True, notes=['Time is read from clock; recorded could be it']),
  row('a gap, within a label', at(TIME_S + 1.5 * (TIME_S >= 8)).assign(label=WALKS), files=2 * ['day'],
      offsets_s=pytest.approx([0, 9.5]), spans=[(0, 8, 'walk'), (0, 4, 'walk'), (4, 12, 'run')],
      arrays={'time_s': (np.r_[TIME_S[:400], TIME_S[:600]], 1e-5)},
      notes=['pauses once for over 1 s, at longest 1.5 s']),
]  # fmt: skip


# --- units: from the numbers, the names, gravity

PER_S = {'s': 1, 'ms': 1e3, 'us': 1e6, 'ns': 1e9}
PER_M_S2 = {'m/s2': 1, 'g': 1 / G, 'mg': 1e3 / G}
NAMED_UNITS = 'time|acc x (m/s^2)|acc y (m/s^2)|acc z (m/s^2)|gyro x [{0}]|gyro y [{0}]|gyro z [{0}]'


def rows_of_units() -> Iterator[Any]:
  """Every unit with every unit of another kind."""
  pairs = [(time, acc_unit, 'rad/s', 0) for time in PER_S for acc_unit in PER_M_S2]
  pairs += [(time, acc, 'deg/s', EPOCH_S) for time, acc in zip(PER_S, [*PER_M_S2, 'g'], strict=True)]
  for time, acc_unit, gyro_unit, epoch_s in pairs:
    per_s, turns = PER_S[time], GYRO_RAD_S * (DEGREES if gyro_unit == 'deg/s' else 1)
    stamps = (
      np.round(TIME_S * per_s).astype(np.int64) + int(epoch_s * per_s) if per_s > 1 else epoch_s + TIME_S
    )
    # A calm recording in deg/s would look like this one in rad/s.
    doubt = {'warnings' if gyro_unit == 'rad/s' else 'never': ['gyro_unit']}
    notes = [f'cceleration is in {acc_unit},', f'time is in {time},']
    yield row(
      f'{time}, {acc_unit}, {gyro_unit}',
      user_files.frame(stamps, ACC_M_S2 * PER_M_S2[acc_unit], turns),
      AUTO, same=True, has_gyro=True, start=f'{START}+00:00' if epoch_s else '', notes=notes, **doubt,
    )  # fmt: skip


def rocking(seconds: float, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """A device rocks about x at an uneven pace: gravity moves in its axes as the gyroscope says."""
  time_s = np.arange(round(seconds * 50)) / 50
  angle = scale * (0.3 * np.sin(2 * np.pi * 0.4 * time_s) + 0.2 * np.sin(2 * np.pi * 0.13 * time_s**1.1))
  acc = G * np.stack([0 * angle, np.sin(angle), np.cos(angle)], axis=1)
  gyro = np.stack([np.gradient(angle, time_s), 0 * angle, 0 * angle], axis=1)
  noise = np.random.default_rng(8).normal(0, 0.01, (2, len(time_s), 3))
  return time_s, acc + noise[0], gyro + noise[1] / 10


ROCK_S, ROCK_ACC, ROCK_GYRO = rocking(30)
_, SLOW_ACC, SLOW_GYRO = rocking(30, 0.25)
RUN_S, RUN_ACC, RUN_GYRO = user_files.signal(1500)
RUN_ACC = RUN_ACC + 14 * np.stack(
  [f(2 * np.pi * 2.7 * RUN_S) for f in (np.cos, np.zeros_like, np.sin)], axis=1
)
assert np.median(np.linalg.norm(RUN_ACC, axis=1)) > 1.35 * G
NAMED_GYRO = 'time ax ay az gx({0}) gy({0}) gz({0})'
WRONG_NAMES = (('deg/s', 1.0, 'rad/s'), ('rad/s', DEGREES, 'deg/s'), ('mdps', 1e3 * DEGREES, 'mdeg/s'))
SPUN = 3 * np.sin(np.arange(1000))[:, None] * [0.0, 0.0, 1.0]
UPRIGHT = np.array([0.0, 0.0, 9.81]) + np.random.default_rng(0).normal(0, 0.5, (1000, 3))
UPRIGHT_AT_REST = np.array([0.0, 0.0, 9.81]) + np.random.default_rng(1).normal(0, 0.02, (1000, 3))
SWAPPED = user_files.frame(TIME_S, GYRO_RAD_S, ACC_M_S2)
TREMOR = np.random.default_rng(2).normal(0, 0.02, (1000, 3))
UNIT_ROWS = [
  *rows_of_units(),
  row('units that the user gives', user_files.frame(TIME_S * 1e3, ACC_M_S2 * 0.05, GYRO_RAD_S * 0.05),
      {'acc_unit': 'g', 'gyro_unit': 'dps', 'time_unit': 'ms'}, silent=True,
      arrays={'acc': (ACC_M_S2 * 0.05 * G, 1e-3), 'gyro': (GYRO_RAD_S * 0.05 / DEGREES, 1e-4)}),
  *(
    row(f'units in the names, {names[5:12]}',
        named(names.format('deg/s'), FRAME.assign(**FRAME[ACC] * 0.1)), AUTO,
        arrays={'acc': (ACC_M_S2 * 0.1, 1e-4), 'gyro': (GYRO_RAD_S / DEGREES, 1e-4)})
    for names in (NAMED_UNITS, 'time|ax_in_m/s2|ay_in_m/s2|az_in_m/s2|gx_in_{0}|gy_in_{0}|gz_in_{0}')
  ),
  row('gravity of another gain', user_files.frame(TIME_S, 1.6 * ACC_M_S2, GYRO_RAD_S),
      arrays={'acc': (1.6 * ACC_M_S2, 1e-4)}, warnings=['above it: is the unit right']),
  *(
    row(f'sensors swapped, {", ".join(options)} given', SWAPPED, options, warnings=warnings,
        arrays={'acc': (acc, 1e-5)})
    for options, acc, warnings in (
      ({'acc_unit': 'm/s2'}, GYRO_RAD_S, ['gravity is in the columns of the gyroscope']),
      ({'columns': dict(zip(AXES, [*GYRO, *ACC], strict=True))}, ACC_M_S2, []),
    )
  ),
  # Nothing turns gravity: the name is all there is, and it is wrong.
  row('degrees under the name of radians',
      named(NAMED_UNITS.format('rad/s'), user_files.frame(TIME_S, UPRIGHT, SPUN * DEGREES)), AUTO,
      arrays={'gyro': (SPUN, 1e-3)}, warnings=['says rad/s, but it was read in deg/s, as nobody turns']),
  # A file of its own says degrees; by their numbers, they could be radians.
  row('degrees under the names of a gyroscope in a file of its own',
      {'Accelerometer.csv': user_files.frame(TIME_S, UPRIGHT, None, 'time x y z'),
       'Gyroscope.csv': user_files.frame(TIME_S, SPUN, None, 'time x(deg/s) y(deg/s) z(deg/s)')},
      AUTO, notes=['is in deg/s, as its name says'], arrays={'gyro': (SPUN / DEGREES, 1e-4)}),
  *(
    row(f'gravity tells {unit}', user_files.frame(ROCK_S, SLOW_ACC, SLOW_GYRO * per), AUTO, silent=True,
        notes=[f'is in {unit}, as gravity'], arrays={'gyro': (SLOW_GYRO, 1e-3)})
    for unit, per in (('rad/s', 1), ('deg/s', DEGREES))
  ),
  row('the turns of a wrist in degrees', user_files.frame(TIME_S, UPRIGHT, 8 * SPUN * DEGREES), AUTO,
      arrays={'gyro': (8 * SPUN, 1e-2)}, warnings=['is a guess, deg/s: only a wrist turns as fast. Name']),
  row('a gyroscope of the opposite sign', user_files.frame(ROCK_S, SLOW_ACC, -SLOW_GYRO * DEGREES), AUTO,
      silent=True, arrays={'gyro': (-SLOW_GYRO, 1e-3)}),
  row('a device at rest whose gyroscope has noise in degrees',
      user_files.frame(TIME_S, UPRIGHT_AT_REST, TREMOR * DEGREES), AUTO, silent=True,
      arrays={'gyro': (TREMOR, 1e-3)}),
  *(
    row(f'gravity overrules {unit} in the names',
        user_files.frame(ROCK_S, ROCK_ACC, ROCK_GYRO * per, NAMED_GYRO.format(unit)),
        AUTO, arrays={'gyro': (ROCK_GYRO, 1e-3)}, notes=[f'Angular velocity is in {other}, as gravity'],
        **{'never' if unit == 'mdps' else 'warnings': ['The name of angular velocity']})
    for unit, per, other in WRONG_NAMES
  ),
  row('thousandths of a degree', user_files.frame(TIME_S, ACC_M_S2, 1e3 * DEGREES * GYRO_RAD_S),
      {'acc_unit': 'm/s2', 'gyro_unit': 'mdeg/s'}, arrays={'gyro': (GYRO_RAD_S, 1e-3)}),
  row('centimeters', user_files.frame(TIME_S, 100 * ACC_M_S2, GYRO_RAD_S),
      {'acc_unit': 'cm/s2', 'gyro_unit': 'rad/s'}, same=True),
  *(
    row(f'a run in {unit}', user_files.frame(RUN_S, RUN_ACC * per, RUN_GYRO), silent=True, never=['ravity'],
        arrays={'acc': (RUN_ACC, 1e-3)})
    for unit, per in PER_M_S2.items()
  ),
]  # fmt: skip


@pytest.mark.parametrize(('content', 'options', 'expected'), APP_ROWS + UNIT_ROWS)
def test_a_file_is_read_as_what_was_recorded(tmp_path, content, options, expected):
  user_files.expect(recordings.read(user_files.put(tmp_path, content), **options), **expected)


# --- windows: of the labels, of the rest, of all


LABELED = FRAME.assign(label=['walk'] * 300 + [''] * 300 + ['sit'] * 400)


def test_many_chunks_are_one_recording(tmp_path, monkeypatch):
  monkeypatch.setattr('har_jax.recordings.tables.CHUNK_ROWS', 77)
  reading = user_files.read(tmp_path, LABELED)
  user_files.assert_same(reading)
  assert user_files.find_spans(reading.recordings[0]) == [(0, 6, 'walk'), (12, 20, 'sit')]
  times = [f'2026-05-01 12:00:{time_s:06.3f}' for time_s in FRAME.time]
  with pytest.raises(UserError, match=r"'soon' \(row 301\) is no time"):
    user_files.read(tmp_path, FRAME.assign(time=[*times[:300], 'soon', *times[301:]]))


def test_windows_lie_in_the_spans_and_hold_the_signal(tmp_path):
  reading = user_files.read(tmp_path, LABELED)
  windows = recordings.to_windows(reading, DEFAULT_WINDOWING)
  assert [window.activity for window in windows] == ['walk'] * 3 + ['sit'] * 5
  assert [window.start_s for window in windows[:3]] == pytest.approx([0, 1.28, 2.56])
  recording = reading.recordings[0]
  np.testing.assert_array_equal(windows[3].signal[:, :3], recording.acc.values[600:728])
  np.testing.assert_array_equal(windows[3].signal[:, 3:], recording.gyro.values[600:728])


@pytest.mark.parametrize('windowing', [DEFAULT_WINDOWING, Windowing(75, 50)])  # the latter's step: 37 samples
def test_unlabeled_windows_cover_all_and_do_not_depend_on_slices(tmp_path, monkeypatch, windowing):
  reading = recordings.read(user_files.written(tmp_path, user_files.frame(*user_files.signal(4992))))
  assert recordings.to_windows(reading, windowing) == []
  whole = recordings.to_windows(reading, windowing, unlabeled=True)
  assert len(whole) == (4992 - windowing.samples) // windowing.step_samples + 1  # the last sample counts
  assert {window.activity for window in whole} == {''}
  # A long recording is cut in slices.
  monkeypatch.setattr(windows, '_SLICE_S', 12.0)  # no multiple of a step
  sliced = recordings.to_windows(reading, windowing, unlabeled=True)
  assert [window.start_s for window in sliced] == pytest.approx([window.start_s for window in whole])
  for one, other in zip(whole, sliced, strict=True):
    np.testing.assert_array_equal(one.signal, other.signal)
  twice = dataclasses.replace(reading, recordings=reading.recordings * 2)
  numbers = [window.recording for window in recordings.to_windows(twice, windowing, unlabeled=True)]
  assert numbers == [0] * len(whole) + [1] * len(whole)

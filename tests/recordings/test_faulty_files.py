"""Files with a fault that are read all the same, the fault, and the sentence that says it: a table."""

import struct
from collections.abc import Callable
from typing import Any

import export_devices
import numpy as np
import pandas as pd
import pytest
import user_files
import zips
from test_read_files import (
  ACC_M_S2,
  AUTO,
  GYRO_RAD_S,
  LONG,
  MOVED,
  PULL,
  TIME_S,
  WALKS,
  at,
  changed,
  clock,
  csv,
  in_columns,
  named,
  rocking,
  row,
)
from test_user_formats import ONE
from user_files import ACC, AXES, EPOCH_S, FRAME, GYRO

from har_jax import recordings
from har_jax.config import DEFAULT_WINDOWING
from har_jax.errors import counted
from har_jax.signal.recording import STANDARD_GRAVITY_M_S2 as G

DRAWN = np.random.default_rng(1).random(1000)
MOST, HALF = FRAME[DRAWN < 0.6], FRAME[DRAWN < 0.5]
SMOOTH = 0 * LONG[ACC] + LONG[ACC].mean() + np.random.default_rng(1).normal(0, 0.01, (2000, 3))
MICRO = np.round(TIME_S * 1e6).astype(np.int64) + 2**32 - 7_000_000
AGAIN = {'same': True, 'notes': ['The clock began again once']}
EXCHANGED = {
  'arrays': {'acc': (ACC_M_S2[np.r_[500:1000, :500]], 1e-3)},
  'warnings': ['into times that were free: parts of the file were exchanged'],
}
BURSTS = user_files.frame(*user_files.signal(1500)).assign(
  time=np.repeat(np.arange(150) * 0.2, 10) + np.tile(np.arange(10) * 1e-6, 150)
)
EVEN_S = np.arange(1500) * 149 * 0.2 / 1499


ROCKS = rocking(60)


def one_sensor(values: np.ndarray) -> pd.DataFrame:
  return pd.DataFrame(values, columns=list('xyz')).assign(time=ROCKS[0][: len(values)])


def at_epoch_but(place: int) -> pd.DataFrame:
  """A time from before the clock was set."""
  times = np.round((EPOCH_S + FRAME.time) * 1000)
  times[place] = 0
  return at(times)


CLOCKS = [
  row('16 bits of ms', at((np.round(TIME_S * 1000).astype(int) + 55_000) % 2**16), **AGAIN),
  row('32 bits of µs', at(MICRO % 2**32), **AGAIN),
  row('32 signed bits of µs', at(MICRO % 2**32 - 2**31), **AGAIN),
  row('minutes', clock(TIME_S + 3590, '%M:%S.%f'), **AGAIN),
  row('twelve hours', clock(TIME_S + 13 * 3600 - 7, '%I:%M:%S.%f'), **AGAIN),
  row('set back in autumn', clock(EPOCH_S + TIME_S - 3600 * (TIME_S > 9), '%Y-%m-%d %H:%M:%S.%f'), **AGAIN),
  row('in minutes, by its name', at(TIME_S / 60).rename(columns={'time': 'time (min)'}), same=True,
      notes=['is in min, as its name says'], never=['name of time']),
  row('16 bits again and again', at(np.round(8000 * TIME_S).astype(int) % 2**16), {'time_unit': 'ms'},
      arrays={'time_s': (8 * TIME_S, 1e-3)}),
  row('set back by a second', at(TIME_S - (TIME_S >= 10)), same=True, warnings=['by up to 1.0 s']),
  row('a second recording', at(np.r_[TIME_S[:600], TIME_S[:400]]), samples=(1000, 1000), files=2 * ['day'],
      arrays={'acc': (ACC_M_S2, 1e-3)},
      warnings=['ran back once, by up to 12.0 s, into times that were taken']),
  row('parts exchanged, times of day', clock(TIME_S + 3600 * (18 - 10 * (TIME_S >= 10)), '%H:%M:%S.%f'),
      **EXCHANGED),
  row('parts exchanged', at(EPOCH_S + TIME_S - 1000 * (TIME_S >= 10)), **EXCHANGED),
  *(
    row(f'a gyroscope with a clock of its own, {late} rows late',
        {'mon_accel.csv': one_sensor(ROCKS[1]), 'mon_gyro.csv': one_sensor(ROCKS[2][late:]),
         'notes.csv': 'who,when\nme,now\n'},
        AUTO, files=['mon'], notes=['mon: read as CSV or Parquet.', 'Not read: notes.csv'],
        **{'warnings' if late else 'never': ['angular velocity if that is 3 s later']})
    for late in (0, 150)
  ),
  row('in bursts', BURSTS, {'time_unit': 's'}, warnings=['clock in bursts', '50.3 Hz'],
      arrays={'time_s': (EVEN_S, 1e-4)}),
  row('in bursts, twice', pd.concat([BURSTS, BURSTS.assign(time=BURSTS.time + 100)]), {'time_unit': 's'},
      arrays={'time_s': (np.tile(EVEN_S, 2), 1e-4)}, offsets_s=pytest.approx([0, 100], abs=1e-3)),
  row('an infinite time', at(TIME_S).replace({'time': {0.06: np.inf}}), samples=(999, 999)),
  *(
    row(f'not set in row {place}', at_epoch_but(place), samples=(999, 999),
        warnings=['1 row left out: times before 2001 or after 2096'])
    for place in (0, 500)
  ),
  row('a guessed unit', at(2 * np.arange(1000)), samples=(1000, 1000),
      warnings=['unit of time is a guess, ms, and makes 500 Hz']),
  row('too fast', at(FRAME.time / 60), samples=(1000, 1000),
      warnings=['runs at 3000 Hz: is the unit of time right?']),
]  # fmt: skip


LINES = csv(FRAME).decode().splitlines()[:501]
TWICE, LATER = FRAME.iloc[200:800], FRAME.assign(time=FRAME.time + 20)
EARLIER = FRAME[['time', *GYRO]].assign(time=FRAME.time - 0.003, sensor='gyroscope')
BY_SENSOR = pd.concat([FRAME[['time', *ACC]].assign(sensor='accelerometer'), EARLIER]).sort_values('time')
ROWS = [
  *(
    row(f'out of order, {fault}', FRAME.assign(label=WALKS).iloc[rows], same=True, notes=['sorted'],
        never=['ran back'], spans=[(0, 12, 'walk'), (12, 20, 'run')])
    for fault, rows in (
      ('halves', np.r_[500:1000, 0:500]), ('some twice', np.r_[0:400, 300:1000]),
      ('odd ones last', np.r_[0:1000:2, 1:1000:2]), ('any', np.random.default_rng(1).permutation(1000)),
    )
  ),
  *(
    row(f'{1 + copies} times', pd.concat([FRAME] + copies * [TWICE]).sort_values('time', kind='stable'),
        same=True, silent=True,
        notes=[f'{600 * copies} rows with a repeated time and the same values: left out.'])
    for copies in (1, 2)
  ),
  *(
    row(f'cut after {fields} fields', '\n'.join([*LINES[:-1], ','.join(LINES[-1].split(',')[:fields])]),
        samples=(499, 499), warnings=['The last row of day.csv lacks values that every other row has'])
    for fields in (1, 3, 6)
  ),
  row('a value missing in the last row and in another',
      FRAME.assign(az=FRAME['az'].where(~FRAME.index.isin([500, 999]))), never=['The last row of']),
  row('a last row of separators', '\n'.join([*LINES, ',,,,,,']), silent=True),
  row('a column of sensors, a row for each', BY_SENSOR, offsets_s=pytest.approx([0.003], abs=1e-6),
      arrays={'gyro': (GYRO_RAD_S[1:], 1e-3)}),
  *(
    row(f'a column that tells no rows apart, {fault}', FRAME.assign(**columns), same=True)
    for fault, columns in (
      ('two kinds', {'type': np.arange(1000) % 2}), ('twenty kinds', {'type': np.arange(1000) % 20}),
      ('any', {'type': np.random.default_rng(1).integers(0, 3, 1000)}),
      ('one device', {'device': 'phone', 'id': range(1000), 'position': ['pocket'] * 500 + ['hand'] * 500}),
    )
  ),
  row('people one after another, on one phone',  # two columns, of which the second tells them apart
      pd.concat([FRAME.assign(device='phone', user=1), LATER.assign(device='phone', user=2)]),
      warnings=["column 'user' says that rows are of 1, 2, and they were read as one recording"]),
  row('parts with numbers one after another', pd.concat([FRAME.assign(id=1), LATER.assign(id=2)]),
      never=['says that rows are of']),
  row('some missing', MOST, samples=(len(MOST), len(MOST)), warnings=['are missing between others']),
  row('half missing', HALF, never=['bursts']),
  row('one in six missing', FRAME[np.arange(len(FRAME)) % 6 > 0], never=['are missing between']),
]  # fmt: skip


MERGED = FRAME[['time', *ACC]].merge(
  FRAME[['time', *GYRO]].assign(time=FRAME.time + 0.007), how='outer'
).sort_values('time')  # fmt: skip
STEPS = FRAME[GYRO].loc[FRAME.index // 10 * 10].set_axis(FRAME.index)
TURNS = (FRAME[GYRO] - FRAME[GYRO].mean()) / FRAME[GYRO].std(ddof=0) + [2, -2, 0]
PAIRED = FRAME.assign(**FRAME[ACC].loc[FRAME.index // 2 * 2].set_axis(FRAME.index), label=WALKS)
NOTHING = ['The gyroscope has the same values all the time, so it measured nothing']


def coarse(rows: slice, deviation: float) -> pd.DataFrame:
  """A gyroscope that repeats values by chance or rests."""
  time_s, acc, gyro = user_files.signal(3000)
  gyro[rows] = np.random.default_rng(2).normal(0, deviation, gyro[rows].shape)
  return user_files.frame(time_s, acc, gyro.round(1))


def french(gyro: str) -> pd.DataFrame:
  return named(f'temps (s)|accélération x (m/s²)|accélération y (m/s²)|accélération z (m/s²)|{gyro}')


VALUES = [
  *(
    row(f'{value:g} for some {axis}', changed(axis, [100, 500], value).assign(label=WALKS), samples=samples,
        warnings=[f'2 {sensor} values beyond 50 g'], spans=[(0, 12, 'walk'), (12, 20, 'run')])
    for axis, sensor, samples in (('ax', 'accelerometer', (998, 1000)), ('gz', 'gyroscope', (1000, 998)))
    for value in (1e30, -600.0, 1e39)
  ),
  *(
    row(f'{value:g} for all axes', changed(AXES, slice(100, 999, 20), value), samples=(955, 955),
        warnings=[f'45 rows with {value:g} on all axes'])
    for value in (0.0, -1.0, -999.0)
  ),
  row('zeros by chance', changed(ACC, [100, 300, 500, 700], 0.0), never=['on all axes']),
  *(
    row(f'{number:g} for the gyroscope, {every}', changed(GYRO, np.arange(1000) % every > 0, number),
        samples=(1001 - every, 1000 // every),
        arrays={'gyro': (GYRO_RAD_S[::every], 1e-3)},
        warnings=[f'{1000 - 1000 // every} rows with {number:g} on all axes of the gyroscope'])
    for number in (0.0, -1.0)
    for every in (2, 5)
  ),
  row('merged sensors, filled with zeros', MERGED.fillna(0),
      arrays={'acc': (ACC_M_S2[1:], 1e-3), 'gyro': (GYRO_RAD_S[:-1], 1e-3)}),
  row('five new values a second', FRAME.assign(**STEPS), samples=(1000, 1000),
      warnings=['50 rows a second, but only 5 new values']),
  row('labels of rows that are left out', PAIRED, spans=[(0.0, 12.0, 'walk'), (12.0, 20.0, 'run')]),
  row('a coarse gyroscope', coarse(slice(0, 2500), 0.03), samples=(3000, 3000), silent=True),
  row('a coarse gyroscope at rest', coarse(slice(1000, 2500), 0.05), samples=(3000, 3000), silent=True),
  *(
    row(f'a gyroscope of {number}', FRAME.assign(gx=number, gy=-number, gz=number), {'gyro_unit': 'auto'},
        same=True, has_gyro=False, warnings=NOTHING, arrays={'gyro': (np.zeros((1000, 3)), 0)})
    for number in (0.0, 0.02)
  ),
  row('turns with deviation 1 around two, minus two and zero', FRAME.assign(**TURNS), {'gyro_unit': 'auto'},
      samples=(1000, 1000)),
  row('a gyroscope that ends early', changed(GYRO, slice(600, None), np.nan), samples=(600, 600),
      warnings=['8.0 of 20.0 s of acceleration have no angular'], never=['cut short']),
  *(
    row(f'a gyroscope that ends {count} of {len(table)} samples early',
        table.assign(**table[GYRO][:-count]), never=['no angular'])
    for table, count in ((FRAME, 30), (user_files.frame(*user_files.signal(6000)), 75))
  ),
  row('gravity apart, in another unit',
      in_columns(**{'acc (g)': MOVED / G, 'Gravity (m/s2)': PULL, 'gyro': GYRO_RAD_S}),
      arrays={'acc': (MOVED, 1e-3)}, warnings=['is in g; gravity is in m/s2: not added']),
  row('gravity apart, in one row',
      in_columns(acc=MOVED, Gravity=np.where(np.arange(1000)[:, None] == 500, PULL, np.nan), gyro=GYRO_RAD_S),
      {'acc_unit': 'm/s2'}, arrays={'acc': (MOVED, 1e-3)}),
  row('gravity that begins late, next to labels',
      in_columns(acc=MOVED, Gravity=np.where(np.arange(1000)[:, None] < 300, np.nan, PULL), gyro=GYRO_RAD_S)
      .assign(label=WALKS), arrays={'acc': (ACC_M_S2[250:], 1e-3)},  # from a second before it
      warnings=['250 rows of acceleration have no'], spans=[(0, 7, 'walk'), (7, 15, 'run')]),
  row('a gyroscope of one row', changed(GYRO, np.arange(1000) != 500, None), has_gyro=False,
      samples=(1000, 1000), notes=['The columns of the gyroscope are empty.']),
  row('a gyroscope of two rows', changed(GYRO, np.arange(1000) // 2 != 250, None), samples=(2, 2)),
  row('a gyroscope that is constant for ten seconds', changed(GYRO, slice(None), 0.1).head(500), silent=True),
  row('an axis of zeros', FRAME.assign(ay=0.0), samples=(1000, 1000),
      warnings=['accelerometer has 0 on y all the time']),
  row('gravity alone', LONG.assign(**SMOOTH), samples=(2000, 2000),
      warnings=['this looks like gravity alone, or smoothed']),
  row('more than gravity', LONG, never=['gravity alone']),
  row('a gyroscope under unknown names', french('gyroPitch|gyroRoll|gyroYaw'), samples=(1000, 1000),
      warnings=['may be a gyroscope']),
  row('a gyroscope under known names', french('gyroscope x|gyroscope y|gyroscope z'),
      never=['may be a gyroscope']),
]  # fmt: skip


# --- research devices: files that were cut, damaged or made by hand

AXIVITY, GENEACTIV = map(user_files.content, ('Axivity (.cwa)', 'GENEActiv (.bin)'))
ACTIGRAPH = zips.unzipped(user_files.content('ActiGraph (.gt3x)'))
PAGES = GENEACTIV.split(b'Recorded Data')


def axivity(change: Callable[[list[bytearray]], Any]) -> tuple[str, bytes]:
  """Blocks that a function changes or gives; their checksums are right again."""
  blocks = [bytearray(AXIVITY[start : start + 512]) for start in range(1024, len(AXIVITY), 512)]
  changed = change(blocks) or blocks
  return 'walk.cwa', AXIVITY[:1024] + b''.join(map(export_devices.checked, changed))


def in_block(form: str, start: int, *values: int) -> Callable[[list[bytearray]], None]:
  return lambda blocks: struct.pack_into(form, blocks[3], start, *values)


def drift(blocks: list[bytearray]) -> None:
  """Whole seconds, and fractions of them in 15 bits, of a device that runs 1 % too fast."""
  for number, block in enumerate(blocks):
    second, fraction = divmod(number * 1.6 / 1.01 + 0.3, 1)
    stamp = struct.unpack_from('<I', blocks[0], 14)[0] & ~63 | int(second)
    parts = int(fraction * 32_768)
    struct.pack_into('<H', block, 4, 0x8000 | parts)
    struct.pack_into('<I', block, 14, stamp)
    struct.pack_into('<h', block, 26, -(parts * 50 // 32_768))  # of a clock of whole seconds


def flipped(content: bytes, place: int) -> bytes:
  return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


DEVICES = [
  *(
    row(f'Axivity, {fault}', axivity(change), offsets_s=pytest.approx([0, 4.8 + 1.6 * lost]),
        arrays={'time_s': (np.r_[ONE.time_s[:240], ONE.time_s[: -240 - 80 * lost]], 1e-6)},
        warnings=[f'Left out: {counted(lost, "damaged or missing block")} of samples.'])
    for fault, change, lost in (
      ('a block missing', lambda blocks: blocks.pop(3) and None, 1),
      ('three blocks missing', lambda blocks: blocks[:3] + blocks[6:], 3),
      ('more samples than fit', in_block('<H', 28, 81), 1),
      ('as many as can be', in_block('<H', 28, 65_535), 1),
      ('another rate', in_block('<B', 24, 0), 1),
      ('another layout', in_block('<B', 25, 0x62), 1),
      ('another scale', in_block('<H', 18, 7 << 13), 1),
      ('month 15', in_block('<I', 14, 0xFFFFFFFF), 1),
      ('another magic', in_block('<H', 0, 0), 1),
    )
  ),
  row('Axivity, cut', ('walk.cwa', AXIVITY[:-100]),
      warnings=['The file ends within a block: it was cut short.']),
  row('Axivity, a bit', ('walk.cwa', flipped(AXIVITY, 1024 + 3 * 512 + 100)),
      warnings=['Left out: 1 damaged or missing block of samples.']),
  row('Axivity, a last block of 30 samples',
      axivity(lambda blocks: struct.pack_into('<H', blocks[-1], 28, 30)),
      arrays={'time_s': (ONE.time_s[:1150], 1e-6)}),
  row('Axivity, one block', ('walk.cwa', AXIVITY[: 1024 + 512]), arrays={'time_s': (ONE.time_s[:80], 1e-6)}),
  row('Axivity, a clock that drifts', axivity(drift), arrays={'time_s': (ONE.time_s / 1.01, 1e-4)}),
  *(
    row(f'{name} in a zip', ('all.zip', zips.zipped({f'study/{name}': content})),
        arrays={'time_s': (ONE.time_s, 1e-6)})
    for name, content in (('walk.cwa', AXIVITY), ('walk.bin', GENEACTIV))
  ),
  row('GENEActiv, more pages than it names',
      ('walk.bin', GENEACTIV.replace(b'Number of Pages:4', b'Number of Pages:1')),
      arrays={'time_s': (ONE.time_s, 1e-6)}, never=['damaged or missing'],
      warnings=['The file says that it has 1 pages of samples, but it has 4.']),
  row('GENEActiv, a page missing', ('walk.bin', b'Recorded Data'.join(PAGES[:2] + PAGES[3:])),
      warnings=['Left out: 1 damaged or missing block of samples.',
                'The file says that it has 4 pages of samples, but it has 3.']),
  row('ActiGraph, two bits',
      ('walk.gt3x', zips.zipped(ACTIGRAPH | {'log.bin': flipped(flipped(ACTIGRAPH['log.bin'], 100), 720)})),
      samples=(1100, 1100), warnings=['2 damaged seconds were left out.']),
]  # fmt: skip


@pytest.mark.parametrize(('content', 'options', 'expected'), CLOCKS + ROWS + VALUES + DEVICES)
def test_a_faulty_file_is_read_and_the_fault_is_said(tmp_path, content, options, expected):
  user_files.expect(recordings.read(user_files.put(tmp_path, content), **options), **expected)


def test_a_clock_in_bursts_gives_windows(tmp_path):
  reading = recordings.read(user_files.put(tmp_path, BURSTS), time_unit='s')
  assert len(recordings.to_windows(reading, DEFAULT_WINDOWING, unlabeled=True)) == 22


@pytest.mark.parametrize('columns', [ACC, GYRO, AXES])
@pytest.mark.parametrize('every', [2, 4])
def test_rows_that_were_filled_with_the_value_before_are_left_out(tmp_path, columns, every):
  table = changed(columns, np.arange(1000) % every > 0, np.nan)
  measured = user_files.read(tmp_path, table)
  reading = user_files.read(tmp_path, table.ffill())
  for sensor in ('acc', 'gyro'):
    for field in ('time_s', 'values'):
      np.testing.assert_array_equal(*(user_files.values(each, sensor, field) for each in (reading, measured)))
  user_files.expect(reading, warnings=[f'{1000 - 1000 // every} rows of the'])

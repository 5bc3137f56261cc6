"""WEDA-FALL: a watch on the wrist, 14 people aged 20 to 46 and 11 aged 77 to 95, daily activities and falls.

Timestamps: rows come in bursts every 0.1 s, and a late burst may stand after the next ones. Within a file the
true rate is constant: 49.4 Hz, but 39.5 Hz in the falls of subjects 1 to 13. So the rows are sorted, and
their clock is rebuilt. Only falls have the lower rate. So a classifier can recognize them by what lies above
20 Hz, and a high score for `falling` may be due to this.

Falls: one class. The eight kinds differ in what precedes the fall, and each has 42 to 56 trials. Only the
seconds that fall_timestamps.csv marks are falling; what surrounds them has no label in the archive.

The folder 50Hz is read; the others are made from it. Values are rounded to 0.1.
"""

import collections
import re
from collections.abc import Iterator

import numpy as np

from har_jax.archives.archive import Archive
from har_jax.archives.runs import check_activities, even_clock, sorted_rows
from har_jax.archives.source import Source, read_rows
from har_jax.errors import UserError
from har_jax.signal.recording import Recording, Samples, Span

_ACTIVITIES = {
  'D01': 'walking',
  'D02': 'running',
  'D03': 'stairs',  # up and down in one trial
  'D04': 'sitting_and_getting_up',
  'D05': 'collapsing_into_chair',
  'D06': 'crouching',
  'D07': 'stumbling',
  'D08': 'jumping_to_reach',  # one gentle jump, standing before and after
  'D09': 'hitting_table',
  'D10': 'clapping',
  'D11': 'opening_door',
  **{f'F0{kind}': 'falling' for kind in range(1, 9)},
}
_NAME = re.compile(r'50Hz/([DF]\d\d)/(U\d+)_(R\d+)_(accel|gyro)\.csv$')
_FALL = np.dtype([('filename', 'U16'), ('start_time', 'f8'), ('end_time', 'f8')])


def _read(source: Source, position: str, dropped: collections.Counter) -> Iterator[Recording]:
  """One recording per trial, by subject, then code, then trial; its time starts with the first rows."""
  trials: dict[tuple[str, str, str], dict[str, str]] = collections.defaultdict(dict)
  for name in source.find('50Hz/*.csv'):
    if match := _NAME.search(name):  # the download also has orientation and vertical acceleration
      trials[match[2], match[1], match[3]][match[4]] = name
  falls = _falls(source) if any(code.startswith('F') for _, code, _ in trials) else {}
  for (subject, code, trial), names in sorted(trials.items()):
    check_activities(f'{source.path}: {next(iter(names.values()))}', [code], _ACTIVITIES)
    if len(names) < 2:
      dropped['trials with one sensor only'] += 1
      continue
    acc, gyro = (_samples(source, names[sensor], sensor, dropped) for sensor in ('accel', 'gyro'))
    start_s, stop_s = 0.0, max(float(samples.time_s[-1]) for samples in (acc, gyro))
    if code.startswith('F'):
      key = f'{code}/{subject}_{trial}'
      if key not in falls:
        raise UserError(f'{source.path}: fall_timestamps.csv lacks {key}')
      start_s, stop_s = falls[key]
      is_falling = (start_s <= acc.time_s) & (acc.time_s < stop_s)
      dropped['accelerometer rows before and after a fall'] += int((~is_falling).sum())
    yield Recording(subject, position, acc, gyro, (Span(start_s, stop_s, _ACTIVITIES[code]),))


def _samples(source: Source, name: str, sensor: str, dropped: collections.Counter) -> Samples:
  columns = [f'{sensor}_{column}_list' for column in ('time', 'x', 'y', 'z')]
  rows = read_rows(source, name, columns=columns)
  rows = sorted_rows(rows, rows[:, 0], dropped, 'bursts')
  return Samples(even_clock(rows[:, 0]), rows[:, 1:].astype(np.float32))


def _falls(source: Source) -> dict[str, tuple[float, float]]:
  """Start and stop of the fall of each trial, such as F01/U01_R01, in seconds."""
  name = source.find_one('fall_timestamps.csv')
  rows = read_rows(source, name, columns=list(_FALL.names or ()), dtype=_FALL)
  if (rows['end_time'] <= rows['start_time']).any():
    raise UserError(f'{source.path}: {name} has a fall that ends before it starts')
  return {row['filename']: (float(row['start_time']), float(row['end_time'])) for row in rows}


ARCHIVE = Archive(
  'weda_fall',
  'WEDA-FALL, 50 Hz',
  marker='50Hz/D*/U*_R*_accel.csv',
  positions=('wrist',),
  read=_read,
  url='https://github.com/joaojtmarques/WEDA-FALL/archive/HEAD.zip',
  license='none stated: do not redistribute, nor weights made of it',
)

"""Daily and Sports Activities: five inertial units, 19 activities of 5 minutes, 8 subjects."""

import collections
import re
from collections.abc import Iterator

import numpy as np

from har_jax.archives.archive import Archive
from har_jax.archives.source import Source, read_rows
from har_jax.errors import UserError, shorten
from har_jax.signal.recording import Recording, Span, regular

_RATE_HZ = 25.0
_NAME = re.compile(r'a(0[1-9]|1\d)/p(\d)/s(\d\d)\.txt$')
_SEGMENTS, _SEGMENT_ROWS = 60, 125
# Nine columns each: acc, gyro, magnetometer.
_UNITS = ('torso', 'right_arm', 'left_arm', 'right_leg', 'left_leg')
_ACTIVITIES = {
  1: 'sitting',
  2: 'standing',
  3: 'lying',
  4: 'lying_on_side',
  5: 'upstairs',
  6: 'downstairs',
  7: 'standing_in_elevator',
  8: 'moving_in_elevator',
  9: 'walking',
  10: 'treadmill_walking',
  11: 'treadmill_incline_walking',
  12: 'running',
  13: 'exercising_on_stepper',
  14: 'exercising_on_cross_trainer',
  15: 'cycling',
  16: 'cycling',
  17: 'rowing',
  18: 'jumping',
  19: 'playing_basketball',
}


def _read(source: Source, position: str, dropped: collections.Counter) -> Iterator[Recording]:
  """One recording per run of consecutive segments, by subject, then activity.

  Segments of 5 s are consecutive in time: the signal changes no more between two of them than within one. The
  exception is jumping of subjects 3 and 6.
  """
  runs: dict[tuple[int, int], dict[int, str]] = collections.defaultdict(dict)
  pattern, layout = 'a[0-9][0-9]/p[0-9]/s[0-9][0-9].txt', 'a<01-19>/p<1-8>/s<01-60>.txt'
  for name, match in source.match(pattern, _NAME, layout):
    runs[int(match[2]), int(match[1])][int(match[3])] = name
  column = 9 * _UNITS.index(position)
  for (subject, activity), segments in sorted(runs.items()):
    if missing := _SEGMENTS - len(segments):
      dropped['segments of 5 s missing'] += missing
    numbers = sorted(segments)
    for run in np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1):
      rows = np.concatenate([_segment(source, segments[number]) for number in run])[:, column : column + 6]
      span = Span(0.0, len(rows) / _RATE_HZ, _ACTIVITIES[activity])
      acc, gyro = regular(rows[:, :3], _RATE_HZ), regular(rows[:, 3:], _RATE_HZ)
      yield Recording(str(subject), position, acc, gyro, (span,))


def _segment(source: Source, name: str) -> np.ndarray:
  rows = read_rows(source, name, columns=9 * len(_UNITS))
  if len(rows) != _SEGMENT_ROWS:
    raise UserError(f'{source.path}: {shorten(name)} has {len(rows)} rows where {_SEGMENT_ROWS} are expected')
  return rows


ARCHIVE = Archive(
  'dsads',
  'Daily and Sports Activities (UCI 256)',
  marker='a01/p1/s01.txt',
  positions=_UNITS,
  read=_read,
  url='https://archive.ics.uci.edu/static/public/256/daily+and+sports+activities.zip',
  license='UCI page: CC BY 4.0',
)

"""PAMAP2: three inertial units (chest, hand, ankle) at 100 Hz, 9 subjects.

Reads the folder Protocol only; Optional has extra activities of a few subjects.
Reads the ±16 g accelerometer: the ±6 g one saturates in running, and its axes are not aligned with that.
"""

import collections
from collections.abc import Iterator

import numpy as np

from har_jax.archives.archive import Archive
from har_jax.archives.runs import check_activities, expecting, in_order, recordings
from har_jax.archives.source import Source
from har_jax.recordings import limits
from har_jax.signal import segments
from har_jax.signal.recording import Recording, Samples

_FILES = 'Protocol/subject10?.dat'
_COLUMNS = 54
# Column of each unit's temperature. Next: acc ±16 g × 3, acc ±6 g × 3, gyro × 3, magnetometer × 3.
_UNITS = {'hand': 3, 'chest': 20, 'ankle': 37}
# 0 means between activities.
_ACTIVITIES = {
  1: 'lying',
  2: 'sitting',
  3: 'standing',
  4: 'walking',
  5: 'running',
  6: 'cycling',
  7: 'nordic_walking',
  9: 'watching_tv',
  10: 'computer_work',
  11: 'driving',
  12: 'upstairs',
  13: 'downstairs',
  16: 'vacuuming',
  17: 'ironing',
  18: 'folding_laundry',
  19: 'house_cleaning',
  20: 'playing_soccer',
  24: 'jumping',  # with a rope
}


def _read(source: Source, position: str, dropped: collections.Counter) -> Iterator[Recording]:
  """One recording per subject, split at long radio gaps."""
  import pandas as pd

  first = _UNITS[position]
  columns = [0, 1, *range(first + 1, first + 4), *range(first + 7, first + 10)]
  for name in source.find(_FILES):
    with source.open(name) as file, expecting(name, f'{_COLUMNS} numbers per line, separated by blanks'):
      # Checked here, as pandas fills short lines, and cuts long ones where columns are chosen.
      checked = limits.checked_lines(file, f'{source.path}: {name}', delimiter=' ', fields=_COLUMNS)
      table = pd.read_csv(checked, sep=' ', header=None, dtype=np.float64, usecols=columns)
      rows = table[columns].to_numpy()
      if np.isnan(rows[:, :2]).any():
        raise ValueError('a line has no time or no activity')
    rows = rows[in_order(rows[:, 0], dropped)]
    check_activities(f'{source.path}: {name}', rows[:, 1].tolist(), [0, *_ACTIVITIES])
    time_s, labels = rows[:, 0], rows[:, 1].astype(np.int64)
    spans = segments.labeled_spans(time_s, labels, _ACTIVITIES)
    dropped['rows between activities'] += int((labels == 0).sum())
    values = rows[:, 2:].astype(np.float32)
    is_present = ~np.isnan(values).any(axis=1)
    dropped[f'rows that the {position} unit lost by radio'] += int((~is_present).sum())
    time_s, values = time_s[is_present], values[is_present]
    acc, gyro = Samples(time_s, values[:, :3]), Samples(time_s, values[:, 3:])
    yield from recordings(name[-7:-4], position, acc, gyro, spans, dropped)


ARCHIVE = Archive(
  'pamap2',
  'PAMAP2 Physical Activity Monitoring, Protocol',
  marker=_FILES,
  positions=('chest', 'hand', 'ankle'),
  read=_read,
  url='https://archive.ics.uci.edu/static/public/231/pamap2+physical+activity+monitoring.zip',
  license='CC BY 4.0 (UCI page)',
)

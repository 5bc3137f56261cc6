"""PDIoT 2023: 12 activities, 30 s of each at 25 Hz; a Thingy in the trouser pocket, a Respeck on the chest.

The accelerometer saturates at ±2 g, which running exceeds. Timestamps are exactly 40 ms apart: not measured.
The Respeck's angular velocity is negated and too small: a factor makes gravity turn with it.
Clips that are the same under two names are left out and counted: it is unknown which name is right.

n rows.
"""

import collections
import re
from collections.abc import Iterator

import numpy as np

from har_jax.archives.archive import Archive
from har_jax.archives.source import Source, read_rows
from har_jax.errors import UserError
from har_jax.signal.recording import STANDARD_GRAVITY_M_S2, Recording, Samples, Span

_RATE_HZ = 25.0
_ACTIVITIES = {
  'ascending': 'upstairs',
  'descending': 'downstairs',
  'lyingBack': 'lying',
  'lyingLeft': 'lying_on_side',
  'lyingRight': 'lying_on_side',
  'lyingStomach': 'lying_on_stomach',
  'miscMovement': 'miscellaneous_movement',
  'normalWalking': 'walking',
  'running': 'running',
  'shuffleWalking': 'shuffle_walking',
  'sitting': 'sitting',
  'standing': 'standing',
}


# Folder of each device, and the factor with which gravity turns with its angular velocity
# (signal/gyro_agreement.py): the best for half of the people, and for the other half. All wear both at once.
_DEVICES = {'pocket': ('Thingy', 1.0), 'chest': ('Respeck', -2.0)}
_COLUMNS = ['timestamp', *(f'{sensor}_{axis}' for sensor in ('accel', 'gyro') for axis in 'xyz')]
# Two clips have each row twice, so that their clock is unknown. In no other is a row equal to the one before.
_MAX_REPEATED_ROWS = 0.25  # fraction of the rows


def _read(source: Source, position: str, dropped: collections.Counter) -> Iterator[Recording]:
  """One recording per clip, by subject, then by the activity's name in the archive."""
  folder, gyro_factor = _DEVICES[position]
  device, activities = folder.lower(), '|'.join(_ACTIVITIES)
  # Only the Respeck was also worn while eating and talking.
  regex = re.compile(
    rf'{folder}/(s(\d+))/\1_{device}_({activities})_(?:breathingNormal|eating|talking)\.csv$'
  )
  layout = f'named s<n>/s<n>_{device}_<{activities}>_breathingNormal.csv'
  clips = []
  for name, match in source.match(f'{folder}/s*/*.csv', regex, layout):
    rows = read_rows(source, name, columns=_COLUMNS)
    if (np.diff(rows[:, 0]) <= 0).any():
      raise UserError(f'{source.path}: {name} has a timestamp that does not exceed the one before')
    clips.append((int(match[2]), match[3], match[1], rows))
  signals = collections.Counter(rows[:, 1:].tobytes() for *_, rows in clips)
  for _, activity, subject, rows in sorted(clips, key=lambda clip: clip[0]):
    if signals[rows[:, 1:].tobytes()] > 1:
      dropped['clips that are the same under two names'] += 1
    elif (np.diff(rows[:, 1:], axis=0) == 0).all(axis=1).sum() > _MAX_REPEATED_ROWS * len(rows):
      dropped['clips whose rows are repeated'] += 1
    else:
      time_s = (rows[:, 0] - rows[0, 0]) / 1e3
      acc = Samples(time_s, (rows[:, 1:4] * STANDARD_GRAVITY_M_S2).astype(np.float32))
      gyro = Samples(time_s, (gyro_factor * np.deg2rad(rows[:, 4:])).astype(np.float32))
      span = Span(0.0, float(time_s[-1]) + 1 / _RATE_HZ, _ACTIVITIES[activity])
      yield Recording(subject, position, acc, gyro, (span,))


ARCHIVE = Archive(
  'pdiot',
  'PDIoT 2023, Thingy and Respeck (specknet/pdiot-data)',
  marker='*/s*/s*_breathingNormal.csv',
  positions=tuple(_DEVICES),
  read=_read,
  url='https://github.com/specknet/pdiot-data/archive/HEAD.zip',
  license='none stated: do not redistribute, nor weights made of it',
)

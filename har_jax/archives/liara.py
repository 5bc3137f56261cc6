"""LIARA, activities and exercises: an LSM9DS1 on the wrist, ten people, ten activities, about 54 Hz.

The files have no clock. Their rate follows from recordings of 30 s, which are cut into fifteen pieces.
The angular velocity is negated: gravity turns against it.
Changes of posture and turns of the wrist last 2 s, less than a window of 2.56 s.
"""

import collections
import itertools
import re
from collections.abc import Iterator

import numpy as np

from har_jax.archives.archive import Archive
from har_jax.archives.source import Source, read_rows
from har_jax.signal.recording import STANDARD_GRAVITY_M_S2, Recording, Span, regular

_RATE_HZ = 54.0
_ACTIVITIES = {
  'ExoFente': 'lunging',
  'ExoMarche': 'marching',
  'ExoSitUp': 'sit_ups',
  'ExoSquat': 'squatting',
  'shortRunning': 'running',
  'shortSeat': 'sitting',
  'shortSitting': 'stand_to_sit',
  'shortStanding': 'sit_to_stand',
  'shortSwitch': 'turning_wrist',
  'shortWalking': 'walking',
}
_PIECES = ('shortRunning', 'shortSeat', 'shortWalking')  # of one recording, in order
_NAME = re.compile(rf'raw/([A-J])/({"|".join(_ACTIVITIES)})/iteration_(\d+)\.csv$')
_COLUMNS = ['ax', 'ay', 'az', 'gx', 'gy', 'gz']


def _read(source: Source, position: str, dropped: collections.Counter) -> Iterator[Recording]:
  """One recording per clip, by subject and activity; the pieces of a recording are joined."""
  layout = 'named raw/<A..J>/<activity>/iteration_<n>.csv'
  clips = [
    (match[1], match[2], int(match[3]), name)
    for name, match in source.match('iteration_*.csv', _NAME, layout)
  ]
  for (subject, activity), group in itertools.groupby(sorted(clips), key=lambda clip: clip[:2]):
    parts = [read_rows(source, name, columns=_COLUMNS) for *_, name in group]
    for rows in [np.concatenate(parts)] if activity in _PIECES else parts:
      acc = regular(rows[:, :3] * STANDARD_GRAVITY_M_S2, _RATE_HZ)
      gyro = regular(-np.deg2rad(rows[:, 3:]), _RATE_HZ)
      span = Span(0.0, len(rows) / _RATE_HZ, _ACTIVITIES[activity])
      yield Recording(subject, position, acc, gyro, (span,))


ARCHIVE = Archive(
  'liara',
  'LIARA Activities and Exercises Recognition',
  marker='ActivitiesExercisesRecognition/raw/*/*/iteration_*.csv',
  positions=('wrist',),
  read=_read,
  url='https://github.com/LIARALab/Datasets/archive/HEAD.zip',
  license='Apache-2.0',
)

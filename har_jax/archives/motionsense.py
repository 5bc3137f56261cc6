"""MotionSense, folder A: an iPhone 6s in the front pocket of the trousers."""

import collections
import re
from collections.abc import Iterator

from har_jax.archives.archive import Archive
from har_jax.archives.source import Source, read_rows
from har_jax.signal.recording import STANDARD_GRAVITY_M_S2, Recording, Span, regular

_RATE_HZ = 50.0
_ACTIVITIES = {
  'dws': 'downstairs',
  'ups': 'upstairs',
  'wlk': 'walking',
  'jog': 'running',
  'std': 'standing',
  'sit': 'sitting',
}
_NAME = re.compile(rf'A_DeviceMotion_data/({"|".join(_ACTIVITIES)})_(\d+)/sub_(\d+)\.csv$')
_SUBJECTS, _TRIALS = 24, 15  # of each subject
_COLUMNS = [
  f'{quantity}.{axis}' for quantity in ('gravity', 'userAcceleration', 'rotationRate') for axis in 'xyz'
]


def _read(source: Source, position: str, dropped: collections.Counter) -> Iterator[Recording]:
  """One recording per file, by subject, then trial; counts the files that are missing."""
  layout = f'named <{"|".join(_ACTIVITIES)}>_<trial>/sub_<subject>.csv'
  files = [
    (int(match[3]), int(match[2]), _ACTIVITIES[match[1]], name)
    for name, match in source.match('A_DeviceMotion_data/*/sub_*.csv', _NAME, layout)
  ]
  dropped['files of the archive missing'] += max(_SUBJECTS * _TRIALS - len(files), 0)
  for subject, _, activity, name in sorted(files):
    rows = read_rows(source, name, columns=_COLUMNS)
    # iOS splits acceleration into gravity and the user's. Its gravity points down: -1 g on z if a phone lies
    # face up. The other archives have specific force, +1 g there, hence the sign.
    acc = regular(-(rows[:, 0:3] + rows[:, 3:6]) * STANDARD_GRAVITY_M_S2, _RATE_HZ)
    span = Span(0.0, len(rows) / _RATE_HZ, activity)
    yield Recording(str(subject), position, acc, regular(rows[:, 6:9], _RATE_HZ), (span,))


ARCHIVE = Archive(
  'motionsense',
  'MotionSense, folder A (DeviceMotion)',
  marker='A_DeviceMotion_data/*/sub_1.csv',
  positions=('pocket',),
  read=_read,
  url='https://github.com/mmalekzadeh/motion-sense/raw/master/data/A_DeviceMotion_data.zip',
  license='MIT (the repository); others say ODbL',
)

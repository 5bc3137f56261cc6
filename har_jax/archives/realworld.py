"""RealWorld (HAR) 2016: seven positions, 15 subjects, phones and a watch at about 50 Hz.

Each activity has one zip per sensor, sometimes of further zips, with one or more parts per position.
Part numbers are unreliable (some first parts are numbered 2) and lengths differ between sensors, so parts are
ordered and paired by time alone.
"""

import collections
import re
from collections.abc import Iterator

import numpy as np

from har_jax.archives.archive import Archive
from har_jax.archives.runs import check_activities, in_order, recordings
from har_jax.archives.source import Source, read_rows
from har_jax.errors import shorten
from har_jax.signal.recording import Recording, Samples, Span

_ACTIVITIES = {
  'climbingdown': 'downstairs',
  'climbingup': 'upstairs',
  'jumping': 'jumping',
  'lying': 'lying',
  'standing': 'standing',
  'sitting': 'sitting',
  'running': 'running',
  'walking': 'walking',
}
# .../proband7/data/gyr_sitting_csv.zip/Gyroscope_sitting_2_waist.csv
_NAME = re.compile(
  r'proband(\d+)/(?:.*/)?(acc|gyr|gyroscope)_([a-z]+)(?:_\d+)?_([a-z]+)\.csv$', re.IGNORECASE
)


def _read(source: Source, position: str, dropped: collections.Counter) -> Iterator[Recording]:
  """One recording per stretch of a subject's activity without a gap."""
  parts: dict[tuple[int, str], dict[str, list[str]]] = {}
  for name in source.names:
    match = _NAME.search(name)
    if match:
      proband, sensor, activity, file_position = (group.lower() for group in match.groups())
      check_activities(f'{source.path}: {shorten(name)}', [activity], _ACTIVITIES)
      sensors = parts.setdefault((int(proband), activity), {'acc': [], 'gyr': []})
      if file_position == position:
        sensors[sensor[:3]].append(name)
  for (proband, activity), sensors in sorted(parts.items()):
    if not (sensors['acc'] and sensors['gyr']):
      dropped[f'activities of a subject without both {position} files'] += 1
      continue
    acc, gyro = (_samples(source, sensors[sensor], dropped) for sensor in ('acc', 'gyr'))
    span = Span(float(acc.time_s[0]), float(acc.time_s[-1]), _ACTIVITIES[activity])
    yield from recordings(str(proband), position, acc, gyro, [span], dropped)


def _samples(source: Source, names: list[str], dropped: collections.Counter) -> Samples:
  """All parts of one sensor, sorted by time."""
  columns = ['attr_time', 'attr_x', 'attr_y', 'attr_z']
  parts = [read_rows(source, name, columns=columns) for name in names]
  rows = np.concatenate(sorted(parts, key=lambda part: part[0, 0]))
  time_s = rows[:, 0] / 1e3
  order = in_order(time_s, dropped)
  return Samples(time_s[order], rows[order, 1:].astype(np.float32))


ARCHIVE = Archive(
  'realworld',
  'RealWorld (HAR) 2016',
  marker='proband*/acc_*_waist.csv',
  positions=('waist', 'chest', 'forearm', 'head', 'shin', 'thigh', 'upperarm'),
  read=_read,
  url='http://wifo5-14.informatik.uni-mannheim.de/sensor/dataset/realworld2016/realworld2016_dataset.zip',
  license='none stated: for your own research; never redistribute',
)

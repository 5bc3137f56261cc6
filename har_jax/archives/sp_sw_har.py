"""sp-sw-har (Matey-Sanz et al. 2023): a phone in a trouser pocket and a watch, 23 people, sequences of 11 s.

Each sequence: sit, get up, walk, turn, walk back, turn, sit down. One activity lasts 0.7 to 2.5 s, so a
window holds several and has the label of the longest. As a target it needs `--classes=all`: of locomotion
there is walking, and sitting in 3 % of the windows only.

Timestamps, in ms, come in bursts, of the phone every 0.1 s. The true rates are constant: phone 102.4 Hz,
watch 104.3 Hz. No row is lost, so the clock is rebuilt from all rows. Both sensors share each row.
"""

import collections
import re
from collections.abc import Iterator

import numpy as np

from har_jax.archives.archive import Archive
from har_jax.archives.runs import check_activities, even_clock, sorted_rows
from har_jax.archives.source import Source, read_rows
from har_jax.signal import segments
from har_jax.signal.recording import Recording, Samples

_DEVICES = {'pocket': 'sp', 'wrist': 'sw'}
_ACTIVITIES = {
  'SEATED': 'sitting',
  'STANDING_UP': 'sit_to_stand',
  'WALKING': 'walking',
  'TURNING': 'turning',
  'SITTING_DOWN': 'stand_to_sit',
}
_AXES = tuple(f'{axis}_{sensor}' for sensor in ('acc', 'gyro') for axis in 'xyz')
_ROW = np.dtype([('timestamp', 'f8'), *((axis, 'f8') for axis in _AXES), ('label', 'U16')])


def _read(source: Source, position: str, dropped: collections.Counter) -> Iterator[Recording]:
  """One recording per sequence, by subject, then execution."""
  device = _DEVICES[position]
  codes = {label: code for code, label in enumerate(_ACTIVITIES)}
  regex = re.compile(rf'/(s\d+)/\1_\d+_{device}\.csv$')
  layout = f'named s<nn>/s<nn>_<execution>_{device}.csv'
  for name, match in source.match(f'DATA/s*/s*_{device}.csv', regex, layout):
    rows = read_rows(source, name, columns=list(_ROW.names or ()), dtype=_ROW)
    check_activities(f'{source.path}: {name}', rows['label'].tolist(), codes)
    rows = sorted_rows(rows, rows['timestamp'], dropped)
    time_s = even_clock((rows['timestamp'] - rows['timestamp'][0]) / 1e3)
    time_s -= time_s[0]
    values = np.stack([rows[axis] for axis in _AXES], axis=1).astype(np.float32)
    labels = np.array([codes[label] for label in rows['label'].tolist()])
    spans = segments.labeled_spans(time_s, labels, dict(enumerate(_ACTIVITIES.values())))
    acc, gyro = Samples(time_s, values[:, :3]), Samples(time_s, values[:, 3:])
    yield Recording(match[1], position, acc, gyro, tuple(spans))


ARCHIVE = Archive(
  'sp_sw_har',
  'Smartphone and smartwatch HAR (GeoTecINIT/sp-sw-har-dataset)',
  marker='DATA/s[0-9][0-9]/s*_sp.csv',
  positions=('pocket', 'wrist'),
  read=_read,
  url='https://github.com/GeoTecINIT/sp-sw-har-dataset/archive/HEAD.zip',
  license='CC BY 4.0',
  majority_label=True,
)

"""HHAR: several phones in one waist pouch, watches on the wrists, 9 subjects (a to i), 50 to 200 Hz.

The phones of a subject record at the same time; each (user, device) gives separate recordings. Sensors are
paired by user, device and time: the rows of their files do not correspond, and two devices share a model.

Timestamps: Creation_Time is the sampling time. Its unit (ns, µs or ms) and its origin (1970 or the last
boot) depend on the device. The number of digits (13 to 19) does not reveal the unit. Arrival_Time, in ms
since 1970, has the jitter of delivery. We use Creation_Time if, in one of the units, it runs as fast as
Arrival_Time within 2 %. Both sensors' offsets from Arrival_Time must also agree within 0.5 s. Else we use
Arrival_Time.

n rows.
"""

import collections
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Shaped

from har_jax.archives.archive import Archive
from har_jax.archives.runs import check_activities, expecting, in_order, recordings
from har_jax.archives.source import Source
from har_jax.recordings import limits
from har_jax.signal import segments
from har_jax.signal.recording import Recording, Samples

_FILES = {'waist': 'Phones', 'wrist': 'Watch'}
_ACTIVITIES = {
  'bike': 'cycling',
  'sit': 'sitting',
  'stand': 'standing',
  'walk': 'walking',
  'stairsup': 'upstairs',
  'stairsdown': 'downstairs',
}
_LABELS = {label: code for code, label in enumerate(_ACTIVITIES)}
_NO_LABEL = -1  # 'null' in the files, which pandas reads as missing
_MAX_OFFSET_S = 0.5
_PACE_TOLERANCE = 0.02
_CHUNK_ROWS = 1_000_000
_COLUMNS = ['Arrival_Time', 'Creation_Time', 'x', 'y', 'z', 'User', 'Device', 'gt']


_ROW = np.dtype([('arrival_ms', 'i8'), ('creation', 'i8'), ('values', 'f4', 3), ('label', 'i1')])  # 29 bytes


def _read(source: Source, position: str, dropped: collections.Counter) -> Iterator[Recording]:
  """Reads by user, then device. Memory: 29 bytes per row of both files (phones: 0.8 GB, 27 million rows)."""
  acc_groups = _groups(source, f'{_FILES[position]}_accelerometer.csv')
  gyro_groups = _groups(source, f'{_FILES[position]}_gyroscope.csv')
  for key in sorted(acc_groups.keys() | gyro_groups.keys()):
    present = [groups.pop(key) for groups in (acc_groups, gyro_groups) if key in groups]
    if len(present) < 2:
      dropped['rows of a device with one sensor'] += len(present[0])
      continue
    acc, gyro = present
    acc_s, gyro_s = _clocks(acc, gyro, dropped)
    acc_order, gyro_order = in_order(acc_s, dropped), in_order(gyro_s, dropped)
    acc_s, labels = acc_s[acc_order], acc['label'][acc_order]
    dropped['accelerometer rows without a label'] += int((labels == _NO_LABEL).sum())
    yield from recordings(
      key[0],
      position,
      Samples(acc_s, acc['values'][acc_order]),
      Samples(gyro_s[gyro_order], gyro['values'][gyro_order]),
      segments.labeled_spans(acc_s, labels, dict(enumerate(_ACTIVITIES.values()))),
      dropped,
    )


def _groups(source: Source, file_name: str) -> dict[tuple[str, str], Shaped[np.ndarray, 'n']]:
  """The rows of a file by user and device, in file order."""
  import pandas as pd

  # The download also has 'Still exp', devices at rest on a table, in files of the same name.
  name = source.find_one(file_name, without='still')
  dtypes = {'x': np.float32, 'y': np.float32, 'z': np.float32, 'User': str, 'Device': str, 'gt': str}
  dtypes |= {'Arrival_Time': np.int64, 'Creation_Time': np.int64}
  parts: dict[tuple[str, str], list[np.ndarray]] = {}
  with source.open(name) as file, expecting(name, f'columns {", ".join(_COLUMNS)}'):
    checked = limits.checked_lines(file, f'{source.path}: {name}', delimiter=',')
    for chunk in pd.read_csv(checked, usecols=_COLUMNS, dtype=dtypes, chunksize=_CHUNK_ROWS):
      check_activities(f'{source.path}: {name}', chunk['gt'].dropna().unique(), _ACTIVITIES)
      if chunk.drop(columns='gt').isna().any(axis=None):
        raise ValueError('a value is missing')
      rows = np.empty(len(chunk), _ROW)
      rows['arrival_ms'], rows['creation'] = chunk['Arrival_Time'], chunk['Creation_Time']
      rows['values'], rows['label'] = chunk[['x', 'y', 'z']], chunk['gt'].map(_LABELS).fillna(_NO_LABEL)
      for key, indices in chunk.groupby(['User', 'Device']).indices.items():
        parts.setdefault(key, []).append(rows[indices])
  groups = {}
  while parts:  # frees the parts of each group, so that no row is held twice
    key, chunks = parts.popitem()
    groups[key] = np.concatenate(chunks)
  return groups


def _clocks(
  acc: Shaped[np.ndarray, 'n'], gyro: Shaped[np.ndarray, 'm'], dropped: collections.Counter
) -> tuple[Float[np.ndarray, 'n'], Float[np.ndarray, 'm']]:
  """Times of both sensors in seconds, from a common origin; see the module docstring."""
  origin_ms = min(acc['arrival_ms'].min(), gyro['arrival_ms'].min())
  arrivals = [(rows['arrival_ms'] - origin_ms) / 1e3 for rows in (acc, gyro)]
  # Subtract as integers: a float holds 1.4e18 ns since 1970 only to 256 ns.
  origin = min(acc['creation'].min(), gyro['creation'].min())
  for unit_s in (1e-9, 1e-6, 1e-3):
    creations = [(rows['creation'] - origin) * unit_s for rows in (acc, gyro)]
    offsets = [creation - arrival for creation, arrival in zip(creations, arrivals, strict=True)]
    if abs(np.median(offsets[0]) - np.median(offsets[1])) < _MAX_OFFSET_S and all(
      _is_same_pace(creation, arrival) for creation, arrival in zip(creations, arrivals, strict=True)
    ):
      return creations[0], creations[1]
  dropped['devices timed by arrival, as their creation clock is unusable (kept)'] += 1
  return arrivals[0], arrivals[1]


def _is_same_pace(creation_s: Float[np.ndarray, 'n'], arrival_s: Float[np.ndarray, 'n']) -> bool:
  """Returns whether the middle 90 % of the rows last equally long on both clocks."""
  first, last = len(arrival_s) // 20, len(arrival_s) - 1 - len(arrival_s) // 20
  order = np.argsort(arrival_s, kind='stable')[[first, last]]
  duration_s = float(np.diff(arrival_s[order])[0])
  return abs(float(np.diff(creation_s[order])[0]) - duration_s) < _PACE_TOLERANCE * duration_s


ARCHIVE = Archive(
  'hhar',
  'Heterogeneity Activity Recognition',
  marker='Phones_accelerometer.csv',
  positions=('waist', 'wrist'),
  read=_read,
  url='https://archive.ics.uci.edu/static/public/344/heterogeneity+activity+recognition.zip',
  license='CC BY 4.0 (UCI page)',
)

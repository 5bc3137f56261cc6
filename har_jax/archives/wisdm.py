"""WISDM 2019: a phone in the trouser pocket, 18 activities of three minutes each."""

import collections
import re
from collections.abc import Iterator

import numpy as np
from jaxtyping import Shaped

from har_jax.archives.archive import Archive
from har_jax.archives.runs import check_activities, sorted_rows
from har_jax.archives.source import Source, read_rows
from har_jax.signal.recording import Recording, Samples, Span

# The codes of activity_key.txt: no N.
_ACTIVITIES = {
  'A': 'walking',
  'B': 'running',
  'C': 'stairs',
  'D': 'sitting',
  'E': 'standing',
  'F': 'typing',
  'G': 'brushing_teeth',
  'H': 'eating_soup',
  'I': 'eating_chips',
  'J': 'eating_pasta',
  'K': 'drinking',
  'L': 'eating_sandwich',
  'M': 'kicking',
  'O': 'catching',
  'P': 'dribbling',
  'Q': 'writing',
  'R': 'clapping',
  'S': 'folding_laundry',
}
_NAME = re.compile(r'data_(\d+)_accel_phone\.txt$')
_LINE = np.dtype(
  [('subject', 'i4'), ('code', 'U4'), ('time_ns', 'i8'), ('x', 'f8'), ('y', 'f8'), ('z', 'f8')]
)


def _read(source: Source, position: str, dropped: collections.Counter) -> Iterator[Recording]:
  """One recording per subject and activity; its time starts with the earlier sensor.

  Both sensors have timestamps of the phone's clock, so they are paired by time.
  """
  gyro_names = set(source.find('raw/phone/gyro/data_*_gyro_phone.txt'))
  layout = 'named data_<subject>_accel_phone.txt'
  for acc_name, match in source.match('raw/phone/accel/data_*_accel_phone.txt', _NAME, layout):
    folder = acc_name[: match.start()].removesuffix('accel/')
    gyro_name = f'{folder}gyro/data_{match[1]}_gyro_phone.txt'
    if gyro_name not in gyro_names:
      dropped['subjects without a gyroscope'] += 1
      continue
    gyro_names.remove(gyro_name)
    acc, gyro = _rows(source, acc_name), _rows(source, gyro_name)
    codes = sorted(set(acc['code'].tolist()) | set(gyro['code'].tolist()))
    check_activities(f'{source.path}: {acc_name}', codes, _ACTIVITIES)
    for code in codes:
      runs = [rows[rows['code'] == code] for rows in (acc, gyro)]
      runs = [sorted_rows(rows, rows['time_ns'], dropped) for rows in runs]
      if not all(map(len, runs)):
        dropped['activity runs with one sensor only'] += 1
        continue
      start_ns = min(rows['time_ns'][0] for rows in runs)
      stop_ns = max(rows['time_ns'][-1] for rows in runs) + 1  # includes the last row
      span = Span(0.0, float(stop_ns - start_ns) / 1e9, _ACTIVITIES[code])
      activity_acc, activity_gyro = (_samples(rows, start_ns) for rows in runs)
      yield Recording(match[1], position, activity_acc, activity_gyro, (span,))
  if gyro_names:
    dropped['subjects without an accelerometer'] += len(gyro_names)


def _rows(source: Source, name: str) -> Shaped[np.ndarray, 'n']:
  # Lines end with a semicolon, which is read as the start of a comment.
  return read_rows(source, name, columns=len(_LINE.fields or ()), dtype=_LINE, comments=';')


def _samples(rows: Shaped[np.ndarray, 'n'], start_ns: np.int64) -> Samples:
  # Subtract as integers: nanoseconds since boot exceed the exact integers of a float.
  return Samples((rows['time_ns'] - start_ns) / 1e9, np.stack([rows[axis] for axis in 'xyz'], axis=1))


ARCHIVE = Archive(
  'wisdm',
  'WISDM Smartphone and Smartwatch Activity and Biometrics, phone (UCI 507)',
  marker='raw/phone/accel/data_*_accel_phone.txt',
  positions=('pocket',),
  read=_read,
  url='https://archive.ics.uci.edu/static/public/507/'
  'wisdm+smartphone+and+smartwatch+activity+and+biometrics+dataset.zip',
  license='UCI page: CC BY 4.0',
)

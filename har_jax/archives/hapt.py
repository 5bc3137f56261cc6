"""HAPT: the continuous recordings of UCI HAR, with postural transitions.

Its windows differ from the 10,299 of UCI HAR v1: cut within each label, there are 10,929.
"""

import collections
from collections.abc import Iterator

import numpy as np

from har_jax.archives.archive import Archive
from har_jax.archives.source import Source, read_rows
from har_jax.errors import UserError
from har_jax.signal.recording import STANDARD_GRAVITY_M_S2, Recording, Span, regular

_RATE_HZ = 50.0
_ACTIVITIES = {
  1: 'walking',
  2: 'upstairs',
  3: 'downstairs',
  4: 'sitting',
  5: 'standing',
  6: 'lying',
  7: 'stand_to_sit',
  8: 'sit_to_stand',
  9: 'sit_to_lie',
  10: 'lie_to_sit',
  11: 'stand_to_lie',
  12: 'lie_to_stand',
}


def _read(source: Source, position: str, dropped: collections.Counter) -> Iterator[Recording]:
  """One recording per experiment, in the order of labels.txt, which is that of y_train.txt and y_test.txt."""
  name = source.find_one('RawData/labels.txt')
  labels = read_rows(source, name, columns=5, delimiter=None, dtype=np.int64)
  folder = name.removesuffix('labels.txt')
  for experiment, user in dict.fromkeys(map(tuple, labels[:, :2].tolist())):
    suffix = f'exp{experiment:02}_user{user:02}.txt'
    files = (f'{folder}{sensor}_{suffix}' for sensor in ('acc', 'gyro'))
    acc_g, gyro = (read_rows(source, file, columns=3, delimiter=None) for file in files)
    spans = []
    labeled = np.zeros(len(acc_g), bool)
    for code, start, stop in labels[labels[:, 0] == experiment, 2:].tolist():
      # Rows are numbered from 1, and `stop` is inclusive.
      if code not in _ACTIVITIES or not 1 <= start <= stop:
        raise UserError(
          f'{source.path}: {name} has experiment {experiment}, activity {code}, rows {start} to {stop}; '
          'activities are 1 to 12, rows start at 1'
        )
      spans.append(Span((start - 1) / _RATE_HZ, stop / _RATE_HZ, _ACTIVITIES[code]))
      labeled[start - 1 : stop] = True
    dropped['rows without a label'] += int((~labeled).sum())
    acc = regular(acc_g * STANDARD_GRAVITY_M_S2, _RATE_HZ)
    yield Recording(str(user), position, acc, regular(gyro, _RATE_HZ), tuple(spans))


ARCHIVE = Archive(
  'hapt',
  'HAPT: Smartphone-Based Recognition of Human Activities and Postural Transitions, 2.1 (UCI 341)',
  marker='RawData/acc_exp01_user01.txt',
  positions=('waist',),
  read=_read,
  url='https://archive.ics.uci.edu/static/public/341/'
  'smartphone+based+recognition+of+human+activities+and+postural+transitions.zip',
  license='README: cite the authors, no commercial use; UCI page: CC BY 4.0',
  test_subjects=('2', '4', '9', '10', '12', '13', '18', '20', '24'),
)

"""UCI HAR, version 1: windows as released; a waist phone, 30 subjects.

The released windows of 128 samples overlap by half and were filtered (median, 20 Hz low-pass). The limits of
the sessions are not released, so each window is one recording. Neighbors share samples: split subject-wise.
HAPT has the same sessions, continuous; never combine the two, as their subjects are the same people.

n windows, c columns.
"""

import collections
from collections.abc import Iterator

import numpy as np
from jaxtyping import Shaped

from har_jax.archives.archive import Archive
from har_jax.archives.runs import check_activities
from har_jax.archives.source import Source, read_rows
from har_jax.errors import UserError
from har_jax.signal.recording import STANDARD_GRAVITY_M_S2, Recording, Span, regular

_RATE_HZ = 50.0
_SAMPLES = 128
_ACTIVITIES = {1: 'walking', 2: 'upstairs', 3: 'downstairs', 4: 'sitting', 5: 'standing', 6: 'lying'}


def _read(source: Source, position: str, dropped: collections.Counter) -> Iterator[Recording]:
  """Reads both released parts, subject by subject."""
  del dropped  # every window is complete and labeled
  windows = [window for part in ('train', 'test') for window in _part(source, position, part)]
  yield from sorted(windows, key=lambda window: int(window.subject))


def _part(source: Source, position: str, part: str) -> Iterator[Recording]:
  subjects, labels = (_numbers(source, f'{name}_{part}.txt', 1, np.int64)[:, 0] for name in ('subject', 'y'))
  # total_acc includes gravity; body_acc does not.
  axes = {
    name: _numbers(source, f'Inertial Signals/{name}_{part}.txt', _SAMPLES, np.float32)
    for name in (f'{sensor}_{axis}' for sensor in ('total_acc', 'body_gyro') for axis in 'xyz')
  }
  lengths = {name: len(rows) for name, rows in {'subject': subjects, 'y': labels, **axes}.items()}
  if len(set(lengths.values())) > 1:
    raise UserError(
      f'{source.path}: the files of the {part} part differ in their number of windows: {lengths}'
    )
  check_activities(f'{source.path}: y_{part}.txt', labels.tolist(), _ACTIVITIES)
  for subject, label, window in zip(subjects, labels, np.stack([*axes.values()], axis=2), strict=True):
    acc = regular(window[:, :3] * np.float32(STANDARD_GRAVITY_M_S2), _RATE_HZ)
    span = Span(0.0, _SAMPLES / _RATE_HZ, _ACTIVITIES[int(label)])
    yield Recording(str(subject), position, acc, regular(window[:, 3:], _RATE_HZ), (span,))


def _numbers(source: Source, pattern: str, columns: int, dtype: type) -> Shaped[np.ndarray, 'n c']:
  return read_rows(source, source.find_one(pattern), columns=columns, delimiter=None, dtype=dtype)


ARCHIVE = Archive(
  'ucihar',
  'Human Activity Recognition Using Smartphones, v1 (released windows)',
  marker='train/Inertial Signals/total_acc_x_train.txt',
  positions=('waist',),
  read=_read,
  url='https://archive.ics.uci.edu/static/public/240/human+activity+recognition+using+smartphones.zip',
  license='README: cite, no commercial use; the UCI page says CC BY 4.0',
  test_subjects=('2', '4', '9', '10', '12', '13', '18', '20', '24'),
)

"""UCI HAR, version 1: windows as released; a waist phone, 30 subjects.

The released windows of 128 samples overlap by half and were filtered (median, 20 Hz low-pass); where the
sessions break is not released, so each window is a recording of its own. Neighbours share samples: split by
subject. HAPT holds the same sessions unbroken; the two must not be mixed, as their subjects are the same
people.

n windows, c columns.
"""

import collections
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float32, Int, Shaped

from har_jax.data.archives.archive import Archive
from har_jax.data.recording import STANDARD_GRAVITY_M_S2, Recording, Span, regular
from har_jax.data.source import Source, read_rows
from har_jax.errors import UserError

_RATE_HZ = 50.0
_SAMPLES = 128
_WORDS = {1: 'walking', 2: 'upstairs', 3: 'downstairs', 4: 'sitting', 5: 'standing', 6: 'lying'}


def _read(source: Source, position: str, dropped: collections.Counter) -> Iterator[Recording]:
  """Both official parts, subject by subject; the released split is not kept."""
  del dropped  # every window is whole and labeled
  runs = [run for part in ('train', 'test') for run in _part(source, position, part)]
  yield from sorted(runs, key=lambda run: int(run.subject))


def _part(source: Source, position: str, part: str) -> Iterator[Recording]:
  subjects = _integers(source, f'subject_{part}.txt')
  labels = _integers(source, f'y_{part}.txt')
  # total_acc has gravity; body_acc has not and is left alone.
  acc = _sensor(source, part, 'total_acc') * np.float32(STANDARD_GRAVITY_M_S2)
  gyro = _sensor(source, part, 'body_gyro')
  lengths = {'subjects': len(subjects), 'labels': len(labels), 'total_acc': len(acc), 'body_gyro': len(gyro)}
  if len(set(lengths.values())) > 1:
    raise UserError(
      f'{source.path}: the {part} part disagrees with itself on how many windows it has: {lengths}'
    )
  unknown = sorted(set(labels.tolist()) - set(_WORDS))
  if unknown:
    raise UserError(f'{source.path}: y_{part}.txt holds labels {unknown}; 1 to {len(_WORDS)} are known')
  for subject, label, force, turn in zip(subjects, labels, acc, gyro, strict=True):
    span = Span(0.0, _SAMPLES / _RATE_HZ, _WORDS[int(label)])
    yield Recording(str(subject), position, regular(force, _RATE_HZ), regular(turn, _RATE_HZ), (span,))


def _sensor(source: Source, part: str, sensor: str) -> Float32[np.ndarray, 'n 128 3']:
  axes = []
  for axis in 'xyz':
    axes.append(_numbers(source, f'Inertial Signals/{sensor}_{axis}_{part}.txt', _SAMPLES, np.float32))
  lengths = {len(values) for values in axes}
  if len(lengths) > 1:
    raise UserError(f'{source.path}: {sensor} x, y and z of {part} differ in length: {sorted(lengths)}')
  return np.stack(axes, axis=2)


def _integers(source: Source, pattern: str) -> Int[np.ndarray, 'n']:
  return _numbers(source, pattern, 1, np.int64)[:, 0]


def _numbers(source: Source, pattern: str, columns: int, dtype: type) -> Shaped[np.ndarray, 'n c']:
  found = source.find(pattern)
  if len(found) != 1:
    raise UserError(f'{source.path}: expected one file {pattern}, found {len(found)}')
  return read_rows(source, found[0], columns=columns, delimiter=None, dtype=dtype)


ARCHIVE = Archive(
  'ucihar',
  'Human Activity Recognition Using Smartphones, v1 (released windows)',
  marker='train/Inertial Signals/total_acc_x_train.txt',
  positions=('waist',),
  read=_read,
  address='https://archive.ics.uci.edu/static/public/240/human+activity+recognition+using+smartphones.zip',
  license='README: cite, no commercial use; the UCI page says CC BY 4.0',
  test_subjects=('2', '4', '9', '10', '12', '13', '18', '20', '24'),
)

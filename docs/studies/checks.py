"""Measure which faults `har-jax check` finds, and how often it warns of sound recordings.

python docs/studies/checks.py --archives=<folder with the archives>
python docs/studies/checks.py --nomeasure

Some people of each archive are checked as recorded, and with faults. The command fills results/checks.csv and
docs/results/checks.md. Takes some minutes.
"""

import collections
import dataclasses
import itertools
import pathlib
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from absl import flags

from har_jax import files, recordings
from har_jax.archives import ARCHIVES
from har_jax.archives.source import Source
from har_jax.cli import command
from har_jax.config import DEFAULT_WINDOWING
from har_jax.errors import UserError
from har_jax.recordings import Reading, infer
from har_jax.report import csv_table, markdown
from har_jax.signal.recording import Recording, Samples
from har_jax.signal.summary import SignalSummary
from har_jax.timeline import rate_check

FLAGS = flags.FlagValues()
_ARCHIVES = flags.DEFINE_string('archives', None, 'folder with a folder of each archive', flag_values=FLAGS)
_MEASURE = flags.DEFINE_bool('measure', True, 'measure anew, not only fill the page', flag_values=FLAGS)
_PEOPLE = flags.DEFINE_integer('people', 4, 'people of each archive and position', flag_values=FLAGS)
_WITH_FAULTS = 1  # of these people
_ROOT = pathlib.Path(__file__).parents[2]
TABLE, PAGE = _ROOT / 'results' / 'checks.csv', _ROOT / 'docs' / 'results' / 'checks.md'
AS_RECORDED = 'as recorded'
# Patterns of warnings that name a cause. Others, as of a low rate or a clipped range, are true of archives.
CAUSES = {
  'axes or signs of a sensor': 'does not rotate as the gyroscope says|points (opposite|elsewhere)',
  'factor of the gyroscope': 'times as fast',
  'change within the recording': 'gravity jumps|in one part of the recording',
  'copy': 'values of the accelerometer',
  'noise': 'accelerometer has noise of',
  'bias or gain': 'At rest gravity',
  'smoothed': 'gravity alone, or smoothed',
  'time of the gyroscope': 'turns with angular velocity if',
}
_TURN = np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]], np.float32)
_Change = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def _at_half(change: _Change) -> _Change:
  def change_second_half(acc: np.ndarray, gyro: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    halves = [np.array_split(part, 2) for part in (acc, gyro)]
    changed = change(halves[0][1], halves[1][1])
    return tuple(np.concatenate([first, part]) for (first, _), part in zip(halves, changed, strict=True))  # type: ignore[return-value]

  return change_second_half


def _noisy(acc: np.ndarray, gyro: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  return acc + np.random.default_rng(0).normal(0, 3, acc.shape), gyro


def _smoothed(acc: np.ndarray, gyro: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  size = min(100, len(acc) // 2)
  sums = np.cumsum(np.pad(acc, ((size, size - 1), (0, 0)), 'edge'), axis=0)
  return ((sums[size:] - sums[:-size]) / size)[size // 2 :][: len(acc)], gyro


# Fault → the cause that should be named, and what turns a recording into it.
FAULTS: dict[str, tuple[str, _Change]] = {
  'gyroscope negated': ('axes or signs of a sensor', lambda acc, gyro: (acc, -gyro)),
  'gyroscope with other axes': ('axes or signs of a sensor', lambda acc, gyro: (acc, gyro @ _TURN)),
  'gyroscope half as fast': ('factor of the gyroscope', lambda acc, gyro: (acc, gyro / 2)),
  'acceleration negated from the middle on': (
    'change within the recording',
    _at_half(lambda acc, gyro: (-acc, gyro)),
  ),
  'gyroscope negated from the middle on': (
    'change within the recording',
    _at_half(lambda acc, gyro: (acc, -gyro)),
  ),
  'both with other axes from the middle on': (
    'change within the recording',
    _at_half(lambda acc, gyro: (acc @ _TURN, gyro @ _TURN)),
  ),
  'gyroscope a copy of acceleration': ('copy', lambda acc, gyro: (acc, acc)),
  'gyroscope 15 samples late': ('time of the gyroscope', lambda acc, gyro: (acc, np.roll(gyro, 15, axis=0))),
  'noise of 3 m/s²': ('noise', _noisy),
  'bias of 2 m/s² on y': ('bias or gain', lambda acc, gyro: (acc + np.array([0, 2, 0], np.float32), gyro)),
  'means of two seconds': ('smoothed', _smoothed),
}


def main() -> None:
  if _MEASURE.value:
    csv_table.write(pd.DataFrame(_rows(pathlib.Path(str(_ARCHIVES.value)))), TABLE)
  PAGE.write_text(filled(PAGE.read_text(encoding='utf-8')), encoding='utf-8')


def _rows(folder: pathlib.Path) -> Iterator[dict[str, Any]]:
  expected = files.bundled_base().signals
  for (name, position), people in _readings(folder):
    counts: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for number, reading in enumerate(people):
      for fault, (_, change) in {AS_RECORDED: ('', None), **FAULTS}.items():
        if fault != AS_RECORDED and (number >= _WITH_FAULTS or (name, position) in _UNCORRECTED):
          continue
        counts[fault].update(['recordings', *find_causes(_with(reading, change), expected)])
    for fault, count in counts.items():
      yield {
        'archive': name,
        'position': position,
        'fault': fault,
        **{key: count[key] for key in ('recordings', *CAUSES)},
      }


def find_causes(reading: Reading, expected: SignalSummary | None) -> set[str]:
  """Finds the causes that `har-jax check` names."""
  sentences = []
  try:
    sentences += rate_check.check(expected, reading, 'as_is', DEFAULT_WINDOWING)[0].warnings
  except UserError as error:
    sentences.append(str(error))
  sentences += recordings.check(reading, DEFAULT_WINDOWING)
  longest = max(reading.recordings, key=lambda recording: len(recording.acc.time_s))
  if infer.lag_s(longest.acc, longest.gyro):
    sentences.append('Gravity turns with angular velocity if')
  return {cause for cause, pattern in CAUSES.items() if any(re.search(pattern, text) for text in sentences)}


def _readings(folder: pathlib.Path) -> Iterator[tuple[tuple[str, str], list[Reading]]]:
  """People of each archive and position; all recordings of a person are those of one file."""
  for name, archive in ARCHIVES.items():
    for position, path in itertools.product(archive.positions, sorted((folder / name).glob('*.zip'))):
      people: dict[str, list[Recording]] = {}
      try:
        for recording in archive.read(Source(path), position, collections.Counter()):
          if recording.subject not in people and len(people) == _PEOPLE.value:
            break
          if min(len(recording.acc.time_s), len(recording.gyro.time_s)) > 1:
            part = dataclasses.replace(recording, spans=())
            people.setdefault(recording.subject, []).append(part)
      except UserError as error:  # a zip of the archive's other position
        warnings.warn(str(error), stacklevel=1)
      readings = [
        Reading(parts, [], [], '', True, [subject] * len(parts), [0.0] * len(parts))
        for subject, parts in people.items()
      ]
      if readings:
        yield (name, position), [_with(reading, _UNCORRECTED.get((name, position))) for reading in readings]


# What the readers correct, which users' own recordings with these devices have.
_UNCORRECTED: dict[tuple[str, str], _Change] = {
  ('pdiot', 'chest'): lambda acc, gyro: (acc, gyro / -1.7),
  ('liara', 'wrist'): lambda acc, gyro: (acc, -gyro),
}


def _with(reading: Reading, change: _Change | None) -> Reading:
  """The reading with changed values; `change` of None changes nothing."""
  if change is None:
    return reading
  parts = []
  for recording in reading.recordings:
    acc, gyro = change(recording.acc.values, recording.gyro.values)
    gyro_time_s = recording.acc.time_s if gyro is acc else recording.gyro.time_s
    parts.append(
      dataclasses.replace(
        recording,
        acc=Samples(recording.acc.time_s, acc.astype(np.float32)),
        gyro=Samples(gyro_time_s, gyro.astype(np.float32)),
      )
    )
  return dataclasses.replace(reading, recordings=parts)


def block() -> str:
  """What was named in recordings as they are, by archive, and which faults were named."""
  table = pd.read_csv(TABLE)
  sound = table[table['fault'] == AS_RECORDED]
  named = [
    ', '.join(f'{cause} {row[cause]}' for cause in CAUSES if row[cause]) or markdown.NONE
    for _, row in sound.iterrows()
  ]
  archives = sound[['archive', 'position', 'recordings']].assign(**{'warned of': named})
  rows = []
  for fault, (cause, _) in FAULTS.items():
    part = table[table['fault'] == fault]
    rows.append({'fault': fault, 'recordings': part['recordings'].sum(), 'cause named': part[cause].sum()})
  texts = ('As recorded, by person:', 'With a fault; all but the chest of PDIoT and LIARA:')
  tables = [markdown.tabulated(frame.astype(str)) for frame in (archives, pd.DataFrame(rows))]
  return '\n\n'.join(itertools.chain.from_iterable(zip(texts, tables, strict=True)))


def filled(page: str) -> str:
  return markdown.fill(page, 'python docs/studies/checks.py', block())


if __name__ == '__main__':
  sys.exit(command.run(sys.modules[__name__], sys.argv[1:]))

"""Measure which faults `har-jax check` finds, what they cost, and how often it warns of sound recordings.

python docs/studies/checks.py --archives=<folder with the archives>
python docs/studies/checks.py --nomeasure

All people of each archive are checked as recorded. Of some, a few minutes of all activities are also checked
with a fault, and recognized by the bundled base as `har-jax predict` does. The command fills
results/checks.csv and docs/results/checks.md. Takes an hour. With --norecognize, macro-F1 is that of the
table where it has one, since checks do not change answers: ten minutes.
"""

import collections
import dataclasses
import itertools
import pathlib
import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import study

from har_jax import recordings
from har_jax.archives import ARCHIVES
from har_jax.archives.source import Source
from har_jax.config import DEFAULT_WINDOWING
from har_jax.errors import UserError
from har_jax.recognizer.recognizer import Recognizer
from har_jax.recordings import Reading
from har_jax.report import csv_table, markdown
from har_jax.signal import segments
from har_jax.signal.recording import Recording, Samples, Span
from har_jax.timeline import activities, rate_check
from har_jax.timeline.predictions import predict

FLAGS, _define = study.new_flags()
_ARCHIVES = _define('archives', None, 'folder with a folder of each archive')
_RECOGNIZE = _define('recognize', True, 'measure each macro-F1 anew')
TABLE, PAGE = study.places('checks')
AS_RECORDED, SOME = 'as recorded', 'a few minutes'
_PEOPLE = 3  # with faults, of each archive and position
_GAP_S, _CLIP_S = 10.0, 60.0  # between a person's recordings; length of one of a single activity
_FEWEST_ACTIVITIES, _LOST = 3, 0.1
_ALIKE = 'left_arm', 'left_leg'  # without faults: DSADS has the right ones
_KEY = ['archive', 'position', 'person', 'fault']
# Warnings that are true of archives, and patterns of those that name a cause.
_TRUE = 'clipped at the end|shorter than a window|steps and swings blur|in training: quick|under 10 windows'
CAUSES = {
  'axes or signs': 'does not rotate as the gyroscope says|points (opposite|elsewhere)',
  'factor': 'times as fast',
  'pace': '(twice|half) as fast as people',
  'change': 'gravity jumps|in one part of the recording',
  'copy': 'values of the accelerometer',
  'noise': 'accelerometer has noise of',
  'bias or gain': 'At rest gravity',
  'smoothed': 'gravity alone, or smoothed',
  'late': '(late|early): gravity turns',
}
_DELAY_S = 0.3
_TURN = np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]], np.float32)
_Arrays = tuple[np.ndarray, np.ndarray]
_Change = Callable[[list[Recording]], list[Recording]]


def _values(change: Callable[[np.ndarray, np.ndarray], _Arrays]) -> _Change:
  """A change of the values of acceleration and angular velocity."""

  def change_all(parts: list[Recording]) -> list[Recording]:
    return [_with_values(part, *change(part.acc.values, part.gyro.values)) for part in parts]

  return change_all


def _with_values(part: Recording, acc: np.ndarray, gyro: np.ndarray) -> Recording:
  gyro_time_s = part.acc.time_s if gyro is acc else part.gyro.time_s
  first = Samples(part.acc.time_s, np.asarray(acc, np.float32))
  return dataclasses.replace(part, acc=first, gyro=Samples(gyro_time_s, np.asarray(gyro, np.float32)))


def _from_half(change: Callable[[np.ndarray, np.ndarray], _Arrays]) -> _Change:
  """The change from the middle of a person's time on, which is within a clip."""

  def change_rest(parts: list[Recording]) -> list[Recording]:
    left_s, changed = sum(float(part.acc.time_s[-1]) for part in parts) / 2, []
    for part in parts:
      after = zip((part.acc, part.gyro), change(part.acc.values, part.gyro.values), strict=True)
      halves = (np.where(old.time_s[:, None] < left_s, old.values, new) for old, new in after)
      changed.append(_with_values(part, *halves))
      left_s -= float(part.acc.time_s[-1])
    return changed

  return change_rest


def at_speed(parts: list[Recording], factor: float) -> list[Recording]:
  """Time that runs `factor` times as fast, as at a wrong rate. Angular velocity stays as measured."""
  return [
    dataclasses.replace(
      part,
      acc=Samples(part.acc.time_s / factor, part.acc.values),
      gyro=Samples(part.gyro.time_s / factor, part.gyro.values),
      spans=tuple(Span(span.start_s / factor, span.stop_s / factor, span.activity) for span in part.spans),
    )
    for part in parts
  ]


def _late(parts: list[Recording]) -> list[Recording]:
  delayed = [
    [np.interp(part.gyro.time_s - _DELAY_S, part.gyro.time_s, axis) for axis in part.gyro.values.T]
    for part in parts
  ]
  return [
    _with_values(part, part.acc.values, np.stack(gyro, axis=1))
    for part, gyro in zip(parts, delayed, strict=True)
  ]


def _noisy(acc: np.ndarray, gyro: np.ndarray) -> _Arrays:
  return acc + np.random.default_rng(0).normal(0, 3, acc.shape), gyro


def _smoothed(acc: np.ndarray, gyro: np.ndarray) -> _Arrays:
  size = min(100, len(acc) // 2)
  sums = np.cumsum(np.pad(acc, ((size, size - 1), (0, 0)), 'edge'), axis=0)
  return ((sums[size:] - sums[:-size]) / size)[size // 2 :][: len(acc)], gyro


# Fault → a pattern of causes, one of which should be named, and what turns a person's recordings into it.
FAULTS: dict[str, tuple[str, _Change]] = {
  'gyroscope negated': ('axes or signs', _values(lambda acc, gyro: (acc, -gyro))),
  'gyroscope with other axes': ('axes or signs', _values(lambda acc, gyro: (acc, gyro @ _TURN))),
  'acceleration with other axes': ('axes or signs', _values(lambda acc, gyro: (acc @ _TURN, gyro))),
  'gyroscope half as fast': ('factor', _values(lambda acc, gyro: (acc, gyro / 2))),
  'twice the rate': ('factor|pace', lambda parts: at_speed(parts, 2.0)),
  'half the rate': ('factor|pace', lambda parts: at_speed(parts, 0.5)),
  'acceleration negated from half on': ('change', _from_half(lambda acc, gyro: (-acc, gyro))),
  'gyroscope negated from half on': ('change', _from_half(lambda acc, gyro: (acc, -gyro))),
  'upside down from half on': (
    'change',
    _from_half(lambda acc, gyro: (acc * [-1, -1, 1], gyro * [-1, -1, 1])),
  ),
  'both with other axes from half on': ('change', _from_half(lambda acc, gyro: (acc @ _TURN, gyro @ _TURN))),
  'gyroscope a copy of acceleration': ('copy', _values(lambda acc, gyro: (acc, acc))),
  f'gyroscope {_DELAY_S:g} s late': ('late', _late),
  'noise of 3 m/s²': ('noise', _values(_noisy)),
  'bias of 2 m/s² on y': ('bias or gain', _values(lambda acc, gyro: (acc + np.array([0, 2, 0]), gyro))),
  'gain of 15 % on y': ('bias or gain', _values(lambda acc, gyro: (acc * [1, 1.15, 1], gyro))),
  'means of two seconds': ('smoothed', _values(_smoothed)),
}


def _rows(folder: pathlib.Path) -> Iterator[dict[str, Any]]:
  recognizer = Recognizer.load()
  scores = {} if _RECOGNIZE.value else csv_table.read(TABLE).set_index(_KEY)['macro_f1'].to_dict()
  for (name, position), people in read_people(folder):
    drawn = [] if position in _ALIKE else draw(people)
    for person, parts in people.items():
      identity = dict(zip(_KEY, (name, position, person, AS_RECORDED), strict=True))
      yield identity | {'warned': '; '.join(find_causes(join(parts), recognizer))}
      some = take_minutes(parts, set(map(str, recognizer.classes_))) if person in drawn else []
      for fault, (_, change) in {SOME: ('', list), **FAULTS}.items() if some else ():
        reading, key = join(change(some)), (name, position, person, fault)
        score = scores[key] if key in scores else _macro_f1(reading, recognizer)
        warned = '; '.join(find_causes(reading, recognizer))
        yield dict(zip(_KEY, key, strict=True)) | {'macro_f1': score, 'warned': warned}


def read_people(folder: pathlib.Path) -> Iterator[tuple[tuple[str, str], dict[str, list[Recording]]]]:
  """People of each archive and position, and their recordings in random order."""
  for name, archive in ARCHIVES.items():
    for position, path in itertools.product(archive.positions, sorted((folder / name).glob('*.zip'))):
      people: dict[str, list[Recording]] = {}
      try:
        for recording in archive.read(Source(path), position, collections.Counter()):
          if min(len(recording.acc.time_s), len(recording.gyro.time_s)) > 1:
            people.setdefault(recording.subject, []).append(recording)
      except UserError as error:  # a zip of the archive's other position
        warnings.warn(str(error), stacklevel=1)
      yield (
        (name, position),
        {
          person: [parts[index] for index in np.random.default_rng(number).permutation(len(parts))]
          for number, (person, parts) in enumerate(sorted(people.items()))
        },
      )


def draw(people: dict[str, list[Recording]]) -> list[str]:
  """People of an archive and position who are also measured with faults."""
  return np.random.default_rng(0).permutation(list(people))[:_PEOPLE].tolist()


def take_minutes(parts: list[Recording], classes: set[str]) -> list[Recording]:
  """A recording of each activity that the model knows, of at most a minute unless it has several; or none."""
  seen: set[str] = set()
  some = []
  for part in parts:
    spans = [span for span in part.spans if span.activity in classes]
    activities = {span.activity for span in spans}
    if activities - seen:
      seen |= activities
      stop_s = _CLIP_S if len(activities) == 1 else float(part.acc.time_s[-1])
      short = segments.extract(dataclasses.replace(part, spans=tuple(spans)), 0.0, stop_s)
      some += [short] if min(len(short.acc.time_s), len(short.gyro.time_s)) > 1 else []
  return some if len(seen) >= _FEWEST_ACTIVITIES else []


def join(parts: list[Recording]) -> Reading:
  lengths_s = [float(part.acc.time_s[-1]) + _GAP_S for part in parts]
  offsets_s = [0.0, *np.cumsum(lengths_s)[:-1].tolist()]
  return Reading(parts, [], [], '', True, ['recording'] * len(parts), offsets_s)


def find_causes(reading: Reading, recognizer: Recognizer) -> list[str]:
  """Finds the causes that `har-jax check` names; `other` for a warning that names none of them."""
  sentences = []
  try:
    sentences += rate_check.check(recognizer.signals, reading, 'as_is', DEFAULT_WINDOWING)[0].warnings
  except UserError as error:
    sentences.append(str(error))
  bare = [dataclasses.replace(part, spans=()) for part in reading.recordings]
  sentences += recordings.check(dataclasses.replace(reading, recordings=bare), DEFAULT_WINDOWING)
  sentences = [text for text in sentences if not re.search(_TRUE, text)]
  causes = [cause for cause, pattern in CAUSES.items() if re.search(pattern, ' '.join(sentences))]
  return causes or ['other'] * bool(sentences)


def _macro_f1(reading: Reading, recognizer: Recognizer) -> float | None:
  """Macro-F1 of all windows of known activities; None if the recording is refused."""
  try:
    reading, _ = rate_check.check(recognizer.signals, reading, 'auto', DEFAULT_WINDOWING)
    bare = [dataclasses.replace(part, spans=()) for part in reading.recordings]
    predictions = predict(recognizer, dataclasses.replace(reading, recordings=bare), progress=False)
    return round(activities.score(predictions, reading.recordings).macro_f1, 4)
  except UserError:
    return None


def block() -> str:
  """What was named in recordings as they are, by archive, and what faults cost and which were named."""
  table = csv_table.read(TABLE).fillna({'warned': ''})
  sound = table[table['fault'] == AS_RECORDED]
  archives = [
    {
      'archive': archive,
      'position': position,
      'people': len(part),
      'warned': ', '.join(
        f'{cause} {count}' for cause, count in part['warned'].value_counts().items() if cause
      )
      or markdown.NONE,
    }
    for (archive, position), part in sound.groupby(['archive', 'position'], sort=False)
  ]
  archives.append({'archive': '**all**', 'people': len(sound), 'warned': str((sound['warned'] != '').sum())})
  usual = table[table['fault'] == SOME].set_index(_KEY[:3])['macro_f1']
  rows = []
  for fault, (cause, _) in FAULTS.items():
    part = table[table['fault'] == fault].set_index(_KEY[:3])
    after = part['macro_f1'].astype(float)
    before, named = usual.loc[part.index].astype(float), part['warned'].str.contains(cause)
    is_lost = ~(before - after <= _LOST)  # also if the recording is refused
    silent = is_lost & (part['warned'] == '') & after.notna()
    scores = {'macro-F1 before': before.mean(), 'after': after.mean()}
    rows.append(
      {'fault': fault, 'recordings': len(part)}
      | {name: study.number(score) for name, score in scores.items()}
      | {'cause named': named.sum(), 'lost over .1': is_lost.sum()}
      | {'of these, another or no cause': (is_lost & ~named & after.notna()).sum(), 'silent': silent.sum()}
    )
  faults = pd.DataFrame(rows)
  total = faults.drop(columns=['fault', *scores]).sum()
  faults = pd.concat(
    [faults, pd.DataFrame([{'fault': '**all**', **dict.fromkeys(scores, study.number(np.nan)), **total}])]
  )
  texts = ('As recorded, all people:', 'With a fault:')
  tables = [markdown.tabulated(frame.fillna('').astype(str)) for frame in (pd.DataFrame(archives), faults)]
  return '\n\n'.join(itertools.chain.from_iterable(zip(texts, tables, strict=True)))


if __name__ == '__main__':
  study.run(__name__, lambda: study.write(TABLE, _rows(pathlib.Path(str(_ARCHIVES.value)))))

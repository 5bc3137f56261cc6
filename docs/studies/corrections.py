"""Measure what a user's corrections are worth, write results/corrections.csv, and fill its page.

python docs/studies/corrections.py --archive_path=<HAPT's zip or folder>
python docs/studies/corrections.py --nomeasure

A simulated user corrects wrong answers. Recordings: HAPT's.
Groups of rows that the table has are not measured again. All of them take some minutes.
"""

import collections
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import simulated_user
import study

from har_jax import Recognizer
from har_jax.archives import ARCHIVES
from har_jax.archives.source import Source
from har_jax.errors import UserError
from har_jax.recordings import Reading, to_windows
from har_jax.report import csv_table, markdown
from har_jax.signal.recording import LOCOMOTION
from har_jax.stream.corrections import PENALTY, REPLAYED
from har_jax.timeline.activities import label_at

FLAGS, _define = study.new_flags()
_ARCHIVE_PATH = _define('archive_path', None, "HAPT's zip or extracted folder")
TABLE, PAGE = study.places('corrections')
_MOST = (0, 1, 3, 5, 10)
_SEEDS = (0, 1, 2)
_LABELS = 10  # windows of each activity and person that an adapter is trained on
# Penalty, replayed windows per class.
_CHOICES = ((0.1, 32), (0.03, 32), (1.0, 32), (0.1, 128), (0.1, 0))
_GROUP = ['recordings', 'trained_people', 'seed']  # trained_people 0: the bundled base's own head


def _hapt(name: str, trained_people: int, seed: int) -> Iterator[dict[str, Any]]:
  if _ARCHIVE_PATH.value is None:
    raise UserError("--archive_path= HAPT's zip or folder")
  hapt = ARCHIVES[name]
  recordings = list(hapt.read(Source(_ARCHIVE_PATH.value), hapt.positions[0], collections.Counter()))
  others = sorted({recording.subject for recording in recordings} - {*hapt.test_subjects}, key=int)
  trained = np.random.default_rng(seed).permutation(others)[:trained_people].tolist()
  recognizer = Recognizer.load()
  if trained:
    recognizer = _adapted(
      recognizer, [recording for recording in recordings if recording.subject in trained], seed
    )
  windows = simulated_user.windows_of(recognizer, recordings)
  validation = [windows[person] for person in others if person in windows and person not in trained]
  for penalty, replayed in _CHOICES if seed == _SEEDS[0] else ():
    yield from _measured(validation, recognizer, 'validation', penalty, replayed, _MOST[-1:])
  test = [windows[person] for person in hapt.test_subjects or () if person in windows]
  yield from _measured(test, recognizer, 'test', PENALTY, REPLAYED)
  for label, activity in enumerate(recognizer.classes_.tolist()) if trained_people > 1 else ():
    lacking = [simulated_user.without(person_windows, label) for person_windows in test]
    yield from _measured(lacking, recognizer, f'without {activity}', PENALTY, REPLAYED, _MOST[-1:])


def _measured(
  people: list[Any],
  recognizer: Any,
  part: str,
  penalty: float,
  replayed: int,
  most: tuple[int, ...] = _MOST,
) -> Iterator[dict[str, Any]]:
  for row in simulated_user.measure(people, recognizer, most, penalty=penalty, replayed=replayed):
    yield {'part': part, 'penalty': penalty, 'replayed': replayed, **row}


def _adapted(base: Any, recordings: list[Any], seed: int) -> Any:
  """An adapter of these people's first windows of each activity."""
  reading = Reading(recordings, [], [], '', True)
  windows = to_windows(reading, base.windowing, unlabeled=True)
  names = [label_at(recordings[window.recording], window.start_s, base.windowing) for window in windows]
  by_activity: dict[Any, list[int]] = collections.defaultdict(list)
  for index, (name, window) in enumerate(zip(names, windows, strict=True)):
    if name in LOCOMOTION:
      by_activity[window.subject, name].append(index)
  first = [index for indices in by_activity.values() for index in indices[:_LABELS]]
  signals = np.stack([windows[index].signal for index in first])
  options = {'max_steps': 100, 'validation_fraction': 0.0, 'random_state': seed}
  return base.adapt(signals, [names[index] for index in first], **options)


def _measure_all() -> None:
  groups = (
    dict(zip(_GROUP, ('hapt', *group), strict=True))
    for group in [(0, 0), *((people, seed) for seed in _SEEDS for people in (1, 12))]
  )
  study.resume(TABLE, groups, lambda group: [group | row for row in _hapt(*group.values())], _GROUP)


def block() -> str:
  """What was measured, and two tables: means over people, then over seeds."""
  rows = csv_table.read(TABLE)
  names = ['recordings', 'trained_people']
  test = _shown(rows[rows['part'] == 'test'], [*names, 'most'])
  choices = _shown(rows[rows['part'] == 'validation'], [*names, 'penalty', 'replayed'])
  lacking = _shown(rows[rows['part'].str.startswith('without')], [*names, 'part', 'most'])
  return '\n\n'.join(
    (
      'On test people. “Most” is the number of corrections that the user may make, “used” how many '
      'were. Accuracy and macro-F1 are on the last recording of each person, after all corrections: the '
      'mean over people, then over seeds. “Gain” is of the accuracy, in points, ± its standard '
      'deviation over people; “worst” is of one person. “Corrected” is the accuracy on activities '
      'that a person corrected, before and after; “others” is that on activities that this person never '
      'corrected. “ms” are of one processor core: the mean, and the longest correction.',
      markdown.tabulated(test),
      f'On validation people, which chose the penalty, with at most {_MOST[-1]} corrections:',
      markdown.tabulated(choices),
      'On test people; the output layer lacks an activity, and “corrected” is mostly that one:',
      markdown.tabulated(lacking),
    )
  )


def _shown(rows: pd.DataFrame, names: list[str]) -> pd.DataFrame:
  grouped = rows.groupby(names, sort=False)
  means, worst = grouped.mean(numeric_only=True).reset_index(), grouped.min(numeric_only=True).reset_index()
  longest, seeds = grouped['milliseconds_worst'].max(), grouped['seed'].nunique()
  gain = 100 * (means['accuracy'] - means['plain_accuracy'])
  shown = {name: means[name].astype(str) for name in names}
  shown['trained_people'] = means['trained_people'].map(
    lambda count: f'adapter of {count:.0f}' if count else 'bundled base'
  )
  shown |= {
    'seeds': seeds.astype(str).to_numpy(),
    'people': means['people'].map('{:.0f}'.format),
    'used': means['used'].map('{:.1f}'.format),
    'accuracy': means['accuracy'].map('{:.3f}'.format),
    'macro-F1': means['macro_f1'].map('{:.3f}'.format),
    'gain': [
      f'{mean:+.1f} ± {100 * spread:.1f}' for mean, spread in zip(gain, means['gain_deviation'], strict=True)
    ],
    'worst': (100 * worst['gain_worst']).map('{:+.1f}'.format),
    'corrected': _pairs(means, 'corrected'),
    'others': _pairs(means, 'other'),
    'ms': [
      markdown.NONE if pd.isna(mean) else f'{mean:.0f}, {most:.0f}'
      for mean, most in zip(means['milliseconds'], longest, strict=True)
    ],
  }
  return pd.DataFrame(shown).rename(columns={'trained_people': 'start'})


def _pairs(means: pd.DataFrame, name: str) -> list[str]:
  pairs = zip(means[f'{name}_plain_accuracy'], means[f'{name}_accuracy'], strict=True)
  return [f'{study.number(before)}, {study.number(after)}' for before, after in pairs]


if __name__ == '__main__':
  study.run(__name__, _measure_all)

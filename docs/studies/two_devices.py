"""Measure what a second device adds, and how two are best answered together.

python docs/studies/two_devices.py --windows=<folder of prepared windows>
python docs/studies/two_devices.py --nomeasure

People of two archives wear two devices at once. Extremely randomized trees on window statistics are fitted to
each place, and tested on other people. The command fills results/two_devices.csv and
docs/results/two_devices.md. Takes some minutes.
"""

import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import study
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.model_selection import GroupKFold

from har_jax.datasets import windows as store
from har_jax.report import csv_table, markdown
from har_jax.signal.statistics import window_statistics
from har_jax.train import metrics

FLAGS, _define = study.new_flags()
_WINDOWS = _define('windows', 'windows')
TABLE, PAGE = study.places('two_devices')
_PAIRS = (
  ('sp_sw_har', 'pocket', 'wrist'),
  ('dsads', 'right_leg', 'right_arm'),
  ('dsads', 'right_leg', 'left_arm'),
  ('dsads', 'torso', 'right_arm'),
)
_TREES, _FOLDS, _EVERY = 200, 4, {'sp_sw_har': 1, 'dsads': 3}  # of a recording's windows
_RULES = {
  'first alone': lambda first, second: first,
  'second alone': lambda first, second: second,
  'the surer one': lambda first, second: np.where(
    first.max(axis=1, keepdims=True) >= second.max(axis=1, keepdims=True), first, second
  ),
  'mean of probabilities': lambda first, second: (first + second) / 2,
  'mean of log-probabilities': lambda first, second: np.log(first) + np.log(second),
}


def _rows(folder: pathlib.Path) -> Iterator[dict[str, Any]]:
  """A row per pair of places, rule and person."""
  for archive, *places in _PAIRS:
    features, activity, subject = _pair(folder / archive, places, _EVERY[archive])
    answers = [_answer(part, activity, subject) for part in features]
    for rule, combine in _RULES.items():
      predicted = combine(*answers).argmax(axis=1)
      for person in np.unique(subject).tolist():
        own = subject == person
        yield {
          'archive': archive,
          'first': places[0],
          'second': places[1],
          'answer': rule,
          'subject': person,
          'windows': int(own.sum()),
          'macro_f1': round(metrics.labeled_macro_f1(activity[own], predicted[own]), 4),
        }


def _pair(
  folder: pathlib.Path, places: list[str], every: int
) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
  """Features of both places, and activity and subject, of windows at the same time."""
  windows, tables = store.load(folder), []
  for place in places:
    numbers = np.flatnonzero(windows.position == windows.meta.all_positions.index(place))
    # Recordings of both places are in one order, by subject.
    order = pd.Series(windows.recording[numbers]).rank(method='dense').astype(int) - 1
    start_s = windows.start_s[numbers].round(1)
    tables.append(pd.DataFrame({'number': numbers, 'recording': order, 'start_s': start_s}))
  both = tables[0].merge(tables[1], on=['recording', 'start_s'])
  first, second = both['number_x'].to_numpy(), both['number_y'].to_numpy()
  is_same = windows.subject[first] == windows.subject[second]
  is_same &= windows.activity[first] == windows.activity[second]
  pair = first[is_same][::every], second[is_same][::every]
  features = [window_statistics(np.asarray(windows.signals[numbers]), 50) for numbers in pair]
  return features, windows.activity[pair[0]].astype(int), windows.subject[pair[0]]


def _answer(features: np.ndarray, activity: np.ndarray, subject: np.ndarray) -> np.ndarray:
  """Probabilities by forests that were fitted to other people; none is 0."""
  probabilities = np.full((len(features), int(activity.max()) + 1), 0.0)
  for train, test in GroupKFold(_FOLDS).split(features, groups=subject):
    forest = ExtraTreesClassifier(_TREES, random_state=0).fit(features[train], activity[train])
    probabilities[np.ix_(test, forest.classes_)] = forest.predict_proba(features[test])
  return (probabilities + 0.5 / _TREES) / (1 + 0.5 / _TREES * probabilities.shape[1])


def block() -> str:
  """Macro-F1 of each pair of places and rule, mean over people."""
  table = csv_table.read(TABLE)
  table['devices'] = table['archive'] + ': ' + table['first'] + ' and ' + table['second']
  means = table.pivot_table(index='devices', columns='answer', values='macro_f1', sort=False)
  people = table.groupby('devices', sort=False)['subject'].nunique()
  means = means[list(_RULES)].map('{:.3f}'.format).reset_index()
  means.insert(1, 'people', people.reindex(means['devices']).to_numpy())
  return markdown.tabulated(means.astype(str))


if __name__ == '__main__':
  study.run(__name__, lambda: study.write(TABLE, _rows(pathlib.Path(_WINDOWS.value))))

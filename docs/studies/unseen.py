"""Compare models on kinds that no base has seen, and on the usual targets, and fill docs/results/unseen.md.

har-jax prepare all --archive_path=<folder> --position=all --out=windows
har-jax prepare <SPAR's folder>/dataset.toml --out=windows
python docs/studies/unseen.py --windows=windows --bases=runs/bases
python docs/studies/unseen.py --windows=windows --bases=runs/bases --model=my_model.py:MyModel
python docs/studies/unseen.py --nomeasure

Half of a kind's people, drawn anew for each seed, give some windows of each activity. The models are fitted
to these, and tested on the other half. The table is resumed: rows that it has are not measured again.
"""

import itertools
import json
import pathlib
import runpy
import time
import warnings
from collections.abc import Callable
from typing import Any

import kinds
import numpy as np
import pandas as pd
import study
from absl import flags
from errors import confusions
from kinds import Kind, draw, load, macro_f1
from sklearn.metrics import confusion_matrix

from har_jax import Recognizer
from har_jax.cli import command
from har_jax.report import csv_table, markdown

FLAGS = flags.FlagValues()
FLAGS.append_flag_values(kinds.FLAGS)
_define = command.definer(FLAGS)
_MODEL = _define('model', None, 'file.py:Class of one more model, with fit(X, y) and predict(X)')
_TABLE = _define('table', None, 'the table (default: results/unseen.csv)')
TABLE, PAGE = study.places('unseen')
_SEEDS, _LABELS = (0, 1, 2), (10, 1)
_RESAMPLED = 200  # times, the people tested on
_BASELINES = ('forest', 'rocket')
_KEY = ['kind', 'labels', 'seed', 'model']
KINDS = (
  *(kinds.POCKET, kinds.CHEST, kinds.FALLS, kinds.EXERCISES, kinds.SHOULDER),
  *(Kind(f'waist, {rate_hz:g} Hz', 'hapt', rate_hz=rate_hz) for rate_hz in (12.5, 18.0, 25.0)),
)


def models() -> dict[str, Callable[[Kind, int], Any]]:
  """Functions from a kind and a seed to a model that is not fitted, by name."""
  methods = *_BASELINES, 'linear', 'side', 'lora', 'scratch'

  def recognizer(method: str) -> Callable[[Kind, int], Any]:
    return lambda kind, seed: Recognizer(kinds.base_of(kind), method=method, random_state=seed)

  made = {method: recognizer(method) for method in methods}
  if _MODEL.value:
    path, _, name = _MODEL.value.rpartition(':')
    made[name] = lambda kind, seed: runpy.run_path(path)[name]()
  return made


def measure(case: study.Row, kind: Kind, make: Callable[[Kind, int], Any]) -> study.Row:
  """A row of the table. `resampled`: macro-F1 with the tested people drawn anew, the same for all models."""
  signals, activities, people = load(kind)
  seed = case['seed']
  fitted, tested = draw(activities, people, case['labels'], seed)
  begun_s = time.monotonic()
  with warnings.catch_warnings(action='ignore'):
    predicted = make(kind, seed).fit(signals[fitted], activities[fitted]).predict(signals[tested])
  seconds, true, tested_people = time.monotonic() - begun_s, activities[tested], people[tested]
  rng = np.random.default_rng(seed)
  windows_of = [np.flatnonzero(tested_people == person) for person in np.unique(tested_people)]
  resampled = []
  for _ in range(_RESAMPLED):
    drawn = np.concatenate([windows_of[i] for i in rng.integers(len(windows_of), size=len(windows_of))])
    resampled.append(macro_f1(true[drawn], predicted[drawn]))
  return case | {
    'macro_f1': round(macro_f1(true, predicted), 4),
    'seconds': round(seconds, 1),
    'activities': len(np.unique(true)),
    'people': len(windows_of),
    'confusion': _confusion(true, predicted),
    'resampled': ' '.join(f'{value:.3f}' for value in resampled),
  }


def _confusion(true: np.ndarray, predicted: np.ndarray) -> str:
  names = np.unique(true).tolist()
  counts = confusion_matrix(true, predicted, labels=names).tolist()
  return json.dumps(dict(zip(names, counts, strict=True)))


def summary(rows: pd.DataFrame) -> str:
  """Tables by group of kinds and number of labels, of macro-F1 by kind and model; then what is confused."""
  usual = rows.kind.isin([kind.name for kind in kinds.USUAL])
  groups = {'': rows[~usual], ', usual targets': rows[usual]}
  tables = [
    _table(part, labels, group)
    for group, own in groups.items()
    for labels, part in own.groupby('labels', sort=False)
  ]
  return '\n\n'.join([*tables, _errors(rows[~usual])])


def _table(rows: pd.DataFrame, labels: Any, group: str) -> str:
  names = list(dict.fromkeys(rows.model))
  mean = rows.pivot_table(index='kind', columns='model', values='macro_f1', sort=False)[names]
  best, rivals = mean[[*_BASELINES]].max(axis=1), mean[[*_BASELINES, 'scratch']].max(axis=1)
  of_each = rows.pivot_table(index=['kind', 'seed'], columns='model', values='macro_f1')
  oracle = of_each.max(axis=1).groupby('kind').mean().mean()
  by_model = [rows[rows.model == name] for name in names]
  lines = [
    *([kind, *map('{:.3f}'.format, row)] for kind, row in mean.iterrows()),
    ['**mean**', *map('**{:.3f}**'.format, mean.mean())],
    ['mean, 95 % of resampled people', *map(_interval, by_model)],
    ['less the better baseline of each kind', *map('{:+.1f}'.format, 100 * mean.sub(best, axis=0).mean())],
    ['less the best of baselines and scratch', *map('{:+.1f}'.format, 100 * mean.sub(rivals, axis=0).mean())],
    ['seconds, median', *(f'{part.seconds.median():.1f}' for part in by_model)],
  ]
  title = f'{labels} window{"s" if int(labels) > 1 else ""} of each activity{group}'
  table = markdown.tabulated(pd.DataFrame(lines, columns=['kind', *names]))
  return f'**{title}**\n\n{table}\n\nThe best model of each kind and seed, by the test windows: {oracle:.3f}.'


def _errors(rows: pd.DataFrame) -> str:
  """The most frequent errors of the default method with most labels, of an activity's windows."""
  default = rows[(rows.model == 'side') & (rows.labels.astype(int) == max(_LABELS))]
  lines = [[kind, confusions(part)] for kind, part in default.groupby('kind', sort=False)]
  table = markdown.tabulated(pd.DataFrame(lines, columns=['kind', 'most frequent errors']))
  return f'**What `side` confuses, with {max(_LABELS)} windows of each activity**\n\n{table}'


def _interval(rows: pd.DataFrame) -> str:
  resampled = np.array([[float(value) for value in text.split()] for text in rows.resampled])
  by_kind = [resampled[(rows.kind == kind).to_numpy()].mean(axis=0) for kind in rows.kind.unique()]
  low, high = np.quantile(np.mean(by_kind, axis=0), [0.025, 0.975])
  return f'{low:.3f} to {high:.3f}'


def block() -> str:
  return summary(csv_table.read(TABLE))


def _measure_all() -> None:
  table, made = pathlib.Path(_TABLE.value or TABLE), models()
  named = {kind.name: kind for kind in (*KINDS, *kinds.USUAL)}
  cases = (
    dict(zip(_KEY, (kind, labels, seed, model), strict=True))
    for labels, seed, kind, model in itertools.product(_LABELS, _SEEDS, named, made)
  )
  rows = study.resume(
    table, cases, lambda case: [measure(case, named[case['kind']], made[case['model']])], _KEY
  )
  if table != TABLE:
    print(summary(pd.DataFrame(rows)))


if __name__ == '__main__':
  study.run(__name__, _measure_all)

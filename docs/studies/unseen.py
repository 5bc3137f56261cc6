"""Compare models on kinds of recordings that the base has never seen, and fill docs/results/unseen.md.

har-jax prepare all --archive_path=<folder> --position=all --out=windows
har-jax prepare <SPAR's folder>/dataset.toml --out=windows
python docs/studies/unseen.py --windows=windows
python docs/studies/unseen.py --windows=windows --model=my_model.py:MyModel
python docs/studies/unseen.py --nomeasure

Half of a kind's people, drawn anew for each seed, give some windows of each activity. The models are fitted
to these, and tested on the other half. The table is resumed: rows that it has are not measured again.
"""

import dataclasses
import functools
import itertools
import pathlib
import runpy
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import study
from absl import flags
from jaxtyping import Float, Int

from har_jax.cli import command
from har_jax.report import csv_table, markdown

FLAGS = flags.FlagValues()
_WINDOWS = flags.DEFINE_string('windows', 'windows', 'folder of `har-jax prepare`', flag_values=FLAGS)
_MEASURE = flags.DEFINE_bool('measure', True, 'measure what the table lacks', flag_values=FLAGS)
_MODEL = flags.DEFINE_string(
  'model', None, 'file.py:Class of one more model, with fit(X, y) and predict(X)', flag_values=FLAGS
)
_TABLE = flags.DEFINE_string('table', None, 'the table (default: results/unseen.csv)', flag_values=FLAGS)
TABLE, PAGE = study.places('unseen')
_SEEDS, _LABELS = (0, 1, 2), (10, 1)
_MOST_TESTED = 2000  # windows of a kind, drawn at random
_FEWEST = 3  # windows of an activity, of the people to train on
_RESAMPLED = 200  # times, the people tested on
_BASELINES = ('forest', 'rocket')
_KEY = ['kind', 'labels', 'seed', 'model']


@dataclasses.dataclass(frozen=True)
class Kind:
  """One position of a dataset that is no source of the bundled base, perhaps at a lower rate."""

  name: str
  dataset: str
  position: int = 0
  rate_hz: float = 50.0


KINDS = (
  Kind('pocket', 'pdiot'),
  Kind('chest', 'pdiot', 1),
  Kind('wrist, falls', 'weda_fall'),
  Kind('wrist, exercises', 'liara'),
  Kind('wrist, shoulder exercises', 'spar'),
  *(Kind(f'waist, {rate_hz:g} Hz', 'hapt', rate_hz=rate_hz) for rate_hz in (12.5, 18.0, 25.0)),
)


@functools.cache
def open_windows(kind: Kind) -> Any:
  """The dataset's windows at the position, at 50 Hz."""
  from har_jax.datasets import windows

  loaded = windows.load(f'{_WINDOWS.value}/{kind.dataset}')
  return windows.at_position(loaded, kind.position)


@functools.cache
def load(kind: Kind) -> tuple[Float[np.ndarray, 'w n 6'], np.ndarray, np.ndarray]:
  """Windows, activities and people."""
  found = open_windows(kind)
  names = np.array(found.meta.activities)
  return repeat_samples(np.array(found.signals), kind.rate_hz), names[found.activity], np.array(found.subject)


def repeat_samples(signals: Float[np.ndarray, 'w n 6'], rate_hz: float) -> Float[np.ndarray, 'w n 6']:
  """Signals of 50 Hz as a logger of a lower rate writes them: each sample is repeated until the next one."""
  times_s = np.arange(signals.shape[1]) / 50
  latest = np.floor(np.floor(times_s * rate_hz + 1e-9) / rate_hz * 50 + 1e-9).astype(int)
  return signals[:, latest]


def draw(
  activities: np.ndarray, people: np.ndarray, labels: int, seed: int
) -> tuple[Int[np.ndarray, 'w'], Int[np.ndarray, 'w']]:
  """Indices of the windows to fit to, and of those to test on, of other people."""
  rng = np.random.default_rng(seed)
  order = rng.permutation(np.unique(people))
  is_fitted = np.isin(people, order[: len(order) // 2])
  parts, names = [], []
  for name in np.unique(activities):
    own = np.flatnonzero(is_fitted & (activities == name))
    if len(own) >= max(labels, _FEWEST) and (~is_fitted & (activities == name)).any():
      parts.append(rng.choice(own, labels, replace=False))
      names.append(name)
  tested = np.flatnonzero(~is_fitted & np.isin(activities, names))
  if len(tested) > _MOST_TESTED:
    tested = rng.choice(tested, _MOST_TESTED, replace=False)
  return np.concatenate(parts), np.sort(tested)


class Baseline:
  """A baseline of the package, with names as labels."""

  def __init__(self, name: str, seed: int):
    from har_jax.baselines import BASELINES

    self._model = BASELINES[name](seed)

  def fit(self, X: np.ndarray, y: np.ndarray) -> 'Baseline':
    self._classes, labels = np.unique(y, return_inverse=True)
    self._model.fit(X, labels)
    return self

  def predict(self, X: np.ndarray) -> np.ndarray:
    return self._classes[self._model.predict_proba(X).argmax(axis=1)]


def _recognizer(base: Any, method: str, seed: int) -> Any:
  from har_jax import Recognizer

  return Recognizer(base, method=method, random_state=seed, validation_fraction=0.0)


def models() -> dict[str, Callable[[int], Any]]:
  """Functions from a seed to a model that is not fitted, by name."""
  from har_jax import files

  base = files.bundled_base()
  methods = ('linear', 'lora', 'scratch')
  made: dict[str, Callable[[int], Any]] = {name: functools.partial(Baseline, name) for name in _BASELINES}
  for name in methods:
    made[name] = functools.partial(_recognizer, base, name)
  if _MODEL.value:
    path, _, name = _MODEL.value.rpartition(':')
    made[name] = lambda seed: runpy.run_path(path)[name]()
  return made


def macro_f1(true: np.ndarray, predicted: np.ndarray) -> float:
  from sklearn.metrics import f1_score

  return float(f1_score(true, predicted, average='macro', labels=np.unique(true), zero_division=0))


def measure(kind: Kind, labels: int, seed: int, name: str, make: Callable[[int], Any]) -> dict[str, Any]:
  """A row of the table. `resampled`: macro-F1 with the tested people drawn anew, the same for all models."""
  signals, activities, people = load(kind)
  fitted, tested = draw(activities, people, labels, seed)
  begun_s = time.monotonic()
  with warnings.catch_warnings(action='ignore'):
    predicted = make(seed).fit(signals[fitted], activities[fitted]).predict(signals[tested])
  seconds, true, tested_people = time.monotonic() - begun_s, activities[tested], people[tested]
  rng = np.random.default_rng(seed)
  windows_of = [np.flatnonzero(tested_people == person) for person in np.unique(tested_people)]
  resampled = []
  for _ in range(_RESAMPLED):
    drawn = np.concatenate([windows_of[i] for i in rng.integers(len(windows_of), size=len(windows_of))])
    resampled.append(macro_f1(true[drawn], predicted[drawn]))
  return dict(zip(_KEY, (kind.name, labels, seed, name), strict=True)) | {
    'macro_f1': round(macro_f1(true, predicted), 4),
    'seconds': round(seconds, 1),
    'activities': len(np.unique(true)),
    'people': len(windows_of),
    'resampled': ' '.join(f'{value:.3f}' for value in resampled),
  }


def main() -> dict[str, Any]:
  table = pathlib.Path(_TABLE.value) if _TABLE.value else TABLE
  rows = csv_table.read(table).to_dict('records') if table.exists() else []
  done = {tuple(row[name] for name in _KEY) for row in rows}
  made = models() if _MEASURE.value else {}
  for labels, seed, kind, (name, make) in itertools.product(_LABELS, _SEEDS, KINDS, made.items()):
    if (kind.name, labels, seed, name) not in done:
      rows.append(measure(kind, labels, seed, name, make))
      csv_table.write(pd.DataFrame(rows), table)
      print(*(rows[-1][column] for column in (*_KEY, 'macro_f1', 'seconds')), sep='\t', flush=True)
  if table == TABLE:
    study.fill(PAGE, 'unseen', block())
  else:
    print(summary(pd.DataFrame(rows)))
  return {'out': table}


def summary(rows: pd.DataFrame) -> str:
  """A table for each number of labels: macro-F1 by kind and model, and its mean."""
  return '\n\n'.join(_table(part, labels) for labels, part in rows.groupby('labels', sort=False))


def _table(rows: pd.DataFrame, labels: Any) -> str:
  names = list(dict.fromkeys(rows.model))
  mean = rows.pivot_table(index='kind', columns='model', values='macro_f1', sort=False)[names]
  best = mean[[*_BASELINES]].max(axis=1)
  lines = [
    [kind, *(f'{value:.3f}' for value in row)] for kind, row in zip(mean.index, mean.to_numpy(), strict=True)
  ]
  lines.append(['**mean**', *(f'**{value:.3f}**' for value in mean.mean())])
  lines.append(['mean, 95 % of resampled people', *(_interval(rows[rows.model == name]) for name in names)])
  lines.append(
    ['less the better baseline of each kind', *(f'{100 * (mean[name] - best).mean():+.1f}' for name in names)]
  )
  lines.append(['seconds, median', *(f'{rows[rows.model == name].seconds.median():.1f}' for name in names)])
  title = f'{labels} window{"s" if int(labels) > 1 else ""} of each activity'
  return f'**{title}**\n\n' + markdown.tabulated(pd.DataFrame(lines, columns=['kind', *names]))


def _interval(rows: pd.DataFrame) -> str:
  resampled = np.array([[float(value) for value in text.split()] for text in rows.resampled])
  by_kind = [resampled[(rows.kind == kind).to_numpy()].mean(axis=0) for kind in rows.kind.unique()]
  low, high = np.quantile(np.mean(by_kind, axis=0), [0.025, 0.975])
  return f'{low:.3f} to {high:.3f}'


def block() -> str:
  return summary(csv_table.read(TABLE))


if __name__ == '__main__':
  sys.exit(command.run(sys.modules[__name__], sys.argv[1:]))

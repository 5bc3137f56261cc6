"""Measure the distribution shift of recordings, and fill docs/results/shift.md.

python docs/studies/shift.py --windows=windows --bases=runs/bases
python docs/studies/shift.py --nomeasure

Half of a kind's people, or one of them, give the training windows. The windows of each person are a
recording; they are of new people of the kind, or of other kinds.
"""

import itertools
from collections.abc import Iterator
from typing import Any

import kinds
import numpy as np
import pandas as pd
import study
import unknown
from sklearn.metrics import roc_auc_score

from har_jax import Recognizer
from har_jax.recognizer import distribution_shift
from har_jax.report import csv_table, markdown

FLAGS = kinds.FLAGS
TABLE, PAGE = study.places('shift')
KINDS = unknown.KINDS
_SEEDS, _LABELS = (0, 1, 2), 10  # windows of each activity
_PEOPLE, _WINDOWS = 6, 60  # of each kind, and of a recording
ALL, TWO = 'all activities', 'two activities'
NEW, OTHER = 'new person', 'other kind'


def recordings(
  kind: kinds.Kind, people: np.ndarray, names: np.ndarray, seed: int
) -> Iterator[tuple[str, np.ndarray]]:
  """Indices of windows of each person: of all activities among these names, or of two of them."""
  _, activities, everyone = kinds.load(kind)
  rng = np.random.default_rng(seed)
  for person, mixture in itertools.product(people, (ALL, TWO)):
    own = np.flatnonzero((everyone == person) & np.isin(activities, names))
    present = rng.permutation(np.unique(activities[own]))
    own = own[np.isin(activities[own], present[: 2 if mixture == TWO else None])]
    if len(present) > 1 and len(own) >= _WINDOWS:
      yield mixture, np.sort(rng.choice(own, _WINDOWS, replace=False))


def measure(kind: kinds.Kind, seed: int) -> Iterator[dict[str, Any]]:
  """Rows of TABLE: one for each recording."""
  signals, activities, people = kinds.load(kind)
  rng = np.random.default_rng(seed)
  order = rng.permutation(np.unique(people))
  half = len(order) // 2
  for trained in (half, 1):
    train = _draw(activities, np.isin(people, order[:trained]), rng)
    if len(np.unique(activities[train])) < 2:
      continue
    model = Recognizer(kinds.base_of(kind), method='side').fit(signals[train], activities[train])
    for other in KINDS:
      is_same = other == kind
      if other.dataset == kind.dataset and other.position == kind.position and not is_same:
        continue  # the same recordings
      everyone = (
        order[half:] if is_same else np.random.default_rng(seed).permutation(np.unique(kinds.load(other)[2]))
      )
      for mixture, indices in recordings(other, everyone[:_PEOPLE], model.classes_, seed):
        windows, one = kinds.load(other)[0][indices], np.zeros(len(indices))
        shift = distribution_shift.measure_windows(model, windows, one)
        row = {'kind': kind.name, 'seed': seed, 'training_people': 'one' if trained == 1 else 'half'}
        yield row | {
          'recorded': NEW if is_same else OTHER,
          'other': other.name,
          'mixture': mixture,
          'shift': shift,
        }


def _draw(activities: np.ndarray, is_trained: np.ndarray, rng: np.random.Generator) -> np.ndarray:
  """Indices of training windows; activities with too few are left out."""
  parts = []
  for name in np.unique(activities):
    own = np.flatnonzero(is_trained & (activities == name))
    if len(own) >= _LABELS:
      parts.append(rng.choice(own, _LABELS, replace=False))
  return np.concatenate(parts)


def block() -> str:
  """AUROC of other kinds against new people by kind, and how many of both are warned of."""
  rows = csv_table.read(TABLE).dropna(subset='shift')
  tables = {}
  for people, title in (('half', 'half of the people'), ('one', 'one person')):
    table = {}
    for mixture in (ALL, TWO):
      some = rows[(rows.training_people == people) & (rows.mixture == mixture)]
      figures = {kind: _figures(own) for kind, own in some.groupby('kind', sort=False)}
      every = pd.DataFrame(figures).T
      every.loc['**mean**'] = every.mean()
      every.loc['**all together**'] = _figures(some)
      every.columns = [f'{name}, {mixture}' for name in every]
      table[mixture] = every
    joined = pd.concat(table.values(), axis=1).map(study.number)
    tables[f'Training windows of {title}'] = joined.rename_axis('kind').reset_index()
  return '\n\n'.join(f'**{title}**\n\n{markdown.tabulated(table)}' for title, table in tables.items())


def _figures(rows: pd.DataFrame) -> dict[str, float]:
  is_other, warned = rows.recorded == OTHER, rows['shift'] > distribution_shift.LARGE
  is_both = is_other.any() and not is_other.all()
  return {
    'AUROC': float(roc_auc_score(is_other, rows['shift'])) if is_both else np.nan,
    'new people warned of': float(warned[~is_other].mean()),
    'others warned of': float(warned[is_other].mean()),
  }


if __name__ == '__main__':
  study.run(__name__, lambda: study.write(TABLE, study.measure_kinds(KINDS, _SEEDS, measure)))

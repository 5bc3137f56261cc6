"""Which runs may share a table, and in which hyperparameters experiments differ. Needs no JAX."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from har_jax import results
from har_jax.errors import UserError
from har_jax.report.frame import methods

SPLITS = {
  'subject': 'subject-wise split',
  'official': 'official subject-wise split',
  'window': 'window-wise split (optimistic)',
}
_SWEEP = 3  # from so many values on, a hyperparameter is swept


def experiments(runs: pd.DataFrame, free: Sequence[str] = ()) -> list[pd.DataFrame]:
  """Runs that differ in nothing but target, method, seed and the `free` hyperparameters.

  Runs without adapters join those with the most frequent ones. Runs on other windows are separate.
  Sorted by split, then from the most labels; in each, rows are sorted by target, label budget and method.
  Raises UserError where a run occurs twice.
  """
  fixed = [flag for flag in differing(runs) if flag not in (*free, *results.ADAPTERS)]
  settings = runs.assign(_all=0).groupby(['_all', *fixed], sort=False).ngroup()
  adapters = runs.groupby([flag for flag in results.ADAPTERS if flag not in free], dropna=False).ngroup()
  adapters = adapters.where(runs['lora_rank'].notna(), np.nan)
  most_frequent = adapters.groupby(settings).agg(lambda of: of.mode().get(0, -1))
  windows = runs.groupby([settings, 'target', 'windows'], sort=False).ngroup()
  keys = {
    'settings': settings,
    'adapters': adapters.fillna(settings.map(most_frequent)),
    'windows': windows.groupby([settings, runs['target']]).rank('dense'),
  }
  group = pd.DataFrame(keys).groupby(list(keys), sort=False).ngroup()
  order = {name: place for place, name in enumerate(methods(runs))}
  ranked = runs[['target', 'lora_rank', 'seed']].assign(
    group=group, labels=runs['label_budget'].map(_fewness), method=runs['method'].map(order)
  )
  by = ['group', 'target', 'labels', 'method', 'lora_rank', 'seed']
  ordered = runs.loc[ranked.sort_values(by, kind='stable').index]
  twice = ordered[ordered.assign(_group=group).duplicated(['_group', 'target', 'method', 'seed', *free])]
  if len(twice):
    target, method, seed, name = twice[['target', 'method', 'seed', 'experiment']].iloc[0]
    raise UserError(f'two results of {target}, {method}, seed {seed}, of experiment {name}; keep one')
  found = [part for _, part in ordered.groupby(group)]
  return sorted(found, key=lambda part: (part['split'].iat[0], _fewness(part['label_budget'].iat[0])))


def _fewness(budget: str) -> float:
  """Sorts fractions before numbers per class, and large before small."""
  number, per_class, _ = budget.partition('/class')
  return 1 / float(number) if per_class else -float(number)


def without_sweeps(runs: pd.DataFrame) -> pd.DataFrame:
  """The runs, but of each sweep over rank or label budget only those at the value with the most runs."""
  dropped: list = []
  for flag in ('lora_rank', 'label_budget'):
    for family in experiments(runs, [flag]):
      sizes = family.groupby(flag, sort=False).size()
      if len(sizes) >= _SWEEP:
        dropped += list(family.index[family[flag].notna() & (family[flag] != sizes.idxmax())])
  return runs.drop(index=dropped)


def differing(runs: pd.DataFrame, flags: Iterable[str] = results.HYPERPARAMETERS) -> list[str]:
  """Those of the hyperparameters that differ between runs; a missing value is no difference."""
  return [flag for flag in flags if runs[flag].nunique() > 1]


def title(part: pd.DataFrame, free: Sequence[str] = ()) -> str:
  """The names of the experiments, split and label budget."""
  words = [', '.join(sorted(set(part['experiment'])))]
  words += [] if 'split' in free else [SPLITS[part['split'].iat[0]]]
  words += [] if 'label_budget' in free else [f'labels {part["label_budget"].iat[0]}']
  return ', '.join(words)


def not_run(part: pd.DataFrame) -> list[str]:
  """A note that names the seeds that some target and method of an experiment lack."""
  have = part.groupby(['target', 'method'])['seed'].agg(set).to_dict()
  lacking = [
    f'{target} {method} {", ".join(map(str, sorted(missing)))}'
    for target in sorted(set(part['target']))
    for method in methods(part)
    if (missing := set(part['seed']) - have.get((target, method), set()))
  ]
  return [f'Seeds not run: {"; ".join(lacking)}.'] if lacking else []

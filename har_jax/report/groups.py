"""Groups of runs that may share a table, and hyperparameters in which experiments differ. Needs no JAX."""

import itertools
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from har_jax import config, results
from har_jax.errors import UserError
from har_jax.report.frame import methods

SPLITS = {
  'subject': 'subject-wise split',
  'official': 'official subject-wise split',
  'five_fold': 'subject-wise five-fold cross-validation',
  'window': 'window-wise split (optimistic)',
}
_SWEEP = 3  # from so many values on, a hyperparameter is swept
# What a run has in common with the baselines that stand in its table.
_BASIS = ['target', 'seed', 'target_windows', *results.SHARED]


def experiments(runs: pd.DataFrame, free: Sequence[str] = ()) -> list[pd.DataFrame]:
  """Runs that differ in nothing but target, method, seed and the `free` hyperparameters.

  Runs without adapters join the most frequent ones of their own experiment, or of all. A baseline joins every
  experiment that has a run of its target's windows, seed, split and labels, or else an experiment of its own.
  Sorted by split, then from the most labels; rows by target, label budget and method.
  Raises UserError where a run occurs twice.
  """
  placed = ordered(_placed(runs, free), ['_group', 'target', 'label_budget', 'method', 'lora_rank', 'seed'])
  twice = placed[placed.duplicated(['_group', 'target', 'method', 'seed', *free])]
  if len(twice):
    target, method, seed, name = twice[['target', 'method', 'seed', 'experiment']].iloc[0]
    raise UserError(f'two results of {target}, {method}, seed {seed}, of experiment {name}; keep one')
  parts = [part for _, part in placed.drop(columns='_group').groupby(placed['_group'].to_numpy())]
  return sorted(parts, key=lambda part: (part['split'].iat[0], _budget_order(part['label_budget'].iat[0])))


def families(runs: pd.DataFrame, flag: str, *more: str) -> list[pd.DataFrame]:
  """Sets of experiments with several values of this hyperparameter that else differ in `more` alone."""
  if runs[flag].nunique() < 2:  # the usual case; to find experiments takes longer
    return []
  return [family for family in experiments(runs, [flag, *more]) if family[flag].nunique() > 1]


def baselines(runs: pd.DataFrame) -> pd.Series:
  """True for runs without a neural network: they depend on no hyperparameter of one."""
  return runs['model_width'].isna()


def _placed(runs: pd.DataFrame, free: Sequence[str]) -> pd.DataFrame:
  """The runs with the number of their experiment, `_group`; a baseline once for each that it joins."""
  networks = runs[~baselines(runs)]
  # Two experiments may both have run a baseline; with equal numbers, one of them is enough.
  others = runs[baselines(runs)].drop_duplicates([*_BASIS, 'method', 'macro_f1'])
  networks = networks.assign(_group=_numbers(networks, free))
  if not len(others):
    return networks
  hosts = networks[[*_BASIS, '_group']].drop_duplicates()
  joined = others.reset_index().merge(hosts, on=_BASIS).set_index('index')
  alone = others[~_has_basis(others, networks)]
  alone = alone.assign(_group=len(runs) + _numbers(alone, free))
  return pd.concat([networks, joined, alone])


def _has_basis(runs: pd.DataFrame, others: pd.DataFrame) -> pd.Series:
  """Returns whether one of the others is of the same windows of the target, seed, split and labels."""
  bases = pd.MultiIndex.from_frame(others[_BASIS])
  return pd.Series(pd.MultiIndex.from_frame(runs[_BASIS]).isin(bases), index=runs.index)


def _numbers(runs: pd.DataFrame, free: Sequence[str]) -> pd.Series:
  """Numbers the experiments of runs that are all networks, or all baselines."""
  if not len(runs):
    return pd.Series(dtype=int)
  fixed = [flag for flag in differing(runs) if flag not in (*free, *results.ADAPTERS)]
  settings = runs.assign(_all=0).groupby(['_all', *fixed], sort=False).ngroup()
  adapters = runs.groupby([flag for flag in results.ADAPTERS if flag not in free]).ngroup()
  adapters = adapters.where(runs['lora_rank'].notna(), np.nan)
  # A run without adapters joins those that its own experiment has most of.
  for family in ([settings, runs['experiment']], settings):
    most_frequent = adapters.groupby(family).transform(lambda values: values.mode().get(0, np.nan))
    adapters = adapters.fillna(most_frequent)
  windows = runs.groupby([settings, 'target', 'windows'], sort=False).ngroup()
  keys = {
    'settings': settings,
    'adapters': adapters.fillna(-1),
    'windows': windows.groupby([settings, runs['target']]).rank('dense'),
  }
  return pd.DataFrame(keys).groupby(list(keys), sort=False).ngroup()


def ordered(runs: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
  """Sorted by these columns: methods as in tables; budgets of labels from the most, fractions first."""

  def key(column: pd.Series) -> pd.Series:
    if column.name == 'method':
      return column.map(methods(runs).index)
    return column.map(_budget_order) if column.name == 'label_budget' else column

  return runs.sort_values([*by], kind='stable', key=key)


def _budget_order(budget: str) -> float:
  """Sorts fractions before numbers per class, and large before small."""
  number, per_class, _ = budget.partition('/class')
  return 1 / float(number) if per_class else -float(number)


def without_sweeps(runs: pd.DataFrame) -> pd.DataFrame:
  """The runs, but of each sweep over rank or label budget only those at the value with the most runs.

  Baselines stay where an experiment that they join does.
  """
  dropped: list = []
  for flag in ('lora_rank', 'label_budget'):
    for family in families(runs, flag):
      has_networks = not baselines(family).all()
      family = family[~baselines(family)] if has_networks else family
      sizes = family.groupby(flag, sort=False).size()
      if len(sizes) >= _SWEEP:
        dropped += list(family.index[family[flag].notna() & (family[flag] != sizes.idxmax())])
  if not dropped:
    return runs
  remaining, networks = runs.drop(index=dropped), runs[~baselines(runs)]
  joined_before, join_now = (
    _has_basis(remaining, part) for part in (networks, remaining[~baselines(remaining)])
  )
  return remaining[join_now | ~joined_before]


def differing(runs: pd.DataFrame, flags: Iterable[str] = config.HYPERPARAMETERS) -> list[str]:
  """Hyperparameters that differ between runs; a missing value is no difference."""
  return [flag for flag in flags if runs[flag].nunique() > 1]


def experiment(part: pd.DataFrame) -> str:
  """The names of the experiments; not those of baselines that joined them."""
  networks = part[~baselines(part)]
  return ', '.join(sorted(set((networks if len(networks) else part)['experiment'])))


def title(part: pd.DataFrame, free: Sequence[str] = ()) -> str:
  """The names of the experiments, split and label budget."""
  words = [experiment(part)]
  words += [] if 'split' in free else [SPLITS[part['split'].iat[0]]]
  words += [] if 'label_budget' in free else [f'labels {part["label_budget"].iat[0]}']
  return ', '.join(words)


def not_run(part: pd.DataFrame) -> list[str]:
  """A note that names the seeds that some target and method of an experiment lack."""
  have = part.groupby(['target', 'method'])['seed'].agg(set).to_dict()
  lacking = [
    f'{target} {method} {", ".join(map(str, sorted(missing)))}'
    for target, method in itertools.product(sorted(set(part['target'])), methods(part))
    if (missing := set(part['seed']) - have.get((target, method), set()))
  ]
  return [f'Seeds not run: {"; ".join(lacking)}.'] if lacking else []

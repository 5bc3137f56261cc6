"""Which runs may share a table, and in which hyperparameters experiments differ. Needs no JAX."""

from collections.abc import Iterable, Sequence

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

  Runs without adapters join those with the most frequent ones. Runs of a target on other windows are apart.
  Sorted by split, then from the most labels; in each, rows are sorted by target, label budget and method.
  Raises UserError where a run occurs twice.
  """
  adapters = [flag for flag in results.ADAPTERS if flag not in free]
  # Those that never differ only cost time.
  fixed = [flag for flag in differing(runs) if flag not in (*free, *results.ADAPTERS)]
  words = pd.Series(map(str, runs[adapters].itertuples(index=False, name=None)), index=runs.index)
  keyed = runs.assign(_all=0, _adapters=words.where(runs['lora_rank'].notna()))
  usual = keyed.groupby(['_all', *fixed])['_adapters'].transform(lambda of: of.mode().get(0, ''))
  version = keyed.groupby([*fixed, 'target'])['windows'].transform(lambda of: pd.factorize(of)[0])
  keyed = keyed.assign(_adapters=keyed['_adapters'].fillna(usual), _version=version)
  keys = [*fixed, '_adapters', '_version']
  found = [_sorted(part) for _, part in keyed.groupby(keys, sort=False)]
  for part in found:
    _refuse_duplicates(part, free)
  return sorted(found, key=lambda part: (part['split'].iat[0], _most_labels(part['label_budget'].iat[0])))


def _sorted(part: pd.DataFrame) -> pd.DataFrame:
  order = {name: place for place, name in enumerate(methods(part))}
  keys = {'method': order.get, 'label_budget': _most_labels}
  return part.sort_values(
    ['target', 'label_budget', 'method', 'lora_rank', 'seed'],
    key=lambda column: column.map(keys[column.name]) if column.name in keys else column,
    kind='stable',
  )


def _most_labels(budget: str) -> tuple[bool, float]:
  """Sorts fractions before numbers per class, and large before small."""
  number, per_class, _ = budget.partition('/class')
  return bool(per_class), -float(number)


def _refuse_duplicates(part: pd.DataFrame, free: Sequence[str]) -> None:
  twice = part[part.duplicated(['target', 'method', 'seed', *free])]
  if len(twice):
    target, method, seed, name = twice[['target', 'method', 'seed', 'experiment']].iloc[0]
    raise UserError(f'two results of {target}, {method}, seed {seed}, of experiment {name}; keep one')


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

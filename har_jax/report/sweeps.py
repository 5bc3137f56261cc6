"""Tables of experiments that differ in one hyperparameter, and of a method against scratch. Needs no JAX."""

from collections.abc import Mapping, Sequence

import pandas as pd

from har_jax.report import groups, published
from har_jax.report.markdown import POINTS, TEXTS, Section, joined, mean_rows, rows, seeds, span_of, spread_of

# Flag → the value that turns it off.
_OFF = {
  'model_invariant_features': False,
  'continued_pretraining_steps': 0,
  'supervised_pretraining_steps': 0,
  'self_training': 0,
  'tta_shifts': 1,
}


def matched(runs: pd.DataFrame, is_other: pd.Series, column: str, by: Sequence[str]) -> pd.Series:
  """Column of the other run with the same values `by`, for each run; missing where there is none."""
  return runs[column].where(is_other).groupby([runs[name] for name in by]).transform('max')


def matched_full(runs: pd.DataFrame, column: str, by: Sequence[str]) -> pd.Series:
  """Column of the matching run of full fine-tuning, for each run of another method."""
  is_full = runs['method'] == 'full'
  return matched(runs, is_full, column, by).where(~is_full)


def table6(runs: pd.DataFrame) -> list[Section]:
  """Rank of LoRA: a section for each set of experiments that differ in rank alone."""
  cells = {
    'seeds': seeds,
    'macro-F1': spread_of('macro_f1', '.3f'),
    'training, s': spread_of('seconds', ',.1f'),
    'trainable': span_of('trained_parameters'),
  }
  by = ['target', 'lora_rank']
  theirs = published.TABLE_VI, by, {'macro-F1': '.4f', 's': ',.0f'}
  return [
    Section(
      f'Table VI. Rank of LoRA: {groups.title(family)}',
      TEXTS['spread'],
      *published.rows(family, by, cells, theirs, TEXTS['sweep_remark']),
    )
    for family in groups.families(runs[runs['method'] == 'lora'], 'lora_rank')
  ]


def table7(runs: pd.DataFrame) -> list[Section]:
  """Labels: a section for each set of experiments that differ in their label budget alone."""
  cells = {
    'seeds': seeds,
    'accuracy': spread_of('accuracy', '.3f'),
    'macro-F1': spread_of('macro_f1', '.3f'),
    'accuracy ÷ full': spread_of('accuracy_ratio', '.4f', count=True),
    'macro-F1 ÷ full': spread_of('macro_f1_ratio', '.4f', count=True),
  }
  by = ['target', 'label_budget', 'method']
  theirs = published.TABLE_VII, published.RUN, {'accuracy': '.4f'}
  tables = []
  for family in groups.families(runs, 'label_budget'):
    for column in ('accuracy', 'macro_f1'):
      full = matched_full(family, column, ['target', 'label_budget', 'seed'])
      family = family.assign(**{f'{column}_ratio': family[column] / full.where(full != 0)})
    title = f'Table VII. Labels: {groups.title(family, ["label_budget"])}'
    tables.append(
      Section(title, TEXTS['spread'], *published.rows(family, by, cells, theirs, TEXTS['sweep_remark']))
    )
  return tables


def leakage(runs: pd.DataFrame) -> list[Section]:
  """Window-wise minus subject-wise split, all else equal but the windows that normalize."""
  runs = runs[runs['split'].isin(['subject', 'window'])]
  kinds = ('window-wise', 'subject-wise')
  return [
    _compared(f'Leakage: {groups.title(family, ["split"])}', family, kinds)
    for family in groups.families(runs.assign(kind=runs['split'] + '-wise'), 'split', 'normalize')
  ]


def pretraining(runs: pd.DataFrame) -> list[Section]:
  """Full fine-tuning and LoRA minus the same model from scratch, by label budget."""
  kinds = {'full': 'pretrained', 'lora': 'pretrained', 'scratch': 'scratch'}
  both, free = ('pretrained', 'scratch'), ['label_budget']
  return [
    _compared(f"Pretraining's worth: {groups.title(family, free)}", family, both, ['target', *free])
    for family in groups.experiments(runs.assign(kind=runs['method'].map(kinds)), free)
    if 'scratch' in set(family['kind'])
  ]


def ablations(runs: pd.DataFrame, off: Mapping[str, object] = _OFF) -> list[Section]:
  """Hyperparameters on minus off, all else equal: a section for each two such experiments."""
  return [
    _compared(f'{flag} {value} − {without}: {groups.title(part)}', family, (value, without))
    for flag, without in off.items()
    for family in groups.families(runs.assign(kind=runs[flag]), flag)
    if (family[flag] == without).any()
    for value, part in family.groupby(flag)
    if value != without
  ]


def _compared(
  title: str, runs: pd.DataFrame, kinds: tuple, by: Sequence[str] = ('target', 'method')
) -> Section:
  """Macro-F1 of runs of both kinds with the same `by` and seed, and the difference in points."""
  other = matched(runs, runs['kind'] == kinds[1], 'macro_f1', [*by, 'seed'])
  first = runs.assign(other=other, points=100 * (runs['macro_f1'] - other))[runs['kind'] == kinds[0]]
  both = first.dropna(subset=['points'])
  keys = list(dict.fromkeys([*by, 'method']))
  difference = f'{kinds[0]} − {kinds[1]}, points'
  cells = {
    'seeds': seeds,
    f'{kinds[0]}, macro-F1': spread_of('macro_f1', '.3f'),
    f'{kinds[1]}, macro-F1': spread_of('other', '.3f'),
    difference: spread_of('points', POINTS),
  }
  means = mean_rows(both, [key for key in keys if key != 'target'], {difference: ('points', POINTS)})
  caption = f'Of the seeds that both have. {TEXTS["spread"]} A mean of targets counts each target once.'
  return Section(title, caption, joined(rows(both, keys, cells), means))

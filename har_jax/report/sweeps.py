"""Tables of experiments that differ in one hyperparameter, and of a method against scratch. Needs no JAX."""

from collections.abc import Sequence

import pandas as pd

from har_jax.report import groups, published
from har_jax.report.markdown import Section, joined, mean_rows, rows, seeds, span_of, spread_of

_SPREAD = 'Mean ± sample standard deviation over seeds. Differences and ratios are paired by seed.'
# Flag → the value that turns it off.
_OFF = {
  'model_invariant_features': False,
  'continued_pretraining_steps': 0,
  'contrastive_steps': 0,
  'supervised_pretraining_steps': 0,
  'self_training': 0,
  'tta_shifts': 1,
}


def matched(runs: pd.DataFrame, others: pd.DataFrame, column: str, by: Sequence[str]) -> pd.Series:
  """For each run, the column of the other run with the same values `by`; missing where there is none."""
  values = others.set_index(list(by))[column]
  return pd.Series(values.reindex(pd.MultiIndex.from_frame(runs[list(by)])).to_numpy(), index=runs.index)


def matched_full(runs: pd.DataFrame, column: str, by: Sequence[str]) -> pd.Series:
  """For each run of another method, the column of the matching run of full fine-tuning."""
  is_full = runs['method'] == 'full'
  return matched(runs, runs[is_full], column, by).where(~is_full)


def table6(runs: pd.DataFrame) -> list[Section]:
  """Rank of LoRA: a section for each set of experiments that differ in rank alone."""
  by = ['target', 'lora_rank']
  cells = {
    'seeds': seeds,
    'macro-F1': spread_of('macro_f1', '.3f'),
    'training, s': spread_of('seconds', ',.1f'),
    'trainable': span_of('trained_parameters'),
    **published.cells(published.TABLE_VI, by, {'macro-F1': '.4f', 's': ',.0f'}),
  }
  return [
    _swept('Table VI. Rank of LoRA', family, rows(family, by, cells))
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
    **published.cells(published.TABLE_VII, ['target', 'method', 'label_budget'], {'accuracy': '.4f'}),
  }
  found = []
  for family in groups.families(runs, 'label_budget'):
    for column in ('accuracy', 'macro_f1'):
      full = matched_full(family, column, ['target', 'label_budget', 'seed'])
      family = family.assign(**{f'{column}_ratio': family[column] / full.where(full != 0)})
    table = rows(family, ['target', 'label_budget', 'method'], cells)
    found.append(_swept('Table VII. Labels', family, table))
  return found


def _swept(title: str, family: pd.DataFrame, table: pd.DataFrame) -> Section:
  free = ['label_budget'] if 'label_budget' in table else []
  notes = published.notes(table, "of the paper's own model, window-wise, 70 % of the windows, one run each")
  return Section(f'{title}: {groups.title(family, free)}', _SPREAD, table, notes)


def leakage(runs: pd.DataFrame) -> list[Section]:
  """Window-wise minus subject-wise split, all else equal but the windows that normalize."""
  found = []
  for family in groups.families(runs[runs['split'].isin(['subject', 'window'])], 'split', 'normalize'):
    window, subject = (family[family['split'] == split] for split in ('window', 'subject'))
    names = ('window-wise', 'subject-wise')
    found.append(_compared(f'Leakage: {groups.title(family, ["split"])}', window, subject, names))
  return found


def pretraining(runs: pd.DataFrame) -> list[Section]:
  """Full fine-tuning and LoRA minus the same model from scratch, by label budget."""
  found = []
  for family in groups.experiments(runs, ['label_budget']):
    scratch = family[family['method'] == 'scratch']
    if len(scratch):
      first = family[family['method'].isin(['full', 'lora'])]
      name = f"Pretraining's worth: {groups.title(family, ['label_budget'])}"
      found.append(_compared(name, first, scratch, ('pretrained', 'scratch'), ['target', 'label_budget']))
  return found


def ablation(runs: pd.DataFrame, flag: str, off: object) -> list[Section]:
  """A hyperparameter on minus off, all else equal: a section for each two such experiments."""
  found = []
  for family in groups.families(runs, flag):
    parts = dict(list(family.groupby(flag)))
    without = parts.pop(off, None)
    for value, part in parts.items() if without is not None else ():
      title = f'{flag} {value} − {off}: {groups.title(part)}'
      found.append(_compared(title, part, without, (f'{value}', f'{off}')))
  return found


def ablations(runs: pd.DataFrame) -> list[Section]:
  """All hyperparameters that experiments turn on, but rotation."""
  return [section for flag, off in _OFF.items() for section in ablation(runs, flag, off)]


def _compared(
  title: str,
  first: pd.DataFrame,
  second: pd.DataFrame,
  names: tuple[str, str],
  by: Sequence[str] = ('target', 'method'),
) -> Section:
  """Macro-F1 of runs and of those with the same values `by` and seed, and the difference in points."""
  other = matched(first, second, 'macro_f1', [*by, 'seed'])
  both = first.assign(other=other, points=100 * (first['macro_f1'] - other)).dropna(subset=['points'])
  keys = list(dict.fromkeys([*by, 'method']))
  difference = f'{names[0]} − {names[1]}, points'
  cells = {
    'seeds': seeds,
    f'{names[0]}, macro-F1': spread_of('macro_f1', '.3f'),
    f'{names[1]}, macro-F1': spread_of('other', '.3f'),
    difference: spread_of('points', '+.1f'),
  }
  means = mean_rows(both, [key for key in keys if key != 'target'], {difference: ('points', '+.1f')})
  caption = f'Of the seeds that both have. {_SPREAD} A mean of targets counts each target once.'
  return Section(title, caption, joined(rows(both, keys, cells), means))

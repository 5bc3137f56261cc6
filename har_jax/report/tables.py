"""The tables of results: what was run, Tables II to V, and all tables as Markdown. Needs no JAX."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import pandas as pd

from har_jax import config, results
from har_jax.report import commands, csv_table, groups, markdown, published, significance, sweeps
from har_jax.report.markdown import POINTS, TEXTS, Section, mean_rows, number, seeds, span_of, spread_of
from har_jax.storage import Place

DIFFERENCE = 'macro-F1 − full, points'
_MEASURES = {'accuracy': 'accuracy', 'macro-F1': 'macro_f1', 'precision': 'precision', 'recall': 'recall'}
_EMPTY = 'none'  # a hyperparameter that is an empty list
_NARROW = ['target', 'method', 'seeds', 'accuracy', 'macro-F1', DIFFERENCE]  # what a terminal shows


def text(sections: Mapping[str, list[Section]]) -> str:
  """All tables as Markdown."""
  return '\n'.join(markdown.markdown(part) for part in sections.values() if part)


def by_target(runs: pd.DataFrame, column: str = 'macro_f1') -> pd.DataFrame:
  """Method × target → mean over seeds; by mean of targets, the best first, and without one last."""
  wide = runs.groupby(['method', 'target'])[column].mean().unstack()
  return wide.loc[wide.mean(axis=1, skipna=False).sort_values(ascending=False, kind='stable').index]


def targets(runs: pd.DataFrame) -> Section:
  """Macro-F1 of each method on each target."""
  wide = by_target(runs)
  table = wide.map(lambda value: number(value, '.3f')).reset_index()
  return Section(f'Macro-F1: {groups.title(runs)}', 'Means over seeds.', table, best=list(wide))


def means(runs: pd.DataFrame) -> Section:
  """A row for each method, the best first: means of the targets' means; none where a target lacks."""
  cells = {
    'macro-F1': ('macro_f1', '.3f'),
    'accuracy': ('accuracy', '.3f'),
    'trained parameters': ('trained_parameters', ',.0f'),
    'training, s': ('seconds', ',.0f'),
  }
  if runs[results.AURC].notna().any():
    cells['AURC'] = (results.AURC, '.3f')
  table = pd.DataFrame(index=by_target(runs).index)
  for name, (column, form) in cells.items():
    table[name] = by_target(runs, column).mean(axis=1, skipna=False).map(partial(number, form=form))
  return Section('Means of the targets', '', table.reset_index(), best=('macro-F1', 'accuracy'))


def terminal(table2: Iterable[Section]) -> str:
  """Table II as plain text, without the widest columns."""
  return '\n\n'.join(
    f'{section.title}\n\n{markdown.tabulated(section.table.filter(_NARROW), "simple")}' for section in table2
  )


def configuration(runs: pd.DataFrame) -> list[Section]:
  """The hyperparameters that differ, those that do not and are not the default, the data, the machines."""
  differing = [flag for flag in groups.differing(runs) if flag not in ('label_budget', *results.ADAPTERS)]
  experiments = runs[['experiment', *differing]].drop_duplicates().astype('string').fillna(markdown.NONE)
  experiments = experiments.replace({'': _EMPTY})
  first = {name: next(iter(runs[name].dropna()), None) for name in config.HYPERPARAMETERS}
  changed = commands.differing(pd.Series(first, dtype=object), config.Experiment())
  common = [(flag, value or _EMPTY) for flag, value in changed.items() if runs[flag].nunique() == 1]
  same = pd.DataFrame(common, columns=['field', 'value'])
  count = {'runs': lambda groups: groups.size().map('{:,}'.format)}
  windows = {f'{part} windows': span_of(f'{part}_windows') for part in ('train', 'validation', 'test')}
  data = {'classes': span_of('num_classes')} | windows | {'test subjects': span_of('subjects')}
  data['pretrained on'] = lambda groups: groups['sources'].agg(lambda names: '; '.join(sorted(set(names))))
  hours = {'hours of training': lambda groups: (groups['seconds'].sum() / 3600).map('{:.1f}'.format)}
  runs = runs.assign(subjects=runs['subject_macro_f1'].str.split().str.len())
  datasets = markdown.rows(runs.sort_values(['target', 'split']), ['target', 'split'], data | count)
  machines = markdown.rows(runs.sort_values('device'), ['device', 'versions'], count | hours)
  return [
    Section('Experiments', 'Hyperparameters that differ, by the flags that set them.', experiments),
    Section('Common to all experiments', 'Hyperparameters that do not differ and are not the default.', same),
    Section('Data', 'Labeled windows of a seed; a range is over label budgets and seeds.', datasets),
    Section('Machines', '', machines),
  ]


def table2(experiments: Iterable[pd.DataFrame]) -> list[Section]:
  """Adaptation to the dataset left out of pretraining: a section for each experiment."""
  tables = []
  theirs = published.TABLE_II, published.RUN, {'accuracy': '.3f', 'macro-F1': '.3f'}
  for part in experiments:
    full = sweeps.matched_full(part, 'macro_f1', ['target', 'seed'])
    part = part.assign(points=100 * (part['macro_f1'] - full))
    difference = {DIFFERENCE: ('points', POINTS)} if part['points'].notna().any() else {}
    cells = {
      'seeds': seeds,
      **{name: spread_of(column, '.3f') for name, column in _MEASURES.items()},
      **{name: spread_of(*column, count=True) for name, column in difference.items()},
      'trainable': span_of('trained_parameters'),
      'total': span_of('total_parameters'),
      'training, s': lambda groups: groups['seconds'].mean().map(partial(number, form=',.1f')),
    }
    is_same_split = part['split'].iat[0] == published.SPLIT
    remark = (
      f'of {published.SOURCE}, window-wise split{"" if is_same_split else ", not comparable with this one"}'
    )
    table, notes = published.rows(part, ['target', 'method'], cells, theirs, remark)
    means = mean_rows(
      part, ['method'], {name: (measure, '.3f') for name, measure in _MEASURES.items()} | difference
    )
    notes += groups.not_run(part)
    notes += [note for method, note in TEXTS['kinds'].items() if method in set(part['method'])]
    title = f'Table II: {groups.title(part)}'
    tables.append(Section(title, TEXTS['figures'], markdown.joined(table, means), notes))
  return tables


def table3(runs: pd.DataFrame) -> list[Section]:
  """Trained and total parameters."""
  cells = {
    'classes': span_of('num_classes'),
    'trainable': span_of('trained_parameters'),
    'total': span_of('total_parameters'),
    'trainable fraction': span_of('percent', '{:.1f} %'),
  }
  theirs = published.TABLE_III, ['method'], {'trainable': ',', 'total': ','}
  caption = f'Of encoder, head and adapters; of a baseline, all numbers that were fitted. {TEXTS["range"]}'
  runs = runs.assign(percent=100 * runs['trained_parameters'] / runs['total_parameters'])
  return [Section('Table III. Parameters', caption, *_by_model(runs, ('model',), cells, theirs))]


def table4(runs: pd.DataFrame) -> list[Section]:
  """Bytes held."""
  parts = {'frozen': 'frozen', 'trainable': 'trainable', 'buffers': 'statistics', 'optimizer': 'optimizer'}
  cells = {f'{name}, MB': partial(_megabytes, column=f'{part}_bytes') for name, part in parts.items()}
  theirs = published.TABLE_IV, ['method'], {'frozen': '.2f', 'trainable': '.2f', 'buffers': '.2f'}
  table, notes = _by_model(runs, ('model', 'precision'), cells, theirs)
  notes += [TEXTS['memory_remark']] if notes else []
  return [Section('Table IV. Memory', f'{TEXTS["memory"]} {TEXTS["range"]}', table, notes)]


def _megabytes(groups: pd.api.typing.DataFrameGroupBy, column: str) -> list[str]:
  ends = zip(groups[column].min() / 2**20, groups[column].max() / 2**20, strict=True)
  return ['<0.01' if 0 < high < 0.005 else markdown.span(low, high, '{:.2f}') for low, high in ends]


def _by_model(
  runs: pd.DataFrame, parts: Sequence[str], cells: Mapping[str, markdown.Cell], theirs: published.Theirs
) -> tuple[pd.DataFrame, list[str]]:
  """`published.rows`, with the hyperparameters of these parts and of LoRA that differ as columns."""
  flags = [flag for flag, (part, _) in config.HYPERPARAMETERS.items() if part in (*parts, 'lora')]
  by = ['method', *groups.differing(runs, flags)]
  remark = "of the paper's model (--preset=paper), with a head for nine classes"
  return published.rows(groups.ordered(runs, by), by, cells, theirs, remark)


def table5(experiments: Iterable[pd.DataFrame]) -> list[Section]:
  """Seconds of training: a section for each experiment."""
  cells = {
    'seeds': seeds,
    'runs in a batch': span_of('batch_runs'),
    'training, s': spread_of('seconds', ',.1f'),
    '÷ full': spread_of('ratio', '.2f', count=True),
  }
  theirs = published.TABLE_V, published.RUN, {'s': ',.0f', '÷ full': '.2f'}
  remark = '50 epochs on their CPU, window-wise split; only the ratio compares'
  tables = []
  for part in experiments:
    full = sweeps.matched_full(part, 'seconds', ['target', 'seed', 'device', 'batch_runs'])
    part = part.assign(ratio=part['seconds'] / full)
    table, notes = published.rows(part, ['target', 'method'], cells, theirs, remark)
    tables.append(
      Section(f'Table V: {groups.title(part)}', TEXTS['seconds'], table, notes + groups.not_run(part))
    )
  return tables


def sections(runs: pd.DataFrame) -> dict[str, list[Section]]:
  """Name of each table → a section for each set of runs that may share it.

  Raises UserError if a run occurs twice.
  """
  main_runs = groups.without_sweeps(runs)
  experiments = groups.experiments(main_runs)
  return {
    'configuration': configuration(runs),
    '2': table2(experiments),
    '3': table3(runs),
    '4': table4(runs),
    '5': table5(experiments),
    '6': sweeps.table6(runs),
    '7': sweeps.table7(runs),
    'leakage': sweeps.leakage(main_runs),
    'pretraining': sweeps.pretraining(runs),
    'rotation': sweeps.ablations(runs, {'finetune_rotation_std_deg': 0.0}),
    'ablations': sweeps.ablations(runs),
    'statistics': significance.sections(experiments),
  }


def personalization(path: Place) -> Section:
  """personalization.csv: macro-F1 of test subjects before and after their own output layer."""
  subjects = csv_table.read(path)
  points = 100 * (subjects['macro_f1_after'] - subjects['macro_f1_before'])
  cells = {
    'seeds': seeds,
    'subjects and seeds': lambda groups: groups.size().map(str),
    'test windows': span_of('test_windows'),
    'before': spread_of('macro_f1_before', '.3f'),
    'after': spread_of('macro_f1_after', '.3f'),
    'after − before, points': spread_of('points', POINTS),
    'better': markdown.positive_of('points'),
  }
  by = ['experiment', 'label_budget', 'target', 'method', 'labels_per_class']
  caption = 'Macro-F1 of a subject under a seed, mean ± sample standard deviation over both.'
  return Section('Personalization', caption, markdown.rows(subjects.assign(points=points), by, cells))

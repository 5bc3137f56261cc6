"""The tables of results: what was run, Tables II to V, and all tables as Markdown. Needs no JAX.

Runs that differ in a hyperparameter or in their windows never share a row.
"""

from collections.abc import Callable, Sequence

import pandas as pd

from har_jax import config, config_fields, results
from har_jax.errors import UserError
from har_jax.report import frame, groups, markdown, published, significance, sweeps
from har_jax.report.markdown import Section, joined, mean_rows, megabytes, number, seeds, span_of, spread_of

_MEASURES = {'accuracy': 'accuracy', 'macro-F1': 'macro_f1', 'precision': 'precision', 'recall': 'recall'}
DIFFERENCE = 'macro-F1 − full, points'
_NARROW = ('target', 'method', 'seeds', 'accuracy', 'macro-F1', DIFFERENCE)  # what a terminal shows


def text(runs: pd.DataFrame, names: Sequence[str] = ('all',), *, with_published: bool = True) -> str:
  """The tables of these names (of TABLES, or 'all') as Markdown, in this order.

  Raises UserError for another name, and where one run occurs twice.
  """
  if unknown := [name for name in names if name not in (*TABLES, 'all')]:
    raise UserError(f'no table {", ".join(unknown)}; one of {", ".join(TABLES)}, all')
  chosen = TABLES if 'all' in names else dict.fromkeys(names)
  return '\n'.join(markdown.markdown(TABLES[name](runs, with_published)) for name in chosen)


def terminal(runs: pd.DataFrame) -> str:
  """Table II as plain text, without the widest columns."""
  parts = []
  for section in table2(groups.without_sweeps(runs), with_published=False):
    table = section.table[[name for name in _NARROW if name in section.table]]
    parts += [section.title, markdown.tabulated(table, 'simple')]
  return '\n\n'.join(parts)


# --- what was run


def configuration(runs: pd.DataFrame) -> list[Section]:
  """The hyperparameters that differ, those that do not and are not the default, the data, the machines."""
  differing = [flag for flag in groups.differing(runs) if flag not in ('label_budget', *results.ADAPTERS)]
  defaults = config_fields.to_json(config.Experiment())
  shared = [
    (flag, str(runs[flag].dropna().iat[0]), str(results.flat(defaults[part][name])))
    for flag, (part, name) in results.HYPERPARAMETERS.items()
    if runs[flag].nunique() == 1
  ]
  data = {
    'classes': span_of('num_classes'),
    **{f'{part} windows': span_of(f'{part}_windows') for part in ('train', 'validation', 'test')},
    'test subjects': lambda part: markdown.span(part['subject_macro_f1'].str.split().str.len()),
    'pretrained on': lambda part: '; '.join(sorted(set(part['sources']))),
    'runs': lambda part: f'{len(part):,}',
  }
  machines = {
    'runs': data['runs'],
    'hours of training': lambda part: f'{part["seconds"].sum() / 3600:.1f}',
  }
  return [
    Section(
      'Experiments',
      'Hyperparameters that differ, by the flags that set them.',
      runs[['experiment', *differing]].drop_duplicates().astype(str),
    ),
    Section(
      'Common to all experiments',
      'Hyperparameters that do not differ and are not the default.',
      pd.DataFrame(
        [(flag, value) for flag, value, default in shared if value != default], columns=['field', 'value']
      ),
    ),
    Section(
      'Data',
      'Labeled windows of a seed; a range is over label budgets and seeds.',
      markdown.rows(runs.sort_values(['target', 'split']), ['target', 'split'], data),
    ),
    Section('Machines', '', markdown.rows(runs.sort_values('device'), ['device', 'versions'], machines)),
  ]


# --- Table II


def table2(runs: pd.DataFrame, *, with_published: bool = True) -> list[Section]:
  """Adaptation to the dataset left out of pretraining: a section for each experiment."""
  return [_table2(part, with_published) for part in groups.experiments(runs)]


_FIGURES = (
  'Fractions of one, mean ± sample standard deviation over seeds. A seed draws its own split, so methods are '
  'compared by the difference in points, paired by seed. A mean of targets counts each target once.'
)


def _table2(part: pd.DataFrame, with_published: bool) -> Section:
  full = sweeps.relative(part, 'full', 'macro_f1', ['target', 'seed'])
  part = part.assign(points=100 * (part['macro_f1'] - full))
  difference = {DIFFERENCE: ('points', '+.1f')} if part['points'].notna().any() else {}
  cells = {
    'seeds': seeds,
    **{name: spread_of(column, '.3f') for name, column in _MEASURES.items()},
    **{name: spread_of(*column, count=True) for name, column in difference.items()},
    'trainable': span_of('trained_parameters'),
    'total': span_of('total_parameters'),
    'training, s': lambda of: f'{of["seconds"].mean():,.1f}',
    **({'published: accuracy / macro-F1 / precision / recall': _published} if with_published else {}),
  }
  table = markdown.rows(part, ['target', 'method'], cells)
  means = mean_rows(part, ['method'], {name: (of, '.3f') for name, of in _MEASURES.items()} | difference)
  remark = f'of {published.SOURCE}, window-wise split'
  remark += '' if part['split'].iat[0] == published.SPLIT else ', not comparable with this one'
  notes = [*published.notes(table, remark), *groups.not_run(part)]
  return Section(f'Table II: {groups.title(part)}', _FIGURES, joined(table, means), notes)


def _published(part: pd.DataFrame) -> str:
  theirs = _of_target(part, published.TABLE_II)
  return ' / '.join(f'{figure:.3f}' for figure in theirs.get(part['method'].iat[0], ())) or markdown.NONE


def _of_target(part: pd.DataFrame, table: dict) -> dict:
  """What is published of a target, by method, with the label budget of these runs."""
  is_theirs = part['label_budget'].iat[0] == str(published.LABELS)
  return table.get(published.name_of(part['target'].iat[0]), {}) if is_theirs else {}


# --- Tables III and IV: a row for each method, model and adapters


def table3(runs: pd.DataFrame, *, with_published: bool = True) -> list[Section]:
  """Trained and total parameters."""
  cells = {
    'classes': span_of('num_classes'),
    'trainable': span_of('trained_parameters'),
    'total': span_of('total_parameters'),
    'trainable fraction': lambda part: markdown.span(
      100 * part['trained_parameters'] / part['total_parameters'], '{:.1f} %'
    ),
  } | (_published_cells(published.TABLE_III, ('trainable', 'total'), ',') if with_published else {})
  table, notes = _by_model(runs, ('model',), cells)
  return [Section('Table III. Parameters', f'Of encoder, head and adapters. {_RANGE}', table, notes)]


def table4(runs: pd.DataFrame, *, with_published: bool = True) -> list[Section]:
  """Bytes held."""
  parts = {'frozen': 'frozen', 'trainable': 'trainable', 'buffers': 'statistics', 'optimizer': 'optimizer'}
  cells = {f'{name}, MB': _held(f'{part}_bytes') for name, part in parts.items()}
  theirs = _published_cells(published.TABLE_IV, tuple(parts)[:3], '.2f') if with_published else {}
  table, notes = _by_model(runs, ('model', 'precision'), cells | theirs)
  return [Section('Table IV. Memory', f'{_MEMORY} {_RANGE}', table, [*notes, *([_REMARK] if theirs else [])])]


_RANGE = 'A range is over targets, whose heads differ.'
_MEMORY = (
  'Megabytes (2²⁰ bytes) of arrays held, measured; without activations and gradients. Buffers are the '
  'statistics of BatchNorm.'
)
# Derived from the published counts: 2,636,105 and 428,832 weights of four bytes.
_REMARK = (
  "The published unit is not named; 2²⁰ bytes fit the published counts. LoRA's 10.06 'frozen' are all "
  '2,636,105 weights of four bytes, also the trainable ones; without those, 8.42 are frozen. QLoRA holds '
  '6.22 and buffers of 4.82, together 11.04 against 10.07 of LoRA: nothing was packed.'
)


def _held(column: str) -> markdown.Cell:
  return lambda part: megabytes(part[column])


def _published_cells(table: dict, names: Sequence[str], form: str) -> dict[str, markdown.Cell]:
  def cell(place: int) -> markdown.Cell:
    return lambda part: number(table.get(part['method'].iat[0], [float('nan')] * 3)[place], form)

  return {f'published {name}': cell(place) for place, name in enumerate(names)}


def _by_model(
  runs: pd.DataFrame, parts: Sequence[str], cells: dict[str, markdown.Cell]
) -> tuple[pd.DataFrame, list[str]]:
  """The table, with the hyperparameters that differ as columns, and its notes."""
  flags = [flag for flag, (part, _) in results.HYPERPARAMETERS.items() if part in (*parts, 'lora')]
  by = ['method', *groups.differing(runs, flags)]
  order = {name: place for place, name in enumerate(frame.methods(runs))}
  ordered = runs.sort_values(by, key=lambda column: column.map(order) if column.name == 'method' else column)
  table = markdown.rows(ordered, by, cells)
  return table, published.notes(table, "of the paper's model (--preset=paper), with a head for nine classes")


# --- Table V


def table5(runs: pd.DataFrame, *, with_published: bool = True) -> list[Section]:
  """Seconds of training: a section for each experiment."""
  return [_table5(part, with_published) for part in groups.experiments(runs)]


_SECONDS = (
  'Seconds of fine-tuning with validations, without pretraining: mean ± sample deviation over seeds. '
  'A ratio is paired by seed, of runs on the same device and with as many runs in a batch.'
)


def _table5(part: pd.DataFrame, with_published: bool) -> Section:
  full = sweeps.relative(part, 'full', 'seconds', ['target', 'seed', 'device', 'batch_runs'])
  cells = {
    'seeds': seeds,
    'runs in a batch': span_of('batch_runs'),
    'training, s': spread_of('seconds', ',.1f'),
    '÷ full': spread_of('ratio', '.2f', count=True),
  } | ({'published s': _seconds, 'published ÷ full': _published_ratio} if with_published else {})
  table = markdown.rows(part.assign(ratio=part['seconds'] / full), ['target', 'method'], cells)
  notes = published.notes(table, '50 epochs on their CPU, window-wise split; only the ratio compares')
  return Section(f'Table V: {groups.title(part)}', _SECONDS, table, [*notes, *groups.not_run(part)])


def _seconds(part: pd.DataFrame) -> str:
  return number(_of_target(part, published.TABLE_V).get(part['method'].iat[0], float('nan')), ',.0f')


def _published_ratio(part: pd.DataFrame) -> str:
  theirs, method = _of_target(part, published.TABLE_V), part['method'].iat[0]
  return f'{theirs[method] / theirs["full"]:.2f}' if method in theirs and method != 'full' else markdown.NONE


TABLES: dict[str, Callable[[pd.DataFrame, bool], list[Section]]] = {
  'configuration': lambda runs, _: configuration(runs),
  '2': lambda runs, theirs: table2(groups.without_sweeps(runs), with_published=theirs),
  '3': lambda runs, theirs: table3(runs, with_published=theirs),
  '4': lambda runs, theirs: table4(runs, with_published=theirs),
  '5': lambda runs, theirs: table5(groups.without_sweeps(runs), with_published=theirs),
  '6': lambda runs, theirs: sweeps.table6(runs, with_published=theirs),
  '7': lambda runs, theirs: sweeps.table7(runs, with_published=theirs),
  'leakage': lambda runs, _: sweeps.leakage(groups.without_sweeps(runs)),
  'pretraining': lambda runs, _: sweeps.pretraining(runs),
  'rotation': lambda runs, _: sweeps.rotation(runs),
  'ablations': lambda runs, _: sweeps.ablations(runs),
  'statistics': lambda runs, _: significance.sections(groups.without_sweeps(runs)),
}

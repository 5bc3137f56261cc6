"""What stands next to the table of all runs: bench.csv and personalization.csv, as tables. Needs no JAX."""

import pandas as pd

from har_jax.report.markdown import NONE, Section, number, rows, seeds, span_of, spread_of
from har_jax.storage import Place


def personalization(path: Place) -> Section:
  """Macro-F1 of test subjects before and after training on some of their own windows."""
  with path.open(encoding='utf-8') as file:
    subjects = pd.read_csv(file)
  points = 100 * (subjects['macro_f1_after'] - subjects['macro_f1_before'])
  cells = {
    'seeds': seeds,
    'subjects and seeds': lambda part: str(len(part)),
    'test windows': span_of('test_windows'),
    'before': spread_of('macro_f1_before', '.3f'),
    'after': spread_of('macro_f1_after', '.3f'),
    'after − before, points': spread_of('points', '+.1f'),
    'better': lambda part: f'{(part["points"] > 0).sum()} of {len(part)}',
  }
  table = rows(subjects.assign(points=points), ['experiment', 'target', 'method', 'labels_per_class'], cells)
  caption = 'Macro-F1 of a subject under a seed, mean ± sample standard deviation over both.'
  return Section('Personalization', caption, table)


def benchmarks(path: Place) -> list[Section]:
  """bench.csv, a section for each experiment: steps, or how their cost grows along a dimension."""
  with path.open(encoding='utf-8') as file:
    measured = pd.read_csv(file, dtype={'batch': 'Int64', 'size': 'Int64'})
  return [_section(str(name), part) for name, part in measured.groupby('experiment')]


def _section(name: str, part: pd.DataFrame) -> Section:
  (device, versions) = part[['device', 'versions']].iloc[0]
  is_scaling = part['dimension'].notna().all()
  by = ('kind', 'dimension', 'size') if is_scaling else ('kind', 'batch', 'by')
  columns = {column: part[column].astype(str) for column in by}
  columns['ms a window' if is_scaling else 'ms'] = [
    f'{ms:.4g} ({low:.4g} to {high:.4g})'
    for ms, low, high in part[['ms', 'ms_low', 'ms_high']].itertuples(index=False)
  ]
  forms = {
    'ratio': '.2f',
    'windows_s': ',.0f',
    'gflop_s': ',.0f',
    'product_fraction': '.2f',
    'compile_s': '.1f',
  }
  columns |= {column: [number(value, form) for value in part[column]] for column, form in forms.items()}
  table = pd.DataFrame(columns)
  kept = table[[column for column in table if (table[column] != NONE).any()]]
  return Section(name, _CAPTION, kept, [f'{device}. {versions}.'])


_CAPTION = (
  'Medians and quartiles of interleaved calls. ratio: time over that of the first row of the kind and batch; '
  'product_fraction: GFLOP/s over that of the fastest plain float32 product of the same turns.'
)

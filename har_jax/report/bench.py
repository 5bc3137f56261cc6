"""Measurements of `har-jax bench`, and of results/bench.csv, as Markdown tables."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from har_jax import results
from har_jax.report import csv_table
from har_jax.report.markdown import NONE, Section, number
from har_jax.storage import Place

Row = dict[str, Any]

_NAMES = {'step': '{kind}', 'batch': '{batch}', 'by': '{by}'}
_SPEED = {
  'ms': '{ms:.1f} ({ms_quartiles[0]:.1f} to {ms_quartiles[1]:.1f})',
  'windows/s': '{windows_s:.0f}',
  'GFLOP/s': '{gflop_s:.0f}',
}
_COST = {
  'of a product': '{fraction_of_product:.0%}',
  'compile, s': '{compile_s:.1f}',
  'temporary, MB': '{temporary_mb:.1f}',
  'peak resident so far, MB': '{peak_resident_mb:.0f}',
}
_FASTEST = {
  'fastest of theirs ÷ ours': '{against_best:.2f} ({best})',
  'of the same precision': '{against_best_same_precision:.2f} ({best_same_precision})',
}
_FORMS = {
  'ratio': '.2f',
  'windows_s': ',.0f',
  'gflop_s': ',.0f',
  'product_fraction': '.2f',
  'compile_s': '.1f',
}
_CAPTION = (
  'Medians and quartiles of interleaved calls. ratio: time over that of the first row of the kind and batch; '
  'product_fraction: GFLOP/s over that of the fastest plain float32 product of the same turns.'
)


def markdown(bench: Row) -> str:
  """A row for each kind of step, batch size and library."""
  ours = [row for row in bench['steps'] if row['by'].partition(',')[0] == 'har_jax']
  parts = [
    'Times are for one step or one epoch. Rates count the operations of our matrix products. Efficiency is '
    'relative to the fastest plain float32 product.',
    table(ours, _NAMES | _SPEED | _COST),
  ]
  if len(ours) < len(bench['steps']):
    parts += [
      '## Against other libraries',
      'A ratio is the median over turns of their time divided by ours: above one, ours is faster.',
      table(ours, _NAMES | _FASTEST),
      'All of them; here ratios are to the first of ours.',
      table(bench['steps'], _NAMES | _SPEED | {'ratio': '{ratio:.2f}'}),
    ]
  return document('Training steps: time, and efficiency relative to a plain matrix product', bench, *parts)


def sections(path: Place) -> list[Section]:
  """bench.csv, a section for each experiment: steps, or how their cost grows along a dimension."""
  measured = csv_table.read(path, {'batch': 'Int64', 'size': 'Int64'})
  return [_section(str(name), part) for name, part in measured.groupby('experiment')]


def _section(name: str, part: pd.DataFrame) -> Section:
  is_scaling = part['dimension'].notna().all()
  by = ['kind', 'dimension', 'size'] if is_scaling else ['kind', 'batch', 'by']
  times = part[['ms', 'ms_low', 'ms_high']].itertuples(index=False)
  columns = {
    'ms a window' if is_scaling else 'ms': [f'{ms:.4g} ({low:.4g} to {high:.4g})' for ms, low, high in times],
    **{column: [number(value, form) for value in part[column]] for column, form in _FORMS.items()},
  }
  table = part[by].astype(str).assign(**columns)
  kept = table[[column for column in table if (table[column] != NONE).any()]]
  return Section(name, _CAPTION, kept, ['. '.join(part[['device', 'versions']].iloc[0]) + '.'])


def table(rows: Sequence[Row], columns: Mapping[str, str]) -> str:
  """Markdown. columns: heading → format of a row's fields; of a field x_bytes there is x_mb (2²⁰ bytes)."""
  if not rows:
    return 'Not measured.'
  cells = [{heading: _cell(form, row) for heading, form in columns.items()} for row in rows]
  return pd.DataFrame(cells).to_markdown(index=False, disable_numparse=True)


def _cell(form: str, row: Row) -> str:
  sizes = {f'{name[:-6]}_mb': size / 2**20 for name, size in row.items() if name.endswith('_bytes')}
  try:
    return form.format(**row, **sizes)
  except TypeError:  # a number that is None
    return '–'


def document(title: str, bench: Row, *parts: str) -> str:
  """Markdown of measurements: title, device and versions, then the parts."""
  versions = ', '.join(f'{name} {version}' for name, version in bench['versions'].items())
  device = results.device_text(bench['device'])
  measured = f'{device}. {versions}. Medians and quartiles of interleaved calls.'
  return '\n\n'.join([f'# {title}', measured, *parts]) + '\n'

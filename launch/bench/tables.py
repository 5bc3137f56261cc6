"""Measurements of this folder, and of results/bench.csv, as Markdown. Needs no JAX."""

import pathlib
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from har_jax import records
from har_jax.report import csv_table, published
from har_jax.report.markdown import NONE, Section, intervals, number
from har_jax.storage import Place

Row = dict[str, Any]

TEXTS = tomllib.loads(pathlib.Path(__file__).with_name('texts.toml').read_text('utf-8'))
_COLUMNS = TEXTS['columns']
_SIZES = ['frozen', 'trainable', 'buffers', 'optimizer', 'temporary']
_COSTS = ['ms_window', 'operations_window']
_FORMS = {
  'ratio': '.2f',
  'against_best': '.2f',
  'windows_s': ',.0f',
  'gflop_s': ',.0f',
  'product_fraction': '.2f',
  'compile_s': '.1f',
}


def steps(bench: Row) -> str:
  """A row for each kind of step, batch size and library."""
  every, by = [row | {'step': row['kind']} for row in bench['steps']], ['step', 'batch', 'by']
  ours = [row for row in every if row['by'].partition(',')[0] == 'har_jax']
  text = _document('steps', bench, ours=_table(ours, by, _COLUMNS['speed'] | _COLUMNS['cost']))
  if len(ours) == len(every):
    return text
  ratios = _table(every, by, _COLUMNS['speed'] | {'ratio': '{ratio:.2f}'})
  return text + TEXTS['peers'].format(fastest=_table(ours, by, _COLUMNS['fastest']), every=ratios)


def nf4(bench: Row) -> str:
  """Matrices, training steps, and the paper's Table IV with ours."""
  matrices = [
    row
    | {'matrix': '×'.join(map(str, row['shape']))}
    | {'rate': f'{row["gflop_s"]:.0f} GFLOP/s' if 'gflop_s' in row else f'{row["gbyte_s"]:.1f} GB/s'}
    for row in bench['matrices']
  ]
  theirs = {('paper', *key): ' / '.join(map('{:.2f}'.format, row)) for key, row in published.TABLE_IV.items()}
  memory = [
    row
    | {name: f'{row[name] / 2**20:.2f}' for name in _SIZES}
    | {'published': theirs.get((row['preset'], row['method']), NONE)}
    for row in bench['memory']
  ]
  return _document(
    'nf4',
    bench,
    matrices=_table(matrices, ['operation', 'matrix', 'format'], _COLUMNS['matrix']),
    steps=_table(bench['steps'], ['method', 'batch'], _COLUMNS['step']),
    kernels_mb=bench['two_kernels_bytes'] / 2**20,
    memory=_table(memory, ['preset', 'method', *_SIZES, 'published']),
  )


def scaling(bench: Row) -> str:
  """Growth of time and operations along each dimension, and every size measured."""
  frame = pd.DataFrame(bench['scaling'])
  first = frame.sort_values('size').groupby(['step', 'dimension'])[_COSTS].transform('first')
  sizes = frame.join((frame[_COSTS] / first).add_suffix('_ratio'))
  return _document(
    'scaling',
    bench,
    growth=_table(growth(bench['scaling']), ['step', 'dimension'], _COLUMNS['growth']),
    sizes=_table(sizes.to_dict('records'), ['step', 'dimension', 'size'], _COLUMNS['sizes']),
  )


def growth(rows: list[Row]) -> list[Row]:
  """Powers of the size by which time and operations grow, for each step and dimension. Least squares."""
  tables = []
  for (step, dimension), part in pd.DataFrame(rows).groupby(['step', 'dimension'], sort=False):
    if len(part) > 1:
      logs = np.log(part[['size', *_COSTS]])
      powers = logs.cov()['size'] / logs['size'].var()
      ends = {'from': part['size'].min(), 'to': part['size'].max()}
      tables.append({'step': step, 'dimension': dimension, **ends, **powers.drop('size')})
  return tables


def sections(path: Place) -> list[Section]:
  """bench.csv, a section for each experiment and device: steps, or how their cost grows along a dimension."""
  measured = csv_table.read(path, {'batch': 'Int64', 'size': 'Int64'})
  parts = measured.groupby(['experiment', 'device'], sort=False)
  return [_section(str(name), part) for (name, _), part in sorted(parts, key=lambda part: part[0])]


def _section(name: str, part: pd.DataFrame) -> Section:
  is_scaling = part['dimension'].notna().all()
  by = ['kind', 'dimension', 'size'] if is_scaling else ['kind', 'batch', 'by']
  columns = {
    'ms a window' if is_scaling else 'ms': intervals(part[['ms', 'ms_low', 'ms_high']], '.4g'),
    **{column: [number(value, form) for value in part[column]] for column, form in _FORMS.items()},
  }
  table = part[by].astype(str).assign(**columns)
  shown = table.loc[:, (table != NONE).any()]
  return Section(name, TEXTS['bench'], shown, ['. '.join(part[['device', 'versions']].iloc[0]) + '.'])


def _table(rows: Sequence[Row], by: Sequence[str], columns: Mapping[str, str] | None = None) -> str:
  """Markdown: fields `by` as they are, then the columns."""
  if not rows:
    return 'Not measured.'
  cells = [
    {name: row[name] for name in by} | {name: _cell(form, row) for name, form in (columns or {}).items()}
    for row in rows
  ]
  return pd.DataFrame(cells).to_markdown(index=False, disable_numparse=True)


def _cell(form: str, row: Row) -> str:
  sizes = {f'{name[:-6]}_mb': size / 2**20 for name, size in row.items() if name.endswith('_bytes')}
  try:
    return form.format(**row, **sizes)
  except TypeError:  # a number that is None
    return NONE


def _document(name: str, bench: Row, **parts: Any) -> str:
  """A text with device, versions and the parts filled in."""
  versions = ', '.join(f'{name} {version}' for name, version in bench['versions'].items())
  device = str(records.Device(**bench['device']))
  machine = f'{device}. {versions}. Medians and quartiles of interleaved calls.'
  return TEXTS[name].format(machine=machine, **parts)

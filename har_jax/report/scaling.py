"""Measurements of `har-jax bench --scaling` as Markdown and as a figure."""

from typing import Any

import numpy as np
import pandas as pd

from har_jax.report import figures
from har_jax.report import svg as elements
from har_jax.report.bench import Row, document, table

# Dimension → the label of its axis.
_AXES = {'width': 'width', 'tokens': 'tokens per window', 'batch': 'batch size', 'runs': 'runs per batch'}
_COSTS = ['ms_window', 'operations_window']
_NAMES = {'step': '{step}', 'dimension': '{dimension}'}
_GROWTH = {
  'sizes': '{from} to {to}',
  'p of time': '{ms_window:.2f}',
  'p of operations': '{operations_window:.2f}',
}
_SIZES = {
  'size': '{size}',
  'ms per window': '{ms_window:.3g} ({ms_window_quartiles[0]:.3g} to {ms_window_quartiles[1]:.3g})',
  '÷ first': '{ms_window_ratio:.2f}',
  'operations ÷ first': '{operations_window_ratio:.2f}',
  'GFLOP/s': '{gflop_s:.0f}',
}


def markdown(bench: Row) -> str:
  """How time and operations grow along each dimension, and every size measured."""
  frame = pd.DataFrame(bench['scaling'])
  first = frame.sort_values('size').groupby(['step', 'dimension'])[_COSTS].transform('first')
  sizes = frame.join((frame[_COSTS] / first).add_suffix('_ratio')).to_dict('records')
  return document(
    'How the cost of a window grows',
    bench,
    'Operations are those of matrix products. The rest of the experiment is in scaling.json.',
    'Growth as a power p, size^p, fitted to all sizes of a dimension. If the power of time is smaller, larger'
    ' sizes are more efficient.',
    table(growth(bench['scaling']), _NAMES | _GROWTH),
    table(sizes, _NAMES | _SIZES),
  )


def growth(rows: list[Row]) -> list[Row]:
  """For each step and dimension, the powers of the size by which time and operations grow. Least squares."""
  found = []
  for (step, dimension), part in pd.DataFrame(rows).groupby(['step', 'dimension'], sort=False):
    if len(part) > 1:
      logs = np.log(part[['size', *_COSTS]])
      powers = logs.cov()['size'] / logs['size'].var()
      ends = {'from': part['size'].min(), 'to': part['size'].max()}
      found.append({'step': step, 'dimension': dimension, **ends, **powers.drop('size')})
  return found


def svg(bench: Row) -> str:
  """An SVG file with a panel for each dimension: milliseconds per window over the size. Deterministic."""
  rows = pd.DataFrame(bench['scaling']).sort_values('size')
  size = (2.7 * rows['dimension'].nunique() + 0.7, 3.6)
  return elements.file(elements.render(_draw, rows, named=('scaling', 'Cost of a window'), size=size))


def _draw(figure: Any, rows: pd.DataFrame) -> None:
  """Times of each step, and dashed: in proportion to operations, from the first."""
  from matplotlib.ticker import LogLocator

  dimensions = [name for name in _AXES if name in set(rows['dimension'])]
  scales = {'xscale': 'log', 'yscale': 'log'}
  panels = figure.subplots(1, len(dimensions), sharey=True, squeeze=False, subplot_kw=scales)[0]
  for panel, dimension in zip(panels, dimensions, strict=True):
    shown = rows[rows['dimension'] == dimension]
    for step, found in shown.groupby('step'):
      sizes, times, operations = found[['size', *_COSTS]].to_numpy().T
      errors = np.abs(np.array(found['ms_window_quartiles'].to_list()).T - times)
      color, marker = figures.style(step)
      look = {'color': color, 'marker': marker, 'capsize': 3}
      panel.errorbar(sizes, times, errors, **look, label=f'{step}, median and quartiles')
      panel.plot(
        sizes, times[0] * operations / operations[0], '--', color=color, label=f'{step}, by operations'
      )
    panel.set_xticks(sorted(set(shown['size'])), labels=map(str, sorted(set(shown['size']))))
    panel.xaxis.minorticks_off()
    panel.set_xlabel(_AXES[dimension])
  panels[0].yaxis.set(major_locator=LogLocator(subs=(1, 2, 5)), major_formatter='{x:g}', minor_formatter='')
  panels[0].set_ylabel('ms per window')
  figure.legend(*panels[0].get_legend_handles_labels(), loc='outside lower center', ncols=2)

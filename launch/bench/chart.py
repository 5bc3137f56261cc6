"""The figure of how the cost of a window grows. Needs no JAX."""

from typing import Any

import numpy as np
import pandas as pd

from har_jax.report import figures
from har_jax.report.figures import style

# Dimension of `--scaling` → the label of its axis.
_AXES = {'width': 'width', 'tokens': 'tokens per window', 'batch': 'batch size', 'runs': 'runs per batch'}


def scaling(bench: dict[str, Any]) -> str:
  """An SVG file with a panel for each dimension: milliseconds per window over the size. Deterministic."""
  rows = pd.DataFrame(bench['scaling']).sort_values('size')
  size = (2.7 * rows['dimension'].nunique() + 0.7, 3.6)
  return figures.as_file(figures.render(_draw, rows, named=('scaling', 'Cost of a window'), size=size))


def _draw(figure: Any, rows: pd.DataFrame) -> None:
  """A panel for each dimension: times of each step, and dashed in proportion to operations."""
  from matplotlib.ticker import LogLocator

  dimensions = [name for name in _AXES if name in set(rows['dimension'])]
  scales = {'xscale': 'log', 'yscale': 'log'}
  panels = figure.subplots(1, len(dimensions), sharey=True, squeeze=False, subplot_kw=scales)[0]
  for panel, dimension in zip(panels, dimensions, strict=True):
    shown = rows[rows['dimension'] == dimension]
    for step, part in shown.groupby('step'):
      sizes, times, operations = part[['size', 'ms_window', 'operations_window']].to_numpy().T
      errors = np.abs(np.array(part['ms_window_quartiles'].to_list()).T - times)
      expected = times[0] * operations / operations[0]
      color, marker = style(step)
      look = {'color': color, 'marker': marker, 'capsize': 3}
      panel.errorbar(sizes, times, errors, **look, label=f'{step}, median and quartiles')
      panel.plot(sizes, expected, '--', color=color, label=f'{step}, by operations')
    panel.set_xticks(sorted(set(shown['size'])), labels=map(str, sorted(set(shown['size']))))
    panel.xaxis.minorticks_off()
    panel.set_xlabel(_AXES[dimension])
  panels[0].yaxis.set(major_locator=LogLocator(subs=(1, 2, 5)), major_formatter='{x:g}', minor_formatter='')
  panels[0].set_ylabel('ms per window')
  figure.legend(*panels[0].get_legend_handles_labels(), loc='outside lower center', ncols=2)

"""Measurements of `har-jax bench --scaling` as Markdown and as a figure, which needs matplotlib."""

from typing import Any

import numpy as np
import pandas as pd

from har_jax.report.bench import Row, machine, table
from har_jax.report.svg import refuse_without_matplotlib, to_text

# Dimension → the label of its axis.
_AXES = {
  'width': 'token width',
  'tokens': 'tokens per window',
  'batch': 'batch size',
  'runs': 'runs per batch',
}
# Step → its name, color (palette of Okabe and Ito, safe for color-blind readers) and marker.
_STEPS = {'lora': ('LoRA', '#0072b2', 'o'), 'pretraining': ('pretraining', '#d55e00', 's')}
_NAMES = {'step': '{step}', 'dimension': '{dimension}'}
_GROWTH = {
  'sizes': '{from} to {to}',
  'p of time': '{ms_window:.2f}',
  'p of operations': '{operations_window:.2f}',
}
_SIZES = {
  'size': '{size}',
  'ms per window': '{ms_window:.3g} ({ms_window_quartiles[0]:.3g} to {ms_window_quartiles[1]:.3g})',
  '÷ first': '{ms_ratio:.2f}',
  'operations ÷ first': '{operations_ratio:.2f}',
  'GFLOP/s': '{gflop_s:.0f}',
}


def markdown(bench: Row) -> str:
  """How time and operations grow along each dimension, and every size measured."""
  parts = [
    '# How the cost of a window grows',
    f'{machine(bench)} {_fixed(bench["experiment"])} Medians and quartiles of interleaved calls. Operations '
    'are those of matrix products.',
    'Growth as a power p, size^p, fitted to all sizes of a dimension. If the power of time is smaller, larger'
    ' sizes are more efficient.',
    table(growth(bench['scaling']), _NAMES | _GROWTH),
    table(_with_ratios(bench['scaling']), _NAMES | _SIZES),
  ]
  return '\n\n'.join(parts) + '\n'


def growth(rows: list[Row]) -> list[Row]:
  """For each step and dimension, the powers of the size by which time and operations grow. Least squares."""
  found = []
  for (step, dimension), part in pd.DataFrame(rows).groupby(['step', 'dimension'], sort=False):
    if len(part) > 1:
      logs = np.log(part[['size', 'ms_window', 'operations_window']])
      powers = logs.cov()['size'] / logs['size'].var()
      ends = {'from': part['size'].min(), 'to': part['size'].max()}
      found.append({'step': step, 'dimension': dimension, **ends, **powers.drop('size')})
  return found


def _with_ratios(rows: list[Row]) -> list[Row]:
  """Relative to the smallest size of the step and dimension."""
  frame = pd.DataFrame(rows)
  columns = {'ms_window': 'ms_ratio', 'operations_window': 'operations_ratio'}
  first = frame.sort_values('size').groupby(['step', 'dimension'])[list(columns)].transform('first')
  return frame.join((frame[list(columns)] / first).rename(columns=columns)).to_dict('records')


def _fixed(experiment: Row) -> str:
  """The values of what is not varied."""
  model = experiment['model']
  return (
    f'Unless varied: width {model["width"]}, MLP {model["mlp_dim"]}, patch size {model["patch_size"]}, '
    f'depth {model["depth"]}, batch {experiment["finetune"]["batch"]} for LoRA and '
    f'{experiment["pretrain"]["batch"]} for pretraining, {experiment["precision"]["dtype"]}.'
  )


def svg(bench: Row) -> str:
  """An SVG file with a panel for each dimension: milliseconds per window over the size. Deterministic.

  Raises UserError if matplotlib is not installed.
  """
  refuse_without_matplotlib()
  import matplotlib
  from matplotlib.figure import Figure

  rows = pd.DataFrame(bench['scaling'])
  dimensions = [name for name in _AXES if name in set(rows['dimension'])]
  with matplotlib.rc_context({'svg.hashsalt': 'har_jax', 'svg.fonttype': 'none'}):
    figure = Figure(figsize=(2.7 * len(dimensions) + 0.7, 3.6), layout='constrained', facecolor='white')
    panels = figure.subplots(1, len(dimensions), sharey=True, squeeze=False)[0]
    for panel, dimension in zip(panels, dimensions, strict=True):
      _draw(panel, rows[rows['dimension'] == dimension].sort_values('size'))
      panel.set_xlabel(_AXES[dimension])
    panels[0].set_ylabel('ms per window')
    figure.legend(*panels[0].get_legend_handles_labels(), loc='outside upper center', ncols=4, frameon=False)
    return to_text(figure)


def _draw(panel: Any, rows: pd.DataFrame) -> None:
  """Times of each step, and dashed: in proportion to operations, from the first."""
  ticks = sorted(set(rows['size']))
  panel.set(xscale='log', yscale='log')
  for step, (name, color, marker) in _STEPS.items():
    found = rows[rows['step'] == step]
    if found.empty:
      continue
    sizes, times, operations = found[['size', 'ms_window', 'operations_window']].to_numpy().T
    errors = np.abs(np.array(found['ms_window_quartiles'].to_list()).T - times)
    style = {'color': color, 'marker': marker, 'capsize': 3}
    panel.errorbar(sizes, times, errors, **style, label=f'{name}, median and quartiles')
    expected = times[0] * operations / operations[0]
    panel.plot(sizes, expected, '--', color=color, label=f'{name}, by operations')
  panel.set_xticks(ticks, labels=map(str, ticks))
  panel.xaxis.minorticks_off()
  panel.margins(x=0.1)
  panel.grid(alpha=0.25)

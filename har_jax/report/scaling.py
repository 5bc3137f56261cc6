"""Measurements of `launch/bench.py --scaling` as Markdown and as a figure, which needs matplotlib."""

from typing import Any

import numpy as np
import pandas as pd

from har_jax.report.bench import NOTHING, machine, numbers, table, with_quartiles
from har_jax.report.svg import refuse_without_matplotlib, to_text

# Dimension → the label of its axis.
_AXES = {
  'width': 'token width',
  'tokens': 'tokens per window',
  'batch': 'windows per batch',
  'runs': 'runs per batch',
}
# Step → its name, color (palette of Okabe and Ito, safe for color-blind readers) and marker.
_STEPS = {'lora': ('LoRA', '#0072b2', 'o'), 'pretraining': ('pretraining', '#d55e00', 's')}


def markdown(bench: dict[str, Any]) -> str:
  """How time and operations grow along each dimension, and every size measured."""
  rows, fitted = pd.DataFrame(bench['scaling']), growth(bench['scaling'])
  parts = [
    '# How the cost of a window grows',
    f'{machine(bench)} {_fixed(bench["experiment"])} Medians and quartiles of interleaved calls. Operations '
    'are those of matrix products.',
    'Growth as a power p, size^p, fitted to all sizes of a dimension. If the power of time is smaller, larger'
    ' sizes are more efficient.',
    table(_powers(pd.DataFrame(fitted))) if fitted else NOTHING,
    table(_sizes(rows)) if len(rows) else NOTHING,
  ]
  return '\n\n'.join(parts) + '\n'


def growth(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
  """For each step and dimension, the powers of the size by which time and operations grow. Least squares."""
  found = []
  for (step, dimension), part in pd.DataFrame(rows).groupby(['step', 'dimension'], sort=False):
    if len(part) > 1:
      logs = np.log(part[['size', 'ms_window', 'operations_window']])
      powers = logs.cov()['size'] / logs['size'].var()
      ends = {'from': part['size'].min(), 'to': part['size'].max()}
      found.append({'step': step, 'dimension': dimension, **ends, **powers.drop('size')})
  return found


def _powers(rows: pd.DataFrame) -> dict[str, Any]:
  return {
    'step': rows['step'],
    'dimension': rows['dimension'],
    'sizes': [f'{low} to {high}' for low, high in zip(rows['from'], rows['to'], strict=True)],
    'p of time': numbers(rows['ms_window'], '.2f'),
    'p of operations': numbers(rows['operations_window'], '.2f'),
  }


def _sizes(rows: pd.DataFrame) -> dict[str, Any]:
  measured = rows.sort_values('size').groupby(['step', 'dimension'])[['ms_window', 'operations_window']]
  ratios = rows[['ms_window', 'operations_window']] / measured.transform('first')
  return {
    'step': rows['step'],
    'dimension': rows['dimension'],
    'size': rows['size'],
    'ms per window': with_quartiles(rows, 'ms_window', '.3g'),
    '÷ first': numbers(ratios['ms_window'], '.2f'),
    'operations ÷ first': numbers(ratios['operations_window'], '.2f'),
    'GFLOP/s': numbers(rows['gflop_s'], '.0f'),
  }


def _fixed(experiment: dict[str, Any]) -> str:
  """The values of what is not varied."""
  model = experiment['model']
  return (
    f'Unless varied: width {model["width"]}, MLP {model["mlp_dim"]}, patch size {model["patch_size"]}, '
    f'depth {model["depth"]}, batch {experiment["finetune"]["batch"]} for LoRA and '
    f'{experiment["pretrain"]["batch"]} for pretraining, {experiment["precision"]["dtype"]}.'
  )


def svg(bench: dict[str, Any]) -> str:
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
    handles = {
      label: line for panel in panels for line, label in zip(*panel.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles, loc='outside upper center', ncols=len(handles), frameon=False)
    return to_text(figure)


def _draw(panel: Any, rows: pd.DataFrame) -> None:
  """Times of each step, and dashed: in proportion to operations, from the first."""
  ticks = sorted(set(rows['size']))
  panel.set(xscale='log', yscale='log')
  for step, (name, color, marker) in _STEPS.items():
    found = rows[rows['step'] == step]
    if found.empty:
      continue
    sizes, times, operations = (found[key].to_numpy() for key in ('size', 'ms_window', 'operations_window'))
    errors = np.abs(np.array(found['ms_window_quartiles'].to_list()).T - times)
    panel.errorbar(
      sizes, times, errors, color=color, marker=marker, capsize=3, label=f'{name}, median and quartiles'
    )
    panel.plot(
      sizes, times[0] * operations / operations[0], '--', color=color, label=f'{name}, by operations'
    )
  panel.set_xticks(ticks, labels=map(str, ticks))
  panel.minorticks_off()
  panel.margins(x=0.1)
  panel.grid(alpha=0.25)

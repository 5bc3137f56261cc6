"""The measurements of launch/bench.py --scaling as Markdown and as a picture. Needs no JAX; the picture needs matplotlib."""

import importlib.util
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from har_jax.errors import UserError
from har_jax.report.bench import Column, machine, table

Row = dict[str, Any]

# Dimension → the label of its axis.
_AXES = {
  'width': 'width of a token',
  'tokens': 'tokens of a window',
  'batch': 'windows of a batch',
  'runs': 'runs side by side',
}
# Step → its name, color (of Okabe and Ito's palette, told apart by color-blind readers too), and marker (on paper).
_STEPS = {'lora': ('LoRA', '#0072b2', 'o'), 'pretraining': ('pretraining', '#d55e00', 's')}


def markdown(bench: dict[str, Any]) -> str:
  """How time and operations grow along each dimension, and every size measured."""
  rows = bench['scaling']
  return (
    '\n\n'.join(
      [
        '# How the cost of a window grows',
        f'{machine(bench)} {_described(bench["experiment"])} Medians and quartiles; the sizes of a dimension were measured in turn. '
        'Operations are those of matrix products.',
        'Growth as a power p, size^p, fitted to all sizes of a dimension. Where time has the smaller power, larger is more efficient.',
        table(growth(rows), _GROWTH),
        table([row | _over_first(row, rows) for row in rows], _SIZES),
      ]
    )
    + '\n'
  )


def growth(rows: Sequence[Row]) -> list[Row]:
  """For each step and dimension the powers of the size that a window's time and operations grow with, by least squares."""
  found = []
  for step, dimension in dict.fromkeys((row['step'], row['dimension']) for row in rows):
    along = _along(rows, step, dimension)
    if len(along) > 1:
      powers = {name: _power(along, name) for name in ('ms_window', 'operations_window')}
      sizes = [row['size'] for row in along]
      found.append({'step': step, 'dimension': dimension, 'from': min(sizes), 'to': max(sizes), **powers})
  return found


def _power(along: Sequence[Row], name: str) -> float:
  logs = np.log([[row['size'], row[name]] for row in along])
  x, y = (logs - logs.mean(axis=0)).T
  return float(x @ y / (x @ x))


def _along(rows: Sequence[Row], step: str, dimension: str) -> list[Row]:
  """The rows of a step and a dimension, from the smallest size."""
  return sorted(
    (row for row in rows if (row['step'], row['dimension']) == (step, dimension)), key=lambda row: row['size']
  )


def _over_first(row: Row, rows: Sequence[Row]) -> Row:
  first = _along(rows, row['step'], row['dimension'])[0]
  return {
    'ms_growth': row['ms_window'] / first['ms_window'],
    'operations_growth': row['operations_window'] / first['operations_window'],
  }


def _described(experiment: dict[str, Any]) -> str:
  """What stays the same where it is not what varies."""
  model = experiment['model']
  return (
    f'Unless varied: width {model["width"]}, feed-forward {model["mlp_dim"]}, patches of {model["patch"]} samples, {model["blocks"]} blocks, '
    f'batch {experiment["finetune"]["batch"]} for LoRA and {experiment["pretrain"]["batch"]} for pretraining, '
    f'{experiment["precision"]["dtype"]}.'
  )


def refuse_without_matplotlib() -> None:
  """Raises UserError where there is nothing to draw with."""
  if importlib.util.find_spec('matplotlib') is None:
    raise UserError("the picture needs matplotlib: pip install matplotlib, or 'har_jax[report]'")


def svg(bench: dict[str, Any]) -> str:
  """A panel for each dimension: milliseconds a window over the size. The same measurements give the same text.

  Raises UserError where matplotlib is missing.
  """
  refuse_without_matplotlib()
  import matplotlib

  # Letters stay text, to be found and read aloud; the salt makes names within the file the same every time.
  with matplotlib.rc_context({'svg.hashsalt': 'har_jax', 'svg.fonttype': 'none'}):
    written = io.StringIO()
    figure(bench).savefig(written, format='svg', metadata={'Date': None})
  return written.getvalue()


def figure(bench: dict[str, Any]) -> Any:
  """The picture as a matplotlib Figure."""
  from matplotlib.figure import Figure
  from matplotlib.lines import Line2D

  rows = bench['scaling']
  dimensions = [name for name in _AXES if any(row['dimension'] == name for row in rows)]
  drawn = Figure(figsize=(2.7 * len(dimensions) + 0.7, 3.6), layout='constrained', facecolor='white')
  panels = drawn.subplots(1, len(dimensions), sharey=True, squeeze=False)[0]
  for panel, dimension in zip(panels, dimensions, strict=True):
    _draw(panel, rows, dimension)
  panels[0].set_ylabel('milliseconds a window')
  steps = [name for name in _STEPS if any(row['step'] == name for row in rows)]
  handles = [
    Line2D([], [], color=color, marker=marker, markersize=5, label=f'{name}, median and quartiles')
    for name, color, marker in (_STEPS[step] for step in steps)
  ]
  handles.append(
    Line2D(
      [], [], color='0.4', linestyle='--', linewidth=1, label='in proportion to operations, from the first'
    )
  )
  drawn.legend(handles=handles, loc='outside upper center', ncols=len(handles), frameon=False)
  return drawn


def _draw(panel: Any, rows: Sequence[Row], dimension: str) -> None:
  from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

  panel.set_xscale('log')
  panel.set_yscale('log')
  ticks = sorted({row['size'] for row in rows if row['dimension'] == dimension})
  for step, (_, color, marker) in _STEPS.items():
    if not (along := _along(rows, step, dimension)):
      continue
    sizes = np.array([row['size'] for row in along])
    times = np.array([row['ms_window'] for row in along])
    low, high = np.array([row['ms_window_quartiles'] for row in along]).T
    operations = np.array([row['operations_window'] for row in along])
    panel.plot(sizes, times[0] * operations / operations[0], '--', color=color, linewidth=1, alpha=0.8)
    panel.errorbar(
      sizes, times, [times - low, high - times], color=color, marker=marker, markersize=5, capsize=3
    )
  panel.set_xlabel(_AXES[dimension])
  panel.set_xticks(ticks, labels=[str(size) for size in ticks])
  panel.xaxis.set_minor_locator(NullLocator())
  margin = (ticks[-1] / ticks[0]) ** 0.1 if len(ticks) > 1 else 2.0
  panel.set_xlim(ticks[0] / margin, ticks[-1] * margin)
  panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
  panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f'{value:g}'))
  panel.yaxis.set_minor_formatter(NullFormatter())
  panel.grid(alpha=0.25, linewidth=0.6)
  panel.spines[['top', 'right']].set_visible(False)


def _timed(row: Row) -> str:
  low, high = row['ms_window_quartiles']
  return f'{row["ms_window"]:.3g} ({low:.3g} to {high:.3g})'


_NAMED: dict[str, Column] = {'step': lambda row: row['step'], 'dimension': lambda row: row['dimension']}
_GROWTH = _NAMED | {
  'sizes': lambda row: f'{row["from"]} to {row["to"]}',
  'p of time': lambda row: f'{row["ms_window"]:.2f}',
  'p of operations': lambda row: f'{row["operations_window"]:.2f}',
}
_SIZES = _NAMED | {
  'size': lambda row: str(row['size']),
  'ms a window': _timed,
  '÷ first': lambda row: f'{row["ms_growth"]:.2f}',
  'operations ÷ first': lambda row: f'{row["operations_growth"]:.2f}',
  'GFLOP/s': lambda row: f'{row["gflop_s"]:.0f}',
}

"""Figures of results, each drawn on an empty matplotlib figure, and as SVG elements in the page's text color.

Colors: palette of Okabe and Ito, safe for color-blind readers. Each method also has its own marker.
"""

import html
import io
import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from har_jax import escaping
from har_jax.report import frame

INK = '#010203'  # drawn in this color, shown in the page's: currentColor
_BLUE, _VERMILION, _GREEN, _PURPLE = '#0072b2', '#d55e00', '#009e73', '#cc79a7'
_ORANGE, _SKY = '#e69f00', '#56b4e9'
# Method → color and marker. These colors have a contrast of 3 with white and with near-black.
_METHODS = {'full': (_BLUE, 'o'), 'lora': (_VERMILION, 's'), 'qlora': (_GREEN, '^')}
_METHODS |= {'probe': (_PURPLE, 'v'), 'scratch': (INK, 'D')}
_OTHERS = ((_ORANGE, 'P'), (_SKY, 'X'))
_MARKERS = 'os^vDP*X<>ph'
_LEGEND_ROWS, _LEGEND_ROW_INCHES = 4, 0.2  # more rows make the figure higher, not its panel lower
_MOST_NUMBERS = 12  # domains; with more, the numbers in the cells cannot be read
_LABEL = {'textcoords': 'offset points', 'va': 'center', 'annotation_clip': False}
_STYLE: Any = {
  'svg.fonttype': 'none',  # text stays text: small, searchable, read by screen readers
  'font.sans-serif': ['DejaVu Sans'],
  'font.size': 9,
  'text.parse_math': False,  # a $ in a name is a $
  'axes.facecolor': 'none',
  'axes.spines.top': False,
  'axes.spines.right': False,
  'axes.grid': True,
  'grid.alpha': 0.2,
  'legend.frameon': False,
  'lines.markersize': 5,
} | dict.fromkeys(
  ('text.color', 'axes.edgecolor', 'axes.labelcolor', 'xtick.color', 'ytick.color', 'grid.color'), INK
)
_NO_METADATA = dict.fromkeys(('Creator', 'Date', 'Format', 'Type'))


def render(
  draw: Callable[..., None], *data: Any, named: tuple[str, str], size: tuple[float, float] = (4.4, 3.2)
) -> str:
  """Calls `draw(figure, *data)` on an empty figure of `size` inches. Deterministic.

  named: a prefix of the element's ids, unique in the page, and a title for screen readers.
  """
  import matplotlib
  from matplotlib.figure import Figure

  written = io.StringIO()
  name, title = re.sub(r'[^\w-]+', '-', named[0]), html.escape(named[1])
  with matplotlib.rc_context(_STYLE | {'svg.hashsalt': name}):
    figure = Figure(figsize=size, layout='constrained', facecolor='none')
    draw(figure, *data)
    with warnings.catch_warnings():
      warnings.filterwarnings('ignore', 'Glyph', UserWarning)  # the reader's font may have it
      figure.savefig(written, format='svg', metadata=_NO_METADATA)
  text = escaping.xml_text(written.getvalue())
  element = text[text.index('<svg ') :].replace(INK, 'currentColor')
  element = re.sub(r'<g id="[^"]*"', '<g', element)  # the same names in every figure
  tag, _, content = element.partition('>')
  return f'{tag} role="img" aria-labelledby="{name}-title"><title id="{name}-title">{title}</title>{content}'


def as_file(element: str) -> str:
  """An element as an SVG file of its own, on white."""
  return element.replace('<svg ', '<svg style="background: white" ', 1)


def style(method: str) -> tuple[str, str]:
  """A method's color and marker; for an unknown method, chosen by its name."""
  return _METHODS.get(method) or _OTHERS[sum(method.encode()) % len(_OTHERS)]


def means(figure: Any, scores: pd.DataFrame) -> None:
  """Draws method × target, from the top: a mark per target, and the mean of methods that have all targets."""
  panel = figure.subplots()
  for index, target in enumerate(scores):
    marker = _MARKERS[index % len(_MARKERS)]
    panel.plot(
      scores[target], scores.index, marker, color=INK, markerfacecolor='none', alpha=0.6, label=target
    )
  for method, mean in scores.mean(axis=1, skipna=False).dropna().items():
    panel.plot(mean, method, '|', color=_VERMILION, markersize=16, markeredgewidth=3, label=f'_{method}')
    panel.annotate(f'{mean:.3f}', (1, method), xytext=(6, 0), xycoords=('axes fraction', 'data'), **_LABEL)
  panel.plot([], [], '|', color=_VERMILION, markersize=9, markeredgewidth=3, label='mean of targets')
  panel.locator_params(axis='x', nbins=5)
  panel.set(xlabel='macro-F1, test', ylim=(len(scores) - 0.5, -0.5))
  _legend(figure, most_columns=3)


def learning_curves(figure: Any, runs: pd.DataFrame, title: str) -> None:
  """Validation macro-F1 over steps: thin lines for seeds; thick their mean, up to the last common step."""
  panel = figure.subplots()
  for method in frame.methods(runs):
    color, marker = style(method)
    results = runs.loc[runs['method'] == method, 'result']
    histories = [pd.Series({entry.step: entry.macro_f1 for entry in result.validation}) for result in results]
    for history in histories:
      panel.plot(history, color=color, linewidth=0.7, alpha=0.45)
    mean = pd.concat(histories, axis=1, join='inner').mean(axis=1).sort_index()
    panel.plot(mean, color=color, marker=marker, label=method)
  panel.set(xlabel='step', ylabel='macro-F1, validation', title=title)
  _legend(figure)


def sweep(figure: Any, points: pd.DataFrame, title: str, x: str, y: str) -> None:
  """points: columns line, method, x, mean, std (a band). Lines without std are published: dashed."""
  panel = figure.subplots()
  panel.xaxis.update_units([f'{value:g}' for value in sorted(set(points['x']))])
  for line, part in points.sort_values('x').groupby('line', sort=False):
    color, marker = style(part['method'].iloc[0])
    labels = [f'{value:g}' for value in part['x']]
    dashed = {'linestyle': '--', 'markerfacecolor': 'none'} if part['std'].isna().all() else {}
    panel.plot(labels, part['mean'], color=color, marker=marker, label=line, **dashed)
    low, high = part['mean'] - part['std'].fillna(0), part['mean'] + part['std'].fillna(0)
    panel.fill_between(labels, low, high, color=color, alpha=0.18, linewidth=0)
  panel.set(xlabel=x, ylabel=y, title=title)
  _legend(figure, most_columns=2)


def pareto(figure: Any, points: pd.DataFrame, cost: str) -> None:
  """points: columns target, method, cost, mean, std. Filled: Pareto-optimal for the target, a grey line."""
  from matplotlib.ticker import EngFormatter, LogLocator

  panel = figure.subplots()
  panel.set_xscale('log')
  panel.xaxis.set(major_locator=LogLocator(subs=(1, 2, 5)), minor_formatter='')
  panel.xaxis.set_major_formatter(EngFormatter(sep=''))  # powers of ten would be formulas
  ends = {}
  for target, part in points.sort_values(['cost', 'mean'], ascending=[True, False]).groupby('target'):
    panel.plot(part['cost'], part['mean'], color=INK, linewidth=0.7, alpha=0.4, zorder=0, label=f'_{target}')
    ends[target] = part['mean'].iloc[-1]
    optimal = part['mean'] > part['mean'].cummax().shift(fill_value=-np.inf)  # than all that cost less
    for point, is_optimal in zip(part.itertuples(), optimal, strict=True):
      color, marker = style(point.method)
      face = color if is_optimal else 'none'
      panel.errorbar(point.cost, point.mean, point.std, color=color, elinewidth=0.7, alpha=0.5)
      panel.plot(point.cost, point.mean, marker, color=color, markerfacecolor=face, label=f'_{point.method}')
  y, top = panel.get_ylim()
  spacing = 0.06 * (top - y)
  for target in sorted(ends, key=ends.__getitem__):
    y = max(ends[target], y + spacing)  # names do not overlap
    panel.annotate(target, (points['cost'].max(), y), xytext=(8, 0), **_LABEL)
  for method in frame.methods(points):
    color, marker = style(method)
    panel.plot([], [], marker, color=color, label=method)
  if points['cost'].nunique() == 1:  # ticks on both sides
    panel.set_xlim(points['cost'].iloc[0] / 2, points['cost'].iloc[0] * 2)
  panel.set(xlabel=cost, ylabel='macro-F1, test')
  _legend(figure)


def confusion(figure: Any, counts: pd.DataFrame, title: str) -> None:
  """Rows are true classes, columns predictions, in percent of the row; blue is right, orange is wrong."""
  from matplotlib.colors import to_rgb

  totals = counts.sum(axis=1)
  fractions = counts.div(totals.clip(lower=1), axis=0).to_numpy()
  colors = np.where(np.eye(len(fractions), dtype=bool)[..., None], to_rgb(_BLUE), to_rgb(_ORANGE))
  opacity = np.where(fractions > 0, 0.1 + 0.4 * fractions, 0.03)  # text stays readable
  centers = np.arange(len(fractions)) + 0.5
  panel = figure.subplots()
  panel.pcolormesh(np.dstack([colors, opacity]))
  for (row, column), fraction in np.ndenumerate(fractions):
    panel.text(column + 0.5, row + 0.5, percent(fraction), ha='center', va='center')
  panel.set_yticks(centers, labels=[f'{name} ({total:,})' for name, total in totals.items()])
  panel.set_xticks(centers, labels=counts.columns, rotation=90)
  panel.set(title=title, xlabel='predicted', ylabel='true (windows)', aspect='equal')
  panel.invert_yaxis()
  panel.grid(False)


def percent(fraction: float) -> str:
  """Percentage, rounded, but never to 0 or 100 unless it is; nothing for 0."""
  if 0 < fraction < 0.005 or 0.995 <= fraction < 1:
    return '<1' if fraction < 0.5 else '>99'
  return f'{100 * fraction:.0f}' if fraction else ''


def rank_diagram(figure: Any, ranks: Any) -> None:
  """Critical-difference diagram: mean ranks on a scale, a bar over methods that do not differ."""
  panel = figure.subplots()
  count, bars = len(ranks.mean_ranks), len(ranks.cliques)
  for number, clique in enumerate(ranks.cliques, start=1):
    ends = ranks.mean_ranks[[clique[0], clique[-1]]]
    panel.plot(ends.to_numpy(), [-number] * 2, color=_VERMILION, linewidth=3.5)
  for number, (method, rank) in enumerate(ranks.mean_ranks[::-1].items(), start=1):
    y = -bars - number  # the best lowest, so that no line crosses a name
    panel.plot([rank, rank], [0, y], color=INK, linewidth=0.8, label=f'_{method}')
    panel.annotate(f'{method} {rank:.2f}', (rank, y), xytext=(4, 0), **_LABEL)
  end = 1 + min(ranks.critical_difference, count - 1)
  panel.plot([1, end], [0.7, 0.7], color=INK, marker='|', linewidth=1.5, label='_critical difference')
  panel.annotate(f'critical difference {ranks.critical_difference:.2f}', (1, 1), va='bottom')
  panel.set(xlim=(0.8, count + 0.6), ylim=(-bars - count - 0.7, 2.2), xticks=range(1, count + 1), yticks=[])
  panel.spines['left'].set_visible(False)
  panel.set_xlabel('mean rank, 1 is best')
  panel.grid(False)


def domains(figure: Any, scores: pd.DataFrame) -> None:
  """A cell for each domain trained up to and domain tested on, with its percent where they can be read."""
  names = list(scores)
  panel = figure.subplots()
  shown = panel.imshow(scores, vmin=0, vmax=1, cmap='viridis')
  panel.set_xticks(range(len(names)), names, rotation=60, ha='right')
  panel.set_yticks(range(len(names)), names)
  panel.set(xlabel='tested on', ylabel='trained up to')
  panel.grid(visible=False)
  for (row, column), value in np.ndenumerate(scores.to_numpy() if len(names) <= _MOST_NUMBERS else []):
    if not np.isnan(value):
      color = 'black' if value > 0.6 else 'white'
      panel.text(column, row, f'{100 * value:.0f}', ha='center', va='center', color=color)
  figure.colorbar(shown, label='macro-F1')


def _legend(figure: Any, most_columns: int = 4) -> None:
  labels = figure.axes[0].get_legend_handles_labels()[1]
  for columns in range(min(most_columns, len(labels)), 0, -1):  # as many as fit
    legend = figure.legend(loc='outside lower center', ncols=columns, markerscale=1.3)
    if columns == 1 or legend.get_window_extent().width <= figure.bbox.width:
      break
    legend.remove()
  more_rows = max(-(-len(labels) // columns) - _LEGEND_ROWS, 0)
  figure.set_figheight(figure.get_figheight() + more_rows * _LEGEND_ROW_INCHES)

"""Pictures of results as SVG, for a page light or dark. The same results give the same text. Needs no JAX; needs matplotlib.

Colors are of Okabe and Ito's palette, told apart by color-blind readers too, and each has a marker of its own.
`name` begins every id within an SVG.
"""

import dataclasses
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from har_jax.report import vector
from har_jax.report.vector import INK

Result = dict[str, Any]

_BLUE, _VERMILION, _GREEN, _PURPLE, _ORANGE, _SKY = (
  '#0072b2',
  '#d55e00',
  '#009e73',
  '#cc79a7',
  '#e69f00',
  '#56b4e9',
)
# Method → color and marker. Of the palette those that have three times the contrast of white and of near-black.
_METHODS = {
  'full': (_BLUE, 'o'),
  'lora': (_VERMILION, 's'),
  'qlora': (_GREEN, '^'),
  'probe': (_PURPLE, 'v'),
  'scratch': (INK, 'D'),
}
_OTHERS = ((_ORANGE, 'P'), (_SKY, 'X'))
_CLASSES = (_BLUE, _VERMILION, _GREEN, _PURPLE, _ORANGE, _SKY, INK)
_MARKERS = 'os^vDP*X<>ph'
_MOST = 600  # windows of an embedding
_GAP_SHARE, _DIGIT_SHARE = 0.02, 0.023  # of an axis, that a tick's label takes and each of its digits
CHANNELS = ('acc x', 'acc y', 'acc z', 'gyro x', 'gyro y', 'gyro z')


@dataclasses.dataclass(frozen=True)
class Line:
  """Of a sweep: a method's measurements, or published ones."""

  method: str
  x: list[float | int]
  y: list[float | int]
  deviation: list[float] | None = (
    None  # over seeds, nought where there is one; None: published, one figure each
  )

  @property
  def label(self) -> str:
    return self.method if self.deviation is not None else f'{self.method}, published'


def learning_curves(runs: Mapping[str, Mapping[int, Result]], name: str, *, target: str) -> str:
  """Validation macro-F1 over steps: of each method (→ seed → result) the mean, thin lines for the seeds.

  The mean ends with the seed that ends first: beyond, it would jump.
  """
  told = []
  for method, by_seed in runs.items():
    steps, means = _mean_curve(list(by_seed.values()))
    if steps:
      told.append(
        f'{method}: {means[0]:.3f} at step {steps[0]}, {means[-1]:.3f} at step {steps[-1]}, mean of {len(by_seed)}'
      )

  def draw(figure: Any) -> None:
    panel = figure.subplots()
    for method, by_seed in runs.items():
      color, marker = style(method)
      for run in by_seed.values():
        history = run['validation']
        steps, scores = [each['step'] for each in history], [each['macro_f1'] for each in history]
        panel.plot(steps, scores, color=color, linewidth=0.7, alpha=0.45)
      panel.plot(*_mean_curve(list(by_seed.values())), color=color, marker=marker, label=method)
    panel.set(xlabel='step', ylabel='macro-F1, validation', title=target)
    _legend(figure, len(runs))

  return vector.svg(
    draw, name, title=f'Learning curves of {target}', description=f'Validation macro-F1. {"; ".join(told)}.'
  )


def _mean_curve(runs: Sequence[Result]) -> tuple[list[int], list[float]]:
  """At the steps that all have."""
  scores = [{each['step']: each['macro_f1'] for each in run['validation']} for run in runs]
  steps = sorted(set(scores[0]).intersection(*scores[1:]))
  return steps, [statistics.mean(of_run[step] for of_run in scores) for step in steps]


@dataclasses.dataclass(frozen=True)
class Point:
  """A target and method: means over seeds, and the deviation of the score."""

  target: str
  method: str
  cost: float | int
  score: float
  deviation: float


def pareto(points: Sequence[Point], name: str, *, cost: str) -> str:
  """Macro-F1 over a cost on a logarithmic axis, a grey line a target; filled is what nothing else of its target beats."""
  targets = list(dict.fromkeys(point.target for point in points))
  told = '; '.join(
    f'{point.target}, {point.method}: {point.score:.3f} at {point.cost:,.4g}' for point in points
  )

  def draw(figure: Any) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    panel = figure.subplots()
    panel.set_xscale('log')
    # Not as powers of ten, which are formulas.
    panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
    panel.xaxis.set_minor_formatter(NullFormatter())
    for point in points:
      color, marker = style(point.method)
      face = color if is_best(point, points) else 'none'
      panel.errorbar(point.cost, point.score, point.deviation, color=color, elinewidth=0.7, alpha=0.5)
      panel.plot(point.cost, point.score, marker=marker, color=color, markerfacecolor=face)
    ends = []
    for target in targets:
      along = sorted((point.cost, point.score) for point in points if point.target == target)
      panel.plot(*zip(*along, strict=True), color=INK, linewidth=0.7, alpha=0.4, zorder=0)
      ends.append((*along[-1], target))
    _label_ends(panel, ends)
    if len({point.cost for point in points}) == 1:
      # A bar of errors comes back from a logarithmic axis a rounding apart from its point, and the limits with it.
      panel.set_xlim(points[0].cost / 2, points[0].cost * 2)
    panel.set(xlabel=cost, ylabel='macro-F1, test')
    methods = list(dict.fromkeys(point.method for point in points))
    _legend(figure, len(methods), [_handle(method) for method in methods])

  return vector.svg(draw, name, title=f'Macro-F1 against {cost}', description=f'{told}.')


def _short(value: float) -> str:
  """20k, 1M."""
  for unit, sign in ((1e6, 'M'), (1e3, 'k')):
    if value >= unit:
      return f'{value / unit:g}{sign}'
  return f'{value:g}'


def is_best(point: Point, points: Sequence[Point]) -> bool:
  """Whether no other of its target is as good for less, or better for as little."""
  return not any(
    other.cost <= point.cost
    and other.score >= point.score
    and (other.cost, other.score) != (point.cost, point.score)
    for other in points
    if other.target == point.target
  )


def _label_ends(panel: Any, ends: Sequence[tuple[float | int, float, str]]) -> None:
  """Names right of the lines' ends, moved upward where two would lie on each other."""
  low, high = panel.get_ylim()
  gap, lowest = 0.06 * (high - low), -math.inf
  edge = max(x for x, _, _ in ends)
  for _, y, name in sorted(ends, key=lambda end: end[1]):
    lowest = max(y, lowest + gap)
    panel.annotate(
      name, (edge, lowest), xytext=(8, 0), textcoords='offset points', va='center', annotation_clip=False
    )


def sweep(
  lines: Sequence[Line],
  name: str,
  *,
  title: str,
  x: str,
  y: str,
  ticks: Sequence[float | int],
  logarithmic: bool,
) -> str:
  """A line a method with a band of ± SD; published ones dashed and hollow."""
  told = '; '.join(
    f'{line.label}: {", ".join(f"{value:.3f} at {place:g}" for place, value in zip(line.x, line.y, strict=True))}'
    for line in lines
  )

  def draw(figure: Any) -> None:
    panel = figure.subplots()
    for line in lines:
      color, marker = style(line.method)
      dashed = {'linestyle': '--', 'markerfacecolor': 'none'} if line.deviation is None else {}
      panel.plot(line.x, line.y, color=color, marker=marker, label=line.label, **dashed)
      if line.deviation is not None and any(line.deviation):
        center, deviation = np.array(line.y), np.array(line.deviation)
        panel.fill_between(
          line.x, center - deviation, center + deviation, color=color, alpha=0.18, linewidth=0
        )
    if logarithmic:
      panel.set_xscale('log')
      panel.minorticks_off()
    panel.set_xticks(ticks, labels=_apart(ticks, logarithmic=logarithmic))
    panel.set(xlabel=x, ylabel=y, title=title)
    _legend(figure, min(len(lines), 2))

  return vector.svg(draw, name, title=f'{y} of {title} over {x}', description=f'{y} over {x}. {told}.')


def _apart(ticks: Sequence[float | int], *, logarithmic: bool) -> list[str]:
  """Their labels, none of which would touch the next: the last has one, and one too near it has none."""
  places = np.log(ticks) if logarithmic else np.array(ticks, dtype=float)
  span = float(np.ptp(places))
  labels: list[str] = []
  last = np.inf
  for tick, place in reversed(list(zip(ticks, places, strict=True))):
    label = f'{tick:g}'
    near = last - place < span * (_GAP_SHARE + _DIGIT_SHARE * len(label))
    labels.append('' if near else label)
    last = last if near else place
  return labels[::-1]


def embedding(picture: dict[str, Any], when: str, name: str) -> str:
  """Windows in the plane, `before` or `after` adaptation, a color and marker a class."""
  every = thinned(picture)
  labels = np.array(picture['label'][::every])
  places = np.array(picture[when][::every], dtype=float)

  def draw(figure: Any) -> None:
    panel = figure.subplots()
    for number, called in enumerate(picture['classes']):
      x, y = places[labels == number].T
      panel.scatter(
        x,
        y,
        s=11,
        color=_CLASSES[number % len(_CLASSES)],
        marker=_MARKERS[number % len(_MARKERS)],
        linewidths=0.25,
        edgecolors=INK,
        label=called,
      )
    panel.set(xticks=[], yticks=[], title=f'{when} adaptation')
    panel.spines[['left', 'bottom']].set_visible(False)
    _legend(figure, 3)

  return vector.svg(
    draw,
    name,
    size=(4.4, 4.4),
    title=f'Embedding of {picture["target"]} {when} adaptation by {picture["method"]}',
    description=f'{len(labels)} windows of the classes {", ".join(picture["classes"])} in the plane.',
  )


def thinned(picture: dict[str, Any]) -> int:
  """Every so many windows are drawn: more would make the page heavy and show nothing else."""
  return max(1, math.ceil(len(picture['label']) / _MOST))


def reconstruction(window: dict[str, Any], patch_size: int, name: str) -> str:
  """A window's six channels, and within the hidden tokens, which are shaded, what the model made of the rest."""
  signal = np.array(window['signal'], dtype=float)
  hidden = np.repeat(np.array(window['hidden'], dtype=bool), patch_size)
  guessed = np.where(hidden[:, None], np.array(window['reconstructed'], dtype=float), np.nan)
  error = float(np.nanmean((guessed - signal) ** 2)) if hidden.any() else 0.0
  of = ', '.join(window[name] for name in ('dataset', 'activity') if name in window)

  def draw(figure: Any) -> None:
    panels = figure.subplots(len(CHANNELS), 1, sharex=True)
    for channel, panel in enumerate(panels):
      for token in np.flatnonzero(window['hidden']):
        panel.axvspan(
          token * patch_size - 0.5, (token + 1) * patch_size - 0.5, color=INK, alpha=0.1, linewidth=0
        )
      (true,) = panel.plot(signal[:, channel], color=INK, linewidth=0.8)
      (made,) = panel.plot(guessed[:, channel], color=_VERMILION, linewidth=1.6, linestyle=(0, (3, 1)))
      panel.set_ylabel(CHANNELS[channel], rotation_std_deg=0, ha='right', va='center')
      panel.locator_params(axis='y', nbins=3)
    panels[-1].set_xlabel('sample')
    panels[0].set_title(of)
    figure.legend([true, made], ['signal', 'made by the model'], loc='outside lower center', ncols=2)

  return vector.svg(
    draw,
    name,
    size=(4.4, 5.6),
    title=f'A window of {of} and its reconstruction',
    description=f'{int(sum(window["hidden"]))} of {len(window["hidden"])} tokens hidden; mean squared error there {error:.3f}.',
  )


def deviation(values: Sequence[float | int]) -> float:
  """Over seeds; nought of one."""
  return statistics.stdev(values) if len(values) > 1 else 0.0


def style(method: str) -> tuple[str, str]:
  """A method's color and marker; of a method not known here, one by its name."""
  return _METHODS.get(method) or _OTHERS[sum(method.encode()) % len(_OTHERS)]


def _handle(method: str) -> Any:
  from matplotlib.lines import Line2D

  color, marker = style(method)
  return Line2D([], [], color=color, marker=marker, linestyle='none', label=method)


def _legend(figure: Any, columns: int, handles: Sequence[Any] | None = None) -> None:
  named = {} if handles is None else {'handles': handles}
  figure.legend(
    loc='outside lower center',
    ncols=min(columns, 4),
    handletextpad=0.4,
    columnspacing=1.2,
    markerscale=1.3,
    **named,
  )

"""Pictures: a timeline with a color per activity, and a recording as measured; a row per day or file."""

import collections
import contextlib
import dataclasses
import io
import textwrap
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from har_jax import escaping
from har_jax.signal.recording import LOCOMOTION
from har_jax.timeline.bouts import NOT_WORN, UNKNOWN, Bout, Clock, Strip, cut_at_midnight, minutes_by_activity

if TYPE_CHECKING:
  import pandas as pd
  from matplotlib.figure import Figure

# Okabe and Ito's palette, readable with color blindness. An activity's color is its own; more are hatched.
COLORS = ('#e69f00', '#56b4e9', '#009e73', '#f0e442', '#0072b2', '#d55e00', '#cc79a7', '#000000')
_HATCHES = ('', '////', '....', 'xxxx')
_STYLE: Any = {
  'svg.fonttype': 'none',  # letters stay text
  'svg.hashsalt': 'timeline',
  'font.family': 'sans-serif',
  'font.sans-serif': ['DejaVu Sans'],
  'text.parse_math': False,  # activity names may contain a $
  'font.size': 9,
  'hatch.linewidth': 0.6,
}
_WIDTH, _ROW, _MARGIN, _LINE = 9.0, 0.45, 1.3, 0.15  # inches
_LEGEND = 0.8  # inches that the margin has for it
_FILE_ROW, _FILE_MARGIN = 1.6, 0.9  # of a recording as measured
_MOST_FILES, _MOST_POINTS = 12, 2000
_GAP_S = 10.0  # a line is broken where windows are further apart
_LINE_LETTERS, _MOST_LINES = 130, 50  # of warnings
_TICKS_MIN = (1, 2, 5, 10, 15, 30, 60, 120, 180, 240)
_MAX_TICKS = 12


@dataclasses.dataclass(frozen=True)
class Picture:
  """Bouts on a clock, with doubts about the recording below them. The same arguments give the same bytes.

  marks: stretches to label, each a triangle above its row.
  """

  bouts: Sequence[Bout]
  clock: Clock
  classes: Sequence[str]
  doubts: Sequence[str] = ()
  marks: Sequence[Bout] = ()

  def draw(self) -> 'Figure':
    """The picture as a figure of Matplotlib."""
    from matplotlib.patches import Patch

    clock = self.clock
    strips = [strip for bout in self.bouts for strip in cut_at_midnight(bout, clock)]
    rows = list(dict.fromkeys(strip.row for strip in strips))
    with _figure(_MARGIN + _ROW * len(rows), self.doubts) as figure:
      axes = figure.add_subplot()
      _draw(axes, strips, rows, self.classes)
      if marks := [strip for bout in self.marks for strip in cut_at_midnight(bout, clock)]:
        middles_s = [mark.start_s + mark.length_s / 2 for mark in marks]
        heights = [rows.index(mark.row) - 0.45 for mark in marks]
        axes.plot(middles_s, heights, 'v', color='black', markersize=4, clip_on=False)
      names = {UNKNOWN: 'unknown', NOT_WORN: 'not worn'}
      handles = [
        Patch(
          # Rounded as in the summary, whose minutes are printed.
          label=f'{escaping.xml_text(names.get(activity, activity))}, {round(spent, 2):.1f} min',
          **_style(activity, self.classes),
        )
        for activity, spent in minutes_by_activity(self.bouts).items()
      ]
      for columns in range(5, 0, -1):  # as many as fit
        legend = figure.legend(handles=handles, loc='outside upper left', ncols=columns, frameon=False)
        size = legend.get_window_extent()
        if columns == 1 or size.width <= figure.bbox.width:
          break
        legend.remove()
      figure.set_figheight(figure.get_figheight() + max(size.height / figure.dpi - _LEGEND, 0))
      first_s = min(strip.start_s for strip in strips)
      last_s = max(strip.start_s + strip.length_s for strip in strips)
      least_min = (last_s - first_s) / 60 / _MAX_TICKS
      step_s = 60 * next((minutes for minutes in _TICKS_MIN if minutes >= least_min), _TICKS_MIN[-1])
      ticks = range(int(first_s // step_s) * step_s, (int(last_s // step_s) + 2) * step_s, step_s)
      axes.set_xticks(ticks, [f'{tick // 3600}:{tick % 3600 // 60:02d}' for tick in ticks])
      axes.set_xlim(first_s, last_s)
      zone = f' ({clock.zone})' if clock.zone else ''
      axes.set_xlabel(f'time of day{zone}' if clock.start else 'hours : minutes from the first sample')
    return figure

  def svg(self) -> bytes:
    return _to_svg(self.draw, 'Activities over time')


@dataclasses.dataclass(frozen=True)
class QualityPicture:
  """Windows of the first files: acceleration and movement over time, and where the device was not worn.

  windows: columns file, time_s from its first sample, mean x, y, z and movement in m/s², and is_worn. The
  same arguments give the same bytes.
  """

  windows: 'pd.DataFrame'
  doubts: Sequence[str] = ()

  def draw(self) -> 'Figure':
    """The picture as a figure of Matplotlib."""
    files = [*self.windows.groupby('file', sort=False)][:_MOST_FILES]
    with _figure(_FILE_MARGIN + _FILE_ROW * len(files), self.doubts) as figure:
      for axes, (name, windows) in zip(figure.subplots(len(files), squeeze=False)[:, 0], files, strict=True):
        _draw_file(axes, name, windows.iloc[:: max(len(windows) // _MOST_POINTS, 1)])
      axes.set_xlabel('minutes from the first sample')
      figure.legend(*axes.get_legend_handles_labels(), loc='outside upper left', ncols=5, frameon=False)
    return figure

  def svg(self) -> bytes:
    return _to_svg(self.draw, 'A recording: acceleration over time')


def as_element(svg: bytes) -> str:
  """A picture within a page: no wider than that."""
  text = svg.decode()
  return text[text.index('<svg') :].replace('<svg ', '<svg style="max-width: 100%; height: auto" ', 1)


@contextlib.contextmanager
def _figure(height: float, doubts: Sequence[str]) -> Iterator['Figure']:
  """A figure of this height, in inches, to draw on; doubts are written below it."""
  import matplotlib
  from matplotlib.figure import Figure

  lines = [line for doubt in doubts for line in textwrap.wrap(f'Warning: {doubt}', _LINE_LETTERS)]
  lines = [*lines[:_MOST_LINES], '…'] if len(lines) > _MOST_LINES else lines
  with matplotlib.rc_context(_STYLE):
    figure = Figure(figsize=(_WIDTH, height + _LINE * len(lines)), layout='constrained')
    yield figure
    if lines:
      figure.supxlabel('\n'.join(lines), x=0.01, ha='left', fontsize='small', color='#a00000')


def _draw_file(axes: Any, name: str, windows: 'pd.DataFrame') -> None:
  minutes = windows['time_s'].to_numpy() / 60
  step_min = float(np.median(np.diff(minutes))) if len(minutes) > 1 else 0.0
  breaks = np.flatnonzero(np.diff(minutes) > max(_GAP_S / 60, 3 * step_min)) + 1
  minutes = np.insert(minutes, breaks, np.nan)
  for label, color in zip((*'xyz', 'movement'), COLORS[4:], strict=True):
    values = np.insert(windows[label].to_numpy(), breaks, np.nan)
    axes.plot(minutes, values, label=label, color=color, linewidth=0.7)
  is_worn = np.insert(windows['is_worn'].to_numpy(), breaks, True)
  if not is_worn.all():
    low, high = axes.get_ylim()
    axes.fill_between(minutes, low, high, where=~is_worn, color='#cccccc', label='not worn')
  axes.set_ylabel('m/s²')
  axes.set_title(escaping.xml_text(name), loc='left', fontsize='small')


def _to_svg(draw: Callable[[], 'Figure'], title: str) -> bytes:
  """The figure that a function draws, as a file."""
  import matplotlib

  written = io.StringIO()
  with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
    warnings.filterwarnings('ignore', 'Glyph', UserWarning)  # the reader's font may have it
    draw().savefig(written, format='svg', metadata={'Date': None, 'Title': title})
  return written.getvalue().encode()


def _draw(axes: Any, strips: Sequence[Strip], rows: Sequence[str], classes: Sequence[str]) -> None:
  spans_of: dict[tuple[str, str], list[tuple[float, float]]] = collections.defaultdict(list)
  for strip in strips:
    spans_of[strip.row, strip.activity].append((strip.start_s, strip.length_s))
  for (row, activity), spans in spans_of.items():
    axes.broken_barh(spans, (rows.index(row) - 0.4, 0.8), **_style(activity, classes))
  axes.set_yticks(range(len(rows)), list(map(escaping.xml_text, rows)))
  axes.set_ylim(len(rows) - 0.5, -0.5)  # first row on top
  for side in ('top', 'right', 'left'):
    axes.spines[side].set_visible(False)
  axes.tick_params(axis='y', length=0)


def _style(activity: str, classes: Sequence[str]) -> dict[str, Any]:
  if activity == NOT_WORN:
    return {'facecolor': 'white', 'edgecolor': '#999999', 'hatch': '////', 'linewidth': 0}
  if activity == UNKNOWN:
    return {'facecolor': '#cccccc', 'edgecolor': 'none', 'linewidth': 0}
  number = _numbers(classes)[activity]
  color, hatch = COLORS[number % len(COLORS)], _HATCHES[number // len(COLORS) % len(_HATCHES)]
  return {'facecolor': color, 'edgecolor': 'white' if hatch else 'none', 'hatch': hatch, 'linewidth': 0}


def _numbers(classes: Sequence[str]) -> dict[str, int]:
  """A number of each activity, whatever the others are; if two share one, the second takes the next."""
  numbers: dict[str, int] = {}
  total = len(COLORS) * len(_HATCHES)
  for name in sorted(classes, key=lambda name: (name not in LOCOMOTION, name)):
    is_common = name in LOCOMOTION
    code = zlib.crc32(name.encode(errors='replace'))
    number = LOCOMOTION.index(name) if is_common else len(LOCOMOTION) + code % (total - len(LOCOMOTION))
    while number in numbers.values() and len(numbers) < total:
      number = (number + 1) % total
    numbers[name] = number
  return numbers

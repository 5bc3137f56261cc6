"""A recording as a picture: acceleration and movement over time, where it was not worn, and doubts.

w windows.
"""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float

from har_jax import escaping
from har_jax.timeline import picture

if TYPE_CHECKING:
  from matplotlib.figure import Figure

_WIDTH, _ROW, _MARGIN = 9.0, 1.6, 0.9  # inches
_MOST_FILES, _MOST_POINTS = 12, 2000
_GAP_S = 10.0  # a line is broken where windows are further apart


@dataclasses.dataclass(frozen=True)
class QualityPicture:
  """Windows of the first files, a row each. The same arguments give the same bytes.

  `time_s` counts from a file's first sample; `means` and `deviations` are of acceleration, m/s².
  """

  files: Sequence[str]
  time_s: Float[np.ndarray, 'w']
  means: Float[np.ndarray, 'w 3']
  deviations: Float[np.ndarray, 'w']
  is_worn: Bool[np.ndarray, 'w']
  doubts: Sequence[str] = ()

  def draw(self) -> 'Figure':
    """The picture as a figure of Matplotlib."""
    import matplotlib
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(self.files))[:_MOST_FILES]
    lines = picture.wrap_doubts(self.doubts)
    height = _MARGIN + _ROW * len(names) + picture.LINE * len(lines)
    with matplotlib.rc_context(picture.STYLE):
      figure = Figure(figsize=(_WIDTH, height), layout='constrained')
      for axes, name in zip(figure.subplots(len(names), squeeze=False)[:, 0], names, strict=True):
        self._draw_file(axes, name)
      axes.set_xlabel('minutes from the first sample')
      figure.legend(*axes.get_legend_handles_labels(), loc='outside upper left', ncols=5, frameon=False)
      picture.write_doubts(figure, lines)
    return figure

  def _draw_file(self, axes, name: str) -> None:
    mine = np.flatnonzero(np.array(self.files) == name)
    mine = mine[:: max(len(mine) // _MOST_POINTS, 1)]
    minutes = self.time_s[mine] / 60
    step_min = float(np.median(np.diff(minutes))) if len(minutes) > 1 else 0.0
    breaks = np.flatnonzero(np.diff(minutes) > max(_GAP_S / 60, 3 * step_min)) + 1
    columns = np.c_[self.means[mine], self.deviations[mine]]
    columns, minutes = np.insert(columns, breaks, np.nan, axis=0), np.insert(minutes, breaks, np.nan)
    for column, label, color in zip(columns.T, (*'xyz', 'movement'), picture.COLORS[4:], strict=True):
      axes.plot(minutes, column, label=label, color=color, linewidth=0.7)
    is_worn = np.insert(self.is_worn[mine], breaks, True)
    if not is_worn.all():
      low, high = axes.get_ylim()
      axes.fill_between(minutes, low, high, where=~is_worn, color='#cccccc', label='not worn')
    axes.set_ylabel('m/s²')
    axes.set_title(escaping.xml_text(name), loc='left', fontsize='small')

  def svg(self) -> bytes:
    """The picture as a file."""
    return picture.to_svg(self.draw, 'A recording: acceleration over time')

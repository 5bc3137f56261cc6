"""Matplotlib figures as SVG elements of a page, in the page's text color."""

import html
import io
import re
import warnings
from collections.abc import Callable
from typing import Any

from har_jax import escaping

INK = '#010203'  # drawn in this color, shown in the page's: currentColor

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


def file(element: str) -> str:
  """An element as an SVG file of its own, on white."""
  return element.replace('<svg ', '<svg style="background: white" ', 1)

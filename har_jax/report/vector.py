"""A matplotlib figure as SVG for the inside of a page: in the page's own ink, with a title, and with names of its own. Needs matplotlib."""

import io
import re
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

from har_jax.report import scaling

INK = '#010203'  # stands for the color of the page's text, whatever that is: currentColor in the SVG
SIZE = (4.4, 3.2)  # inches; small, since a phone shows a figure no wider, and its text must not shrink there

_STYLE: Any = {
  'svg.fonttype': 'none',  # letters stay text: smaller than their outlines, to be found and copied
  'font.family': 'sans-serif',
  'font.sans-serif': ['DejaVu Sans'],  # what the layout is made with; another face is narrower, so it fits
  'font.size': 9,
  'text.parse_math': False,  # a $ in a name is a $
  'axes.facecolor': 'none',
  'axes.titlesize': 10,
  'axes.spines.top': False,
  'axes.spines.right': False,
  'axes.grid': True,
  'axes.axisbelow': True,
  'grid.alpha': 0.2,
  'grid.linewidth': 0.6,
  'legend.frameon': False,
  'lines.markersize': 5,
} | dict.fromkeys(
  ('text.color', 'axes.edgecolor', 'axes.labelcolor', 'xtick.color', 'ytick.color', 'grid.color'), INK
)
_SVG = 'http://www.w3.org/2000/svg'


def svg(
  draw: Callable[[Any], None],
  name: str,
  *,
  title: str,
  description: str,
  size: tuple[float, float] = SIZE,
) -> str:
  """What `draw` draws on an empty Figure. The same drawing gives the same text.

  `name`: begins every id within (with dashes for what no id may hold), so it must be the page's only figure of that name. Title and description are
  what a screen reader tells instead of the drawing.
  Raises UserError where matplotlib is missing.
  """
  scaling.refuse_without_matplotlib()
  name = re.sub(r'[^\w-]+', '-', name)
  import matplotlib
  from matplotlib.figure import Figure

  with matplotlib.rc_context(_STYLE | {'svg.hashsalt': name}):
    figure = Figure(figsize=size, layout='constrained', facecolor='none')
    draw(figure)
    written = io.StringIO()
    figure.savefig(written, format='svg', metadata={'Date': None})
  return _inline(written.getvalue(), name, title, description)


def _inline(text: str, name: str, title: str, description: str) -> str:
  root = ElementTree.fromstring(text.replace(INK, 'currentColor'))
  for parent in root.iter():
    # The style is a rule for all elements, so within a page for all of the page's.
    for child in [child for child in parent if child.tag in (f'{{{_SVG}}}metadata', f'{{{_SVG}}}style')]:
      parent.remove(child)
  _rename(root, name)
  for attribute in ('width', 'height', 'version'):  # the page says how large
    root.attrib.pop(attribute, None)
  root.attrib |= {
    'xmlns': _SVG,
    'role': 'img',
    'aria-labelledby': f'{name}-title {name}-desc',
    'stroke-linejoin': 'round',
    'stroke-linecap': 'butt',
  }
  for place, (tag, content) in enumerate((('title', title), ('desc', description))):
    element = ElementTree.Element(tag, {'id': f'{name}-{tag}'})
    element.text = content
    root.insert(place, element)
  return ElementTree.tostring(root, encoding='unicode')


def _rename(root: ElementTree.Element, name: str) -> None:
  """Names without their namespaces, which HTML has none of; of the ids only those that something refers to."""
  for element in root.iter():
    element.tag = element.tag.rpartition('}')[2]
    for attribute in [each for each in element.attrib if each.startswith('{')]:
      element.attrib[attribute.rpartition('}')[2]] = element.attrib.pop(attribute)
    for attribute in element.attrib.keys() & {'d', 'x', 'y', 'transform'}:
      element.attrib[attribute] = re.sub(r'-?\d+\.\d{3,}', _rounded, element.attrib[attribute])
  meant = {
    found
    for element in root.iter()
    for attribute, value in element.attrib.items()
    if attribute == 'href' or 'url(' in value
    for found in re.findall(r'#([\w-]+)', value)
  }
  ours = {theirs: f'{name}-{number}' for number, theirs in enumerate(sorted(meant), start=1)}
  for element in root.iter():
    for attribute, value in list(element.attrib.items()):
      if attribute == 'id' and value not in ours:
        del element.attrib['id']
      elif attribute == 'id':
        element.attrib['id'] = ours[value]
      elif attribute == 'href' or 'url(' in value:
        element.attrib[attribute] = re.sub(r'#([\w-]+)', lambda found: f'#{ours[found[1]]}', value)


def _rounded(number: re.Match) -> str:
  """To hundredths of a point, which nobody sees; half the bytes."""
  return f'{float(number[0]):.2f}'.rstrip('0').rstrip('.')

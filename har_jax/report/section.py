"""A table with what is said around it, as data: Markdown and web pages render the same rows. Needs no JAX."""

import dataclasses
import statistics
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

NONE = '–'
Row = dict[str, str]
_LEFT = ('target', 'method', 'adapters', 'verdict', 'alike')  # columns of words
_RAISED = str.maketrans('0123456789', '⁰¹²³⁴⁵⁶⁷⁸⁹')


@dataclasses.dataclass(frozen=True)
class Section:
  """`rows` have the same columns each, of text ready to show; none where there is nothing to show, which a footnote tells."""

  title: str
  caption: str
  rows: list[Row]
  footnotes: list[str]


def markdown(sections: Sequence[Section], *, level: int = 2) -> str:
  """One after the other, under headings of so many signs."""
  parts = []
  for section in sections:
    table = [tabulated(section.rows)] if section.rows else []
    parts += [f'{"#" * level} {section.title}', section.caption, *table, *section.footnotes]
  return '\n\n'.join(part for part in parts if part) + '\n'


def tabulated(rows: Sequence[Row], form: str = 'pipe') -> str:
  """`form`: tabulate's; 'simple' is for terminals, whose columns are narrow."""
  from tabulate import tabulate

  headers = {
    name: '\n'.join(textwrap.wrap(name, 10, break_long_words=False)) if form == 'simple' else name
    for name in rows[0]
  }
  alignment = ['left' if name in _LEFT else 'right' for name in rows[0]]
  # Figures are text by now: parsed again, 0.980 would come out as 0.98.
  return tabulate(rows, headers=headers, tablefmt=form, colalign=alignment, disable_numparse=True)


class Footnotes:
  """Texts with the marks that cells carry; the same text has the same mark."""

  def __init__(self) -> None:
    self._marks: dict[str, str] = {}

  def mark(self, *texts: str) -> str:
    """The signs to put behind a figure; '' where there is no text."""
    return ' '.join(self._sign(text) for text in texts if text)

  def _sign(self, text: str) -> str:
    return self._marks.setdefault(text, str(len(self._marks) + 1).translate(_RAISED))

  @property
  def texts(self) -> list[str]:
    return [f'{mark} {text[0].upper()}{text[1:]}.' for text, mark in self._marks.items()]


# --- cells


def spread(values: Sequence[float], form: str) -> str:
  """Mean ± sample standard deviation; the mean alone where there is one value."""
  if not values:
    return NONE
  mean = format(statistics.mean(values), form)
  return f'{mean} ± {statistics.stdev(values):{form.lstrip("+")}}' if len(values) > 1 else mean


def spread_of(values: Sequence[float], runs: int, form: str) -> str:
  """Mean ± sample standard deviation, with the number of values where they are fewer than the runs beside them."""
  return spread(values, form) + (f' (n={len(values)})' if 0 < len(values) < runs else '')


def span(values: Iterable[Any], form: str = '{}') -> str:
  """The value, or smallest–largest where they differ."""
  ordered = sorted(values)
  if not ordered:
    return NONE
  low, high = form.format(ordered[0]), form.format(ordered[-1])
  return low if low == high else f'{low}–{high}'


def megabytes(sizes: Sequence[int | None]) -> str:
  """Bytes as 2²⁰ bytes; '–' where one of them is not known."""
  known = [size for size in sizes if size is not None]
  if len(known) < len(sizes):
    return NONE
  return '<0.01' if 0 < max(known) < 0.005 * 2**20 else span((size / 2**20 for size in known), '{:.2f}')


def p_value(value: float | None) -> str:
  if value is None:
    return NONE
  return '<0.001' if value < 0.001 else f'{value:.3f}'

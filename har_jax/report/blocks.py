"""What the page's template can lay out, and nothing about results. Needs no JAX."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

_FIGURE = re.compile(r'[-+−–<~]?\d|–$|n=\d')


@dataclasses.dataclass(frozen=True)
class Note:
  kind: ClassVar[str] = 'note'
  text: str


@dataclasses.dataclass(frozen=True)
class Notes:
  """A list in small print."""

  kind: ClassVar[str] = 'notes'
  lines: Sequence[str]


@dataclasses.dataclass(frozen=True)
class Commands:
  kind: ClassVar[str] = 'commands'
  label: str
  lines: Sequence[str]


@dataclasses.dataclass(frozen=True)
class Table:
  """Rows with the same columns; of each row the first `heads` cells name it."""

  kind: ClassVar[str] = 'table'
  caption: str
  rows: Sequence[Mapping[str, Any]]
  num_heads: int = 1

  @property
  def columns(self) -> list[str]:
    return list(dict.fromkeys(name for row in self.rows for name in row))

  @property
  def of_figures(self) -> set[str]:
    """Columns that hold numbers, to stand at the right."""
    return {
      name
      for name in self.columns
      if all(_FIGURE.match(str(cell)) for row in self.rows if (cell := row.get(name, '')) not in ('', None))
    }


@dataclasses.dataclass(frozen=True)
class Matrix:
  """A confusion matrix: counts[i][j] windows of class i were taken for class j."""

  kind: ClassVar[str] = 'matrix'
  caption: str
  classes: Sequence[str]
  counts: np.ndarray

  @property
  def rows(self) -> list[tuple[str, int, list[tuple[float, str]]]]:
    """Class, its windows, and for each class the share taken for it, as a number and as a percentage."""
    totals = self.counts.sum(axis=1)
    shares = self.counts / np.maximum(totals, 1)[:, None]
    return [
      (name, int(total), [(round(float(share), 2), percent(float(share))) for share in of_class])
      for name, total, of_class in zip(self.classes, totals, shares, strict=True)
    ]


def percent(share: float | int) -> str:
  """Whole; nothing for nought, which so stands apart from a little."""
  if share == 0:
    return ''
  if share < 0.005:
    return '<1'
  return '>99' if 0.995 <= share < 1 else f'{100 * share:.0f}'


@dataclasses.dataclass(frozen=True)
class Gallery:
  """SVGs side by side where there is room, with one caption."""

  kind: ClassVar[str] = 'gallery'
  caption: str
  drawings: Sequence[str]


@dataclasses.dataclass(frozen=True)
class Matrices:
  kind: ClassVar[str] = 'matrices'
  caption: str
  tables: Sequence[Matrix]


@dataclasses.dataclass(frozen=True)
class Fold:
  """What a reader opens."""

  kind: ClassVar[str] = 'fold'
  title: str
  blocks: Sequence[Any]
  open: bool = False


@dataclasses.dataclass(frozen=True)
class Part:
  """A section, or with `again`, a part of one: the anchor of the command that makes its results."""

  kind: ClassVar[str] = 'part'
  id: str
  title: str
  blocks: Sequence[Any]
  again: str = ''


def counted(count: int, what: str) -> str:
  """'1 table', '2 tables'."""
  return f'{count} {what}{"" if count == 1 else "s"}'

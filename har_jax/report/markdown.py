"""Tables as text: cells, the rows of grouped runs, and Markdown. Needs no JAX."""

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from har_jax import escaping

Cell = Callable[[pd.DataFrame], str]

NONE = '–'
MEAN = 'mean of targets'
_NUMBER = re.compile(r'[-+−<~]?\d|–$|n=\d|$')


@dataclasses.dataclass(frozen=True)
class Section:
  """A table of text with its caption and notes; on the page also figures (SVG elements) and commands.

  best: columns whose highest value the page marks.
  """

  title: str
  caption: str = ''
  table: pd.DataFrame = dataclasses.field(default_factory=pd.DataFrame)
  notes: Sequence[str] = ()
  drawings: Sequence[str] = ()
  commands: Sequence[str] = ()
  best: Sequence[str] = ()

  @property
  def numeric(self) -> list[str]:
    return numeric(self.table)

  @property
  def highest(self) -> dict[str, str]:
    """Column of `best` → its highest cell, which is a fraction of one."""
    return {name: max(set(self.table[name]) - {NONE}, default='') for name in self.best}

  def without_published(self) -> 'Section':
    columns = [name for name in self.table if 'published' not in name]
    notes = [note for note in self.notes if 'ublished' not in note]
    return dataclasses.replace(self, table=self.table[columns], notes=notes)


def markdown(sections: Sequence[Section]) -> str:
  """One after the other. A caption is not repeated in the section after it."""
  parts, last = [], ''
  for section in sections:
    table = '' if section.table.empty else tabulated(section.table)
    caption = '' if section.caption == last else section.caption
    parts += [f'## {section.title}', caption, table, *section.notes]
    last = section.caption
  return escaping.markdown_text('\n\n'.join(part for part in parts if part) + '\n')


def tabulated(table: pd.DataFrame, form: str = 'pipe') -> str:
  """`form`: a table format of the package tabulate."""
  numbers = numeric(table)
  alignment = ['right' if name in numbers else 'left' for name in table]
  if form == 'pipe':
    table = table.map(lambda cell: escaping.markdown_cell(str(cell)))
  # Cells are text by now: parsed again, 0.980 would come out as 0.98.
  return table.to_markdown(index=False, tablefmt=form, colalign=alignment, disable_numparse=True)


def numeric(table: pd.DataFrame) -> list[str]:
  """Columns of numbers, which are aligned right."""
  return [name for name in table if all(map(_NUMBER.match, table[name]))]


def rows(runs: pd.DataFrame, by: Sequence[str], cells: Mapping[str, Cell]) -> pd.DataFrame:
  """A row for each group of runs, in the order they come in: the columns `by`, then the cells.

  Columns of published figures are left out where all are missing.
  """
  grouped = runs.groupby(list(by), sort=False, dropna=False)
  made = [
    dict(zip(by, map(str, key), strict=True)) | {name: cell(part) for name, cell in cells.items()}
    for key, part in grouped
  ]
  table = pd.DataFrame(made, columns=[*by, *cells]).replace({'nan': NONE, '<NA>': NONE})
  return table[[name for name in table if 'published' not in name or (table[name] != NONE).any()]]


def mean_rows(runs: pd.DataFrame, by: Sequence[str], columns: Mapping[str, tuple[str, str]]) -> pd.DataFrame:
  """Means of the targets' means, each target once, where every target has runs; none of a single target.

  `by` is without the target; `columns`: name → column of the runs, format.
  """
  targets = runs['target'].nunique()
  made = []
  for key, part in runs.groupby(list(by), sort=False):
    means = part.groupby('target')[[column for column, _ in columns.values()]].mean()
    if len(means) == targets > 1:
      cells = {
        name: number(means[column].mean(skipna=False), form) for name, (column, form) in columns.items()
      }
      made.append({'target': MEAN} | dict(zip(by, key, strict=True)) | cells)
  return pd.DataFrame(made)


def joined(*tables: pd.DataFrame) -> pd.DataFrame:
  return pd.concat([table for table in tables if len(table)] or tables[:1], ignore_index=True).fillna('')


def number(value: float | int, form: str) -> str:
  return NONE if pd.isna(value) else format(value, form)


def spread_of(column: str, form: str, *, count: bool = False) -> Cell:
  """Mean ± sample standard deviation, of one value the value. Missing values do not count.

  `count`: the number of values is added where some are missing.
  """

  def cell(runs: pd.DataFrame) -> str:
    known = runs[column].dropna().to_numpy(float)
    deviation = f' ± {known.std(ddof=1):{form.lstrip("+")}}' if known.size > 1 else ''
    fewer = f' (n={known.size})' if count and 0 < known.size < len(runs) else ''
    return number(known.mean() if known.size else np.nan, form) + deviation + fewer

  return cell


def span(values: Iterable[Any], form: str = '{:,}') -> str:
  """The value, or smallest–largest where they differ."""
  ordered = sorted(values)
  low, high = form.format(ordered[0]), form.format(ordered[-1])
  return low if low == high else f'{low}–{high}'


def span_of(column: str) -> Cell:
  return lambda runs: span(runs[column])


def seeds(runs: pd.DataFrame) -> str:
  return f'n={runs["seed"].nunique()}'


def megabytes_of(column: str) -> Cell:
  """Bytes in units of 2²⁰ bytes."""
  tiny = 0.005 * 2**20
  return lambda runs: '<0.01' if 0 < runs[column].max() < tiny else span(runs[column] / 2**20, '{:.2f}')


def p_value(value: float) -> str:
  return '<0.001' if value < 0.001 else number(value, '.3f')

"""Rows of several sensors, devices or people in one table, which only a column tells apart.   n rows."""

import dataclasses
from collections.abc import Collection, Sequence

import numpy as np
from jaxtyping import Float

from har_jax.data.user_recordings import language
from har_jax.data.user_recordings.tabular import Table
from har_jax.errors import UserError, shorten

_MOST = 20  # different words among the first rows: more are a count or a text
_MIXED = 0.05  # of the rows, in order of time, follow one of another device: a position changes more seldom


@dataclasses.dataclass(frozen=True)
class Source:
  """A column that may tell rows apart, and its cells as codes, chunk by chunk; -1 if empty."""

  column: int
  codes: dict[str, int] = dataclasses.field(default_factory=dict)
  parts: list[np.ndarray] = dataclasses.field(default_factory=list)


def find(table: Table, used: Collection[int]) -> list[Source]:
  """Of the columns that are not `used`, those with a known name and few different words."""
  return [
    Source(index)
    for index, name in enumerate(table.names)
    if index not in used
    and (words := set(language.words(name)))
    and words <= language.SOURCE
    and len(set(table.column(index))) <= _MOST
  ]


def check(table: Table, sources: Sequence[Source], time_s: Float[np.ndarray, 'n']) -> None:
  """Raises UserError where rows of several sources would be one signal.

  `time_s` is NaN where a row is none of the table's first sensor.
  """
  rows = np.flatnonzero(~np.isnan(time_s))
  rows = rows[np.argsort(time_s[rows], kind='stable')]
  for source in sources:
    of = np.concatenate(source.parts)[rows]
    of = of[of >= 0]
    names = [name for name, code in source.codes.items() if (of == code).any()]
    is_mixed = np.count_nonzero(np.diff(of)) > _MIXED * len(of)
    # A block of each sensor is no better: angular velocity would be read as acceleration.
    has_gyro = any(len(word) > 1 for name in names for word in language.GYRO & set(language.words(name)))
    if len(names) > 1 and (is_mixed or has_gyro):
      raise UserError(
        f'{table.place(source.column)} says that rows are of {shorten(", ".join(names))}, and they would be '
        'one signal: give a file for each; of the sensors of one device, Accelerometer.csv and Gyroscope.csv '
        'in one folder'
      )

"""Rows of several sensors, devices or people in one table, which only a column tells apart.   n rows."""

import dataclasses
from collections.abc import Collection, Sequence

import numpy as np
from jaxtyping import Float, Int

from har_jax.errors import UserError, shorten
from har_jax.recordings.language import COLUMNS, words
from har_jax.recordings.tables import Table

_MOST = 20  # different words among the first rows: more are a count or a text
_MIXED = 0.05  # of the rows, in order of time, follow one of another device: a position changes more seldom
# Change from a row to the next one, of another source, as a multiple of the change within a source. For two
# devices it is at least 1.26, in 776 pairs of recordings. For most single signals at 50 Hz it is below 1.15.
_ONE_SIGNAL = 1.15


@dataclasses.dataclass(frozen=True)
class Source:
  """A column of words, and its cells as codes, chunk by chunk; -1 if empty."""

  column: int
  codes: dict[str, int] = dataclasses.field(default_factory=dict)
  parts: list[np.ndarray] = dataclasses.field(default_factory=list)


def find(table: Table, used: Collection[int | None]) -> list[Source]:
  """Finds columns that are not `used`, with a known name and few different words."""
  return [
    Source(index)
    for index, name in enumerate(table.names)
    if index not in used
    and (parts := set(words(name)))
    and parts <= COLUMNS['source']
    and len(set(table.column(index))) <= _MOST
  ]


def check(
  table: Table, sources: Sequence[Source], time_s: Float[np.ndarray, 'n'], values: Float[np.ndarray, 'n 3']
) -> None:
  """Raises UserError where rows of several sources would be one signal.

  `values`: of the table's first sensor. `time_s` is NaN where a row is none of it.
  """
  rows = np.flatnonzero(~np.isnan(time_s))
  rows = rows[np.argsort(time_s[rows], kind='stable')]
  for source in sources:
    codes = np.concatenate(source.parts)
    named = rows[codes[rows] >= 0]
    codes = codes[named]
    names = [name for name, code in source.codes.items() if (codes == code).any()]
    is_mixed = np.count_nonzero(np.diff(codes)) > _MIXED * len(codes)
    # A block of each sensor is no better: angular velocity would be read as acceleration.
    has_gyro = any(len(word) > 1 for name in names for word in COLUMNS['gyro'] & set(words(name)))
    if len(names) > 1 and (has_gyro or (is_mixed and not _is_one_signal(values[named], codes))):
      raise UserError(
        f'{table.title(source.column)} says that rows are of {shorten(", ".join(names))}, and they would be '
        'one signal: give a file for each; of the sensors of one device, Accelerometer.csv and Gyroscope.csv '
        'in one folder. If they are one signal, delete the column'
      )


def _is_one_signal(values: Float[np.ndarray, 'n 3'], codes: Int[np.ndarray, 'n']) -> bool:
  """Returns whether rows of different sources are as near to each other as rows of one source."""
  order = np.argsort(codes, kind='stable')
  change = np.full(len(codes), np.nan)  # from the row before of the same source
  change[order[1:]] = np.linalg.norm(np.diff(values[order], axis=0), axis=1)
  change[order[np.r_[True, np.diff(codes[order]) != 0]]] = np.nan
  switches = np.flatnonzero(np.diff(codes)[:-1]) + 1
  within = np.fmin(change[switches - 1], change[switches + 1])
  switches, within = switches[~np.isnan(within)], within[~np.isnan(within)]
  across = np.linalg.norm(values[switches] - values[switches - 1], axis=1)
  return bool(across.sum() < _ONE_SIGNAL * within.sum())

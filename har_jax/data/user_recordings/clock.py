"""A stranger's clock: numbers of any unit, dates, times of day → seconds from an origin.   n rows, m steps."""

import dataclasses
import datetime
import math
import re
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int64

from har_jax.data.user_recordings import units
from har_jax.errors import UserError

_ZONE = re.compile(r'(z|[+-]\d\d:?\d\d)$', re.IGNORECASE)
_DAY = re.compile(r'(?:(\d{1,3}):)?(\d{1,3}):(\d\d)(?:[.,:_](\d+))?')
_UNSET = np.iinfo(np.int64).min  # NumPy's NaT
_DAY_NS = 86_400 * 10**9
_LIKELY_HZ = 50.0
_SLOWEST_HZ, _FASTEST_HZ = 0.2, 20_000.0  # beyond it a unit that a name gives is not believed
# Of numbers that count from 1970, in seconds: from 2001 to 2096.
_EPOCH_S = (1e9, 4e9)


@dataclasses.dataclass(frozen=True)
class Clock:
  """What a recording's times are counted in.

  `kind`: 'zoned' (since 1970 UTC), 'date' (since 1970, no zone given), 'day' (since midnight), 'own' (since whenever).
  """

  kind: str
  origin_ns: int  # of the recording's second 0
  unit: str = 'ns'  # of the numbers, where it was numbers

  @property
  def start(self) -> str:
    """The origin as ISO wall-clock time, or empty where it is not known."""
    if self.kind not in ('zoned', 'date'):
      return ''
    zone = datetime.UTC if self.kind == 'zoned' else None
    begin = datetime.datetime(1970, 1, 1, tzinfo=zone)
    return (begin + datetime.timedelta(microseconds=self.origin_ns // 1000)).isoformat()


def text_ns(cells: Any, place: str) -> tuple[Int64[np.ndarray, 'n'], str]:
  """Nanoseconds of a pandas Series of dates or times of day, NaT where missing; and the kind of clock.

  Raises UserError at what is neither, with its row.
  """
  import pandas as pd

  if pd.api.types.is_datetime64_any_dtype(cells):
    zoned = getattr(cells.dtype, 'tz', None) is not None
    times = cells.dt.tz_convert('UTC').dt.tz_localize(None) if zoned else cells
    return times.to_numpy('datetime64[ns]').astype(np.int64), 'zoned' if zoned else 'date'
  if pd.api.types.is_timedelta64_dtype(cells):
    return cells.to_numpy('timedelta64[ns]').astype(np.int64), 'own'
  there = cells.notna().to_numpy()
  written = [str(cell).strip() if known else None for cell, known in zip(cells, there, strict=True)]
  known = [cell for cell in written if cell is not None]
  if known and _DAY.fullmatch(known[0]):
    return np.array([_day_ns(cell, place, row) for row, cell in enumerate(written)], np.int64), 'day'
  # ISO has a point before the fraction, and no space before the zone; AndroSensor writes 12:30:00:123.
  text = pd.Series([None if cell is None else _iso(cell) for cell in written], dtype=object)
  times = pd.to_datetime(text, format='ISO8601', utc=True, errors='coerce')
  failed = times.isna().to_numpy() & text.notna().to_numpy()
  if failed.any():
    row = int(np.argmax(failed))
    raise UserError(
      f'{place}: {text.iloc[row]!r} (row {row + 1}) is no time: write 2026-05-01 12:30:00.125, 12:30:00.125 or numbers'
    )
  zoned = bool(known) and _ZONE.search(known[0][10:]) is not None
  return times.dt.tz_localize(None).to_numpy('datetime64[ns]').astype(np.int64), 'zoned' if zoned else 'date'


def _iso(cell: str) -> str:
  cell = re.sub(r'\s+(?=[+-]\d\d:?\d\d$)', '', cell)
  return re.sub(r'(\d\d:\d\d:\d\d)[,:_](\d+)', r'\1.\2', cell)


def _day_ns(cell: str | None, place: str, row: int) -> int:
  if cell is None:
    return int(_UNSET)
  match = _DAY.fullmatch(cell)
  if match is None:
    raise UserError(f'{place}: {cell!r} (row {row + 1}) is no time such as 12:30:00.125')
  hours, minutes, seconds, fraction = match.groups()
  # 12:30 is minutes and seconds, as on a stopwatch: hours are what stands before two colons.
  whole = (int(hours or 0) * 60 + int(minutes)) * 60 + int(seconds)
  return whole * 10**9 + int((fraction or '0')[:9].ljust(9, '0'))


def from_text(ns: Int64[np.ndarray, 'n'], kind: str) -> tuple[Float[np.ndarray, 'n'], Clock]:
  """Seconds from the first row that has a time; NaN where it is missing."""
  known = ns != _UNSET
  origin = int(ns[known][0]) if known.any() else 0
  since = (ns - origin).astype(np.float64) / 1e9
  if kind == 'day':
    # Past midnight the time of day begins again.
    since[known] += np.cumsum(np.diff(since[known], prepend=0.0) < -43_200) * 86_400.0
  since[~known] = np.nan
  return since, Clock(kind, origin)


def from_numbers(
  values: Float[np.ndarray, 'n'], sampled: Bool[np.ndarray, 'n'], named: str, given: str, place: str
) -> tuple[Float[np.ndarray, 'n'], Clock, str, str]:
  """Seconds from the first row, the clock, how its unit was found, and a doubt or nothing.

  The unit is the one given, else named, else that of 1970's count, else the one that makes the rate likely. `sampled` are
  the rows of one sensor: where each has rows of its own, steps between sensors say nothing.
  """
  known = values[sampled & ~np.isnan(values)]
  if len(known) < 2:
    raise UserError(f'{place} has {len(known)} times: a recording needs two at least')
  if not given and not named and known[0] in (0.0, 1.0) and set(np.diff(known[:1000]).tolist()) == {1.0}:
    raise UserError(f'{place} counts rows, it is no time: give rate_hz, or the unit of time as time_unit')
  if (np.diff(known) < 0).any():
    known = np.sort(known)
  steps = np.diff(known)
  steps = steps[steps > 0]
  step = float(np.median(steps)) if len(steps) else 0.0
  if not step:
    raise UserError(f'{place} never changes: choose another column of time, or give rate_hz')
  first = float(values[~np.isnan(values)][0])
  epoch = next((unit for unit, s in units.TIME_S.items() if _EPOCH_S[0] < first * s < _EPOCH_S[1]), '')
  likely = min(units.TIME_S, key=lambda unit: abs(math.log(step * units.TIME_S[unit] * _LIKELY_HZ)))
  doubt = ''
  if given:
    unit, why = given, 'as you say'
  elif named and _SLOWEST_HZ < 1 / (step * units.TIME_S[named]) < _FASTEST_HZ:
    unit, why = named, 'as its name says'
  elif epoch and _SLOWEST_HZ < 1 / (step * units.TIME_S[epoch]) < _FASTEST_HZ:
    unit, why = epoch, 'counted from 1970'
  else:
    unit, why = likely, f'as its step of {step:.4g} is then {1 / (step * units.TIME_S[likely]):.4g} Hz'
  if named and unit != named and not given:
    doubt = f'Time is named in {named}, but only {unit} makes a likely rate. Name its unit with time_unit.'
  scale = units.TIME_S[unit]
  kind = 'zoned' if _EPOCH_S[0] < first * scale < _EPOCH_S[1] else 'own'
  origin_ns = round(first * (scale * 1e9))
  return (values - first) * scale, Clock(kind, origin_ns, unit), f'in {unit}, {why}', doubt


def midnight_ns(clock: Clock) -> int:
  """Of the day on which the recording begins, on its own clock."""
  return clock.origin_ns - clock.origin_ns % _DAY_NS

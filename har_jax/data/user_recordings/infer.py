"""What the numbers of a recording tell: units of its sensors and of its clock.

n samples, m moments.
"""

import dataclasses
import datetime
import math
import re
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Int64

from har_jax.data.recording import STANDARD_GRAVITY_M_S2, Samples
from har_jax.data.user_recordings import units
from har_jax.errors import UserError

LINEAR = 0.5  # acceleration whose mean is shorter than this fraction of its median length lacks gravity
_NEAR = 1.35  # a unit fits if gravity is within this factor: the median of a run is 1.2 g
# 20 rad/s is 1100 degrees a second: no body part turns as fast for a twentieth of the time.
_FASTEST_RAD_S = 20.0
_STRETCH, _STRETCHES = 128, 1000
_MAX_SAMPLES = 200_000  # for statistics, evenly over the recording
_MOMENT_S = 0.25
# Over 130 recordings of MotionSense, HAPT, WISDM and DSADS that correlate by over 0.3, the slope is 0.17 to
# 1.32 for rad/s: below 1 where motion hides gravity. For deg/s it is a 57th of that.
_SLOPES = (0.12, 1.5)
_CORRELATION = 0.3
_BY_CHANCE = 5.0  # standard deviations of the correlation of noise

_ZONE = re.compile(r'(z|[+-]\d\d:?\d\d)$', re.IGNORECASE)
_TIME_OF_DAY = re.compile(r'(?:(\d{1,3}):)?(\d{1,3}):(\d\d)(?:[.,:_](\d+))?')
_MISSING = np.iinfo(np.int64).min  # NumPy's NaT
_LIKELY_HZ = 50.0
_SLOWEST_HZ, _FASTEST_HZ = 0.2, 20_000.0  # a named unit of time that implies another rate is not believed
_EPOCH_S = (1e9, 4e9)  # numbers in this range, in seconds, count from 1970: 2001 to 2096


@dataclasses.dataclass
class Findings:
  """Sentences for the user: what was inferred, and what is doubtful."""

  notes: list[str] = dataclasses.field(default_factory=list)
  warnings: list[str] = dataclasses.field(default_factory=list)

  def note(self, sentence: str) -> None:
    self.notes.append(sentence)

  def warn(self, sentence: str) -> None:
    self.warnings.append(sentence)


@dataclasses.dataclass(frozen=True)
class Clock:
  """What a recording's times count from.

  `kind`: 'zoned' (1970 UTC), 'date' (1970, unknown time zone), 'day' (midnight), 'relative' (unknown).
  """

  kind: str
  origin_ns: int  # of the recording's second 0
  unit: str = 'ns'  # of the numbers in the file, if they are numbers

  @property
  def start(self) -> str:
    """The origin as ISO date and time, or empty if unknown."""
    if self.kind not in ('zoned', 'date'):
      return ''
    zone = datetime.UTC if self.kind == 'zoned' else None
    epoch = datetime.datetime(1970, 1, 1, tzinfo=zone)
    return (epoch + datetime.timedelta(microseconds=self.origin_ns // 1000)).isoformat()

  @property
  def since_midnight_s(self) -> float:
    return self.origin_ns % (86_400 * 10**9) / 1e9


def lengths(values: Float[np.ndarray, 'n 3']) -> Float[np.ndarray, 'm']:
  """Of all vectors of a short recording, of evenly spaced ones of a long one."""
  return np.linalg.norm(values[:: max(len(values) // _MAX_SAMPLES, 1)].astype(np.float64), axis=1)


def steady_length(acc: Float[np.ndarray, 'n 3']) -> float:
  """The median length of the mean acceleration over some seconds: gravity, if it was recorded."""
  count = max(len(acc) // _STRETCH, 1)
  starts = _STRETCH * np.linspace(0, count - 1, min(count, _STRETCHES)).astype(int)
  means = [acc[start : start + _STRETCH].mean(axis=0, dtype=np.float64) for start in starts]
  return float(np.median(np.linalg.norm(means, axis=1)))


def acc_unit(acc: Float[np.ndarray, 'n 3'], named: str, requested: str, findings: Findings) -> str:
  """The requested unit, else the one in the column's name, else the one in which gravity is near 9.81."""
  median, steady = float(np.median(lengths(acc))), steady_length(acc)
  unit, reason = 'm/s2', 'by assumption'
  if requested:
    unit, reason = requested, 'as requested'
  elif named:
    unit, reason = named, 'as its name says'
  elif steady < LINEAR * median:
    findings.warn(
      f'Acceleration seems to lack gravity: its median length is {median:.4g}, that of its mean {steady:.4g}.'
      ' So its unit is a guess, m/s2; name it with acc_unit.'
    )
  # In a run the median length is far above gravity, but the mean is near it.
  elif near := _unit_near_gravity(median) or _unit_near_gravity(steady):
    unit, reason = near, f'as gravity is {STANDARD_GRAVITY_M_S2 / units.ACC[near]:.4g}'
  else:
    findings.warn(
      f'The unit of acceleration is a guess, m/s2: its median length is {median:.4g}, and gravity would make '
      'it about 1 (g), 9.81 (m/s2) or 1000 (mg). Name it with acc_unit.'
    )
  findings.note(
    f'Acceleration is in {unit}, {reason} (median length {median:.4g}, of the mean {steady:.4g}).'
  )
  return unit


def _unit_near_gravity(length: float) -> str:
  length = max(length, 1e-12)
  logs = {unit: abs(math.log(length * g / STANDARD_GRAVITY_M_S2)) for unit, g in units.ACC.items()}
  unit = min(logs, key=lambda unit: logs[unit])
  return unit if logs[unit] <= math.log(_NEAR) else ''


def gyro_unit(acc: Samples, gyro: Samples, named: str, requested: str, findings: Findings) -> str:
  """The requested unit, else the one in the column's name, else by speed or gravity. `acc` is in any unit."""
  fast = float(np.quantile(lengths(gyro.values), 0.95))
  unit, reason = 'rad/s', 'by assumption'
  if requested:
    unit, reason = requested, 'as requested'
  elif named:
    unit, reason = named, 'as its name says'
  elif fast > _FASTEST_RAD_S:
    unit, reason = 'deg/s', f'as nobody turns at {_FASTEST_RAD_S:.0f} rad/s for a twentieth of the time'
  elif by_gravity := _unit_by_gravity(acc, gyro):
    unit, reason = by_gravity, 'as gravity turns with it'
  else:
    findings.warn(
      f'The unit of angular velocity is a guess, rad/s: 95 % of it is below {fast:.4g}, as it would be for a '
      'calm recording in deg/s. Name it with gyro_unit.'
    )
  findings.note(f'Angular velocity is in {unit}, {reason} (95 % of it is below {fast:.4g}).')
  return unit


def _unit_by_gravity(acc: Samples, gyro: Samples) -> str:
  """'rad/s', 'deg/s', or empty if the device hardly turns, or the sensors are not on one device.

  In the device's axes, gravity at rest in the world obeys d(acc)/dt = acc × gyro. Means of a quarter second
  stand for both; the slope of one side on the other tells the unit.
  """
  acc_index, acc_means = _means(acc)
  gyro_index, gyro_means = _means(gyro)
  index, in_acc, in_gyro = np.intersect1d(acc_index, gyro_index, assume_unique=True, return_indices=True)
  gravity, turns = acc_means[in_acc], gyro_means[in_gyro]
  adjacent = index[2:] - index[:-2] == 2
  measured = ((gravity[2:] - gravity[:-2]) / (2 * _MOMENT_S))[adjacent]
  predicted = np.cross(gravity, turns)[1:-1][adjacent]
  product, square = float((measured * predicted).sum()), float((predicted * predicted).sum())
  if not square or product <= 0:
    return ''
  correlation = product / math.sqrt(square * float((measured * measured).sum()))
  if correlation < max(_CORRELATION, _BY_CHANCE / math.sqrt(predicted.size)):
    return ''
  slope = product / square
  return next((u for u, rad_s in units.GYRO.items() if _SLOPES[0] < slope / rad_s < _SLOPES[1]), '')


def _means(samples: Samples) -> tuple[Int[np.ndarray, 'm'], Float[np.ndarray, 'm 3']]:
  """Which quarter seconds hold samples, and the mean of each."""
  index = np.floor(samples.time_s / _MOMENT_S).astype(np.int64)
  starts = np.flatnonzero(np.r_[True, np.diff(index) > 0])
  sums = np.add.reduceat(samples.values, starts, axis=0, dtype=np.float64)
  return index[starts], sums / np.diff(np.r_[starts, len(index)])[:, None]


def parse_times(cells: Any, place: str) -> tuple[Float[np.ndarray, 'n'] | Int64[np.ndarray, 'n'], str]:
  """A pandas Series of times → nanoseconds, NaT if missing, and the kind of clock; '' for plain numbers.

  Raises UserError at a cell that is neither a date nor a time of day, with its row.
  """
  import pandas as pd

  if pd.api.types.is_numeric_dtype(cells):
    return cells.to_numpy(np.float64, na_value=np.nan), ''
  if pd.api.types.is_datetime64_any_dtype(cells):
    zoned = getattr(cells.dtype, 'tz', None) is not None
    times = cells.dt.tz_convert('UTC').dt.tz_localize(None) if zoned else cells
    return times.to_numpy('datetime64[ns]').astype(np.int64), 'zoned' if zoned else 'date'
  if pd.api.types.is_timedelta64_dtype(cells):
    return cells.to_numpy('timedelta64[ns]').astype(np.int64), 'relative'
  texts = [str(cell).strip() if known else None for cell, known in zip(cells, cells.notna(), strict=True)]
  first = next((text for text in texts if text is not None), '')
  if _TIME_OF_DAY.fullmatch(first):
    return np.array([_time_of_day_ns(text, place, row) for row, text in enumerate(texts)], np.int64), 'day'
  iso = pd.Series([None if text is None else _iso(text) for text in texts], dtype=object)
  times = pd.to_datetime(iso, format='ISO8601', utc=True, errors='coerce')
  failed = times.isna().to_numpy() & iso.notna().to_numpy()
  if failed.any():
    row = int(np.argmax(failed))
    example = '2026-05-01 12:30:00.125, 12:30:00.125 or numbers'
    raise UserError(f'{place}: {iso.iloc[row]!r} (row {row + 1}) is no time: write {example}')
  ns = times.dt.tz_localize(None).to_numpy('datetime64[ns]').astype(np.int64)
  return ns, 'zoned' if _ZONE.search(first[10:]) else 'date'


def _iso(text: str) -> str:
  """A point before the fraction and no space before the zone: AndroSensor writes 12:30:00:123."""
  text = re.sub(r'\s+(?=[+-]\d\d:?\d\d$)', '', text)
  return re.sub(r'(\d\d:\d\d:\d\d)[,:_](\d+)', r'\1.\2', text)


def _time_of_day_ns(text: str | None, place: str, row: int) -> int:
  if text is None:
    return int(_MISSING)
  match = _TIME_OF_DAY.fullmatch(text)
  if match is None:
    raise UserError(f'{place}: {text!r} (row {row + 1}) is no time such as 12:30:00.125')
  hours, minutes, seconds, fraction = match.groups()  # 12:30 is minutes and seconds
  total_s = (int(hours or 0) * 60 + int(minutes)) * 60 + int(seconds)
  return total_s * 10**9 + int((fraction or '0')[:9].ljust(9, '0'))


def clock_of_dates(ns: Int64[np.ndarray, 'n'], kind: str) -> tuple[Float[np.ndarray, 'n'], Clock]:
  """Seconds from the first row that has a time, NaN if missing; and the clock."""
  known = ns != _MISSING
  origin_ns = int(ns[known][0]) if known.any() else 0
  time_s = (ns - origin_ns).astype(np.float64) / 1e9
  if kind == 'day':
    # The time of day falls at midnight.
    time_s[known] += np.cumsum(np.diff(time_s[known], prepend=0.0) < -43_200) * 86_400.0
  time_s[~known] = np.nan
  return time_s, Clock(kind, origin_ns)


def clock_of_numbers(
  values: Float[np.ndarray, 'n'],
  sampled: Bool[np.ndarray, 'n'],
  named: str,
  requested: str,
  place: str,
  findings: Findings,
) -> tuple[Float[np.ndarray, 'n'], Clock, str]:
  """Seconds from the first row, the clock, and how its unit was found.

  The unit is the requested one, else the named one, else that of a count from 1970, else the one that makes
  the rate likely. `sampled`, True: a row of the sensor whose rate counts.
  Raises UserError if the values are no times.
  """
  known = values[sampled & ~np.isnan(values)]
  if len(known) < 2:
    raise UserError(f'{place} has {len(known)} times: a recording needs at least two')
  if not (requested or named) and known[0] in (0, 1) and set(np.diff(known[:1000]).tolist()) == {1.0}:
    raise UserError(f'{place} counts rows: give rate_hz, or the unit of time as time_unit')
  steps = np.diff(np.sort(known))
  steps = steps[steps > 0]
  if not len(steps):
    raise UserError(f'{place} never changes: choose another column of time, or give rate_hz')
  step = float(np.median(steps))
  first = float(values[~np.isnan(values)][0])
  rates_hz = {unit: 1 / (step * scale) for unit, scale in units.TIME_S.items()}
  plausible = [unit for unit, hz in rates_hz.items() if _SLOWEST_HZ < hz < _FASTEST_HZ]
  since_1970 = [unit for unit, scale in units.TIME_S.items() if _EPOCH_S[0] < first * scale < _EPOCH_S[1]]
  if requested:
    unit, reason = requested, 'as requested'
  elif named in plausible:
    unit, reason = named, 'as its name says'
  elif since_1970 and since_1970[0] in plausible:
    unit, reason = since_1970[0], 'counted from 1970'
  else:
    unit = min(units.TIME_S, key=lambda unit: abs(math.log(step * units.TIME_S[unit] * _LIKELY_HZ)))
    reason = f'as its step of {step:.4g} is then {rates_hz[unit]:.4g} Hz'
  if named and unit != named and not requested:
    findings.warn(
      f'The name of time says {named}, but only {unit} makes a likely rate. Name its unit with time_unit.'
    )
  scale = units.TIME_S[unit]
  clock = Clock('zoned' if unit in since_1970 else 'relative', round(first * (scale * 1e9)), unit)
  return (values - first) * scale, clock, reason

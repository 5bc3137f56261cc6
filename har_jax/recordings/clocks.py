"""Times as apps and people write them → nanoseconds, what they count from, and time zones.   n times."""

import dataclasses
import datetime
import difflib
import re
import zoneinfo
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int64

from har_jax import config_fields
from har_jax.errors import UserError, counted, shorten
from har_jax.recordings import row_faults, units
from har_jax.recordings.infer import Findings

MISSING = np.iinfo(np.int64).min  # NumPy's NaT
_ZONE = re.compile(r'(z|utc|gmt|[+-]\d\d:?\d\d)$', re.IGNORECASE)
_TIME_OF_DAY = re.compile(
  r'(?:(\d{1,3}):)?(\d{1,3}):(\d\d)(?:([.,:_])(\d+))?(?: ?([ap])\.?m\.?)?', re.IGNORECASE
)
# Days, months and years as people write them. Digits of the year come last, or the text is ISO.
_WRITTEN = (
  r'^(?P<first>\d{1,2})[./-](?P<second>\d{1,2})[./-](?P<year>\d{4}|\d{2})'
  r'(?:[ T,]+(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<s>\d\d)(?:[.,:_](?P<fraction>\d{1,9}))?)?'
  r' ?(?:(?P<half>[aApP])\.?[mM]\.?)?)?$'
)
_LEGIBLE = '2026-05-01 12:30:00.125, 01.05.2026 12:30:00, 12:30:00.125 or numbers'
_SLOWEST_HZ, _FASTEST_HZ = 0.2, 20_000.0  # a named unit of time that implies another rate is not believed
_LIKELY_HZ = 50.0
_SURE_HZ = (8.0, 250.0)  # outside, whole numbers may count rows
_EPOCH_S = (1e9, 4e9)  # numbers in this range, in seconds, count from 1970: 2001 to 2096
_FEW_STRAYS = 0.01  # of the times
_LONGEST_S = 10 * 365.25 * 86_400

_OFFSET = re.compile(r'(?:UTC|GMT)?([+-])(\d\d):?(\d\d)', re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Clock:
  """What a recording's times count from.

  `kind`: 'zoned' (1970 UTC), 'date' (1970, unknown time zone), 'day' (midnight), 'relative' (unknown).
  """

  kind: str
  origin_ns: int  # of the recording's second 0
  unit: str = 'ns'  # of the numbers in the file, if they are numbers
  zone: str = ''  # that the times state, if it is not UTC

  @property
  def start(self) -> str:
    """The origin as ISO date and time, or empty if unknown."""
    if self.kind not in ('zoned', 'date'):
      return ''
    zone = datetime.UTC if self.kind == 'zoned' else None
    epoch = datetime.datetime(1970, 1, 1, tzinfo=zone)
    return (epoch + datetime.timedelta(microseconds=self.origin_ns // 1000)).isoformat()


@dataclasses.dataclass(frozen=True)
class Times:
  """A chunk of times: nanoseconds under each possible order of day and month, or numbers.

  `orders` has one entry, under '', unless the text is days, months and years: then 'day first' and
  'month first', as far as possible.
  """

  orders: dict[str, np.ndarray]
  kind: str  # see Clock; '' for numbers
  example: str = ''
  zone: str = ''  # see Clock


def parse(cells: Any, column: str, first_row: int = 0) -> Times:
  """A pandas Series of times → nanoseconds, NaT if missing, and the kind of clock; an array stays numbers.

  Raises UserError at a cell that is neither a date nor a time of day, with its row.
  """
  import pandas as pd

  if isinstance(cells, np.ndarray):
    return Times({'': cells}, '')
  if pd.api.types.is_datetime64_any_dtype(cells):
    own = getattr(cells.dtype, 'tz', None)
    times = cells if own is None else cells.dt.tz_convert('UTC').dt.tz_localize(None)
    ns = times.to_numpy('datetime64[ns]').astype(np.int64)
    return Times({'': ns}, 'date') if own is None else Times({'': ns}, 'zoned', zone=_stated(str(own)))
  if pd.api.types.is_timedelta64_dtype(cells):
    return Times({'': cells.to_numpy('timedelta64[ns]').astype(np.int64)}, 'relative')
  texts = [None if missing else str(cell).strip() for cell, missing in zip(cells, cells.isna(), strict=True)]
  first = next((text for text in texts if text is not None), '')
  if _TIME_OF_DAY.fullmatch(first):
    day = [_time_of_day_ns(text, column, first_row + row) for row, text in enumerate(texts)]
    return Times({'': np.array(day, np.int64)}, 'day')
  series = pd.Series(texts, dtype='str')
  if re.match(r'-?\d+ days?\b', first):
    since = pd.to_timedelta(series, errors='coerce')
    _check(series, since.isna().to_numpy(), column, first_row)
    return Times({'': since.to_numpy('timedelta64[ns]').astype(np.int64)}, 'relative')
  written = series.str.extract(_WRITTEN)
  if written['first'].notna().any():
    return _written(series, written, column, first_row)
  iso = pd.Series([None if text is None else _iso(text) for text in texts], dtype=object)
  times = pd.to_datetime(iso, format='ISO8601', utc=True, errors='coerce')
  _check(series, times.isna().to_numpy(), column, first_row)
  ns = times.dt.tz_localize(None).to_numpy('datetime64[ns]').astype(np.int64)
  stated = _ZONE.search(first[10:])
  return Times({'': ns}, 'zoned', zone=_stated(stated[1])) if stated else Times({'': ns}, 'date')


def _stated(name: str) -> str:
  """A time zone as `zone` takes it; empty if it is UTC, as phones keep it anywhere, or none that is known."""
  if match := _OFFSET.fullmatch(name):
    sign, hours, minutes = match.groups()
    return f'UTC{sign}{hours}:{minutes}' if int(hours) or int(minutes) else ''
  try:
    return '' if zone(name).utcoffset(None) == datetime.timedelta() else name
  except UserError:
    return ''


def _written(series: Any, parts: Any, column: str, first_row: int) -> Times:
  """Dates with the year last: both orders of day and month, without those that no calendar has."""
  import pandas as pd

  _check(series, parts['first'].isna().to_numpy(), column, first_row)
  number = {name: pd.to_numeric(parts[name]).fillna(0).astype(np.int64) for name in
            ('first', 'second', 'year', 'hour', 'minute', 's')}  # fmt: skip
  half = parts['half'].str.lower()
  hour = number['hour'] % 12 + 12 * (half == 'p') if half.notna().any() else number['hour']
  fraction = pd.to_numeric(parts['fraction'].fillna('0').str.ljust(9, '0')).astype(np.int64)
  within_ns = ((hour * 60 + number['minute']) * 60 + number['s']) * 10**9 + fraction
  year = number['year'] + 2000 * (number['year'] < 100)
  missing = parts['first'].isna()
  orders = {}
  for order, day, month in (('day first', 'first', 'second'), ('month first', 'second', 'first')):
    # A dotted date has the day first, in all countries that write it so.
    if order == 'month first' and series.str.contains(r'^\d+\.', na=False).any():
      continue
    frame = pd.DataFrame({'year': year, 'month': number[month], 'day': number[day]})
    days = pd.to_datetime(frame[~missing], errors='coerce').reindex(frame.index)
    if not (days.isna() & ~missing).any():
      ns = days.to_numpy('datetime64[ns]').astype(np.int64)
      orders[order] = np.where(missing, MISSING, ns + within_ns.to_numpy())
  return Times(orders, 'date', str(series.dropna().iloc[0]))


def _check(series: Any, failed: Bool[np.ndarray, 'n'], column: str, first_row: int) -> None:
  failed = failed & series.notna().to_numpy()
  if failed.any():
    row = int(np.argmax(failed))
    shown = shorten(repr(str(series.iloc[row])))
    raise UserError(f'{column}: {shown} (row {first_row + row + 1}) is no time: write {_LEGIBLE}')


def join(parts: Sequence[Times], column: str) -> tuple[np.ndarray, str, str]:
  """All chunks of a column: numbers or nanoseconds, the kind of clock, and the time zone that they begin in.

  Raises UserError where day and month may be exchanged in every row, or chunks are of different kinds.
  """
  if len({part.kind for part in parts}) > 1:
    raise UserError(f'{column} holds dates and other times: write all alike, {_LEGIBLE}')
  orders = [order for order in parts[0].orders if all(order in part.orders for part in parts)]
  joined = [np.concatenate([part.orders[order] for part in parts]) for order in orders]
  example = shorten(parts[0].example)
  if not joined:
    raise UserError(
      f'{column}: some dates such as {example} have the day first, others the month, or are in no calendar: '
      'write 2026-05-04'
    )
  if len(joined) > 1 and not np.array_equal(joined[0], joined[1]):
    dates = [str(ns[ns != MISSING][0].astype('datetime64[ns]').astype('datetime64[D]')) for ns in joined]
    raise UserError(
      f'{column}: {example} may be {dates[0]} or {dates[1]}, and no row decides it: write '
      f'{dates[0]}, or with points if the day comes first'
    )
  return joined[0], parts[0].kind, parts[0].zone


def _iso(text: str) -> str:
  """A point before the fraction, hyphens in the date, and no space before the zone.

  AndroSensor writes 12:30:00:123, MetaBase 12.30.00.123, phyphox 12:30:00.123 UTC+02:00.
  """
  text = re.sub(r'\s+(?:UTC|GMT)?(?=[+-]\d\d:?\d\d$)', '', text)
  text = re.sub(r'\s*(?:UTC|GMT)$', 'Z', text)
  text = re.sub(r'^(\d{4})[/.](\d\d?)[/.](\d\d?)', lambda m: f'{m[1]}-{int(m[2]):02d}-{int(m[3]):02d}', text)
  text = re.sub(r'(?<=\d[T ])(\d\d)\.(\d\d)\.(\d\d)', r'\1:\2:\3', text)
  return re.sub(r'(\d\d:\d\d:\d\d)[,:_](\d+)', r'\1.\2', text)


def _time_of_day_ns(text: str | None, column: str, row: int) -> int:
  if text is None:
    return int(MISSING)
  match = _TIME_OF_DAY.fullmatch(text)
  if match is None:
    raise UserError(f'{column}: {shorten(repr(text))} (row {row + 1}) is no time such as 12:30:00.125')
  hours, minutes, seconds, sign, fraction, half = match.groups()  # 12:30 is minutes and seconds
  if half and hours is None:
    hours, minutes, seconds = minutes, seconds, '0'  # but 12:30 pm is not
  hour = int(hours or 0) % 12 + 12 * (half.lower() == 'p') if half else int(hours or 0)
  total_s = (hour * 60 + int(minutes)) * 60 + int(seconds)
  digits = fraction or '0'
  # After a colon come milliseconds, perhaps without leading zeros.
  digits = digits.rjust(3, '0') if sign == ':' else digits
  return total_s * 10**9 + int(digits[:9].ljust(9, '0'))


def count_dates(
  ns: Int64[np.ndarray, 'n'], kind: str, zone_name: str
) -> tuple[Float[np.ndarray, 'n'], Clock]:
  """Seconds from the first row that has a time, NaN if missing; and the clock."""
  is_time = ns != MISSING
  origin_ns = int(ns[is_time][0]) if is_time.any() else 0
  time_s = (ns - origin_ns).astype(np.float64) / 1e9
  if kind == 'day':
    # The time of day falls at midnight.
    time_s[is_time] += np.cumsum(np.diff(time_s[is_time], prepend=0.0) < -43_200) * 86_400.0
  time_s[~is_time] = np.nan
  return time_s, Clock(kind, origin_ns, zone=zone_name)


def count_numbers(
  values: Float[np.ndarray, 'n'],
  sampled: Bool[np.ndarray, 'n'],
  named: str,
  requested: str,
  column: str,
  findings: Findings,
) -> tuple[Float[np.ndarray, 'n'], Clock, str]:
  """Seconds from the first row, the clock, and how its unit was found.

  The unit is the requested one, else the named one, else that of a count from 1970, else the one that makes
  the rate likely. `sampled`, True: a row of the sensor whose rate counts. Infinite times are missing.
  Raises UserError if the values are no times.
  """
  values = _without_strays(np.where(np.isfinite(values), values, np.nan), findings)
  times = values[sampled & ~np.isnan(values)]
  if len(times) < 2:
    raise UserError(f'{column} has {counted(len(times), "time")}: a recording needs at least two')
  first = float(values[~np.isnan(values)][0])
  since_1970 = [unit for unit, scale in units.TIME_S.items() if _EPOCH_S[0] < first * scale < _EPOCH_S[1]]
  if not (requested or named or since_1970) and set(np.diff(times[:1000]).tolist()) == {1.0}:
    raise UserError(f'{column} counts rows: give rate_hz, or the unit of time as time_unit')
  steps = np.diff(times)
  # In order of rows: sorted, the steps of two recordings in one file would be mixed.
  steps = steps if len(row_faults.falls(times)) or (steps >= 0).all() else np.diff(np.sort(times))
  steps = steps[steps > 0]
  if not len(steps):
    raise UserError(f'{column} never changes: choose another column of time, or give rate_hz')
  step = float(np.median(steps))
  rates_hz = {unit: 1 / max(step * scale, 1e-30) for unit, scale in units.NAMED_TIME_S.items()}
  plausible = [unit for unit, hz in rates_hz.items() if _SLOWEST_HZ < hz < _FASTEST_HZ]
  if requested:
    unit, reason = requested, 'as requested'
  elif named in plausible:
    unit, reason = named, 'as its name says'
  elif since_1970 and since_1970[0] in plausible:
    unit, reason = since_1970[0], 'counted from 1970'
  else:
    unit = min(units.TIME_S, key=lambda unit: abs(np.log(step * units.TIME_S[unit] * _LIKELY_HZ)))
    reason = f'as its step of {step:.4g} is then {rates_hz[unit]:.4g} Hz'
    if step.is_integer() and not _SURE_HZ[0] <= rates_hz[unit] <= _SURE_HZ[1]:
      findings.warn(
        f'The unit of time is a guess, {unit}, and makes {rates_hz[unit]:.4g} Hz. Name it with '
        'time_unit, or give rate_hz if the column counts rows.'
      )
  scale = units.NAMED_TIME_S[unit]
  mean_hz = len(steps) / (float(times.max() - times.min()) * scale)
  if mean_hz > _FASTEST_HZ:
    raise UserError(
      f'{column} makes {mean_hz:.3g} Hz in {unit}: is it the time? Choose another column, or give '
      'time_unit or rate_hz'
    )
  if abs(first * scale) > 2 * _EPOCH_S[1]:
    raise UserError(f'{column} begins at {first:.4g}, which is no time in any unit: choose another column')
  clock = Clock('zoned' if unit in since_1970 else 'relative', round(first * (scale * 1e9)), unit)
  return (values - first) * scale, clock, reason


def _without_strays(values: Float[np.ndarray, 'n'], findings: Findings) -> Float[np.ndarray, 'n']:
  """NaN for a few times that do not count from 1970 among others that do: a clock was not set yet."""
  usual = float(np.nanmedian(values)) if not np.isnan(values).all() else 0.0
  for scale in units.TIME_S.values():
    if _EPOCH_S[0] < usual * scale < _EPOCH_S[1]:
      strays = (values * scale < _EPOCH_S[0]) | (values * scale > _EPOCH_S[1])
      if 0 < strays.sum() <= _FEW_STRAYS * len(values):
        rows = counted(int(strays.sum()), 'row')
        findings.warn(f'{rows} left out: times before 2001 or after 2096.')
        return np.where(strays, np.nan, values)
  return values


def check_span(time_s: Float[np.ndarray, 'n'], column: str) -> None:
  """Raises UserError where the times of a recording lie too far apart."""
  span_s = float(np.nanmax(time_s) - np.nanmin(time_s))
  if not span_s < _LONGEST_S:
    raise UserError(
      f'{column} spans {span_s / 86_400:.3g} days: is it the time, and is its unit right? Give time_unit'
    )


def zone(name: str) -> datetime.tzinfo:
  """A time zone by its name, Europe/Berlin, or its offset, UTC+02:00. Raises UserError if there is none."""
  rule = 'give a name such as Europe/Berlin, or an offset such as UTC+02:00'
  config_fields.check_value('time_zone', name, rule, kind=str)
  if match := _OFFSET.fullmatch(name.strip()):
    sign, hours, minutes = match.groups()
    offset = datetime.timedelta(hours=int(hours), minutes=int(minutes))
    if offset < datetime.timedelta(hours=24):
      return datetime.timezone(-offset if sign == '-' else offset)
  try:
    return zoneinfo.ZoneInfo(name.strip())
  except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
    names = sorted(zone for zone in zoneinfo.available_timezones() if '/' in zone)
    near = difflib.get_close_matches(name, names, 1, 0.5) or ['Europe/Berlin']
    raise UserError(
      f'time_zone is {shorten(repr(name))}; give a name such as {near[0]}, or an offset such as UTC+02:00'
    ) from error


def to_utc(ns: Int64[np.ndarray, 'n'], zone_name: str) -> Int64[np.ndarray, 'n']:
  """Local times as UTC; NaT stays. A time that a change of clocks repeats or skips is the first."""
  import pandas as pd

  local = pd.DatetimeIndex(ns.astype('datetime64[ns]'))
  is_summer = np.ones(len(local), bool)  # summer time comes first
  utc = local.tz_localize(zone(zone_name), ambiguous=is_summer, nonexistent='shift_forward').tz_convert('UTC')
  return utc.tz_localize(None).to_numpy('datetime64[ns]').astype(np.int64)


def offset_s(zone_name: str, at_ns: int) -> float:
  """Seconds by which a zone's clocks are ahead of UTC at a moment."""
  moment = datetime.datetime.fromtimestamp(at_ns / 1e9, datetime.UTC)
  offset = moment.astimezone(zone(zone_name)).utcoffset()
  assert offset is not None
  return offset.total_seconds()

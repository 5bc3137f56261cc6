"""Time zones: by name or offset, local times as UTC, and the zone that a user may have meant.   n times."""

import datetime
import difflib
import os
import pathlib
import re
import zoneinfo

import numpy as np
from jaxtyping import Int64

from har_jax.errors import UserError, shorten

_OFFSET = re.compile(r'(?:UTC|GMT)?([+-])(\d\d):?(\d\d)', re.IGNORECASE)
# One of each offset in summer and in winter, to suggest where the computer's own does not fit.
_COMMON = (
  *('Europe/London', 'Europe/Berlin', 'Europe/Athens', 'Europe/Moscow', 'Asia/Dubai', 'Asia/Karachi'),
  *('Asia/Kolkata', 'Asia/Dhaka', 'Asia/Bangkok', 'Asia/Shanghai', 'Asia/Tokyo', 'Australia/Sydney'),
  *('Pacific/Auckland', 'America/New_York', 'America/Chicago', 'America/Denver', 'America/Los_Angeles'),
  *('America/Sao_Paulo', 'America/Halifax', 'America/Anchorage', 'Pacific/Honolulu'),
)


def zone(name: str) -> datetime.tzinfo:
  """A time zone by its name, Europe/Berlin, or its offset, UTC+02:00. Raises UserError if there is none."""
  if match := _OFFSET.fullmatch(name.strip()):
    sign, hours, minutes = match.groups()
    offset = datetime.timedelta(hours=int(hours), minutes=int(minutes))
    if offset < datetime.timedelta(hours=24):
      return datetime.timezone(-offset if sign == '-' else offset)
  try:
    return zoneinfo.ZoneInfo(name.strip())
  except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
    known = sorted(zoneinfo.available_timezones())
    near = difflib.get_close_matches(name, known, 1, 0.5) or ['Europe/Berlin']
    raise UserError(
      f'time_zone is {shorten(repr(name))}; give a name such as {near[0]}, or an offset such as UTC+02:00'
    ) from error


def to_utc(ns: Int64[np.ndarray, 'n'], name: str) -> Int64[np.ndarray, 'n']:
  """Local times of a zone as UTC; NaT stays. A time that a change of clocks repeats or skips is the first."""
  import pandas as pd

  local = pd.DatetimeIndex(ns.astype('datetime64[ns]'))
  ambiguous = np.ones(len(local), bool)  # summer time, which comes first
  utc = local.tz_localize(zone(name), ambiguous=ambiguous, nonexistent='shift_forward').tz_convert('UTC')
  return utc.tz_localize(None).to_numpy('datetime64[ns]').astype(np.int64)


def offset_s(name: str, at_ns: int) -> float:
  """By how much a zone's clocks are ahead of UTC at a moment."""
  moment = datetime.datetime.fromtimestamp(at_ns / 1e9, datetime.UTC)
  offset = moment.astimezone(zone(name)).utcoffset()
  assert offset is not None
  return offset.total_seconds()


def suggest(hours: float, at_ns: int, preferred: str = '') -> str:
  """A zone that is so many hours ahead of UTC at a moment: `preferred`, the computer's, a common one."""
  for name in (preferred, _of_this_computer(), *_COMMON):
    try:
      if name and offset_s(name, at_ns) == hours * 3600:
        return name
    except UserError:
      continue
  minutes = round(abs(hours) * 60)
  return f'UTC{"-" if hours < 0 else "+"}{minutes // 60:02d}:{minutes % 60:02d}'


def _of_this_computer() -> str:
  if name := os.environ.get('TZ', '').lstrip(':'):
    return name
  try:
    return pathlib.Path('/etc/localtime').resolve().as_posix().partition('zoneinfo/')[2]
  except OSError:
    return ''

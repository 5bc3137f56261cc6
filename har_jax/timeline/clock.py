"""Seconds from a file's first sample, and the time on the user's wall clock if the file states it."""

import dataclasses
import datetime
from collections.abc import Iterator

from har_jax.recordings import Reading, clocks
from har_jax.timeline.bouts import Bout

_DAY_S = 86_400.0


@dataclasses.dataclass(frozen=True)
class Clock:
  """File and time offset of each recording of a reading, by the recording's index."""

  files: tuple[str, ...]
  offsets_s: tuple[float, ...]
  start: datetime.datetime | None  # None for several files: only the first one's start is known
  zone: str = ''  # in which times are shown; '' if the file does not say it

  @classmethod
  def from_reading(cls, reading: Reading) -> 'Clock':
    is_known = bool(reading.start) and len(set(reading.files)) == 1
    start = datetime.datetime.fromisoformat(reading.start) if is_known else None
    zone = ''
    if start is not None and start.tzinfo is not None:
      zone = reading.time_zone or 'UTC'
      start = start.astimezone(clocks.zone(reading.time_zone)) if reading.time_zone else start
    return cls(tuple(reading.files), tuple(reading.offsets_s), start, zone)

  @property
  def has_several(self) -> bool:
    return len(set(self.files)) > 1

  def in_file_s(self, recording: int, time_s: float) -> float:
    return self.offsets_s[recording] + time_s

  def moment(self, file_s: float) -> datetime.datetime:
    """The moment on the wall clock, which summer time may have changed since the start."""
    assert self.start is not None
    seconds = datetime.timedelta(seconds=file_s)
    if self.start.tzinfo is None:
      return self.start + seconds
    # Python adds to local times as if clocks never changed.
    return (self.start.astimezone(datetime.UTC) + seconds).astimezone(self.start.tzinfo)


@dataclasses.dataclass(frozen=True)
class Strip:
  """Part of a bout in one row; seconds from the row's midnight, or from the file's first sample."""

  row: str
  start_s: float
  length_s: float
  activity: str


def cut_at_midnight(bout: Bout, clock: Clock) -> Iterator[Strip]:
  """Cuts a bout at midnight, or every 24 hours if the date is unknown."""
  begin_s, end_s = (clock.in_file_s(bout.recording, time_s) for time_s in (bout.start_s, bout.stop_s))
  if clock.start is not None:
    midnight = clock.start.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    moments = (clock.moment(file_s).replace(tzinfo=None) for file_s in (begin_s, end_s))
    begin_s, end_s = ((moment - midnight).total_seconds() for moment in moments)
  while begin_s < end_s:
    day = int(begin_s // _DAY_S)
    stop_s = min(end_s, (day + 1) * _DAY_S)
    if clock.start is not None:
      row = (clock.start + datetime.timedelta(days=day)).date().isoformat()
    else:
      row = clock.files[bout.recording] + (f', day {day + 1}' if day else '')
    yield Strip(row, begin_s - day * _DAY_S, stop_s - begin_s, bout.activity)
    begin_s = stop_s

"""Seconds from a file's first sample, and the time on the user's wall clock if the file states it."""

import dataclasses
import datetime

from har_jax.recordings import Reading, clocks


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

  def wall(self, file_s: float) -> str:
    """The time in ISO 8601, to the millisecond."""
    return self.moment(file_s).isoformat(timespec='milliseconds')

  def moment(self, file_s: float) -> datetime.datetime:
    """The moment on the wall clock, which summer time may have changed since the start."""
    assert self.start is not None
    seconds = datetime.timedelta(seconds=file_s)
    if self.start.tzinfo is None:
      return self.start + seconds
    # Python adds to local times as if clocks never changed.
    return (self.start.astimezone(datetime.UTC) + seconds).astimezone(self.start.tzinfo)

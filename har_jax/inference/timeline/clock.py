"""Seconds from a file's first sample, and the wall-clock time if the file states it."""

import dataclasses
import datetime

from har_jax.data.user_recordings import Reading


@dataclasses.dataclass(frozen=True)
class Clock:
  """File and time offset of each recording of a reading, by the recording's index."""

  files: tuple[str, ...]
  offsets_s: tuple[float, ...]
  start: datetime.datetime | None  # None for several files: only the first one's start is known

  @classmethod
  def of(cls, reading: Reading) -> 'Clock':
    is_known = bool(reading.start) and len(set(reading.files)) == 1
    start = datetime.datetime.fromisoformat(reading.start) if is_known else None
    return cls(tuple(reading.files), tuple(reading.offsets_s), start)

  @property
  def has_several(self) -> bool:
    return len(set(self.files)) > 1

  @property
  def is_utc(self) -> bool:
    return self.start is not None and self.start.tzinfo is not None

  def in_file_s(self, recording: int, time_s: float) -> float:
    return self.offsets_s[recording] + time_s

  def wall(self, file_s: float) -> str:
    """ISO 8601, to the millisecond."""
    assert self.start is not None
    return (self.start + datetime.timedelta(seconds=file_s)).isoformat(timespec='milliseconds')

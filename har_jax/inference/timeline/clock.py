"""When it was: seconds from a file's first sample, and the wall clock where the file knows it."""

import dataclasses
import datetime

from har_jax.data.user_recordings import Reading


@dataclasses.dataclass(frozen=True)
class Clock:
  """Of a reading's recordings, by their number."""

  files: tuple[str, ...]  # each recording's
  offsets_s: tuple[float, ...]
  start: datetime.datetime | None  # of the one file; of several only the first one's is known, so none is

  @classmethod
  def of(cls, reading: Reading) -> 'Clock':
    known = bool(reading.start) and len(set(reading.files)) == 1
    start = datetime.datetime.fromisoformat(reading.start) if known else None
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
    """ISO to the millisecond."""
    assert self.start is not None
    return (self.start + datetime.timedelta(seconds=file_s)).isoformat(timespec='milliseconds')

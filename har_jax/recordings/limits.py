"""Limits on what a file may hold: bytes unpacked, files, lines and their columns. Archives have the same."""

import io
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Int

from har_jax.errors import UserError, shorten

MAX_BYTES = 64 << 30
MAX_MEMBERS = 100_000  # the largest archives have 10,000 files
BLOCK_BYTES = 1 << 20  # read and checked at a time
# Bytes unpacked for each byte on disk. Recordings have 3 to 20, text with constant columns 45, zeros 1,000.
_MAX_RATIO = 100
_ANY_RATIO_BYTES = 64 << 20  # so much may be unpacked at any ratio
_MAX_LINE_BYTES = 1 << 16  # the longest line of an archive, UCI HAR's, has 2 kB
_NEW_LINE, _CARRIAGE_RETURN = 10, 13


def is_bomb(unpacked: int, packed: int) -> bool:
  """Returns whether no recordings unpack to so many bytes from so few."""
  return unpacked > max(_MAX_RATIO * packed, _ANY_RATIO_BYTES)


def check(path: pathlib.Path, unpacked: int, packed: int, *, members: int = 1) -> None:
  """Raises UserError where a file holds more files or bytes than recordings have. Sizes in bytes."""
  size = f'{unpacked / 2**20:,.0f} MiB'
  if members > MAX_MEMBERS:
    raise UserError(f'{path} has over {MAX_MEMBERS:,} files; no recordings have so many')
  if is_bomb(unpacked, packed):
    raise UserError(
      f'{path} would unpack {packed:,} bytes to {size}; recordings never do: it is damaged or made to fill '
      'memory'
    )
  if unpacked > MAX_BYTES:
    raise UserError(f'{path} would unpack to {size}; split it')


class _Watched(io.RawIOBase):
  def __init__(self, file: Any, watch: Callable[[bytes], object]):
    self._file, self._watch = file, watch

  def readable(self) -> bool:
    return True

  def readinto(self, buffer) -> int:
    block = self._file.read(len(buffer))
    self._watch(block)
    buffer[: len(block)] = block
    return len(block)

  def readall(self) -> bytes:
    """Reads large blocks; the parent's have 8 kB."""
    return b''.join(iter(lambda: self.read(BLOCK_BYTES) or b'', b''))

  def close(self) -> None:
    self._file.close()
    super().close()


def watched(file: Any, watch: Callable[[bytes], object]) -> io.BufferedReader:
  """A binary file whose blocks go through a function that may raise; b'' is its end."""
  return io.BufferedReader(_Watched(file, watch), BLOCK_BYTES)


def unpacked(file: Any, path: pathlib.Path, packed_bytes: int) -> io.BufferedReader:
  """A gzip file that a read ends with UserError where it unpacks to more than a recording can."""
  count = 0

  def watch(block: bytes) -> None:
    nonlocal count
    count += len(block)
    check(path, count, packed_bytes)

  return watched(file, watch)


class FieldCounter:
  """Counts the fields of each line of a file that is read in blocks; separators in quotes count, too."""

  def __init__(self, separator: str):
    self._separator, self._begun = ord(separator), 0  # separators of the line that no block has ended
    self.most: int = 0  # fields of a line so far

  def __call__(self, block: bytes) -> Int[np.ndarray, 'm']:
    """The fields of the lines that end in this block."""
    letters = np.frombuffer(block, np.uint8)
    separators = np.flatnonzero(letters == self._separator)
    before = np.searchsorted(separators, np.flatnonzero(letters == _NEW_LINE))
    if not len(before):
      self._begun += len(separators)
      return before
    fields = np.diff(before, prepend=0) + 1
    fields[0] += self._begun
    self._begun = len(separators) - int(before[-1])
    self.most = max(self.most, int(fields.max()))
    return fields


class _LineCheck:
  """Raises UserError at a block with a line that is too long or has other columns."""

  def __init__(self, name: str, delimiter: str | None, fields: int | None, max_bytes: int | None):
    self._name, self._max_bytes = shorten(name), max_bytes
    self._counter = None if delimiter is None else FieldCounter(delimiter)
    self._expected = fields
    self._bytes = 0
    # Of the line that the last block did not end; and the last letter.
    self._line, self._length, self._last = 1, 0, 0

  def __call__(self, block: bytes) -> None:
    self._bytes += len(block)
    if self._max_bytes is not None and self._bytes > self._max_bytes:
      raise UserError(
        f'{self._name} has more than {self._max_bytes >> 20} MiB: is it a table of this archive?'
      )
    if not block and not self._length:
      return
    block = block or b'\n'
    letters = np.frombuffer(block, np.uint8)
    ends = np.flatnonzero(letters == _NEW_LINE)
    lengths = np.diff(np.r_[-1 - self._length, ends, len(letters)]) - 1
    if lengths.max() > _MAX_LINE_BYTES:
      line = self._line + int(np.argmax(lengths))
      raise UserError(f'{self._name} is not a table: line {line} has more than {_MAX_LINE_BYTES:,} bytes')
    self._length = int(lengths[-1])  # of the line that goes on
    lengths = lengths[:-1]
    before = letters[ends - 1]
    before[ends == 0] = self._last
    self._last = int(letters[-1])
    if self._counter is not None:
      is_blank = (lengths == 0) | ((lengths == 1) & (before == _CARRIAGE_RETURN))
      fields = self._counter(block)
      if self._expected is None and not is_blank.all():
        self._expected = int(fields[~is_blank][0])
      wrong = np.flatnonzero((fields != self._expected) & ~is_blank)
      if len(wrong):
        line = self._line + int(wrong[0])
        raise UserError(
          f'{self._name} is not a table: line {line} has {fields[wrong[0]]} columns where {self._expected} '
          'are expected'
        )
    self._line += len(ends)


def checked_lines(
  file: Any, name: str, *, delimiter: str | None, fields: int | None = None, max_bytes: int | None = None
) -> io.BufferedReader:
  """The bytes of a binary file. A read raises UserError where a line is too long or has other columns.

  fields: columns of each line; by default, as many as the first has. Not checked without a delimiter.
  max_bytes: of the whole file.
  """
  return watched(file, _LineCheck(name, delimiter, fields, max_bytes))

"""The lines of a text file, checked while they are read: their lengths and their numbers of columns."""

import io
from typing import Any

import numpy as np
from jaxtyping import Bool, Int, UInt8

from har_jax.errors import UserError, shorten

_MAX_LINE_BYTES = 1 << 16  # the longest line of an archive, UCI HAR's, has 2 kB
_BLOCK_BYTES = 1 << 20
_NEW_LINE, _CARRIAGE_RETURN = 10, 13


def checked(
  file: Any, name: str, *, delimiter: str | None, fields: int | None = None, max_bytes: int | None = None
) -> io.BufferedReader:
  """The bytes of a binary file. A read raises UserError where a line is too long or has other columns.

  fields: columns of each line; by default, as many as the first has. Not checked without a delimiter.
  max_bytes: of the whole file.
  """
  return io.BufferedReader(_Checked(file, name, delimiter, fields, max_bytes), _BLOCK_BYTES)


class FieldCounter:
  """Counts the fields of each line of a file that is read in blocks; separators in quotes count, too."""

  def __init__(self, separator: str):
    self._separator, self._begun = ord(separator), 0  # separators of the line that no block has ended

  def __call__(self, block: UInt8[np.ndarray, 'n']) -> Int[np.ndarray, 'm']:
    """The fields of the lines that end in this block."""
    at = np.flatnonzero(block == self._separator)
    before = np.searchsorted(at, np.flatnonzero(block == _NEW_LINE))
    separators = np.diff(before, prepend=0)
    if not len(before):
      self._begun += len(at)
      return separators
    separators[0] += self._begun
    self._begun = len(at) - int(before[-1])
    return separators + 1


class _Checked(io.RawIOBase):
  def __init__(self, file: Any, name: str, delimiter: str | None, fields: int | None, max_bytes: int | None):
    self._file, self._name, self._max_bytes = file, shorten(name), max_bytes
    self._counter = None if delimiter is None else FieldCounter(delimiter)
    self._expected = fields
    self._bytes = 0
    # Of the line that the last block did not end.
    self._line, self._length = 1, 0

  def readable(self) -> bool:
    return True

  def readinto(self, buffer) -> int:
    block = self._next(len(buffer))
    buffer[: len(block)] = block
    return len(block)

  def readall(self) -> bytes:
    """In large blocks; those of the parent's have 8 kB."""
    return b''.join(iter(lambda: self._next(_BLOCK_BYTES), b''))

  def _next(self, size: int) -> bytes:
    block = self._file.read(size)
    self._bytes += len(block)
    if self._max_bytes is not None and self._bytes > self._max_bytes:
      raise UserError(
        f'{self._name} has more than {self._max_bytes >> 20} MiB: is it a table of this archive?'
      )
    if block or self._length:
      self._check(np.frombuffer(block or b'\n', np.uint8))
    return block

  def _check(self, block: UInt8[np.ndarray, 'n']) -> None:
    ends = np.flatnonzero(block == _NEW_LINE)
    lengths = np.diff(ends, prepend=-1) - 1
    rest = len(block) - (int(ends[-1]) + 1 if len(ends) else 0)
    if len(ends):
      lengths[0] += self._length
    self._length = rest if len(ends) else self._length + rest
    longest = max(int(lengths.max(initial=0)), self._length)
    if longest > _MAX_LINE_BYTES:
      line = self._line + int(np.argmax(np.append(lengths, self._length)))
      raise UserError(f'{self._name} is not a table: line {line} has more than {_MAX_LINE_BYTES:,} bytes')
    if self._counter is not None:
      is_blank = (lengths == 0) | ((lengths == 1) & (block[ends - 1] == _CARRIAGE_RETURN))
      self._check_fields(self._counter(block), is_blank)
    self._line += len(ends)

  def _check_fields(self, fields: Int[np.ndarray, 'm'], is_blank: Bool[np.ndarray, 'm']) -> None:
    if self._expected is None and not is_blank.all():
      self._expected = int(fields[~is_blank][0])
    wrong = np.flatnonzero((fields != self._expected) & ~is_blank)
    if len(wrong):
      line = self._line + int(wrong[0])
      raise UserError(
        f'{self._name} is not a table: line {line} has {fields[wrong[0]]} columns where {self._expected} are '
        'expected'
      )

"""Bounds on what a packed file may hold: one rule for archives and for a user's recordings."""

import pathlib

from har_jax.errors import UserError

MAX_BYTES = 64 << 30
MAX_MEMBERS = 100_000  # the largest archives have 10,000 files
# Bytes unpacked for each byte on disk. Recordings have 3 to 20, text with constant columns 45, zeros 1,000.
_MAX_RATIO = 100
_ANY_RATIO_BYTES = 64 << 20  # so much may be unpacked at any ratio


def is_bomb(unpacked: int, packed: int) -> bool:
  """Whether no recordings unpack to so many bytes from so few."""
  return unpacked > max(_MAX_RATIO * packed, _ANY_RATIO_BYTES)


def check(
  path: pathlib.Path,
  unpacked: int,
  packed: int,
  *,
  members: int = 1,
  max_bytes: int = MAX_BYTES,
  to_do: str = 'split it',
) -> None:
  """Raises UserError where a file holds more files or bytes than recordings have. Sizes in bytes."""
  size = f'{unpacked / 2**20:,.0f} MiB'
  if members > MAX_MEMBERS:
    raise UserError(f'{path} has over {MAX_MEMBERS:,} files; no recordings have so many')
  if is_bomb(unpacked, packed):
    raise UserError(
      f'{path} would unpack {packed:,} bytes to {size}; recordings never do: it is damaged or made to fill '
      'memory'
    )
  if unpacked > max_bytes:
    raise UserError(f'{path} would unpack to {size}; {to_do}')

"""What a format of the campaign is, and what is read of it."""

import dataclasses
import hashlib
import pathlib
from collections.abc import Callable
from typing import Any

import mutations
import numpy as np

Read = tuple[str, str]  # what a reader gives: the numbers, as a hash, and what it said about them


def digest(*parts: Any) -> str:
  sha = hashlib.sha256()
  for part in parts:
    sha.update(part.tobytes() if isinstance(part, np.ndarray) else repr(part).encode(errors='replace'))
  return sha.hexdigest()


@dataclasses.dataclass(frozen=True)
class Format:
  """`build` writes a valid input to a folder; `damage` changes one of its files; `read` may write to `out`.

  `has_sum`: the format holds a checksum, so damage must be refused or change nothing.
  """

  name: str
  build: Callable[[pathlib.Path], Any]
  damage: Callable[[bytes, mutations.Random], bytes]
  read: Callable[[pathlib.Path, pathlib.Path], Read]
  has_sum: bool
  files: str = '*'  # which are damaged

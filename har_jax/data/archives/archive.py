"""What each archive states about itself; its file in this folder fills it in."""

import collections
import dataclasses
from collections.abc import Callable, Iterator

from har_jax.data.recording import Recording
from har_jax.data.source import Source


@dataclasses.dataclass(frozen=True)
class Archive:
  """One public archive and its reader.

  `read(source, position, dropped)` yields recordings of one device position, subject by subject, and counts in
  `dropped` what it leaves out, under a reason a person can read ('rows without a label').
  """

  name: str
  title: str  # as its authors call it, with version
  marker: str  # glob of a file that only this archive holds, for recognition
  positions: tuple[str, ...]  # the default first: the one nearest the waist
  read: Callable[[Source, str, collections.Counter], Iterator[Recording]]
  address: str  # of the official download; empty for what is made here
  license: str
  test_subjects: tuple[str, ...] = ()  # that its authors test on, where they say so

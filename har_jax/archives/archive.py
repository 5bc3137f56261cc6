"""The description of an archive; each archive fills one in."""

import collections
import dataclasses
import pathlib
from collections.abc import Callable, Iterator

from har_jax.archives.source import Source
from har_jax.signal.recording import Recording


@dataclasses.dataclass(frozen=True)
class Archive:
  """One public archive and its reader.

  `read(source, position, dropped)` yields the recordings of one device position, subject by subject. It adds
  what it drops to `dropped`, by reason ('rows without a label').
  """

  name: str
  title: str  # its authors' name for it, with the version
  marker: str  # glob pattern of a file that only this archive has; empty if it comes with the package
  positions: tuple[str, ...]  # the default first: the one nearest to the waist
  read: Callable[[Source, str, collections.Counter[str]], Iterator[Recording]]
  url: str  # official download, a zip; empty if it comes with the package
  license: str
  test_subjects: tuple[str, ...] = ()  # of the authors' own split, if they published one
  bundled: pathlib.Path | None = None  # its file, if that comes with the package
  majority_label: bool = False  # True: spans are shorter than windows, see `signal.cutting.cut`

"""Recordings of small archives, and of real ones, each of which is read once a session."""

import collections
import contextlib
import functools
import io
import itertools
from collections.abc import Callable, Iterator
from typing import IO

import pytest
from zips import write

from har_jax.archives import ARCHIVES
from har_jax.archives.source import Source
from har_jax.signal.recording import Recording

Read = tuple[list[Recording], collections.Counter]


@pytest.fixture
def read(request, tmp_path) -> Callable[..., Read]:
  """(files by name, position) → recordings of the archive under test, and what its reader drops."""
  archive, numbers = ARCHIVES[request.module.__name__.removeprefix('test_')], itertools.count()

  def read_files(files: dict[str, str | bytes], position: str = archive.positions[0]) -> Read:
    source = Source(write(tmp_path / f'archive_{next(numbers)}', files))
    dropped: collections.Counter = collections.Counter()
    return list(archive.read(source, position, dropped)), dropped

  return read_files


class _Kept(Source):
  """A source that keeps each file's bytes, which take long to unpack, as several read it."""

  @functools.cached_property
  def _bytes(self) -> dict[str, bytes]:
    return {}

  @contextlib.contextmanager
  def open(self, name: str) -> Iterator[IO[bytes]]:
    if name not in self._bytes:
      with super().open(name) as file:
        self._bytes[name] = file.read()
    self.last_opened = name
    yield io.BytesIO(self._bytes[name])


@pytest.fixture(scope='session')
def real_source(real_archive) -> Callable[[str], Source]:
  """(archive) → its files; those of an archive whose files several positions or tests read are kept."""
  several = ('dsads', 'pdiot', 'sp_sw_har')
  return functools.cache(lambda name: (_Kept if name in several else Source)(real_archive(name)))


@pytest.fixture(scope='session')
def real_recordings(real_source) -> Callable[..., Read]:
  """(archive, position, count) → its first recordings, or all, and what its reader has dropped so far."""
  begun: dict[tuple[str, str], tuple[list[Recording], Iterator[Recording], collections.Counter]] = {}

  def first(name: str, position: str, count: int | None = None) -> Read:
    if (name, position) not in begun:
      dropped: collections.Counter = collections.Counter()
      begun[name, position] = [], ARCHIVES[name].read(real_source(name), position, dropped), dropped
    made, others, dropped = begun[name, position]
    made += itertools.islice(others, None if count is None else max(0, count - len(made)))
    return made[:count], dropped.copy()

  return first

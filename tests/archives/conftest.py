"""Recordings of small archives, and of real ones, each of which is read once a session."""

import collections
import itertools
from collections.abc import Callable, Iterator

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


@pytest.fixture(scope='session')
def real_recordings(real_archive) -> Callable[..., Read]:
  """(archive, position, count) → its first recordings, or all, and what its reader has dropped so far."""
  begun: dict[tuple[str, str], tuple[list[Recording], Iterator[Recording], collections.Counter]] = {}

  def first(name: str, position: str, count: int | None = None) -> Read:
    if (name, position) not in begun:
      dropped: collections.Counter = collections.Counter()
      read = ARCHIVES[name].read(Source(real_archive(name)), position, dropped)
      begun[name, position] = [], read, dropped
    made, others, dropped = begun[name, position]
    made += itertools.islice(others, None if count is None else max(0, count - len(made)))
    return made[:count], dropped.copy()

  return first

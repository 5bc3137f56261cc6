"""Recordings of real archives, each read once a session."""

import collections
import itertools
from collections.abc import Callable, Iterator

import pytest

from har_jax.archives import ARCHIVES
from har_jax.archives.source import Source
from har_jax.signal.recording import Recording

Real = tuple[list[Recording], collections.Counter]


@pytest.fixture(scope='session')
def real_recordings(real_archive) -> Callable[..., Real]:
  """(archive, position, count) → its first recordings, or all, and what its reader has dropped so far."""
  begun: dict[tuple[str, str], tuple[list[Recording], Iterator[Recording], collections.Counter]] = {}

  def first(name: str, position: str, count: int | None = None) -> Real:
    if (name, position) not in begun:
      dropped: collections.Counter = collections.Counter()
      source = Source(real_archive(name))
      begun[name, position] = [], ARCHIVES[name].read(source, position, dropped), dropped
    made, others, dropped = begun[name, position]
    made += itertools.islice(others, None if count is None else max(0, count - len(made)))
    return made[:count], dropped.copy()

  return first

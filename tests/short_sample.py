"""The sample of real recordings, cut to few people and seconds."""

import collections
import dataclasses
import functools
import pathlib
from collections.abc import Callable, Iterator

import pytest
from in_process import succeed

from har_jax.archives import ARCHIVES
from har_jax.archives.source import Source
from har_jax.signal import segments
from har_jax.signal.recording import Recording

NAMES = ('sample_motionsense', 'sample_wisdm')  # a target, and a source with other devices and activities


def read(name: str, *, subjects: int = 5, seconds: float = 8.0) -> list[Recording]:
  archive = ARCHIVES[name]
  source, dropped = Source(archive.bundled), collections.Counter()
  return list(_cut(archive.read, source, archive.positions[0], dropped, subjects=subjects, seconds=seconds))


def prepare(out: pathlib.Path, *flags: str) -> None:
  """Runs the command `prepare` for each of NAMES, of which it reads no more than `read` does."""
  for name in NAMES:
    short = functools.partial(_cut, ARCHIVES[name].read, subjects=5, seconds=8.0)
    with pytest.MonkeyPatch.context() as patched:
      patched.setitem(ARCHIVES, name, dataclasses.replace(ARCHIVES[name], read=short))
      printed, _ = succeed('prepare', name, *flags, f'--out={out}')
    assert 'walking' in printed


def _cut(
  whole: Callable[..., Iterator[Recording]],
  source: Source,
  position: str,
  dropped: collections.Counter,
  *,
  subjects: int,
  seconds: float,
) -> Iterator[Recording]:
  people: dict[str, None] = {}
  for recording in whole(source, position, dropped):
    people[recording.subject] = None
    if len(people) > subjects:
      return
    yield segments.extract(recording, 0.0, seconds)

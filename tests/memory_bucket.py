"""A bucket in memory, for tests of storage and locks."""

from collections.abc import Iterator
from typing import ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from har_jax import storage
from har_jax.storage import Place


class Bucket(MemoryFileSystem):
  """A file system in memory, for gs://."""

  protocol = ('gs', 'gcs')
  store: ClassVar = {}
  pseudo_dirs: ClassVar = ['']

  @classmethod
  def _strip_protocol(cls, path: str) -> str:
    return super()._strip_protocol(path.removeprefix('gs:/').removeprefix('gcs:/'))


@pytest.fixture
def bucket(monkeypatch, tmp_path) -> Iterator[Place]:
  for protocol in Bucket.protocol:
    fsspec.register_implementation(protocol, Bucket, clobber=True)
  monkeypatch.setattr(storage, '_DRIVERS', {'gs': 'fsspec'})
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
  yield storage.place('gs://bucket/out')
  Bucket.store.clear()
  Bucket.pseudo_dirs[:] = ['']


@pytest.fixture(params=['folder', 'bucket'])
def place(request, tmp_path) -> Place:
  return tmp_path / 'out' if request.param == 'folder' else request.getfixturevalue('bucket')

"""What a format of the campaign is; reads damaged copies of its valid input, under limits."""

import contextlib
import dataclasses
import hashlib
import logging
import os
import pathlib
import shutil
import signal
import sys
import traceback
import warnings
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import mutations
import numpy as np
import pytest

from har_jax.errors import UserError

TIME_S = 20
MEMORY_BYTES = 1_500_000_000
_DEVICES = ('/dev/', '/proc/')
BAD = ('different', 'traceback', 'hang', 'memory', 'escaped')


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


class _HangError(BaseException):
  """No Exception: no reader may catch it."""


class _Writes:
  """Notes the paths that Python code opens for writing, makes, renames or deletes outside of `allowed`."""

  def __init__(self) -> None:
    self.allowed: pathlib.Path | None = None
    self.outside: list[str] = []
    sys.addaudithook(self._note)

  def _note(self, event: str, arguments: tuple[Any, ...]) -> None:
    if self.allowed is None:
      return
    if event == 'open':
      path, _, flags = arguments
      paths = [path] if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) else []
    elif event in ('os.rename', 'os.link', 'os.symlink'):
      paths = list(arguments[:2])
    elif event in ('os.mkdir', 'os.remove', 'os.rmdir', 'os.truncate', 'os.chmod'):
      paths = [arguments[0]]
    else:
      return
    for path in paths:
      if isinstance(path, str | bytes | os.PathLike):
        full = os.path.realpath(os.fsdecode(path))
        if not full.startswith((str(self.allowed), *_DEVICES)):
          self.outside.append(full)


_WRITES = _Writes()  # a hook cannot be removed


class Cases:
  """Damaged copies of one format's valid input, below `folder`."""

  def __init__(self, form: Format, folder: pathlib.Path):
    self._form, self._folder = form, folder.resolve()
    self._said: list[str] = []
    (self._folder / 'valid').mkdir()
    form.build(self._folder / 'valid')
    case = self._fresh()
    with warnings.catch_warnings():
      warnings.simplefilter('ignore')
      self._whole = form.read(case / 'in', case / 'out')

  def run(self, seed: int) -> tuple[str, str]:
    """The outcome of one case, and the damaged file with what was said about it."""
    case = self._fresh()
    rng = np.random.default_rng([zlib.crc32(self._form.name.encode()), seed])
    files = sorted(path for path in (case / 'in').rglob(self._form.files) if path.is_file())
    damaged = files[int(rng.integers(len(files)))]
    damaged.write_bytes(self._form.damage(damaged.read_bytes(), rng))
    before = _listing(case / 'in')
    with contextlib.chdir(case):
      outcome, words = self._outcome(case)
    if _WRITES.outside or _listing(case / 'in') != before or sorted(os.listdir(case)) != ['in', 'out']:
      outcome, words = 'escaped', f'{_WRITES.outside[:3]} {words}'
    return outcome, f'{damaged.relative_to(case / "in")}: {words[-600:]}'

  def _fresh(self) -> pathlib.Path:
    case = self._folder / 'case'
    shutil.rmtree(case, ignore_errors=True)
    shutil.copytree(self._folder / 'valid', case / 'in')
    (case / 'out').mkdir()
    return case

  def _outcome(self, case: pathlib.Path) -> tuple[str, str]:
    self._said.clear()
    _WRITES.outside.clear()
    try:
      with _limits(), self._heard(), warnings.catch_warnings():
        warnings.simplefilter('ignore')
        # In Orbax's folder, temporary names come and go.
        _WRITES.allowed = case / ('in' if self._form.name == 'checkpoints' else 'out')
        numbers, said = self._form.read(case / 'in', case / 'out')
    except UserError as error:
      return 'memory' if _is_of_memory(error) else 'refused', str(error)
    except _HangError:
      return 'hang', traceback.format_exc()
    except BaseException as error:
      return 'memory' if _is_of_memory(error) else 'traceback', traceback.format_exc()
    finally:
      _WRITES.allowed = None
    said += ''.join(self._said)
    if numbers == self._whole[0]:
      return 'equal', ''
    if said != self._whole[1]:
      return 'reported', said
    return ('different' if self._form.has_sum else 'other data'), ''

  @contextlib.contextmanager
  def _heard(self) -> Iterator[None]:
    handler = logging.Handler()
    handler.emit = lambda record: self._said.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger('har_jax').addHandler(handler)
    try:
      yield
    finally:
      logging.getLogger('har_jax').removeHandler(handler)


def _listing(folder: pathlib.Path) -> list[tuple[str, bytes]]:
  """Names and contents; of a checkpoint's folder, which its reader may tidy, nothing."""
  return [
    (path.name, path.read_bytes() if path.is_file() else b'')
    for path in sorted(folder.rglob('*'))
    if 'checkpoints' not in path.parts
  ]


def _is_of_memory(error: BaseException | None) -> bool:
  while error is not None:
    if isinstance(error, MemoryError):
      return True
    error = error.__cause__ or error.__context__
  return False


@contextlib.contextmanager
def _limits() -> Iterator[None]:
  """Twenty seconds, and 1.5 GB more than the process has."""

  import resource

  def stop(*_: Any) -> None:
    raise _HangError

  resident = int(pathlib.Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()
  unlimited = resource.getrlimit(resource.RLIMIT_AS)
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(sys, 'dont_write_bytecode', True)
    previous = signal.signal(signal.SIGALRM, stop)
    signal.alarm(TIME_S)
    resource.setrlimit(resource.RLIMIT_AS, (resident + MEMORY_BYTES, unlimited[1]))
    try:
      yield
    finally:
      resource.setrlimit(resource.RLIMIT_AS, unlimited)
      signal.alarm(0)
      signal.signal(signal.SIGALRM, previous)

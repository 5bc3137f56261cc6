"""One process that reads damaged files, a case after another, under limits of time and memory.

`python cases.py` answers each line of JSON on its standard input, [format, seed], with one: the outcome.
"""

import contextlib
import json
import logging
import os
import pathlib
import resource
import shutil
import signal
import sys
import tempfile
import traceback
import warnings
import zlib
from collections.abc import Iterator
from typing import Any

import formats
import numpy as np

from har_jax.errors import UserError

TIME_S = 20
MEMORY_BYTES = 1_500_000_000
_DEVICES = ('/dev/', '/proc/')

OUTCOMES = (
  'refused',
  'equal',
  'reported',
  'other data',
  'different',
  'traceback',
  'hang',
  'memory',
  'escaped',
)
BAD = OUTCOMES[4:]


class _HangError(BaseException):
  """No Exception: no reader may catch it."""


class _Writes:
  """Notes the paths that Python code opens for writing, makes, renames or deletes."""

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


class Cases:
  """Reads damaged copies of each format's valid input."""

  def __init__(self, folder: pathlib.Path):
    self._folder = folder
    self._whole: dict[str, formats.Read] = {}
    self._writes = _Writes()
    self._said: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: self._said.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger('har_jax').addHandler(handler)

  def run(self, name: str, seed: int) -> dict[str, Any]:
    """The outcome of one case, and what was said about it."""
    form = formats.FORMATS[name]
    valid = self._valid(form)
    case = self._folder / 'case'
    shutil.rmtree(case, ignore_errors=True)
    shutil.copytree(valid, case / 'in')
    (case / 'out').mkdir()
    rng = np.random.default_rng([zlib.crc32(name.encode()), seed])
    files = sorted(path for path in (case / 'in').rglob(form.files) if path.is_file())
    damaged = files[int(rng.integers(len(files)))]
    content = damaged.read_bytes()
    damaged.write_bytes(form.damage(content, rng))
    before = _listing(case / 'in')
    os.chdir(case)
    outcome, words = self._outcome(form, case)
    if self._writes.outside or _listing(case / 'in') != before or sorted(os.listdir(case)) != ['in', 'out']:
      outcome, words = 'escaped', f'{self._writes.outside[:3]} {words}'
    return {
      'format': name,
      'seed': seed,
      'outcome': outcome,
      'file': str(damaged.relative_to(case / 'in')),
      'words': words[-600:],
    }

  def _outcome(self, form: formats.Format, case: pathlib.Path) -> tuple[str, str]:
    self._said.clear()
    self._writes.outside.clear()
    try:
      with _limits(), warnings.catch_warnings():
        warnings.simplefilter('ignore')
        # In Orbax's folder, temporary names come and go.
        self._writes.allowed = case / ('in' if form.name == 'checkpoints' else 'out')
        found = form.read(case / 'in', case / 'out')
    except UserError as error:
      return 'memory' if _is_of_memory(error) else 'refused', str(error)
    except MemoryError:
      return 'memory', traceback.format_exc()
    except _HangError:
      return 'hang', traceback.format_exc()
    except BaseException as error:
      if _is_of_memory(error):
        return 'memory', traceback.format_exc()
      return 'traceback', traceback.format_exc()
    finally:
      self._writes.allowed = None
    whole = self._whole[form.name]
    said = found[1] + ''.join(self._said)
    if found[0] == whole[0]:
      return 'equal', ''
    if said != whole[1]:
      return 'reported', said
    return ('different' if form.has_sum else 'other data'), ''

  def _valid(self, form: formats.Format) -> pathlib.Path:
    folder = self._folder / form.name.replace(' ', '-')
    if form.name not in self._whole:
      folder.mkdir()
      form.build(folder)
      with tempfile.TemporaryDirectory() as out, warnings.catch_warnings():
        warnings.simplefilter('ignore')
        copy = pathlib.Path(out) / 'in'
        shutil.copytree(folder, copy)
        self._whole[form.name] = form.read(copy, pathlib.Path(out) / 'out')
    return folder


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

  def stop(*_: Any) -> None:
    raise _HangError

  held = int(pathlib.Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()
  unlimited = resource.getrlimit(resource.RLIMIT_AS)
  previous = signal.signal(signal.SIGALRM, stop)
  signal.alarm(TIME_S)
  resource.setrlimit(resource.RLIMIT_AS, (held + MEMORY_BYTES, unlimited[1]))
  try:
    yield
  finally:
    resource.setrlimit(resource.RLIMIT_AS, unlimited)
    signal.alarm(0)
    signal.signal(signal.SIGALRM, previous)


def main() -> None:
  answers = os.fdopen(os.dup(1), 'w')
  quiet = os.open(os.devnull, os.O_WRONLY)
  os.dup2(quiet, 1)
  os.dup2(quiet, 2)
  with tempfile.TemporaryDirectory() as folder:
    cases = Cases(pathlib.Path(folder).resolve())
    for line in sys.stdin:
      print(json.dumps(cases.run(*json.loads(line))), file=answers, flush=True)
    os.chdir('/')


if __name__ == '__main__':
  main()

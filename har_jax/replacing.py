"""Files and folders on a disk that appear completely or not at all, even where the process is killed.

What is being written has the name `.<name>.<random>.partial`, and its process holds a lock on it. The kernel
releases the lock of a dead process: then the next writer of the same name deletes what is left.
"""

import contextlib
import errno
import os
import pathlib
import re
import secrets
import shutil
from collections.abc import Collection, Iterator, Mapping

try:
  import fcntl
except ImportError:  # Windows: nothing is swept there
  fcntl = None  # type: ignore[assignment]

_TRIES = 10  # to make a temporary file that no other process sweeps


def write(contents: Mapping[pathlib.Path, bytes]) -> None:
  """Writes files under temporary names, then renames them in this order. A link is followed.

  Raises OSError; then no temporary file is left.
  """
  with contextlib.ExitStack() as undo:
    renamed: list[tuple[pathlib.Path, pathlib.Path]] = []
    for path, content in contents.items():
      target = pathlib.Path(os.path.realpath(path))
      target.parent.mkdir(parents=True, exist_ok=True)
      partial = undo.enter_context(_partial(target, is_folder=False))
      partial.write_bytes(content)
      renamed.append((partial, target))
    for partial, target in renamed:
      os.replace(partial, target)


@contextlib.contextmanager
def folder(path: pathlib.Path, ours: Collection[str] = ()) -> Iterator[pathlib.Path]:
  """A new folder, which takes the place of `path` when the block ends without an error. A link is followed.

  ours: names of files that are deleted with the old folder. Everything else in it moves to the new one.
  Raises OSError; then the old folder is as it was.
  """
  path = pathlib.Path(os.path.realpath(path))
  path.parent.mkdir(parents=True, exist_ok=True)
  with _partial(path, is_folder=True, ours=ours) as partial:
    previous = partial.with_suffix('.replaced')
    try:
      yield partial
      if path.exists():
        path.rename(previous)  # a folder cannot be renamed to one that is not empty
      partial.rename(path)
    finally:
      _settle(previous, path, ours)


@contextlib.contextmanager
def _partial(path: pathlib.Path, *, is_folder: bool, ours: Collection[str] = ()) -> Iterator[pathlib.Path]:
  """A temporary file or folder next to `path`, locked; deleted at the end unless renamed."""
  _sweep(path, ours)
  for tries_left in reversed(range(_TRIES)):
    partial = path.with_name(f'.{path.name}.{secrets.token_hex(4)}.partial')
    handle: int | None = None
    try:  # an interrupt may come as soon as it is made
      partial.mkdir() if is_folder else partial.touch(exist_ok=False)
      handle = _open(partial)
      # Another process may have swept it before the lock. Some file systems always say that it did.
      if (handle is None or _lock(handle) or not tries_left) and partial.exists():
        yield partial
        return
    finally:
      _delete(partial)
      _close(handle)
  raise OSError(errno.EAGAIN, 'its temporary files vanish', str(path))


def _open(partial: pathlib.Path) -> int | None:
  """A handle to lock; None on Windows, which opens no folder, and renames nothing that is open."""
  return None if fcntl is None else os.open(partial, os.O_RDONLY)


def _close(handle: int | None) -> None:
  if handle is not None:
    os.close(handle)


def _sweep(path: pathlib.Path, ours: Collection[str]) -> None:
  """Deletes what dead processes left of `path`, and undoes a replacement that they did not finish."""
  pattern = re.compile(rf'\.{re.escape(path.name)}\.[0-9a-f]+\.(partial|replaced)')
  left = sorted(entry.name for entry in os.scandir(path.parent) if pattern.fullmatch(entry.name))
  for name in left:
    partial = path.with_name(name).with_suffix('.partial')
    with contextlib.suppress(OSError):
      is_there = partial.exists()
      handle = _open(partial) if is_there else None
      try:
        if not is_there or (handle is not None and _lock(handle)):
          _settle(partial.with_suffix('.replaced'), path, ours)
          _delete(partial)
      finally:
        _close(handle)


def _lock(handle: int) -> bool:
  """Returns whether no other process holds the lock. True where the file system has no locks."""
  try:
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
  except BlockingIOError:
    return False
  except OSError:
    return True
  return True


def _settle(previous: pathlib.Path, path: pathlib.Path, ours: Collection[str]) -> None:
  """Puts an old folder back where no new one came; else deletes our files, and keeps the user's."""
  if not previous.exists():
    return
  if not path.exists():
    previous.rename(path)
    return
  for entry in list(previous.iterdir()):
    if entry.name in ours:
      entry.unlink(missing_ok=True)
    elif not (path / entry.name).exists():
      with contextlib.suppress(FileNotFoundError):  # another process sweeps, too
        entry.rename(path / entry.name)
  with contextlib.suppress(OSError):  # not empty: the new folder has a file of the same name
    previous.rmdir()


def _delete(path: pathlib.Path) -> None:
  if path.is_dir():
    shutil.rmtree(path, ignore_errors=True)
  else:
    path.unlink(missing_ok=True)

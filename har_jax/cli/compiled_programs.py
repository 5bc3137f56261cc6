"""Compiled programs, kept in the user's cache folder by JAX: a command that runs again compiles little."""

import contextlib
import os
import pathlib
import warnings
from collections.abc import Callable, Iterator
from typing import Any

_FOLDER = 'JAX_COMPILATION_CACHE_DIR'
_SETTINGS = {
  'JAX_COMPILATION_CACHE_MAX_SIZE': str(256 * 2**20),  # bytes; what was not used for longest is deleted
  'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0.1',  # below, reading takes as long as compiling
}
_LOCK_S = 10.0  # as JAX waits
_UNREADABLE = 'Error reading persistent compilation cache'


@contextlib.contextmanager
def keep() -> Iterator[None]:
  """Lets JAX keep compiled programs, if it is imported for the first time within the block.

  Nothing changes where the user has set JAX_COMPILATION_CACHE_DIR, or where the folder cannot be written.
  JAX_ENABLE_COMPILATION_CACHE=false turns it off. A program's key is its code, JAX's version and flags, and
  the device with its instructions.
  """
  folder = None if _FOLDER in os.environ else _usable()
  if folder is None:
    yield
    return
  added = {
    name: value for name, value in ({_FOLDER: str(folder)} | _SETTINGS).items() if name not in os.environ
  }
  os.environ |= added
  unreadable: list[str] = []
  try:
    with warnings.catch_warnings():
      warnings.showwarning = _collect(unreadable, warnings.showwarning)  # type: ignore[assignment]
      yield
  finally:
    for name in added:
      del os.environ[name]
    if unreadable:  # JAX has compiled the program, and does not replace what it cannot read
      with contextlib.suppress(OSError):
        _drop(folder, is_whole_dropped=True)


def _usable() -> pathlib.Path | None:
  """The folder, without what killed processes left in it; None if it cannot be used."""
  from har_jax import storage  # late, as it imports NumPy, which --help does without

  try:
    folder = storage.cache_folder() / 'programs'
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # JAX writes a program, then the time of its last use, and takes both to be there.
    _drop(folder)
  except (OSError, RuntimeError):  # RuntimeError: no home folder, or no locks on this disk
    return None
  return folder


def _drop(folder: pathlib.Path, *, is_whole_dropped: bool = False) -> None:
  """Deletes all programs, or those without the time of their last use."""
  import filelock

  with filelock.FileLock(folder / '.lockfile', timeout=_LOCK_S):  # JAX's own
    for program in list(folder.glob('*-cache')):
      used = folder / f'{program.name.removesuffix("-cache")}-atime'
      if is_whole_dropped or not used.exists():
        program.unlink()
        used.unlink(missing_ok=True)


def _collect(unreadable: list[str], show: Callable[..., None]) -> Callable[..., None]:
  """`show`, but warnings of programs that cannot be read are collected."""

  def shown(message: Warning | str, *details: Any, **more: Any) -> None:
    if str(message).startswith(_UNREADABLE):
      unreadable.append(str(message))
    else:
      show(message, *details, **more)

  return shown

"""A user's file, folder or zip as files that belong together, with bounds on what a packed file may hold."""

import contextlib
import dataclasses
import functools
import gzip
import itertools
import os
import pathlib
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

from har_jax.errors import UserError, shorten
from har_jax.recordings import limits
from har_jax.recordings.tables import border


@dataclasses.dataclass(frozen=True)
class File:
  """One file, on disk or in a zip. `folder` is the one on disk in which it or its zip lies."""

  path: pathlib.Path
  folder: pathlib.Path
  open: Callable[[], Any] = dataclasses.field(compare=False)  # binary and readable
  opened: dict[str, Any] = dataclasses.field(default_factory=dict, compare=False)  # what was parsed of it

  @property
  def name(self) -> str:
    return self.path.name

  @property
  def suffix(self) -> str:
    """Lower-case, without .gz: '.csv' of walk.csv.gz."""
    name = self.name.lower().removesuffix('.gz')
    return pathlib.PurePath(name).suffix

  @property
  def stem(self) -> str:
    """The name without its suffix and without .gz."""
    length = len(self.name) - (3 if self.name.lower().endswith('.gz') else 0)
    return self.name[: length - len(self.suffix)]

  def text(self, limit: int = 1 << 20) -> str:
    """The start of a small text file."""
    with border(self.path, 'text'), self.open() as file:
      return file.read(limit).decode('utf-8-sig', 'replace')

  def bytes(self, limit: int) -> bytes:
    """Raises UserError if there are more than `limit`."""
    # In blocks: a file that is asked for more takes that much memory first.
    with border(self.path), self.open() as file:
      blocks = map(file.read, itertools.repeat(limits.BLOCK_BYTES, limit // limits.BLOCK_BYTES + 1))
      data = b''.join(itertools.takewhile(bool, blocks))
    if len(data) > limit:
      raise UserError(f'{self.path} has more than {limit >> 20} MiB: split it, or export it as CSV')
    return data


@dataclasses.dataclass(frozen=True)
class Files:
  """Files that may belong together, by their names below a folder: 'Raw Data.csv', 'meta/time.csv'.

  `single` is the one that the user named alone; the others then only explain it.
  """

  name: str
  by_name: dict[str, File]
  single: File | None = None

  @property
  def top(self) -> list[File]:
    """Files directly in the folder, sorted."""
    return [file for name, file in sorted(self.by_name.items()) if '/' not in name]

  @property
  def folders(self) -> list['Files']:
    """Files in its folders."""
    below: dict[str, dict[str, File]] = {}
    for name in sorted(self.by_name):
      top, slash, below_top = name.partition('/')
      if slash:
        below.setdefault(top, {})[below_top] = self.by_name[name]
    return [Files(top, by_name) for top, by_name in below.items()]

  def only(self, file: File) -> 'Files':
    return dataclasses.replace(self, name=file.stem, single=file)


def as_path(source: Any) -> Any:
  """A text as a path; all else as it is. Raises UserError for an empty text, a path of this folder."""
  if isinstance(source, str) and not source:
    raise UserError('the path of the recording or of its labels is empty: give a file or a folder')
  return pathlib.Path(source) if isinstance(source, str | os.PathLike) else source


def make_file(path: pathlib.Path) -> File:
  return File(path, path.parent, functools.partial(_open, path))


def list_siblings(path: pathlib.Path) -> Files:
  """A file alone, with the files next to it."""
  file = make_file(path)
  with contextlib.suppress(UserError):  # of a folder that cannot be listed
    return list_folder(path.parent).only(file)
  return Files(file.stem, {file.name: file}, file)


def list_folder(path: pathlib.Path) -> Files:
  """The files in a folder and in its folders, no deeper; hidden ones are left out."""
  with border(path, 'a folder that can be listed'):
    children = list(visible(path))
  paths = [child for child in children if child.is_file()]
  for child in children:
    if child.is_dir() and len(paths) <= limits.MAX_MEMBERS:
      with contextlib.suppress(OSError):  # a folder of someone else's
        paths += [below for below in visible(child) if below.is_file()]
  return Files(path.resolve().name, {file.relative_to(path).as_posix(): make_file(file) for file in paths})


def list_zip(path: pathlib.Path) -> Files:
  """The files in a zip, below the folder that holds them all. A zip in a zip is no folder.

  Raises UserError: no zip, damaged, encrypted, too many files, or too much in it for its size.
  """
  with border(path, 'a zip'):
    zipped = zipfile.ZipFile(path)  # for all members: opening it reads the names of all
    members = [
      info
      for info in zipped.infolist()
      if not info.is_dir()
      and (parts := pathlib.PurePosixPath(info.filename).parts)  # '' has none
      and not any(part[:1] in '.~' or part == '__MACOSX' for part in parts)
    ]
  size = sum(info.file_size for info in members)
  limits.check(path, size, path.stat().st_size, members=len(members))
  folders = [pathlib.PurePosixPath(info.filename).parts[:-1] for info in members] or [()]
  depth = sum(1 for _ in itertools.takewhile(lambda names: len(set(names)) == 1, zip(*folders, strict=False)))
  below = len('/'.join([*folders[0][:depth], '']))
  by_name = {
    info.filename[below:]: File(
      path / shorten(info.filename), path.parent, functools.partial(_open_member, zipped, info)
    )
    for info in members
  }
  return Files(path.stem, by_name)


def visible(path: pathlib.Path) -> Iterator[pathlib.Path]:
  return (child for child in sorted(path.iterdir()) if child.name[:1] not in '.~')


def _open(path: pathlib.Path) -> Any:
  if path.suffix.lower() != '.gz':
    return path.open('rb')
  return limits.unpacked(gzip.open(path, 'rb'), path, path.stat().st_size)


def _open_member(zipped: zipfile.ZipFile, info: zipfile.ZipInfo) -> Any:
  file = zipped.open(info)
  if not info.filename.lower().endswith('.gz'):
    return file
  return limits.unpacked(gzip.GzipFile(fileobj=file), pathlib.Path(str(zipped.filename)), info.compress_size)

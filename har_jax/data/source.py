"""An archive on disk: a zip, zips within it, or an extracted folder; read in place, without extracting.

n rows, c columns.
"""

import contextlib
import fnmatch
import hashlib
import io
import pathlib
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from typing import IO

import numpy as np
from jaxtyping import Shaped

from har_jax.errors import UserError

_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError)  # a damaged or truncated zip
# zipfile raises the former for unknown compression, the latter for a missing password.
UNREADABLE = (*_DAMAGE, NotImplementedError, RuntimeError)


class Source:
  """The files of one archive, under names joined by '/'.

  A zip inside counts as a folder: 'data/acc_walking_csv.zip/acc_walking_waist.csv'.
  Nothing is written to disk, so an entry's name cannot lead outside.

  Raises UserError: no such file, not a zip, a truncated zip.
  """

  def __init__(self, path: str | pathlib.Path):
    self.path = pathlib.Path(path)
    if not self.path.exists():
      raise UserError(f'no archive at {self.path}: give a zip or the folder it was extracted to')
    # The inner zip in use; one at a time bounds memory.
    self._inner: tuple[str, zipfile.ZipFile] | None = None
    self._outer: zipfile.ZipFile | None = None
    self._zips: set[str] = set()  # inner zips; a folder may be named 'a.zip', too
    self._names: list[str] | None = None
    self._known: set[str] = set()
    if self.path.is_file():
      try:
        self._outer = zipfile.ZipFile(self.path)
      except UNREADABLE as error:
        size = self.path.stat().st_size
        raise UserError(
          f'{self.path} is not a zip, or a truncated one ({size} bytes): download it again'
        ) from error

  @property
  def names(self) -> list[str]:
    """Every file, sorted, without macOS resource forks."""
    return self._list_once()

  def find(self, pattern: str) -> list[str]:
    """The names whose last components match a glob pattern, at any depth, sorted."""
    return [name for name in self.names if fnmatch.fnmatchcase(f'/{name}', f'*/{pattern}')]

  @contextlib.contextmanager
  def open(self, name: str) -> Iterator[IO[bytes]]:
    """A file's bytes. Raises UserError: no such file, a damaged zip."""
    self._list_once()
    if name not in self._known:
      raise UserError(
        f'{self.path} has no file {name}: the archive is incomplete; download or extract it again'
      )
    with self._open(name) as file:
      yield file

  def checksum(self) -> str:
    """SHA-256 of the zip; for a folder, of its names and sizes, with another prefix."""
    if self._outer is None:
      digest = hashlib.sha256()
      for name in self.names:
        with self.open(name) as file:
          digest.update(f'{name}\n{file.seek(0, io.SEEK_END)}\n'.encode())
      return f'listing-sha256:{digest.hexdigest()}'
    with self.path.open('rb') as file:
      return f'sha256:{hashlib.file_digest(file, "sha256").hexdigest()}'

  @contextlib.contextmanager
  def _open(self, name: str) -> Iterator[IO[bytes]]:
    zipped, inner = self._innermost_zip(name)
    message = f'{self.path}: {name} cannot be read; is the download complete?'
    try:
      file = open(self.path / name, 'rb') if zipped is None else zipped.open(inner)  # noqa: SIM115
    except UNREADABLE as error:
      raise UserError(f'{message} ({error})') from error
    try:
      with file:
        yield file
    except _DAMAGE as error:
      raise UserError(f'{message} ({error})') from error

  def _list_once(self) -> list[str]:
    if self._names is None:
      self._known = {name for name in self._list() if not _is_resource_fork(name)}
      self._names = sorted(self._known)
    return self._names

  def _list(self) -> Iterator[str]:
    if self._outer is not None:
      plain = [entry.filename for entry in self._outer.infolist() if not entry.is_dir()]
    else:
      plain = [file.relative_to(self.path).as_posix() for file in self.path.rglob('*') if file.is_file()]
    for name in plain:
      if name.endswith('.zip') and not _is_resource_fork(name):
        yield from self._list_zip(name)
      else:
        yield name

  def _list_zip(self, name: str) -> Iterator[str]:
    self._zips.add(name)
    zipped, _ = self._innermost_zip(f'{name}/')
    assert zipped is not None
    for entry in zipped.infolist():
      if entry.filename.endswith('.zip') and not _is_resource_fork(entry.filename):
        yield from self._list_zip(f'{name}/{entry.filename}')
      elif not entry.is_dir():
        yield f'{name}/{entry.filename}'

  def _innermost_zip(self, name: str) -> tuple[zipfile.ZipFile | None, str]:
    """The innermost zip around a file, and the file's name there; None for a plain file of a folder."""
    zip_name = max(self._zips_above(name), key=len, default=None)
    if zip_name is None:
      return self._outer, name
    if self._inner is None or self._inner[0] != zip_name:
      with self._open(zip_name) as file:
        content = io.BytesIO(file.read())
      try:
        self._inner = zip_name, zipfile.ZipFile(content)
      except UNREADABLE as error:
        raise UserError(
          f'{self.path}: {zip_name} inside is not a zip, or a truncated one: download it again'
        ) from error
    return self._inner[1], name[len(zip_name) + 1 :]

  def _zips_above(self, name: str) -> Iterator[str]:
    at = name.find('.zip/')
    while at >= 0:
      if name[: at + 4] in self._zips:
        yield name[: at + 4]
      at = name.find('.zip/', at + 1)


def read_rows(
  source: Source,
  name: str,
  *,
  columns: int | Sequence[str],
  delimiter: str | None = ',',
  dtype: np.dtype | type = np.float64,
  comments: str | None = None,
) -> Shaped[np.ndarray, '...']:
  """The rows of a text file: [n, c] numbers, or [n] records if `dtype` has fields. 'nan' becomes NaN.

  `columns`: how many each line has; or, for a file with a header line, the names of those to read.
  Raises UserError: no such file, no such column, a line of another length, text for a number, no row.
  """
  with source.open(name) as file:
    text = io.StringIO(file.read().decode('utf-8-sig', 'replace'))
  selected: list[int] | None = None
  if not isinstance(columns, int):
    header = [word.strip() for word in text.readline().split(delimiter)]
    if missing := [column for column in columns if column not in header]:
      raise UserError(f'{source.path}: {name} has no column {", ".join(missing)}; it has {", ".join(header)}')
    selected = [header.index(column) for column in columns]
  records = np.dtype(dtype).names or ()
  try:
    with warnings.catch_warnings():
      warnings.simplefilter('ignore', UserWarning)  # of an empty file, an error below
      rows = np.loadtxt(
        text,
        dtype=dtype,
        delimiter=delimiter,
        comments=comments,
        usecols=selected,
        ndmin=1 if records else 2,
      )
  except (ValueError, OverflowError) as error:
    reason = str(error).split(';')[0]  # the rest is about numpy's arguments
    raise UserError(f'{source.path}: {name} is not a table of numbers: {reason}') from error
  if not len(rows):
    raise UserError(f'{source.path}: {name} has no rows')
  if isinstance(columns, int) and not records and rows.shape[1] != columns:
    raise UserError(f'{source.path}: {name} has {rows.shape[1]} columns where {columns} are expected')
  return rows


def _is_resource_fork(name: str) -> bool:
  return '__MACOSX/' in f'/{name}' or name.rpartition('/')[2].startswith('._')

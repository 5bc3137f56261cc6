"""An archive on disk: a zip, zips within it, or an extracted folder; read in place, nothing extracted.

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

_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError)  # what a damaged or truncated zip raises
# And one with odd compression or a password, when opened.
UNREADABLE = (*_DAMAGE, NotImplementedError, RuntimeError)


class Source:
  """The files of one archive under names joined by '/', whatever holds them.

  A zip inside is a folder here: 'data/acc_walking_csv.zip/acc_walking_waist.csv'.
  Nothing is written to disk, so an entry's name can lead nowhere.

  Raises UserError: no such file, not a zip, a truncated zip.
  """

  def __init__(self, path: str | pathlib.Path):
    self.path = pathlib.Path(path)
    if not self.path.exists():
      raise UserError(f'no archive at {self.path}: give a zip or the folder it was extracted to')
    self._inner: tuple[str, zipfile.ZipFile] | None = (
      None  # the inner zip in use; one at a time bounds memory
    )
    self._outer: zipfile.ZipFile | None = None
    self._zips: set[str] = (
      set()
    )  # a folder may be called 'a.zip' too: only what is listed here is opened as a zip
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
    """Every file, sorted; macOS resource forks left out."""
    return self._list_once()

  def find(self, pattern: str) -> list[str]:
    """Names whose last components match a glob pattern, at any depth, in sorted order."""
    return [name for name in self.names if fnmatch.fnmatchcase(f'/{name}', f'*/{pattern}')]

  @contextlib.contextmanager
  def open(self, name: str) -> Iterator[IO[bytes]]:
    """A file's bytes. Raises UserError where there is no such file or the zip is damaged."""
    self._list_once()
    if name not in self._known:
      raise UserError(
        f'{self.path} has no file {name}: the archive is incomplete; download or extract it again'
      )
    with self._open(name) as file:
      yield file

  def checksum(self) -> str:
    """SHA-256 of the zip; of names and sizes for a folder, marked as such."""
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
    holder, inner = self._holder(name)
    complaint = f'{self.path}: {name} cannot be read; is the download complete?'
    try:
      file = open(self.path / name, 'rb') if holder is None else holder.open(inner)  # noqa: SIM115
    except UNREADABLE as error:
      raise UserError(f'{complaint} ({error})') from error
    try:
      with file:
        yield file
    except _DAMAGE as error:
      raise UserError(f'{complaint} ({error})') from error

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
        yield from self._list_inner(name)
      else:
        yield name

  def _list_inner(self, name: str) -> Iterator[str]:
    self._zips.add(name)
    holder, _ = self._holder(f'{name}/')
    assert holder is not None
    for entry in holder.infolist():
      if entry.filename.endswith('.zip') and not _is_resource_fork(entry.filename):
        yield from self._list_inner(f'{name}/{entry.filename}')
      elif not entry.is_dir():
        yield f'{name}/{entry.filename}'

  def _holder(self, name: str) -> tuple[zipfile.ZipFile | None, str]:
    """The innermost zip that holds a name and the name in it; no zip for a plain file of a folder."""
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
          f'{self.path}: {zip_name} inside is no zip, or a truncated one: download it again'
        ) from error
    return self._inner[1], name[len(zip_name) + 1 :]

  def _zips_above(self, name: str) -> Iterator[str]:
    cut = name.find('.zip/')
    while cut >= 0:
      if name[: cut + 4] in self._zips:
        yield name[: cut + 4]
      cut = name.find('.zip/', cut + 1)


def read_rows(
  source: Source,
  name: str,
  *,
  columns: int | Sequence[str],
  delimiter: str | None = ',',
  dtype: np.dtype | type = np.float64,
  comments: str | None = None,
) -> Shaped[np.ndarray, '...']:
  """The rows of a text file: [n, c] numbers, or [n] records where `dtype` has fields.

  `columns` is how many each line holds, or, for a file with a header line, the names of those to take.
  'nan' stays NaN.
  Raises UserError: no such file, no such column, a line of another length, a word for a number, no row.
  """
  with source.open(name) as file:
    text = io.StringIO(file.read().decode('utf-8-sig', 'replace'))
  wanted: list[int] | None = None
  if not isinstance(columns, int):
    header = [word.strip() for word in text.readline().split(delimiter)]
    if missing := [column for column in columns if column not in header]:
      raise UserError(f'{source.path}: {name} has no column {", ".join(missing)}; it has {", ".join(header)}')
    wanted = [header.index(column) for column in columns]
  records = np.dtype(dtype).names or ()
  try:
    with warnings.catch_warnings():
      warnings.simplefilter('ignore', UserWarning)  # of an empty file, refused below
      rows = np.loadtxt(
        text,
        dtype=dtype,
        delimiter=delimiter,
        comments=comments,
        usecols=wanted,
        ndmin=1 if records else 2,
      )
  except (ValueError, OverflowError) as error:
    reason = str(error).split(';')[0]  # what follows advises on numpy's own arguments
    raise UserError(f'{source.path}: {name} is not a table of numbers: {reason}') from error
  if not len(rows):
    raise UserError(f'{source.path}: {name} holds no row of numbers')
  if isinstance(columns, int) and not records and rows.shape[1] != columns:
    raise UserError(f'{source.path}: {name} has {rows.shape[1]} columns where {columns} are expected')
  return rows


def _is_resource_fork(name: str) -> bool:
  return '__MACOSX/' in f'/{name}' or name.rpartition('/')[2].startswith('._')

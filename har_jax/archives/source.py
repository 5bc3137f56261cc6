"""An archive on disk: a zip, zips within it, or an extracted folder; read in place, without extracting.

n rows, c columns.
"""

import contextlib
import fnmatch
import functools
import hashlib
import io
import lzma
import pathlib
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from typing import IO

import numpy as np
from jaxtyping import Shaped

from har_jax.errors import UserError, shorten
from har_jax.recordings import limits

_DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError)  # a damaged or truncated zip
# All that zipfile, NumPy, pandas and SciPy raise for a file, whatever it holds. RuntimeError: an unknown
# compression, a password. ValueError: text for a number, no UTF-8, an offset before the file's first byte.
UNREADABLE = (*_DAMAGE, ArithmeticError, LookupError, MemoryError, RuntimeError, ValueError, struct.error)

_MAX_DEPTH = 3  # RealWorld has zips within zips in its zip
_MAX_TABLE_BYTES = 48 << 20  # of a table that is held in memory; UCI HAR has one of 15 MB


class Source:
  """The files of one archive, under names joined by '/'.

  A zip inside counts as a folder: 'data/acc_walking_csv.zip/acc_walking_waist.csv'.
  Nothing is written to disk, so an entry's name cannot lead outside.

  Raises UserError: no such file, not a zip, a truncated zip; more files, deeper zips or more bytes than an
  archive has.
  """

  def __init__(self, path: str | pathlib.Path):
    self.path: pathlib.Path = pathlib.Path(path)
    self.copies: set[str] = set()  # files that `find` left out, as another folder holds the same
    self.last_opened: str = ''
    self._members = self._packed_bytes = self._unpacked_bytes = 0
    if not self.path.exists():
      raise UserError(f'no archive at {self.path}: give a zip or the folder it was extracted to')
    # The inner zip in use; one at a time bounds memory.
    self._inner: tuple[str, zipfile.ZipFile] | None = None
    self._outer: zipfile.ZipFile | None = None
    self._zips: set[str] = set()  # inner zips; a folder may be named 'a.zip', too
    if self.path.is_file():
      try:
        self._outer = zipfile.ZipFile(self.path)
      except UNREADABLE as error:
        size = self.path.stat().st_size
        raise UserError(
          f'{self.path} is not a zip, or a truncated one ({size} bytes): download it again'
        ) from error
      self._packed_bytes = self.path.stat().st_size

  @functools.cached_property
  def names(self) -> list[str]:
    """Every file, sorted, without macOS resource forks."""
    return sorted(self._names)

  @functools.cached_property
  def _names(self) -> set[str]:
    return {name for name in self._list() if not _is_resource_fork(name)}

  def find(self, pattern: str) -> list[str]:
    """The names whose last components match a glob pattern, at any depth, sorted.

    Of copies of a pattern's folders, the least deep one is read. Raises UserError where they differ.
    """
    firsts: dict[str, str] = {}
    for name in sorted(self.names, key=lambda name: (name.count('/'), name)):
      if fnmatch.fnmatchcase(f'/{name}', f'*/{pattern}'):
        inner = '/'.join(name.split('/')[-1 - pattern.count('/') :])
        first = firsts.setdefault(inner if '/' in pattern else name, name)
        if name != first and name not in self.copies:
          self._check_equal(first, name)
          self.copies.add(name)
    return sorted(firsts.values())

  def find_one(self, pattern: str, *, without: str | None = None) -> str:
    """The one name that matches, and lacks the text `without`. Raises UserError unless there is one."""
    names = [name for name in self.find(pattern) if without is None or without not in name.lower()]
    if len(names) != 1:
      raise UserError(f'{self.path}: expected one file {pattern}, found {len(names)}')
    return names[0]

  def match(self, pattern: str, regex: re.Pattern[str], layout: str) -> Iterator[tuple[str, re.Match[str]]]:
    """Yields the names that `find` lists, each with its match. Raises UserError for one of another layout."""
    for name in self.find(pattern):
      if (match := regex.search(name)) is None:
        raise UserError(f'{self.path}: {shorten(name)} is not {layout}')
      yield name, match

  @contextlib.contextmanager
  def open(self, name: str) -> Iterator[IO[bytes]]:
    """A file's bytes. Raises UserError: no such file, a damaged zip."""
    if name not in self._names:
      raise UserError(
        f'{self.path} has no file {shorten(name)}: the archive is incomplete; download or extract it again'
      )
    self.last_opened = name
    with self._open(name) as file:
      yield file

  @contextlib.contextmanager
  def border(self) -> Iterator[None]:
    """Turns every error that a file's content can cause into a UserError that names the file opened last."""
    try:
      yield
    except UNREADABLE as error:
      reason = ' '.join(str(error).split()) or 'it does not fit into memory'
      raise UserError(
        f'{self.path}: {shorten(self.last_opened or "its list of files")} cannot be read '
        f'({type(error).__name__}: {shorten(reason)}); download it again'
      ) from error

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

  def _check_equal(self, *names: str) -> None:
    sums = set()
    for name in names:
      with self.open(name) as file:
        sums.add(hashlib.file_digest(file, 'sha256').digest())  # type: ignore[arg-type]  # IO has readinto
    if len(sums) > 1:
      raise UserError(f'{self.path}: {" and ".join(map(shorten, names))} differ: keep one of them')

  @contextlib.contextmanager
  def _open(self, name: str) -> Iterator[IO[bytes]]:
    zipped, inner = self._innermost_zip(name)
    message = f'{self.path}: {shorten(name)} cannot be read; is the download complete?'
    try:
      file = open(self.path / name, 'rb') if zipped is None else zipped.open(inner)  # noqa: SIM115
    except UNREADABLE as error:
      raise UserError(f'{message} ({error})') from error
    try:
      with file:
        yield file
    except _DAMAGE as error:
      raise UserError(f'{message} ({error})') from error

  def _list(self) -> Iterator[str]:
    if self._outer is not None:
      yield from self._list_entries(self._outer, '', depth=0)
      return
    for file in self.path.rglob('*'):
      if file.is_file():
        name = file.relative_to(self.path).as_posix()
        if name.endswith('.zip') and not _is_resource_fork(name):
          self._packed_bytes += file.stat().st_size
          yield from self._list_zip(name, depth=1)
        else:
          yield name

  def _list_zip(self, name: str, depth: int) -> Iterator[str]:
    if depth > _MAX_DEPTH:
      raise UserError(
        f'{self.path}: {shorten(name)} is the {depth}th zip within a zip; no archive is so deep'
      )
    self._zips.add(name)
    zipped, _ = self._innermost_zip(f'{name}/')
    assert zipped is not None
    yield from self._list_entries(zipped, f'{name}/', depth)

  def _list_entries(self, zipped: zipfile.ZipFile, folder: str, depth: int) -> Iterator[str]:
    # Without a name in a damaged zip; is_dir looks at the last letter.
    entries = [entry for entry in zipped.infolist() if not (entry.filename and entry.is_dir())]
    self._count(entries)
    for entry in entries:
      name = folder + entry.filename
      self._check_name(zipped, entry, name)
      if name.endswith('.zip') and not _is_resource_fork(name):
        yield from self._list_zip(name, depth + 1)
      else:
        yield name

  def _check_name(self, zipped: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str) -> None:
    """Raises UserError where the zip's directory and the entry disagree: another name would hide a file."""
    try:
      with contextlib.suppress(RuntimeError):  # a compression or password that matters only if it is read
        zipped.open(entry).close()
    except UNREADABLE as error:
      raise UserError(f'{self.path}: {shorten(name)} is damaged ({error}): download it again') from error
    if not entry.filename:
      raise UserError(f'{self.path} has a file without a name, so it is damaged: download it again')

  def _count(self, entries: Sequence[zipfile.ZipInfo]) -> None:
    """Raises UserError before anything is unpacked. zipfile unpacks no more than an entry's stated size."""
    self._members += len(entries)
    self._unpacked_bytes += sum(entry.file_size for entry in entries)
    limits.check(self.path, self._unpacked_bytes, self._packed_bytes, members=self._members)

  def _innermost_zip(self, name: str) -> tuple[zipfile.ZipFile | None, str]:
    """The innermost zip around a file, and the file's name there; None for a plain file of a folder."""
    above = [name[: match.end() - 1] for match in re.finditer(r'\.zip/', name)]
    zip_name = next((folder for folder in reversed(above) if folder in self._zips), None)
    if zip_name is None:
      return self._outer, name
    if self._inner is None or self._inner[0] != zip_name:
      with self._open(zip_name) as file:
        content = io.BytesIO(file.read())
      try:
        self._inner = zip_name, zipfile.ZipFile(content)
      except UNREADABLE as error:
        raise UserError(
          f'{self.path}: {shorten(zip_name)} inside is not a zip, or a truncated one: download it again'
        ) from error
    return self._inner[1], name[len(zip_name) + 1 :]


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
  Raises UserError: no such file, no such column, a line of another length, text for a number, no row, over
  48 MiB.
  """
  where = f'{source.path}: {shorten(name)}'
  with source.open(name) as file:
    fields = columns if isinstance(columns, int) and delimiter else None
    checked = limits.checked_lines(
      file, where, delimiter=delimiter, fields=fields, max_bytes=_MAX_TABLE_BYTES
    )
    text = io.StringIO(checked.read().decode('utf-8-sig', 'replace'))
    selected: list[int] | None = None
    if not isinstance(columns, int):
      header = [word.strip() for word in text.readline().split(delimiter)]
      if missing := [column for column in columns if column not in header]:
        listed = shorten(', '.join(header))
        raise UserError(f'{where} has no column {", ".join(missing)}; it has {listed}')
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
      reason = shorten(str(error).split(';')[0])  # the rest is about numpy's arguments
      raise UserError(f'{where} is not a table of numbers: {reason}') from error
  if not len(rows):
    raise UserError(f'{where} has no rows')
  if isinstance(columns, int) and not records and rows.shape[1] != columns:
    raise UserError(f'{where} has {rows.shape[1]} columns where {columns} are expected')
  return rows


def _is_resource_fork(name: str) -> bool:
  return '__MACOSX/' in f'/{name}' or name.rpartition('/')[2].startswith('._')

"""An archive on disk: a zip, zips within it, or a folder that somebody extracted; read in place, nothing extracted."""

import contextlib
import fnmatch
import hashlib
import io
import pathlib
import zipfile
from collections.abc import Iterator

from har_jax.errors import UserError


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
    if self.path.is_file() and not zipfile.is_zipfile(self.path):
      raise UserError(
        f'{self.path} is not a zip, or a truncated one ({self.path.stat().st_size} bytes): download it again'
      )
    self._inner: tuple[str, zipfile.ZipFile] | None = None  # the inner zip in use; one at a time bounds memory
    self._outer = zipfile.ZipFile(self.path) if self.path.is_file() else None
    self._names: list[str] | None = None

  @property
  def names(self) -> list[str]:
    """Every file, sorted; macOS resource forks left out."""
    if self._names is None:
      self._names = sorted(name for name in self._list() if '__MACOSX/' not in f'/{name}')
    return self._names

  def find(self, pattern: str) -> list[str]:
    """Names whose last components match a glob pattern, at any depth, in sorted order."""
    return [name for name in self.names if fnmatch.fnmatchcase(f'/{name}', f'*/{pattern}')]

  @contextlib.contextmanager
  def open(self, name: str) -> Iterator[io.BufferedIOBase]:
    """A file's bytes. Raises UserError where the zip is damaged."""
    try:
      holder, inner = self._holder(name)
      with open(self.path / name, 'rb') if holder is None else holder.open(inner) as file:
        yield file
    except (zipfile.BadZipFile, EOFError, OSError) as error:
      raise UserError(f'{self.path}: {name} cannot be read ({error}); is the download complete?') from error

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

  def _list(self) -> Iterator[str]:
    if self._outer is not None:
      plain = [entry.filename for entry in self._outer.infolist() if not entry.is_dir()]
    else:
      plain = [file.relative_to(self.path).as_posix() for file in self.path.rglob('*') if file.is_file()]
    for name in plain:
      if name.endswith('.zip'):
        yield from self._list_inner(name)
      else:
        yield name

  def _list_inner(self, name: str) -> Iterator[str]:
    holder, _ = self._holder(f'{name}/')
    for entry in holder.infolist():
      if entry.filename.endswith('.zip'):
        yield from self._list_inner(f'{name}/{entry.filename}')
      elif not entry.is_dir():
        yield f'{name}/{entry.filename}'

  def _holder(self, name: str) -> tuple[zipfile.ZipFile | None, str]:
    """The zip that holds a name and the name in it; no zip for a plain file of a folder."""
    cut = name.rfind('.zip/')
    if cut < 0:
      return self._outer, name
    zip_name, inner = name[: cut + 4], name[cut + 5 :]
    if self._inner is None or self._inner[0] != zip_name:
      with self.open(zip_name) as file:
        content = io.BytesIO(file.read())
      try:
        self._inner = zip_name, zipfile.ZipFile(content)
      except zipfile.BadZipFile as error:
        raise UserError(f'{self.path}: {zip_name} inside is no zip, or a truncated one: download it again') from error
    return self._inner[1], inner

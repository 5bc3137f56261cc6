"""Downloads an archive from its official URL, and resumes a broken download."""

import hashlib
import http.client
import logging
import pathlib
import re
import urllib.error
import urllib.parse
import urllib.request
import zipfile

from tqdm import tqdm

from har_jax import storage
from har_jax.archives.archive import Archive
from har_jax.errors import UserError, shorten

_CHUNK_BYTES = 1 << 20
_MAX_BYTES = 16 << 30  # the largest archive has 4 GB
_TIMEOUT_S = 60  # without a byte for so long, a connection is dead


def fetch(archive: Archive, folder: str | pathlib.Path, *, allow_http: bool = False) -> pathlib.Path:
  """The archive's zip in `folder`, downloaded unless it is already there.

  Writes `<file>.sha256` next to it, as `sha256sum --check` reads it; if it exists, the zip must match it.
  An incomplete download is `<file>.part`. The next call resumes it, if the server confirms that the file is
  still the same: by an ETag or a date, kept in `<file>.part.version`. Else it starts over.
  allow_http: download without encryption, where anyone on the way can change the file.
  Checks only the directory of the zip (at its end), not each entry: reading finds other damage.
  Raises UserError: no network, an HTTP error, a wrong length or range, no encryption; not a zip, another
  checksum (deletes the file).
  """
  if not archive.url and archive.marker:
    raise UserError(f'{archive.name} has no address: fetch it from its authors, and give --archive_path')
  if not archive.url:
    raise UserError(f'{archive.name} comes with the package: there is nothing to download')
  folder = pathlib.Path(folder)
  path = folder / _file_name(archive.url)
  if path.exists():
    _check(path, path)
    return path
  _check_scheme(archive.url, allow_http)
  part = path.with_name(f'{path.name}.part')
  try:
    folder.mkdir(parents=True, exist_ok=True)
    _download(archive.url, part, allow_http)
  except (OSError, ValueError, http.client.HTTPException) as error:  # URLError and timeouts are OSErrors
    size, _ = _resumable(part)
    progress = f'{size} bytes are kept, and the next try resumes from there. ' if size else ''
    raise UserError(
      f'{archive.url} could not be downloaded ({shorten(error)}). {progress}'
      f'Try again, or download it in another way and put it at {path}'
    ) from error
  try:
    _check(part, path)
  except UserError:
    _delete(part)
    raise
  part.replace(path)
  _delete(part)
  return path


def _file_name(url: str) -> str:
  """The URL's last part; of GitHub's snapshots, which are all HEAD.zip, the repository's name."""
  path = pathlib.PurePosixPath(urllib.parse.unquote(urllib.parse.urlsplit(url).path))
  return f'{path.parts[-3]}.zip' if path.match('archive/HEAD.zip') else path.name


def _check_scheme(url: str, allow_http: bool) -> None:
  scheme = urllib.parse.urlsplit(url).scheme
  if scheme not in ('https', 'http'):
    raise UserError(f'{shorten(url)} is neither https nor http: download it in another way')
  if scheme == 'http' and not allow_http:
    raise UserError(
      f'{shorten(url)} is not encrypted, so anyone on the way can change the file: download it in '
      'another way, or accept that with --allow_http'
    )


class _Redirects(urllib.request.HTTPRedirectHandler):
  """Follows no redirection from https to http, unless that is allowed, and none to another scheme."""

  def __init__(self, allow_http: bool):
    self._allow_http = allow_http

  def redirect_request(self, req, fp, code, msg, headers, newurl):
    _check_scheme(newurl, self._allow_http)
    return super().redirect_request(req, fp, code, msg, headers, newurl)


def _version_of(part: pathlib.Path) -> pathlib.Path:
  return part.with_name(f'{part.name}.version')


def _delete(part: pathlib.Path) -> None:
  for path in (part, _version_of(part)):
    path.unlink(missing_ok=True)


def _resumable(part: pathlib.Path) -> tuple[int, str]:
  """Bytes kept, and the version of the file that they are of; none without a version."""
  try:
    version = _version_of(part).read_text(encoding='latin-1').strip()
    return (part.stat().st_size, version) if version else (0, '')
  except FileNotFoundError:
    return 0, ''


def _download(url: str, part: pathlib.Path, allow_http: bool) -> None:
  """Completes `part`. Raises OSError, ValueError or HTTPException, and keeps the bytes received so far."""
  size, version = _resumable(part)
  headers = {'Range': f'bytes={size}-', 'If-Range': version} if size else {}
  request = urllib.request.Request(url, headers=headers)
  opener = urllib.request.build_opener(_Redirects(allow_http))
  try:
    response = opener.open(request, timeout=_TIMEOUT_S)
  except urllib.error.HTTPError as error:
    error.close()
    # 416: no bytes after those we have. 'bytes */LENGTH' tells whether the file is complete or too long.
    total = error.headers.get('Content-Range', '').rpartition('/')[2]
    if error.code == 416 and total == str(size):
      return
    if error.code == 416:
      _delete(part)
      raise OSError(f'{size} bytes were kept, the server has {total or "fewer"}; starting over') from error
    raise
  with response:
    if response.status != 206:  # everything: the server knows no ranges, or has another version of the file
      size = 0
    elif size and _version(response) not in ('', version):  # it ignored If-Range
      _delete(part)
      raise OSError('the file changed on the server; starting over')
    total_size = _total_size(response, size)
    _check_size(part, total_size or 0)
    if not size:  # in this order: bytes of one version must never lie next to the name of another
      _delete(part)
      _version_of(part).write_text(_version(response), encoding='latin-1')
    with (
      part.open('ab' if size else 'wb') as file,
      tqdm(total=total_size, initial=size, unit='B', unit_scale=True, desc=part.stem) as progress,
    ):
      # read1 returns what has arrived: read raises on a broken connection and loses the last part of it.
      while chunk := response.read1(_CHUNK_BYTES):
        file.write(chunk)
        progress.update(len(chunk))
        _check_size(part, file.tell())
  if total_size is not None and part.stat().st_size != total_size:
    raise OSError(f'the connection ended after {part.stat().st_size} of {total_size} bytes')


def _check_size(part: pathlib.Path, size: int) -> None:
  """Raises UserError, and deletes the file, if it is larger than any archive."""
  if size > _MAX_BYTES:
    _delete(part)
    raise UserError(
      f'the server sends over {_MAX_BYTES >> 30} GiB for {part.stem}; no archive is so large: download it in '
      'another way'
    )


def _version(response: http.client.HTTPResponse) -> str:
  """What If-Range takes: a strong ETag, else a date; '' where the server sends neither."""
  etag = response.headers.get('ETag', '')
  return etag if etag.startswith('"') else response.headers.get('Last-Modified', '')


def _total_size(response: http.client.HTTPResponse, size: int) -> int | None:
  """Bytes of the whole file; None where the server does not say.

  Raises OSError where the response is not the rest after `size` bytes.
  """
  length = response.headers.get('Content-Length')
  if length is not None and not (length.isascii() and length.isdigit()):
    raise OSError(f'the server sent the length {shorten(length)!r}')
  if response.status != 206:
    return None if length is None else int(length)
  text = response.headers.get('Content-Range', '')
  match = re.fullmatch(r'bytes (\d+)-(\d+)/(\d+)', text, re.ASCII)
  if match is None or int(match[1]) != size or int(match[2]) + 1 != int(match[3]):
    raise OSError(f'bytes from {size} to the end were asked for, the server sent {shorten(text)!r}')
  if length is not None and int(length) != int(match[3]) - size:
    raise OSError(f'the server sent the range {text}, and the length {length}')
  return int(match[3])


def _check(file: pathlib.Path, path: pathlib.Path) -> None:
  """Compares a file with the checksum next to `path`; without one, writes it.

  Raises UserError: no zip, a mismatch.
  """
  if path.suffix == '.zip' and not zipfile.is_zipfile(file):
    raise UserError(
      f'{path.name} is not a zip, or a damaged one ({file.stat().st_size} bytes): put a good copy at {path}, '
      'or delete it to download it again'
    )
  with file.open('rb') as content:
    digest = hashlib.file_digest(content, 'sha256').hexdigest()
  sidecar = path.with_name(f'{path.name}.sha256')
  if not sidecar.exists():
    storage.write_text(sidecar, f'{digest}  {path.name}\n')
    logging.getLogger(__name__).warning(
      '%s: no official checksum is known to compare it with; it has SHA-256 %s, as later downloads must have',
      path.name,
      digest,
    )
    return
  earlier = sidecar.read_text(encoding='utf-8', errors='replace').split()[:1]
  if earlier != [digest]:
    raise UserError(
      f'{path.name} has SHA-256 {digest}, an earlier download had {shorten(" ".join(earlier)) or "none"}: '
      f'it is damaged, or its authors changed it; to accept it, delete {sidecar}'
    )

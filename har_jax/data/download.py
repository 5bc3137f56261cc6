"""Downloads an archive from its official URL, and resumes a broken download."""

import hashlib
import http.client
import pathlib
import urllib.error
import urllib.parse
import urllib.request
import zipfile

from tqdm import tqdm

from har_jax.data.archives.archive import Archive
from har_jax.errors import UserError

_CHUNK_BYTES = 1 << 20
_TIMEOUT_S = 60  # without a byte for so long, a connection is dead


def fetch(archive: Archive, folder: str | pathlib.Path) -> pathlib.Path:
  """The archive's zip in `folder`, downloaded unless it is already there.

  Writes `<file>.sha256` next to it, as `sha256sum --check` reads it; if it exists, the zip must match it.
  An incomplete download is `<file>.part`; the next call resumes it.
  Checks only the directory of the zip (at its end), not each entry: reading finds other damage.
  Raises UserError: no network, an HTTP error, a wrong length; not a zip, another checksum (deletes the file).
  """
  if not archive.url:
    raise UserError(f'{archive.name} is synthetic: there is nothing to download')
  folder = pathlib.Path(folder)
  path = folder / _file_name(archive.url)
  if path.exists():
    _check(path, path)
    return path
  folder.mkdir(parents=True, exist_ok=True)
  part = path.with_name(f'{path.name}.part')
  try:
    _download(archive.url, part)
  except (OSError, http.client.HTTPException) as error:  # URLError, HTTPError and timeouts are OSErrors
    size = part.stat().st_size if part.exists() else 0
    kept = f'{size} bytes are kept, and the next try resumes from there. ' if size else ''
    raise UserError(
      f'{archive.url} could not be downloaded ({error}). {kept}'
      f'Try again, or download it in another way and put it at {path}'
    ) from error
  try:
    _check(part, path)
  except UserError:
    part.unlink()
    raise
  part.replace(path)
  return path


def _file_name(url: str) -> str:
  """The URL's last part; of GitHub's snapshots, which are all HEAD.zip, the repository's name."""
  place = pathlib.PurePosixPath(urllib.parse.unquote(urllib.parse.urlsplit(url).path))
  return f'{place.parts[-3]}.zip' if place.match('archive/HEAD.zip') else place.name


def _download(url: str, part: pathlib.Path) -> None:
  """Completes `part`. Raises OSError or HTTPException, and keeps the bytes received so far."""
  size = part.stat().st_size if part.exists() else 0
  request = urllib.request.Request(url, headers={'Range': f'bytes={size}-'} if size else {})
  try:
    response = urllib.request.urlopen(request, timeout=_TIMEOUT_S)
  except urllib.error.HTTPError as error:
    error.close()
    # 416: no bytes after those we have. 'bytes */LENGTH' tells whether the file is complete or too long.
    total = error.headers.get('Content-Range', '').rpartition('/')[2]
    if error.code == 416 and total == str(size):
      return
    if error.code == 416:
      part.unlink()
      raise OSError(f'{size} bytes were kept, the server has {total or "fewer"}; starting over') from error
    raise
  with response:
    if size and response.status != 206:  # the server ignored the range and sends everything
      size = 0
    length = response.headers.get('Content-Length')
    total_size = None if length is None else size + int(length)
    with (
      part.open('ab' if size else 'wb') as file,
      tqdm(total=total_size, initial=size, unit='B', unit_scale=True, desc=part.stem) as progress,
    ):
      # read1 returns what has arrived: read raises on a broken connection and loses the last part of it.
      while chunk := response.read1(_CHUNK_BYTES):
        file.write(chunk)
        progress.update(len(chunk))
  if total_size is not None and part.stat().st_size != total_size:
    raise OSError(f'the connection ended after {part.stat().st_size} of {total_size} bytes')


def _check(file: pathlib.Path, path: pathlib.Path) -> None:
  """Compares a file with the checksum next to `path`, or writes one. Raises UserError: no zip, a mismatch."""
  if path.suffix == '.zip' and not zipfile.is_zipfile(file):
    raise UserError(
      f'{path.name} is not a zip, or a damaged one ({file.stat().st_size} bytes): put a good copy at {path}, '
      'or delete it to download it again'
    )
  with file.open('rb') as content:
    digest = hashlib.file_digest(content, 'sha256').hexdigest()
  sidecar = path.with_name(f'{path.name}.sha256')
  if not sidecar.exists():
    sidecar.write_text(f'{digest}  {path.name}\n')
    return
  known = sidecar.read_text().split()[:1]
  if known != [digest]:
    raise UserError(
      f'{path.name} has SHA-256 {digest}, an earlier download had {" ".join(known) or "none"}: '
      f'it is damaged, or its authors changed it; to accept it, delete {sidecar}'
    )

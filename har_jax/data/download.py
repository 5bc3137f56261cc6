"""Fetches an archive from its official address, and goes on where a broken download stopped."""

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
_SILENCE_S = 60  # without a byte for so long, a connection is dead


def fetch(archive: Archive, folder: str | pathlib.Path) -> pathlib.Path:
  """The archive's zip in `folder`; downloaded unless it is there already.

  `<file>.sha256` is left beside it, as `sha256sum --check` reads it; where an earlier download left one, the
  file must match it. While incomplete the file is `<file>.part`, which the next call continues.
  A zip is checked for its directory (at its end), not for each entry: reading finds other damage.
  Raises UserError: no network, a refusal, a wrong length; no zip or another checksum (discards new bytes).
  """
  if not archive.address:
    raise UserError(f'{archive.name} is made by this program and has nothing to download')
  folder = pathlib.Path(folder)
  path = (
    folder / pathlib.PurePosixPath(urllib.parse.unquote(urllib.parse.urlsplit(archive.address).path)).name
  )
  if path.exists():
    _check(path, path)
    return path
  folder.mkdir(parents=True, exist_ok=True)
  part = path.with_name(f'{path.name}.part')
  try:
    _download(archive.address, part)
  except (OSError, http.client.HTTPException) as error:  # URLError, HTTPError and timeouts are OSErrors
    held = part.stat().st_size if part.exists() else 0
    raise UserError(
      f'{archive.address} could not be fetched ({error}). {_kept(held)}'
      f'Try again, or download it in another way and put it at {path}'
    ) from error
  try:
    _check(part, path)
  except UserError:
    part.unlink()
    raise
  part.replace(path)
  return path


def _download(address: str, part: pathlib.Path) -> None:
  """Brings `part` to the length the server states. Raises OSError or HTTPException; what came stays."""
  held = part.stat().st_size if part.exists() else 0
  request = urllib.request.Request(address, headers={'Range': f'bytes={held}-'} if held else {})
  try:
    response = urllib.request.urlopen(request, timeout=_SILENCE_S)
  except urllib.error.HTTPError as error:
    error.close()
    # 416: nothing lies beyond what is held. 'bytes */LENGTH' says whether it is all or too much.
    total = error.headers.get('Content-Range', '').rpartition('/')[2]
    if error.code == 416 and total == str(held):
      return
    if error.code == 416:
      part.unlink()
      raise OSError(f'{held} bytes were held, the server has {total or "fewer"}; starting over') from error
    raise
  with response:
    if held and response.status != 206:  # the server ignored the range and sends everything
      held = 0
    stated = response.headers.get('Content-Length')
    whole = None if stated is None else held + int(stated)
    with (
      part.open('ab' if held else 'wb') as file,
      tqdm(total=whole, initial=held, unit='B', unit_scale=True, desc=part.stem) as progress,
    ):
      # read1 returns what has come: read raises on a cut connection and loses the last part of it.
      while chunk := response.read1(_CHUNK_BYTES):
        file.write(chunk)
        progress.update(len(chunk))
  if whole is not None and part.stat().st_size != whole:
    raise OSError(f'the connection ended after {part.stat().st_size} of {whole} bytes')


def _check(file: pathlib.Path, path: pathlib.Path) -> None:
  """Compares a file with the checksum beside `path`, or writes it. Raises UserError: no zip, other bytes."""
  if path.suffix == '.zip' and not zipfile.is_zipfile(file):
    raise UserError(
      f'{path.name} is no zip, or a damaged one ({file.stat().st_size} bytes): put a good copy at {path}, '
      'or leave nothing there to have it downloaded again'
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


def _kept(held: int) -> str:
  return f'{held} bytes are kept, and the next try goes on from there. ' if held else ''

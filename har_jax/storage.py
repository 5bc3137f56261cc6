"""Places on disk or in a bucket, and files that are written completely or not at all. No JAX.

A card is a JSON file with the checksums of the files next to it. It is written last, so what a killed job
leaves has none that fits.
A place is a folder or a file. On a disk or a network share it is a `pathlib.Path`. In a bucket (gs://, s3://)
it is an `epath.Path`, which has the same methods.
"""

import json
import os
import pathlib
import re
import sys
import tempfile
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from har_jax import checksums, config_fields, records, replacing
from har_jax.errors import UserError, advice, require, shorten

# Scheme → the package that fsspec opens it with; the scheme is our extra's name.
_DRIVERS = {'gs': 'gcsfs', 's3': 's3fs'}
_MAX_CARD_BYTES = 1 << 26  # results and cards have kilobytes
RUN_AGAIN = 'delete it to run again'
_SUMS = 'sums'  # entry of a card: file → checksum
_Kind = TypeVar('_Kind')
_Card = TypeVar('_Card', bound=records.Card)

if typing.TYPE_CHECKING:
  Place = pathlib.Path
else:
  Place = pathlib.PurePath  # as both are


def place(path: str | os.PathLike[str]) -> Place:
  """The place that a flag or a caller names.

  Raises UserError where it is no path, is empty, or is in a bucket and cannot be reached.
  """
  rule = 'give the path of a folder or a file'
  config_fields.check_value('the place', path, rule, lambda path: path != '', kind=str | os.PathLike)
  text = str(path)
  scheme, separator, _ = text.partition('://')
  if not separator:
    return pathlib.Path(text)
  if scheme not in _DRIVERS:
    raise UserError(
      f'{text}: unknown scheme {scheme}://; give a folder, or a bucket as {" or ".join(_DRIVERS)}://…'
    )
  require(_DRIVERS[scheme], f"{text} needs {_DRIVERS[scheme]}: pip install 'har_jax[{scheme}]'")
  from etils import epath  # late: no start of a command waits for it

  remote = epath.Path(text)
  try:
    # Checked once, here: later, a missing permission would look like a missing file.
    filesystem, root = bucket(remote)
    filesystem.info(root)
  except FileNotFoundError:
    pass  # it is created later
  except Exception as error:  # every cloud library has its own errors
    raise UserError(f'{text} cannot be reached ({error}); check your login and your permissions') from error
  return remote


def cache_folder() -> pathlib.Path:
  """The package's folder among the user's caches, where the platform has them.

  Raises RuntimeError where the user has no home folder.
  """
  if cache_home := os.environ.get('XDG_CACHE_HOME'):
    return pathlib.Path(cache_home) / 'har_jax'
  if sys.platform == 'win32':
    return (
      pathlib.Path(os.environ.get('LOCALAPPDATA') or '~/AppData/Local').expanduser() / 'har_jax' / 'cache'
    )
  caches = '~/Library/Caches' if sys.platform == 'darwin' else '~/.cache'
  return pathlib.Path(caches).expanduser() / 'har_jax'


def is_bucket(path: Place) -> bool:
  return '://' in str(path)


def bucket(path: Place) -> tuple[Any, str]:
  """The file system of a place in a bucket, without its cache, and the name there."""
  import fsspec

  filesystem, name = fsspec.url_to_fs(str(path))
  filesystem.invalidate_cache()
  return filesystem, name


def write(path: Place, entries: Mapping[str, Any]) -> None:
  """Writes a card without further files. Raises UserError as `write_files` does."""
  content = card(entries)
  write_files({path: content}, str(path))


def card(entries: Mapping[str, Any], files: Mapping[str, str] | None = None) -> bytes:
  """The content of a card. files: name → checksum of each file next to it.

  Raises ValueError if an entry is no JSON value, such as NaN.
  """
  all_entries = {**entries, _SUMS: files} if files else entries
  text = json.dumps(all_entries, indent=1, ensure_ascii=False, allow_nan=False)
  # Lists of numbers on one line each. JSON strings hold no line break, so none is touched.
  text = re.sub(r'\[\n[\s\d.,eE+-]*\]', lambda numbers: ' '.join(numbers[0].split()), text)
  # A name that is no text in this locale keeps its escapes.
  return f'{text}\n'.encode(errors='backslashreplace')


def write_text(path: Place, text: str) -> None:
  """Writes a text file as `write_files` does."""
  write_files({path: text.encode(errors='backslashreplace')}, str(path))


def write_files(contents: Mapping[Place, bytes], what: str) -> None:
  """Writes files under temporary names, then renames them in order; other files stay.

  An object in a bucket appears only when complete. A card comes last, so that a reader in between finds a
  checksum that does not match. what: the files, for a message.
  Raises UserError where the disk is full or the folder is not writable.
  """
  try:
    if contents and is_bucket(next(iter(contents))):
      for path, content in contents.items():
        path.write_bytes(content)
    else:
      replacing.write(contents)
  except OSError as error:
    raise UserError(f'cannot write {what}: {error.strerror or error}; {advice(error)}') from error


def refuse_used(folder: Place, *, overwrite: bool) -> None:
  """Raises UserError if a folder is a file, or holds files that are not to be replaced."""
  if folder.exists() and not folder.is_dir():
    raise UserError(f'{folder} is a file: give a folder')
  if not overwrite and folder.exists() and any(folder.iterdir()):
    raise UserError(f'{folder} holds files already: give another folder, or overwrite=True')


def check_writable(folder: Place) -> None:
  """Raises UserError where no file can be written into a folder, which need not exist."""
  if is_bucket(folder):
    return
  existing = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
  try:
    with tempfile.TemporaryFile(dir=existing) as file:
      file.write(bytes(4096))
  except OSError as error:
    raise UserError(f'cannot write to {folder}: {error.strerror or error}; {advice(error)}') from error


def read(path: Place, *, to_do: str = RUN_AGAIN) -> dict[str, Any]:
  """A card's entries. Raises UserError if the file is no JSON object."""
  entries = parse(path, to_do=to_do)
  return {name: value for name, value in entries.items() if name != _SUMS}


def read_record(path: Place, kind: type[_Kind], *, to_do: str = RUN_AGAIN) -> _Kind:
  """Reads a record. Raises UserError as `read_card`, for a card, or as `records.check` and `read`."""
  if issubclass(kind, records.Card):
    return read_card(path, kind, to_do=to_do)[0]
  entries = read(path, to_do=to_do)
  return records.check(entries, kind, path, to_do=to_do)


def read_card(path: Place, kind: type[_Card], *, to_do: str) -> tuple[_Card, dict[str, str]]:
  """A card, and the checksums of its files.

  Raises UserError as `read` and `records.check`, and if it is of another format or schema version.
  """
  entries, format = parse(path, to_do=to_do), records.format_of(kind)
  if entries.get('format') != format:
    raise UserError(
      f'{path} has the format {shorten(repr(entries.get("format")))}, and this version reads {format!r}; '
      f'{to_do}'
    )
  files = entries.pop(_SUMS, {})
  if not (isinstance(files, dict) and all(isinstance(sum_, str) for sum_ in files.values())):
    raise UserError(f'{path}: its {_SUMS} are not file → checksum; {to_do}')
  return records.check(entries, kind, path, to_do=to_do), files


def parse(path: Place, *, to_do: str = RUN_AGAIN) -> dict[str, Any]:
  """The JSON object in a file. Raises UserError where there is none, or one that no card is."""
  try:
    size = path.stat().st_size if not is_bucket(path) else 0
    if size > _MAX_CARD_BYTES:
      raise ValueError(f'it has {size:,} bytes, and a card at most {_MAX_CARD_BYTES:,}')
    entries = json.loads(path.read_bytes().decode(), parse_constant=_refuse)
  except (OSError, ValueError, RecursionError) as error:
    raise UserError(f'{path} cannot be read ({shorten(error)}); {to_do}') from error
  if not isinstance(entries, dict):
    raise UserError(f'{path} is no JSON object; {to_do}')
  return entries


def read_file(path: Place, expected: str | None, *, to_do: str) -> bytes:
  """A file's bytes. Raises UserError where it cannot be read, or is not the one that its card vouches for.

  expected: its checksum in the card; None: the card does not name it.
  """
  content = read_bytes(path, to_do=to_do)
  check_sum(path, checksums.hash_bytes(content), expected, to_do=to_do)
  return content


def read_bytes(path: Place, *, to_do: str) -> bytes:
  """Raises UserError where the file cannot be read."""
  try:
    return path.read_bytes()
  except OSError as error:
    raise UserError(f'{path} cannot be read ({error.strerror or error}); {to_do}') from error


def check_sum(path: Place, checksum: str, expected: str | None, *, to_do: str) -> None:
  """Raises UserError where a file's checksum is not the one in its card."""
  if checksum != expected:
    raise UserError(
      f'{path} is damaged or belongs to another card: its sum is {checksum}, the card next to it says '
      f'{shorten(expected)}; {to_do}'
    )


def _refuse(constant: str) -> None:
  raise ValueError(f'{constant} is no number')


def files_below(folder: Place, pattern: str) -> list[Place]:
  """The files whose name matches, at any depth, sorted. A bucket is listed once."""
  if not is_bucket(folder):
    return sorted(folder.rglob(pattern))
  filesystem, root = bucket(folder)
  paths = [folder / name[len(root) :].lstrip('/') for name in filesystem.find(root)]
  return sorted(path for path in paths if path.match(pattern))

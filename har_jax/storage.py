"""Places on disk or in a bucket, and files that are written completely or not at all. No JAX.

A place is a folder or a file: on a disk or a network share a `pathlib.Path`, in a bucket (gs://, s3://) an
`epath.Path`, which has the methods of one.
"""

import contextlib
import importlib.util
import json
import os
import pathlib
import re
import typing
from typing import Any

from etils import epath

from har_jax.errors import UserError

# Scheme → the package that fsspec opens it with; the scheme is our extra's name.
_DRIVERS = {'gs': 'gcsfs', 's3': 's3fs'}

if typing.TYPE_CHECKING:
  Place = pathlib.Path
else:
  Place = pathlib.Path | epath.Path


def place(text: str) -> Place:
  """The place that a flag names. Raises UserError where it is in a bucket and cannot be reached."""
  scheme, separator, _ = text.partition('://')
  if not separator:
    return pathlib.Path(text)
  if scheme not in _DRIVERS:
    raise UserError(
      f'{text}: unknown scheme {scheme}://; give a folder, or a bucket as {" or ".join(_DRIVERS)}://…'
    )
  if importlib.util.find_spec(_DRIVERS[scheme]) is None:
    raise UserError(f"{text} needs {_DRIVERS[scheme]}: pip install 'har_jax[{scheme}]'")
  path = epath.Path(text)
  try:
    # Checked once, here: later, a missing permission would look like a missing file.
    filesystem, root = bucket(path)
    filesystem.info(root)
  except FileNotFoundError:
    pass  # it is created later
  except Exception as error:  # every cloud library has its own errors
    raise UserError(f'{text} cannot be reached ({error}); check your login and your permissions') from error
  return path


def is_bucket(path: Place) -> bool:
  return '://' in str(path)


def bucket(path: Place) -> tuple[Any, str]:
  """The file system of a place in a bucket, without its cache, and the name there."""
  import fsspec

  filesystem, name = fsspec.url_to_fs(str(path))
  filesystem.invalidate_cache()
  return filesystem, name


def write(path: Place, result: dict[str, Any]) -> None:
  """Writes a JSON file. Raises UserError as `write_text` does."""
  text = json.dumps(result, indent=1, ensure_ascii=False)
  # Lists of numbers on one line each. JSON strings hold no line break, so none is touched.
  text = re.sub(r'\[\n[\s\d.,eE+-]*\]', lambda numbers: ' '.join(numbers[0].split()), text)
  write_text(path, text + '\n')


def write_text(path: Place, text: str) -> None:
  """Writes a temporary file and renames it; an object in a bucket appears only when complete.

  Raises UserError where the disk is full or the folder is not writable.
  """
  partial = path.with_name(f'.{path.name}.{os.getpid()}.partial')
  try:
    if is_bucket(path):
      path.write_bytes(text.encode())
      return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial.write_text(text, encoding='utf-8')
    os.replace(partial, path)
  except OSError as error:
    with contextlib.suppress(OSError):
      partial.unlink()
    raise UserError(
      f'cannot write {path}: {error.strerror or error}; free some space or give another --out'
    ) from error


def read(path: Place) -> dict[str, Any]:
  """Raises UserError where the file is no JSON object."""
  try:
    result = json.loads(path.read_bytes().decode())
  except (OSError, ValueError) as error:
    raise UserError(f'{path} cannot be read ({error}); delete it to run again') from error
  if not isinstance(result, dict):
    raise UserError(f'{path} is no JSON object; delete it to run again')
  return result


def files_below(folder: Place, pattern: str) -> list[Place]:
  """The files whose name matches, at any depth, sorted. A bucket is listed once."""
  if not is_bucket(folder):
    return sorted(folder.rglob(pattern))
  filesystem, root = bucket(folder)
  paths = [folder / name[len(root) :].lstrip('/') for name in filesystem.find(root)]
  return sorted(path for path in paths if path.match(pattern))

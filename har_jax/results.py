"""Result files: one JSON a run, written whole or not at all. Needs no JAX."""

import contextlib
import json
import os
import pathlib
from typing import Any

from har_jax.errors import UserError

FORMAT = 'har_jax result 1'


def write(path: pathlib.Path, result: dict[str, Any]) -> None:
  """A result's file. Raises UserError as `write_text` does."""
  write_text(path, json.dumps(result, indent=1, ensure_ascii=False) + '\n')


def write_text(path: pathlib.Path, text: str) -> None:
  """Writes beside the file and renames. Raises UserError where the disk is full or the folder not ours to write."""
  partial = path.with_name(f'.{path.name}.{os.getpid()}.partial')
  try:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial.write_text(text, encoding='utf-8')
    os.replace(partial, path)
  except OSError as error:
    with contextlib.suppress(OSError):
      partial.unlink()
    raise UserError(
      f'cannot write {path}: {error.strerror}; free some space or give another --out'
    ) from error


def read(path: pathlib.Path) -> dict[str, Any]:
  """Raises UserError where the file is no JSON object."""
  try:
    result = json.loads(path.read_text(encoding='utf-8'))
  except (OSError, ValueError) as error:
    raise UserError(f'{path} cannot be read ({error}); delete it to run again') from error
  if not isinstance(result, dict):
    raise UserError(f'{path} holds no result; delete it to run again')
  return result


def find(folder: pathlib.Path) -> list[dict[str, Any]]:
  """Every result under a folder, by path. Raises UserError where there is none."""
  found = [read(path) for path in sorted(folder.rglob('seed*.json'))]
  results = [result for result in found if result.get('format') == FORMAT]
  if not results:
    raise UserError(f'no results under {folder}; launch/lodo.py --out={folder} makes them')
  return results


def differences(made_with: Any, asked_for: Any, name: str = '') -> list[str]:
  """What sets two JSON values apart, a line an entry."""
  if isinstance(made_with, dict) and isinstance(asked_for, dict):
    entries = sorted(made_with.keys() | asked_for.keys())
    lines = (
      differences(made_with.get(key), asked_for.get(key), f'{name}.{key}'.lstrip('.')) for key in entries
    )
    return [line for part in lines for line in part]
  return [] if made_with == asked_for else [f'{name}: made with {made_with!r}, now {asked_for!r}']

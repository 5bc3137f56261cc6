"""Result files: their schema, and what sets two of them apart. No JAX."""

from typing import Any

from har_jax.errors import UserError
from har_jax.storage import Place, files_below, read

FORMAT = 'har_jax result 2'


def find(folder: Place) -> list[dict[str, Any]]:
  """Every result under a folder, by path. Raises UserError where there is none."""
  found = [read(path) for path in files_below(folder, 'seed*.json')]
  results = [result for result in found if result.get('format') == FORMAT]
  if not results:
    raise UserError(f'no results under {folder}; launch/lodo.py --out={folder} makes them')
  return results


_ABSENT = object()


def differences(made_with: Any, asked_for: Any, name: str = '') -> list[str]:
  """What sets two JSON values apart, a line an entry."""
  if isinstance(made_with, dict) and isinstance(asked_for, dict):
    entries = sorted(made_with.keys() | asked_for.keys())
    lines = (
      differences(made_with.get(key, _ABSENT), asked_for.get(key, _ABSENT), f'{name}.{key}'.lstrip('.'))
      for key in entries
    )
    return [line for part in lines for line in part]
  if made_with == asked_for:
    return []
  made, now = ('without' if value is _ABSENT else f'with {value!r}' for value in (made_with, asked_for))
  return [f'{name}: made {made}, now {now}']

"""Typed records of all that is written: cards of shared files, and the user's own results and stages.

Reading a file checks its entries and returns a record, whose attributes code uses. Entries that are None are
left out of a card, and entries of a card that no code reads are dropped.
"""

import dataclasses
import functools
import typing
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from har_jax.errors import UserError, shorten
from har_jax.records.cards import *  # noqa: F403
from har_jax.records.cards import Card
from har_jax.records.runs import *  # noqa: F403

# Hyperparameters that are gone → the value of runs without them, whose files and tables are still read.
REMOVED = {'contrastive_steps': 0}

_Kind = TypeVar('_Kind')


def check(entries: Any, kind: type[_Kind], where: object, *, to_do: str) -> _Kind:
  """The entries as a record or dataclass.

  Raises UserError, with the entry and what it must be, if the entries are not of this kind. Also if a part
  of hyperparameters has an entry that this version does not know.
  """
  try:
    _check_names(kind, entries)
    return msgspec.convert(entries, kind)
  except (msgspec.ValidationError, RecursionError, UnicodeError, UserError) as error:
    raise UserError(f'{where}: {shorten(error)}; {to_do}') from error


def _check_names(kind: type, entries: Any) -> None:
  """Raises UserError if hyperparameters within a record have an entry that is no field of theirs."""
  for name, part in _parts(kind).items() if isinstance(entries, dict) else ():
    values = entries.get(name)
    if dataclasses.is_dataclass(part) and isinstance(values, dict):
      fields = [field.name for field in dataclasses.fields(part)]
      unused = [field for field, off in REMOVED.items() if values.get(field) == off]
      if unknown := sorted(map(str, values.keys() - fields - set(unused))):
        raise UserError(
          f'{part.__name__.lower()} has no {shorten(", ".join(unknown))}; its fields are {", ".join(fields)}'
        )
    _check_names(part, values)


@functools.cache
def _parts(kind: type) -> dict[str, type]:
  """The entries that are records or hyperparameters."""
  hints = typing.get_type_hints(kind)
  return {
    name: part
    for name, part in hints.items()
    if isinstance(part, type) and (dataclasses.is_dataclass(part) or issubclass(part, Struct))
  }


def check_identity(entries: Any, identity: Struct, where: object) -> None:
  """Compares an identity in a file with that of what is asked for. Raises UserError with the differences."""
  made_with = check(entries, type(identity), where, to_do='give another --out or delete it')
  if lines := list(_differences(msgspec.to_builtins(made_with), msgspec.to_builtins(identity))):
    raise UserError(
      f'{where} is of another experiment; give another --out or delete it:\n  ' + '\n  '.join(lines[:10])
    )


_ABSENT = object()


def _differences(made_with: Any, asked_for: Any, name: str = '') -> Iterator[str]:
  """Yields a line for each entry that differs between two JSON values."""
  if isinstance(made_with, dict) and isinstance(asked_for, dict):
    for key in sorted(made_with.keys() | asked_for.keys()):
      values = made_with.get(key, _ABSENT), asked_for.get(key, _ABSENT)
      yield from _differences(*values, f'{name}.{key}'.lstrip('.'))
  elif made_with != asked_for:
    made, now = ('without' if value is _ABSENT else f'with {value!r}' for value in (made_with, asked_for))
    yield f'{name}: made {made}, now {now}'


def to_json(record: Struct | Mapping[str, Any]) -> dict[str, Any]:
  """The entries of a record that are not None, as JSON has them; those of a mapping as they are."""
  if isinstance(record, Mapping):
    return dict(record)
  return {name: value for name, value in msgspec.to_builtins(record).items() if value is not None}


def format_of(kind: type[Card]) -> str:
  """The entry `format` of a card of this kind."""
  return str(kind.__struct_config__.tag)

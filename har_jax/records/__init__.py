"""Typed records of all that is written: cards of shared files, and the user's own results and stages.

Reading a file checks its entries and returns a record, whose attributes code uses. Entries that are None are
left out of a card, and entries of a card that no code reads are dropped.
"""

import dataclasses
import functools
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from har_jax import config_fields
from har_jax.errors import UserError, shorten
from har_jax.records.cards import *  # noqa: F403
from har_jax.records.cards import Card
from har_jax.records.runs import *  # noqa: F403

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
  """Raises UserError if a part of hyperparameters has an unknown entry."""
  for name, part in _parts(kind).items() if isinstance(entries, dict) else ():
    check_names = _check_names if issubclass(part, Struct) else config_fields.check_names
    check_names(part, entries.get(name))


@functools.cache
def _parts(kind: type) -> dict[str, type]:
  """The entries that are records or hyperparameters."""
  hints = typing.get_type_hints(kind)
  return {
    name: part
    for name, part in hints.items()
    if isinstance(part, type) and (dataclasses.is_dataclass(part) or issubclass(part, Struct))
  }


def to_json(record: Struct | Mapping[str, Any]) -> dict[str, Any]:
  """The entries of a record that are not None, as JSON has them; those of a mapping as they are."""
  if isinstance(record, Mapping):
    return dict(record)
  return {name: value for name, value in msgspec.to_builtins(record).items() if value is not None}


def format_of(kind: type[Card]) -> str:
  """The entry `format` of a card of this kind."""
  return str(kind.__struct_config__.tag)

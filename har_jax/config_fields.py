"""How a hyperparameter is declared and checked, and its way to JSON and back."""

import dataclasses
from collections.abc import Callable
from typing import Any

from har_jax.errors import UserError


def field(default: Any, text: str, is_valid: Callable[[Any], bool], rule: str) -> Any:
  """A dataclass field with its help text, its check, and the check in words."""
  return dataclasses.field(default=default, metadata={'help': text, 'is_valid': is_valid, 'rule': rule})


def count(default: int, text: str) -> Any:
  return field(default, text, lambda value: value >= 1, 'at least 1')


def not_negative(default: float | int, text: str) -> Any:
  return field(default, text, lambda value: value >= 0, 'not negative')


def fraction(default: float, text: str) -> Any:
  return field(default, text, lambda value: 0 <= value < 1, 'in [0, 1)')


def flag(default: bool, text: str) -> Any:
  return field(default, text, lambda value: value in (True, False), 'a bool')


def choice(default: str, choices: tuple[str, ...], text: str) -> Any:
  return field(
    default, f'{text}: {" or ".join(choices)}', lambda value: value in choices, f'one of {", ".join(choices)}'
  )


def names(default: tuple, text: str) -> Any:
  return field(default, text, lambda value: len(value) > 0, 'at least one entry')


class Checked:
  """A dataclass of hyperparameters. Raises UserError where a value is not valid."""

  def __post_init__(self):
    for each in dataclasses.fields(self):  # type: ignore[arg-type]
      value = getattr(self, each.name)
      if not each.metadata['is_valid'](value):
        raise UserError(
          f'{type(self).__name__.lower()} {each.name} is {value!r}; it must be {each.metadata["rule"]}'
        )


def to_json(config: Any) -> dict[str, Any]:
  """A dataclass of hyperparameters, or of such dataclasses, as plain JSON values."""
  return {each.name: _plain(getattr(config, each.name)) for each in dataclasses.fields(config)}


def _plain(value: Any) -> Any:
  if dataclasses.is_dataclass(value):
    return to_json(value)
  return list(value) if isinstance(value, tuple) else value


def from_json(cls: type, plain: dict[str, Any]) -> Any:
  """The dataclass again. Raises UserError on an unknown entry."""
  fields = {each.name: each for each in dataclasses.fields(cls)}
  unknown = set(plain) - set(fields)
  if unknown:
    raise UserError(
      f'{cls.__name__.lower()} has no {", ".join(sorted(unknown))}; its fields are {", ".join(fields)}'
    )
  values = {}
  for name, value in plain.items():
    kind = fields[name].type
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
      value = from_json(kind, value)
    values[name] = tuple(value) if isinstance(value, list) else value
  return cls(**values)

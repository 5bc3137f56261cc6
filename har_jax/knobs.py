"""How a knob of an experiment is declared, what it may hold, and the way to JSON and back."""

import dataclasses
from collections.abc import Callable
from typing import Any

from har_jax.errors import UserError


def knob(default: Any, text: str, holds: Callable[[Any], bool], rule: str) -> Any:
  """A dataclass's field, with its help, and the rule that a value `holds`, in words too."""
  return dataclasses.field(default=default, metadata={'help': text, 'holds': holds, 'rule': rule})


def count(default: int, text: str) -> Any:
  return knob(default, text, lambda value: value >= 1, 'at least 1')


def not_negative(default: float | int, text: str) -> Any:
  return knob(default, text, lambda value: value >= 0, 'not negative')


def share(default: float, text: str) -> Any:
  return knob(default, text, lambda value: 0 <= value < 1, 'from 0 up to, without, 1')


def flag(default: bool, text: str) -> Any:
  return knob(default, text, lambda value: value in (True, False), 'a bool')


def choice(default: str, choices: tuple[str, ...], text: str) -> Any:
  return knob(
    default, f'{text}: {" or ".join(choices)}', lambda v: v in choices, f'one of {", ".join(choices)}'
  )


def names(default: tuple, text: str) -> Any:
  return knob(default, text, lambda value: len(value) > 0, 'at least one entry')


def later(field: Any) -> Any:
  """A knob that came later: JSON leaves it out at its default, so that what was made before it stays what it was."""
  return dataclasses.field(default=field.default, metadata=field.metadata | {'later': True})


class Checked:
  """A dataclass of knobs. Raises UserError where a value does not hold."""

  def __post_init__(self):
    for field in dataclasses.fields(self):  # type: ignore[arg-type]
      value = getattr(self, field.name)
      if not field.metadata['holds'](value):
        raise UserError(
          f'{type(self).__name__.lower()} {field.name} is {value!r}; it must be {field.metadata["rule"]}'
        )


def to_json(chosen: Any) -> dict[str, Any]:
  """A dataclass of knobs, or of such dataclasses, as plain JSON values."""
  values = {field: getattr(chosen, field.name) for field in dataclasses.fields(chosen)}
  return {
    field.name: _plain(value)
    for field, value in values.items()
    if not (field.metadata.get('later') and value == field.default)
  }


def _plain(value: Any) -> Any:
  if dataclasses.is_dataclass(value):
    return to_json(value)
  return list(value) if isinstance(value, tuple) else value


def from_json(cls: type, plain: dict[str, Any]) -> Any:
  """The dataclass again. Raises UserError on an unknown entry."""
  fields = {field.name: field for field in dataclasses.fields(cls)}
  unknown = set(plain) - set(fields)
  if unknown:
    raise UserError(
      f'{cls.__name__.lower()} knows no {", ".join(sorted(unknown))}; it has {", ".join(fields)}'
    )
  values = {}
  for name, value in plain.items():
    kind = fields[name].type
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
      value = from_json(kind, value)
    values[name] = tuple(value) if isinstance(value, list) else value
  return cls(**values)

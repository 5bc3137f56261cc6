"""Declarations of hyperparameters: their checks, and their way to JSON."""

import dataclasses
import math
import numbers
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from har_jax.errors import UserError, shorten

MOST = 10**9  # of whatever is counted: beyond, a number is a slip or an attack, and would run for ever
MOST_LAYERS, MOST_WIDTH, MOST_BATCH = 100, 100_000, 100_000
MOST_WINDOW_SAMPLES, MOST_RATE_HZ = 10_000, 1000


def field(
  default: Any, text: str, is_valid: Callable[[Any], bool] = lambda value: True, rule: str = ''
) -> Any:
  """A dataclass field with its help text, its check, and the check in words."""
  return dataclasses.field(default=default, metadata={'help': text, 'is_valid': is_valid, 'rule': rule})


def count(default: int, text: str, *, least: int = 1, most: int = MOST) -> Any:
  return field(default, text, lambda value: least <= value <= most, f'at least {least} and at most {most:,}')


def not_negative(default: float | int, text: str) -> Any:
  return field(default, text, lambda value: 0 <= value <= MOST, f'not negative, and at most {MOST:,}')


def widths(default: tuple[int, ...], text: str) -> Any:
  """Widths of layers, one after the other."""
  return field(
    default,
    text,
    lambda value: len(value) <= MOST_LAYERS and all(1 <= width <= MOST_WIDTH for width in value),
    f'0 to {MOST_LAYERS} widths from 1 to {MOST_WIDTH:,}',
  )


def fraction(default: float, text: str) -> Any:
  return field(default, text, lambda value: 0 <= value < 1, 'in [0, 1)')


def share(default: float, text: str) -> Any:
  return field(default, text, lambda value: 0 < value < 1, 'between 0 and 1')


def flag(default: bool, text: str) -> Any:
  return field(default, text, lambda value: value in (True, False), 'a bool')


def choice(default: str, choices: Mapping[str, str] | Sequence[str], text: str) -> Any:
  """A field with one of several names. A mapping says what each stands for."""
  if isinstance(choices, Mapping):
    text = f'{text}. {"; ".join(f"{name}: {meaning}" for name, meaning in choices.items())}'
  else:
    text = f'{text}: {" or ".join(choices)}'
  return field(default, text, lambda value: value in choices, f'one of {", ".join(choices)}')


def label_budget(default: str, text: str) -> Any:
  def is_valid(value: str) -> bool:
    number, per_class, after = value.partition('/class')
    try:
      return not after and (int(number) >= 1 if per_class else 0 < float(number) <= 1)
    except ValueError:
      return False

  rule = 'a fraction over 0 and up to 1 such as 0.1, or a number per class such as 10/class'
  return field(default, text, is_valid, rule)


def positive(default: float, text: str) -> Any:
  return field(default, text, lambda value: value > 0, 'a number over 0')


def seed(text: str) -> Any:
  return field(0, text, lambda value: 0 <= value < 2**32, 'in [0, 2³²)')  # scikit-learn's range


def names(default: tuple[Any, ...], text: str) -> Any:
  return field(default, text, lambda value: 1 <= len(value) <= 1000, 'one entry or more, at most 1,000')


class Checked:
  """A dataclass of hyperparameters. Raises UserError where a value is not valid."""

  def __post_init__(self) -> None:
    for field in dataclasses.fields(self):  # type: ignore[arg-type]
      value = getattr(self, field.name)
      self.__dict__.setdefault(field.name, value)  # msgspec sets no default, and encodes what is set alone
      if not is_valid(field, value):
        raise UserError(
          f'{type(self).__name__.lower()} {field.name} is {shorten(repr(value))}; '
          f'it must be {field.metadata["rule"]}'
        )


def is_valid(field: dataclasses.Field[Any], value: Any) -> bool:
  """Checks a value by the rule of its field. A field without a rule takes any; a number must be finite."""
  is_finite = not isinstance(value, float) or math.isfinite(value)
  try:
    return 'is_valid' not in field.metadata or (is_finite and field.metadata['is_valid'](value))
  except TypeError:  # a word in place of a number
    return False


def check_value(
  name: str,
  value: Any,
  rule: str,
  is_valid: Callable[[Any], bool] = lambda value: True,
  *,
  kind: Any = numbers.Real,
) -> None:
  """Raises UserError, with the rule, unless a caller's value is of the kind, finite and valid.

  A bool is no number here, though Python takes it for 0 or 1.
  """
  is_kind = isinstance(value, kind) and not isinstance(value, bool)
  if not is_kind or (isinstance(value, numbers.Real) and not math.isfinite(value)) or not is_valid(value):
    raise UserError(f'{name} is {shorten(repr(value))}; {rule}')


def check_names(given: Iterable[str], known: Iterable[str], of: str) -> None:
  """Raises UserError for the name of an option that is none of those known.   of: what has them."""
  listed = [*known]
  if unknown := [name for name in given if name not in listed]:
    raise UserError(f'{unknown[0]} is no option of {of}; these are {", ".join(listed)}')


def replace(config: Any, changes: Mapping[tuple[str, str], Any]) -> Any:
  """The dataclass of dataclasses with other values. changes: by part and name."""
  parts: dict[str, dict[str, Any]] = {}
  for (part, name), value in changes.items():
    parts.setdefault(part, {})[name] = value
  replaced = {part: dataclasses.replace(getattr(config, part), **values) for part, values in parts.items()}
  return dataclasses.replace(config, **replaced)


def to_json(config: Any) -> dict[str, Any]:
  """A dataclass of hyperparameters, or of such dataclasses, as plain JSON values."""
  return msgspec.json.decode(msgspec.json.encode(config))

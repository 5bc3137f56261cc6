"""Units by their names: spellings that apps and people use, and factors to ours."""

import math
import re

from har_jax import config_fields
from har_jax.recordings.language import WORDS
from har_jax.signal.recording import STANDARD_GRAVITY_M_S2

ACC = {'m/s2': 1.0, 'g': STANDARD_GRAVITY_M_S2, 'mg': STANDARD_GRAVITY_M_S2 / 1e3, 'cm/s2': 0.01}
GYRO = {'rad/s': 1.0, 'deg/s': math.pi / 180, 'mdeg/s': math.pi / 180e3}
SENSORS = {'acc': ACC, 'gyro': GYRO, 'gravity': ACC}
TIME_S = {'s': 1.0, 'ms': 1e-3, 'us': 1e-6, 'ns': 1e-9}
NAMED_TIME_S = TIME_S | {'min': 60.0, 'h': 3600.0}  # if a name says it

_SPELLINGS: dict[str, str] = WORDS['units']  # patterns
_BRACKETS = re.compile(r'[(\[{]([^)\]}]*)[)\]}]')
_TRAILING = re.compile(
  r'(?<=[xyz])[\s_.,:-]+(?:in[\s_]+)?(' + '|'.join(_SPELLINGS.values()) + r')$', re.IGNORECASE
)


def parse(text: str) -> str:
  """A unit of a sensor in our spelling; empty if the text is none."""
  matches = (
    unit for unit, pattern in _SPELLINGS.items() if re.fullmatch(pattern, text.strip(), re.IGNORECASE)
  )
  return next(matches, '')


def split(name: str) -> tuple[str, str]:
  """A column's name without its unit, and the unit in our spelling or empty."""
  for match in _BRACKETS.finditer(name):
    if unit := parse(match[1]):
      return f'{name[: match.start()]} {name[match.end() :]}', unit
  bare = without_brackets(name)
  trailing = _TRAILING.search(bare)
  return (bare[: trailing.start()], parse(trailing[1])) if trailing else (bare, '')


def without_brackets(name: str) -> str:
  return _BRACKETS.sub(' ', name).strip()


def time_unit(words: list[str]) -> str:
  """The unit of time among the words of a name, or empty."""
  return next(
    (u for word in reversed(words) for u, spellings in WORDS['times'].items() if word in spellings), ''
  )


def is_unit(cell: str) -> bool:
  """Returns whether a cell below a name is a unit, or stands for none."""
  return not cell.strip(' -') or bool(
    parse(cell) or time_unit([cell.strip().lower()]) or cell.lower() == 'cal'
  )


def requested(text: str, spellings: dict[str, float], option: str) -> str:
  """The unit that an option names, in our spelling; empty for 'auto'. Raises UserError if unknown."""
  rule = f'it must be auto or one of {", ".join(spellings)}'
  config_fields.check_value(option, text, rule, kind=str)
  if text == 'auto':
    return ''
  unit = text if text in spellings else time_unit([text.lower()]) if spellings is TIME_S else parse(text)
  config_fields.check_value(option, text, rule, lambda _: unit in spellings, kind=str)
  return unit

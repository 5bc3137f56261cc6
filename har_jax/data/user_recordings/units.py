"""Units of a column: from its name, else from what gravity measures.   n samples."""

import math
import re

import numpy as np
from jaxtyping import Float

from har_jax.data.recording import STANDARD_GRAVITY_M_S2
from har_jax.errors import UserError

ACC = {'m/s2': 1.0, 'g': STANDARD_GRAVITY_M_S2, 'mg': STANDARD_GRAVITY_M_S2 / 1e3}
GYRO = {'rad/s': 1.0, 'deg/s': math.pi / 180}
TIME_S = {'s': 1.0, 'ms': 1e-3, 'us': 1e-6, 'ns': 1e-9}

_NEAR = 1.35  # a unit counts as seen where gravity is within this factor of it: a run's median is 1.2 g
# 20 rad/s is 1100 degrees a second: no body part turns as fast for a twentieth of the time.
_FASTEST_RAD_S = 20.0
_STRETCH, _STRETCHES = 128, 1000
LINEAR = 0.5  # acceleration whose mean is shorter than this share of its length lacks gravity
_LOOKED_AT = 200_000  # samples, evenly over the recording

_SPELT = {
  'm/s2': r'm\s?/\s?s\s?(\^|\*\*)?[2²�]|m/s/s|ms-?2|m s\^?-2|m[_ ]s2|mps2',
  'mg': r'mg|milli-?g',
  'g': r'g|gs|g-?force|standard gravity',
  'rad/s': r'rad(ian)?s?\s?/\s?s(ec)?|rads|rad[_ ]s|rad s\^?-1|radps|rps',
  'deg/s': r'(deg(ree)?s?|°|º|�)\s?/\s?s(ec)?|degs|deg[_ ]s|deg s\^?-1|degps|dps',
}
_UNIT = re.compile('|'.join(f'(?P<u{i}>{text})' for i, text in enumerate(_SPELT.values())), re.IGNORECASE)
_BRACKETS = re.compile(r'[(\[{]([^)\]}]*)[)\]}]')
_TRAILING = re.compile(
  r'(?<=[xyz])[\s_.,:-]+(?:in[\s_]+)?(' + '|'.join(_SPELT.values()) + r')$', re.IGNORECASE
)
_TIME_WORDS = {
  's': ('s', 'sec', 'secs', 'second', 'seconds'),
  'ms': ('ms', 'msec', 'msecs', 'milli', 'millis', 'millisecond', 'milliseconds'),
  'us': ('us', 'µs', 'μs', 'usec', 'usecs', 'micro', 'micros', 'microsecond', 'microseconds'),
  'ns': ('ns', 'nsec', 'nsecs', 'nano', 'nanos', 'nanosecond', 'nanoseconds'),
}


def spelt(text: str) -> str:
  """The sensor unit that somebody wrote, in our spelling; empty where it is none."""
  match = _UNIT.fullmatch(text.strip())
  return list(_SPELT)[int(match.lastgroup[1:])] if match and match.lastgroup else ''


def split(name: str) -> tuple[str, str]:
  """A column's name without its unit, and the unit in our spelling or empty."""
  for match in _BRACKETS.finditer(name):
    if spelt(match[1]):
      return name[: match.start()] + ' ' + name[match.end() :], spelt(match[1])
  bare = without_brackets(name)
  trailing = _TRAILING.search(bare)
  return (bare[: trailing.start()], spelt(trailing[1])) if trailing else (bare, '')


def without_brackets(name: str) -> str:
  return _BRACKETS.sub(' ', name).strip()


def time_unit(words: list[str]) -> str:
  """The unit of time among a name's words, or empty."""
  return next((unit for word in reversed(words) for unit, known in _TIME_WORDS.items() if word in known), '')


def is_unit(text: str) -> bool:
  """Whether a cell beneath a name is a unit, or says that there is none."""
  return not text.strip(' -') or bool(
    spelt(text) or time_unit([text.strip().lower()]) or text.lower() == 'cal'
  )


def asked(given: str, known: dict[str, float], flag: str) -> str:
  """A unit that the user names, in our spelling; empty for 'auto'. Raises UserError where it is none."""
  if given == 'auto':
    return ''
  unit = given if given in known else time_unit([given.lower()]) if known is TIME_S else spelt(given)
  if unit not in known:
    raise UserError(f'{flag} is {given!r}; it must be auto or one of {", ".join(known)}')
  return unit


def some(values: Float[np.ndarray, 'n 3']) -> Float[np.ndarray, 'm 3']:
  """Rows to judge by: all of a short recording, evenly spread ones of a long one."""
  return values[:: max(len(values) // _LOOKED_AT, 1)]


def lengths(values: Float[np.ndarray, 'n 3']) -> Float[np.ndarray, 'm']:
  return np.linalg.norm(some(values).astype(np.float64), axis=1)


def pull(values: Float[np.ndarray, 'n 3']) -> float:
  """How long acceleration is once what moves to and fro is averaged away: gravity, where it was recorded.

  The median over stretches of some seconds, of the length of their mean.
  """
  count = max(len(values) // _STRETCH, 1)
  taken = np.linspace(0, count - 1, min(count, _STRETCHES)).astype(int)
  means = [values[i * _STRETCH : (i + 1) * _STRETCH].mean(axis=0, dtype=np.float64) for i in taken]
  return float(np.median(np.linalg.norm(means, axis=1)))


def acc_unit(
  values: Float[np.ndarray, 'n 3'], named: str, given: str, warnings: list[str]
) -> tuple[str, str]:
  """The unit and a sentence that says why; doubts go to `warnings`."""
  median = float(np.median(lengths(values)))
  if given:
    return given, f'acceleration is in {given}, as you say (its median length is {median:.4g})'
  if named in ACC:
    return named, f'acceleration is in {named}, as its name says (its median length is {median:.4g})'
  steady = pull(values)
  if steady < LINEAR * median:
    warnings.append(
      f'Acceleration seems to lack gravity: its median length is {median:.4g}, that of its mean {steady:.4g}. So its unit '
      'is a guess, m/s2; name it with acc_unit.'
    )
    return 'm/s2', 'acceleration is taken to be in m/s2: gravity, which would tell, is missing'
  # The mean is near gravity in a run or in jumps too, whose median is far above it.
  for what, length in (('median length', median), ('mean', steady)):
    far = {
      unit: abs(math.log(max(length, 1e-12) * scale / STANDARD_GRAVITY_M_S2)) for unit, scale in ACC.items()
    }
    unit = min(far, key=lambda unit: far[unit])
    if far[unit] <= math.log(_NEAR):
      gravity = STANDARD_GRAVITY_M_S2 / ACC[unit]
      return unit, f'acceleration is in {unit}, as its {what} is {length:.4g} and gravity is {gravity:.4g}'
  warnings.append(
    f'The unit of acceleration is a guess, m/s2: its median length is {median:.4g}, and gravity would make it about '
    '1 (g), 9.81 (m/s2) or 1000 (mg). Name it with acc_unit.'
  )
  return 'm/s2', f'acceleration is taken to be in m/s2, though its median length is {median:.4g}'


def gyro_unit(
  values: Float[np.ndarray, 'n 3'], named: str, given: str, turned: str, warnings: list[str]
) -> tuple[str, str]:
  """The unit and a sentence that says why; doubts go to `warnings`. `turned` is what gravity says, or empty."""
  fast = float(np.quantile(lengths(values), 0.95))
  if given:
    return given, f'rotation is in {given}, as you say (95 % of it is below {fast:.4g})'
  if named in GYRO:
    return named, f'rotation is in {named}, as its name says (95 % of it is below {fast:.4g})'
  if fast > _FASTEST_RAD_S:
    return 'deg/s', (
      f'rotation is in deg/s: a twentieth of it is over {fast:.4g}, and nobody turns at {_FASTEST_RAD_S:.0f} rad/s '
      'for so long'
    )
  if turned:
    return turned, f'rotation is in {turned}, as gravity turns with it (95 % of it is below {fast:.4g})'
  warnings.append(
    f'The unit of rotation is a guess, rad/s: 95 % of it is below {fast:.4g}, which a calm recording in deg/s would '
    'be too. Name it with gyro_unit.'
  )
  return 'rad/s', f'rotation is taken to be in rad/s (95 % of it is below {fast:.4g}; unsure)'

"""The words of apps and people, for columns and for activities; `words.toml` lists them."""

import importlib.resources
import itertools
import re
import tomllib
import unicodedata
from collections.abc import Iterable

_GLUED = re.compile(
  r'(acceleration|accelerometer|accel|acc|ac|a|gyroscope|gyro|gyr|omega|rotationrate|rotation|rot'
  r'|gravity|grav|linacc|lacc|gforce|gf|g|w)([xyz])'
)
_GLUED_FRONT = re.compile(r'([xyz])(acceleration|accelerometer|accel|acc|gyroscope|gyro|gyr|axis)')

WORDS = tomllib.loads(
  importlib.resources.files('har_jax.recordings').joinpath('words.toml').read_text('utf-8')
)
# What a column is of → words in its name.
COLUMNS: dict[str, frozenset[str]] = {kind: frozenset(words) for kind, words in WORDS['columns'].items()}
IN_ROWS = COLUMNS['activity'] | COLUMNS['ground_truth']  # names of a column of labels in a recording
# Role → names of its column in a file of labels.
LABELS: dict[str, frozenset[str]] = {role: frozenset(words) for role, words in WORDS['labels'].items()}
LABELS['activity'] |= COLUMNS['activity']
_LONG = 6  # letters: among shorter words a letter more or less often makes another word


def normalize(label: str) -> str:
  """Gives the same for 'Walking fast', 'WALKING_FAST' and 'walking-fast'."""
  return ' '.join(re.sub(r'[_-]', ' ', label.casefold()).split())


def words(name: str) -> list[str]:
  """Splits a name, without accents: rotationRate.x, Rotation Rate X and rotation_rate_x give the same."""
  name = ''.join(letter for letter in unicodedata.normalize('NFD', name) if not unicodedata.combining(letter))
  name = re.sub(r'\bgF(?=[xyz]\b)', 'gf', name)  # Physics Toolbox's g-force
  name = re.sub(r'(?<=[a-z0-9])(?=[A-Z])', ' ', name)
  parts: list[str] = []
  for word in re.findall(r'[^\W\d_]+|\d+', name.lower()):
    match = _GLUED.fullmatch(word) or _GLUED_FRONT.fullmatch(word)
    parts += match.groups() if match else [word]
  return parts


def find_duplicates(labels: Iterable[str]) -> list[list[str]]:
  """Groups of different labels that seem to be one activity."""
  groups: list[list[str]] = []
  for label in sorted(set(labels)):
    same = [group for group in groups if any(_is_one(_plain(label), _plain(other)) for other in group)]
    groups = [group for group in groups if group not in same] + [[*itertools.chain(*same), label]]
  return [group for group in groups if len(group) > 1]


def means_none(label: str) -> bool:
  """Returns whether a label, such as `none` or `-`, seems to say that there is no label."""
  return _plain(label) in WORDS['activities']['none']


def _plain(label: str) -> str:
  """A label without accents, capitals and punctuation."""
  parts = unicodedata.normalize('NFD', normalize(label))
  return ' '.join(re.sub(r'[^\w\s]|_', '', parts).split())


def _is_one(one: str, other: str) -> bool:
  if one == other:
    return True
  if any(one in names and other in names for names in WORDS['activities']['same']):
    return True
  short, long = sorted((one, other), key=len)
  if len(short) < _LONG or not (short + long).replace(' ', '').isalpha():
    return False  # a count, such as walking 2, may be meant
  if len(short) == len(long):  # two letters exchanged
    return any(
      long[:i] + long[i + 1] + long[i] + long[i + 2 :] == short
      for i in range(len(long) - 1)
      if ' ' not in long[i : i + 2]
    )
  return len(long) == len(short) + 1 and any(long[:i] + long[i + 1 :] == short for i in range(len(long)))

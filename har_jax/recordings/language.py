"""The words of apps and people, for columns and for activities; `words.toml` lists them."""

import importlib.resources
import re
import tomllib
import unicodedata
from collections.abc import Iterable

from har_jax.signal.recording import LOCOMOTION

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
STAIRS = ('stairs', 'upstairs', 'downstairs')  # without a direction, and with one
_LONG, _LONGEST = 6, 100  # letters of a label that may be misspelt


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
  groups: dict[str, list[str]] = {}  # by the plain form of each of a group's labels
  for label in sorted(set(labels)):
    groups.setdefault(_plain(label), []).append(label)
  for plain in list(groups):
    for other in _alike(plain):
      if other in groups and groups[other] is not groups[plain]:
        short, long = sorted((groups[other], groups[plain]), key=len)
        long += short
        groups |= dict.fromkeys(map(_plain, short), long)
  distinct = {id(group): sorted(group) for group in groups.values() if len(group) > 1}
  return sorted(distinct.values())


def common_name(label: str) -> str:
  """The name in `LOCOMOTION` of an activity in any language; of others, the label in small letters."""
  plain = _plain(label)
  words = next((words for words in WORDS['activities']['same'] if plain in words), [plain])
  return next((word for word in words if word in LOCOMOTION), '_'.join(plain.split()))


def is_same(label: str, other: str) -> bool:
  """Returns whether both name one activity, in any language. Stairs are the same as one direction of them."""
  names = {common_name(label), common_name(other)}
  return len(names) == 1 or (STAIRS[0] in names and names <= set(STAIRS))


def means_none(label: str) -> bool:
  """Returns whether a label, such as `none` or `-`, seems to say that there is no label."""
  return _plain(label) in WORDS['activities']['none']


def _plain(label: str) -> str:
  """A label without accents, capitals and punctuation."""
  parts = unicodedata.normalize('NFD', normalize(label))
  return ' '.join(re.sub(r'[^\w\s]|_', '', parts).split())


def _alike(plain: str) -> set[str]:
  """Other words for the same, and the word with a letter less or two letters exchanged."""
  alike = {word for words in WORDS['activities']['same'] if plain in words for word in words}
  count = len(plain)
  # Among short words a letter more or less makes another word; a count, such as walking 2, may be meant.
  if _LONG <= count <= _LONGEST and plain.replace(' ', '').isalpha():
    if count > _LONG:
      alike |= {plain[:i] + plain[i + 1 :] for i in range(count)}
    pairs = (i for i in range(count - 1) if ' ' not in plain[i : i + 2])
    alike |= {plain[:i] + plain[i + 1] + plain[i] + plain[i + 2 :] for i in pairs}
  return alike - {plain}

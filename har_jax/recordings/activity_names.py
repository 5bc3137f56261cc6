"""Labels that seem to be one activity under two names: a form, another language, or a typing error."""

import itertools
import re
import unicodedata
from collections.abc import Iterable

from har_jax.recordings import language

# Each row is one activity. German `laufen` is walking or running, and jogging may be another class than
# running, so neither is here.
_ONE_ACTIVITY = (
  {'walk', 'walks', 'walked', 'walking', 'gehen', 'marche', 'marcher', 'caminar', 'caminando', 'andar'},
  {'run', 'runs', 'ran', 'running', 'rennen', 'courir', 'correr', 'corriendo'},
  {'jog', 'jogs', 'jogging', 'joggen', 'trotar'},
  {'sit', 'sits', 'sat', 'sitting', 'seated', 'sitzen', 'assis', 'assise', 'sentado', 'sentada'},
  {'stand', 'stands', 'stood', 'standing', 'stehen', 'debout', 'de pie'},
  {'lie', 'lies', 'lay', 'lying', 'laying', 'lie down', 'lying down', 'laying down', 'liegen', 'allonge',
   'couche', 'acostado', 'acostada', 'tumbado', 'tumbada'},
  {'upstairs', 'stairs up', 'up stairs', 'walk upstairs', 'walking upstairs', 'going upstairs',
   'ascending stairs', 'climbing stairs', 'treppauf', 'treppe hoch', 'monter les escaliers'},
  {'downstairs', 'stairs down', 'down stairs', 'walk downstairs', 'walking downstairs', 'going downstairs',
   'descending stairs', 'treppab', 'treppe runter', 'descendre les escaliers'},
  {'stairs', 'stair', 'treppe', 'treppen', 'treppensteigen', 'escalier', 'escaliers', 'escalera',
   'escaleras'},
  {'cycle', 'cycling', 'bicycle', 'bicycling', 'bike', 'biking', 'radfahren', 'fahrrad', 'rad fahren',
   'fahrradfahren', 'velo', 'faire du velo', 'bicicleta'},
  {'jump', 'jumps', 'jumping', 'springen', 'sauter', 'saltar'},
  {'drive', 'driving', 'autofahren', 'auto fahren', 'conduire', 'conducir'},
  {'eat', 'eats', 'eating', 'essen', 'manger', 'comer'},
  {'sleep', 'sleeps', 'sleeping', 'schlafen', 'dormir'},
)  # fmt: skip
_NO_LABEL = {
  *('', 'none', 'null', 'na', 'nan', 'no label', 'no activity', 'unlabeled', 'unknown', 'missing', 'keine'),
  *('unbekannt', 'aucun', 'aucune', 'inconnu', 'ninguno', 'ninguna', 'desconocido'),
}
_LONG = 6  # letters: among shorter words a letter more or less often makes another word


def duplicates(labels: Iterable[str]) -> list[list[str]]:
  """Groups of different labels that seem to be one activity."""
  groups: list[list[str]] = []
  for label in sorted(set(labels)):
    same = [group for group in groups if any(_is_one(_plain(label), _plain(other)) for other in group)]
    groups = [group for group in groups if group not in same] + [[*itertools.chain(*same), label]]
  return [group for group in groups if len(group) > 1]


def means_none(label: str) -> bool:
  """Whether a label, such as `none` or `-`, seems to say that there is no label."""
  return _plain(label) in _NO_LABEL


def _plain(label: str) -> str:
  """Without accents, capitals and punctuation."""
  parts = unicodedata.normalize('NFD', language.folded(label))
  return ' '.join(re.sub(r'[^\w\s]|_', '', parts).split())


def _is_one(one: str, other: str) -> bool:
  if one == other:
    return True
  if any({one, other} <= names for names in _ONE_ACTIVITY):
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

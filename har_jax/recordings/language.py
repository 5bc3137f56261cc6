"""The words of apps and people, for columns and for activities: English, German, French and Spanish."""

import itertools
import re
import unicodedata
from collections.abc import Iterable

_GLUED = re.compile(
  r'(acceleration|accelerometer|accel|acc|ac|a|gyroscope|gyro|gyr|omega|rotationrate|rotation|rot'
  r'|gravity|grav|linacc|lacc|gforce|gf|g|w)([xyz])'
)
_GLUED_FRONT = re.compile(r'([xyz])(acceleration|accelerometer|accel|acc|gyroscope|gyro|gyr|axis)')

ACC = {
  *('acc', 'accel', 'acceleration', 'accelerations', 'accelerometer', 'a', 'ac', 'gforce', 'force'),
  *('beschleunigung', 'beschleunigungssensor', 'accelerometre', 'aceleracion', 'acelerometro'),
}
LINEAR = {
  *('linear', 'lin', 'linacc', 'lacc', 'user', 'without', 'excluding'),
  *('lineare', 'ohne', 'lineaire', 'sans', 'lineal', 'sin'),
}
TOTAL = {'total', 'including', 'incl', 'with', 'gf', 'mit', 'avec', 'con'}
GYRO = {
  *('gyro', 'gyr', 'gyroscope', 'gyroscop', 'omega', 'w', 'angular', 'rotation', 'rotationrate', 'rot'),
  *('gyroskop', 'drehrate', 'winkelgeschwindigkeit', 'giroscopio', 'angulaire'),
}
GRAVITY = {'gravity', 'grav', 'schwerkraft', 'gravite', 'gravedad'}
OTHER = {
  *('mag', 'magnetic', 'magnetometer', 'magnet', 'magn', 'm', 'b', 'orientation', 'attitude', 'quaternion'),
  *('quat', 'euler', 'vector', 'bias', 'drift', 'jerk', 'location', 'gps', 'position'),
}
ROUGH = {'uncalibrated', 'uncal', 'raw', 'unbiased'}
TIME = {
  *('time', 'timestamp', 'timestamps', 't', 'seconds', 'elapsed', 'epoch', 'epoc', 'date', 'datetime'),
  *('clock', 'unix', 'unixtime', 'utc', 'timems', 'times', 'stamp', 'ts', 'millis', 'ms', 'ns', 'us'),
  *('zeit', 'zeitstempel', 'uhrzeit', 'datum', 'temps', 'horodatage', 'heure', 'tiempo', 'hora', 'fecha'),
}
TIME_FIRST = ('time', 'timestamp', 't', 'zeit', 'temps', 'tiempo')
ACTIVITY = {
  *('activity', 'activities', 'label', 'labels', 'class', 'annotation', 'activity label', 'activity name'),
  *('label name', 'class label', 'aktivitat', 'aktivitaet', 'tatigkeit', 'taetigkeit', 'bezeichnung'),
  *('klasse', 'activite', 'etiquette', 'classe', 'actividad', 'etiqueta', 'clase'),
}
IN_ROWS = ACTIVITY | {'gt', 'ground truth', 'target'}  # names of a column of labels in a recording
LABELS = {
  'start': {
    *('start', 'begin', 'from', 'onset', 'start time', 'time start', 'begin time', 'begins', 'starts'),
    *('beginn', 'anfang', 'von', 'startzeit', 'debut', 'du', 'depuis', 'heure debut', 'heure de debut'),
    *('inicio', 'comienzo', 'desde', 'hora inicio', 'hora de inicio', 'started'),
  },
  'end': {
    *('end', 'stop', 'to', 'until', 'finish', 'offset', 'end time', 'stop time', 'time end', 'ends', 'stops'),
    *('ende', 'bis', 'endzeit', 'stopp', 'fin', 'au', 'jusqu a', 'heure fin', 'heure de fin'),
    *('final', 'hasta', 'hora fin', 'hora de fin', 'ended'),
  },
  'activity': ACTIVITY | {'text', 'tag', 'name', 'nom', 'nombre'},
  'recording': {
    *('recording', 'file', 'filename', 'file name', 'aufnahme', 'aufzeichnung', 'datei', 'dateiname'),
    *('enregistrement', 'fichier', 'grabacion', 'archivo', 'fichero'),
  },
}  # fmt: skip


# Of a column that says which sensor, device or person a row is of: 'device', 'sensorType', 'user_id'.
SOURCE = {
  *('device', 'sensor', 'source', 'type', 'subject', 'user', 'participant', 'person', 'position', 'placement',
    'node', 'imu', 'id', 'name', 'gerat', 'geraet', 'appareil', 'capteur', 'dispositivo'),
}  # fmt: skip

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
  return _plain(label) in _NO_LABEL


def _plain(label: str) -> str:
  """A label without accents, capitals and punctuation."""
  parts = unicodedata.normalize('NFD', normalize(label))
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

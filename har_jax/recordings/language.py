"""Names of columns in the words of apps and people: English, German, French and Spanish."""

import re
import unicodedata

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


def folded(label: str) -> str:
  """The same for 'Walking fast', 'WALKING_FAST' and 'walking-fast'."""
  return ' '.join(re.sub(r'[_-]', ' ', label.casefold()).split())


def words(name: str) -> list[str]:
  """The same words for 'rotationRate.x', 'Rotation Rate X' and 'rotation_rate_x'; without accents."""
  name = ''.join(letter for letter in unicodedata.normalize('NFD', name) if not unicodedata.combining(letter))
  name = re.sub(r'\bgF(?=[xyz]\b)', 'gf', name)  # Physics Toolbox's g-force
  name = re.sub(r'(?<=[a-z0-9])(?=[A-Z])', ' ', name)
  found: list[str] = []
  for word in re.findall(r'[^\W\d_]+|\d+', name.lower()):
    match = _GLUED.fullmatch(word) or _GLUED_FRONT.fullmatch(word)
    found += match.groups() if match else [word]
  return found

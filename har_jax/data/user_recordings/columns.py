"""Which column of a stranger's table is what: from names that phone apps use, or as the user says."""

import dataclasses
import re
from collections.abc import Mapping

from har_jax.data.user_recordings import units
from har_jax.data.user_recordings.table import Table, is_date, is_number
from har_jax.errors import UserError

NAMES = ('time', 'ax', 'ay', 'az', 'gx', 'gy', 'gz', 'label')

_OF_SENSOR = {
  '': NAMES,
  'acc': ('time', 'ax', 'ay', 'az', 'label'),
  'gyro': ('time', 'gx', 'gy', 'gz'),
  'gravity': ('time',),
}
_WORD = {'': 'an accelerometer', 'acc': 'an accelerometer', 'gyro': 'a gyroscope', 'gravity': 'gravity'}

_ACC = {'acc', 'accel', 'acceleration', 'accelerations', 'accelerometer', 'a', 'ac', 'gforce', 'force'}
_LINEAR = {'linear', 'lin', 'linacc', 'lacc', 'user', 'without', 'excluding'}
_TOTAL = {'total', 'including', 'incl', 'with'}
_GYRO = {'gyro', 'gyr', 'gyroscope', 'gyroscop', 'omega', 'w', 'angular', 'rotation', 'rotationrate', 'rot'}
_GRAVITY = {'gravity', 'grav'}
_OTHER = {
  *('mag', 'magnetic', 'magnetometer', 'magnet', 'magn', 'm', 'b', 'orientation', 'attitude', 'quaternion'),
  *('quat', 'euler', 'vector', 'bias', 'drift', 'jerk', 'location', 'gps', 'velocity', 'position'),
}
_ROUGH = {'uncalibrated', 'uncal', 'raw', 'unbiased'}
_GLUED = re.compile(
  r'(acceleration|accelerometer|accel|acc|ac|a|gyroscope|gyro|gyr|omega|rotationrate|rotation|rot|gravity|grav'
  r'|linacc|lacc|gforce|gf|g|w)([xyz])'
)
_GLUED_FRONT = re.compile(r'([xyz])(acceleration|accelerometer|accel|acc|gyroscope|gyro|gyr|axis)')
_TIME = {
  *(
    'time',
    'timestamp',
    'timestamps',
    't',
    'seconds',
    'elapsed',
    'epoch',
    'epoc',
    'date',
    'datetime',
    'clock',
  ),
  *('unix', 'unixtime', 'utc', 'timems', 'times', 'zeit', 'stamp', 'ts', 'millis', 'ms', 'ns', 'us'),
}
_TIME_FIRST = ('time', 'timestamp', 't')
_LABEL = {
  *('label', 'labels', 'activity', 'activities', 'class', 'annotation', 'gt', 'ground truth', 'target'),
  *('activity label', 'activity name', 'label name', 'class label'),
}
# iOS has gravity point down: a phone that lies face up reads -1 g on z there, and +1 g here and on Android.
# These are CoreMotion's own words; apps that turn the signs themselves do not use them.
_CORE_MOTION = ('accelerometer acceleration', 'motion user acceleration', 'user acceleration')


@dataclasses.dataclass(frozen=True)
class Triple:
  """Three axes of one sensor, by column."""

  columns: tuple[int, int, int]
  unit: str = ''  # as the name says it
  linear: bool = False  # named as acceleration without gravity
  turned: bool = False  # named as iOS names it: signs are opposite


@dataclasses.dataclass(frozen=True)
class Choice:
  """What was found in a table. `notes` say how, and what else could have been meant."""

  time: int | None
  acc: Triple | None
  gyro: Triple | None
  gravity: Triple | None
  label: int | None
  notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class _Name:
  kind: str  # acc, linear, total, gyro, gravity, plain
  axis: str
  unit: str
  words: str


def words(name: str) -> list[str]:
  """Of a name in any spelling: 'rotationRate.x', 'Rotation Rate X' and 'rotation_rate_x' are the same."""
  together = re.sub(r'\bgF(?=[xyz]\b)', 'gf', name)  # Physics Toolbox's g-force
  apart = re.sub(r'(?<=[a-z0-9])(?=[A-Z])', ' ', together)
  found = []
  for word in re.findall(r'[^\W\d_]+|\d+', apart.lower()):
    match = _GLUED.fullmatch(word) or _GLUED_FRONT.fullmatch(word)
    found += [*match.groups()] if match else [word]
  return found


def choose(table: Table, given: Mapping[str, str], *, sensor: str = '', timed: bool = True) -> Choice:
  """`given` maps our names to the table's, where the user says; the rest is guessed.

  `sensor` is 'acc', 'gyro' or 'gravity' for a file that holds that one alone, with axes perhaps plainly x, y, z.
  Raises UserError: an unknown name, one that is not there, no three axes, no time where `timed`.
  """
  mine = _given(table, given, sensor)
  notes: list[str] = []
  acc, gyro = _three(mine, 'ax', 'ay', 'az', table), _three(mine, 'gx', 'gy', 'gz', table)
  triples = _triples(table, set(mine.values()), notes, sensor=sensor)
  # Axes that the user names are taken as they are: nothing is added to them.
  gravity = None if acc else triples.get('gravity')
  acc = acc or triples.get('acc')
  gyro = gyro or triples.get('gyro')
  if {'': acc, 'acc': acc, 'gyro': gyro, 'gravity': gravity}[sensor] is None:
    raise UserError(
      f'{table.path} has no three axes of {_WORD[sensor]} that we know by name; its columns are '
      f'{", ".join(table.names)}: say which with columns, such as {"gx" if sensor == "gyro" else "ax"}={table.names[-1]}'
    )
  taken = {column for triple in (acc, gyro, gravity) if triple for column in triple.columns}
  time = mine.get('time')
  if time is None and timed:
    time = _time(table, taken, notes)
  label = mine.get('label')
  if label is None:
    label = next((i for i, name in enumerate(table.names) if ' '.join(words(name)) in _LABEL), None)
  return Choice(time, acc, gyro, gravity, None if label in taken else label, tuple(notes))


def find(table: Table, name: str, meaning: str) -> int:
  """A column that the user names. Raises UserError where it is not there."""
  for index, own in enumerate(table.names):
    if own == name:
      return index
  alike = [i for i, own in enumerate(table.names) if own.strip().lower() == name.strip().lower()]
  if len(alike) == 1:
    return alike[0]
  raise UserError(f'{table.path} has no column {name!r} (for {meaning}); it has {", ".join(table.names)}')


def _given(table: Table, given: Mapping[str, str], sensor: str) -> dict[str, int]:
  if unknown := [name for name in given if name not in NAMES]:
    raise UserError(f'columns knows no {", ".join(unknown)}; it maps {", ".join(NAMES)} to names of the file')
  return {ours: find(table, theirs, ours) for ours, theirs in given.items() if ours in _OF_SENSOR[sensor]}


def _three(mine: Mapping[str, int], x: str, y: str, z: str, table: Table) -> Triple | None:
  there = [name for name in (x, y, z) if name in mine]
  if not there:
    return None
  if len(there) < 3 or len({mine[name] for name in there}) < 3:
    raise UserError(
      f'columns gives {", ".join(f"{name}={table.names[mine[name]]}" for name in there)}: '
      f'a sensor has three axes, {x}, {y} and {z}, each a column of its own'
    )
  indices = mine[x], mine[y], mine[z]
  return Triple(indices, units.split(table.names[mine[x]])[1])


def _name(name: str) -> _Name | None:
  """None where it is no axis of a sensor that we use."""
  rest, unit = units.split(name)
  found = words(rest)
  axes = [word for word in found if word in ('x', 'y', 'z')]
  others = [word for word in found if word not in ('x', 'y', 'z', 'axis', 'value', 'values', 'data')]
  if len(axes) != 1:
    return None
  have = set(others)
  if have & (_OTHER - {'velocity'}) or ('velocity' in have and 'angular' not in have):
    return None
  kind = ''
  if have & _GYRO:
    kind = 'gyro'
  elif have & _ACC or have & {'linacc', 'lacc', 'gf'}:
    kind = 'linear' if have & _LINEAR else 'total' if have & (_TOTAL | {'gf'}) else 'acc'
  elif have & _GRAVITY:
    kind = 'gravity'
  elif 'g' in have:
    kind = 'gyro'
  elif unit:
    kind = 'acc' if unit in units.ACC else 'gyro'
  elif not others:
    kind = 'plain'
  if 'gf' in have or 'gforce' in have:
    unit = unit or 'g'
  fits = units.GYRO if kind == 'gyro' else units.ACC
  return _Name(kind, axes[0], unit if unit in fits else '', ' '.join(others)) if kind else None


def _triples(table: Table, taken: set[int], notes: list[str], *, sensor: str) -> dict[str, Triple]:
  """The best three columns of each sensor, of those that the user has not named."""
  groups: dict[tuple[str, str], dict[str, tuple[int, str]]] = {}
  for index, name in enumerate(table.names):
    if index not in taken and (parsed := _name(name)) is not None:
      groups.setdefault((parsed.kind, parsed.words), {}).setdefault(parsed.axis, (index, parsed.unit))
  whole = {key: axes for key, axes in groups.items() if len(axes) == 3}
  found = {}
  for wanted, kinds in (
    ('acc', ('total', 'acc', 'plain', 'linear')),
    ('gyro', ('gyro', 'plain') if sensor == 'gyro' else ('gyro',)),
    ('gravity', ('gravity', 'plain') if sensor == 'gravity' else ('gravity',)),
  ):
    if sensor and wanted != sensor:
      continue
    ranked = sorted(
      (key for key in whole if key[0] in kinds),
      key=lambda key: (kinds.index(key[0]), bool(_ROUGH & set(key[1].split()))),
    )
    if not ranked:
      continue
    best, *rest = ranked
    axes = whole[best]
    triple = (axes['x'][0], axes['y'][0], axes['z'][0])
    found[wanted] = Triple(
      triple, axes['x'][1], linear=best[0] == 'linear', turned=wanted == 'acc' and best[1] in _CORE_MOTION
    )
    if others := [key for key in rest if key[0] == best[0]]:
      also = ', '.join(table.names[whole[key]['x'][0]] for key in others)
      notes.append(
        f'besides {table.names[triple[0]]}, {also} could have been the x axis: choose with columns'
      )
  return found


def _time(table: Table, taken: set[int], notes: list[str]) -> int:
  candidates = []
  for index, name in enumerate(table.names):
    cells = table.column(index)
    if index in taken or not cells:
      continue
    dates = sum(map(is_date, cells)) > len(cells) / 2
    have = words(units.without_brackets(name))
    if not dates and not (set(have) & _TIME and sum(map(is_number, cells)) > len(cells) / 2):
      continue
    plain = ' '.join(have) in _TIME_FIRST
    constant = len(cells) > 1 and len(set(cells)) <= max(1, len(cells) // 10)
    candidates.append(((constant, not plain, not (set(have) & _TIME)), index))
  if not candidates:
    raise UserError(
      f'{table.path} has no column of time that we know by name; its columns are {", ".join(table.names)}: '
      'say which with columns, time=…, or give rate_hz for rows that are evenly spaced'
    )
  candidates.sort()
  best = candidates[0][1]
  if len(candidates) > 1:
    also = ', '.join(table.names[index] for _, index in candidates[1:])
    notes.append(f'time is taken from {table.names[best]}; {also} could have been: choose with columns')
  return best

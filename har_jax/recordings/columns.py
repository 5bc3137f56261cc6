"""Roles of columns: by the names that phone apps use, or by the user's options."""

import dataclasses
from collections.abc import Mapping

from har_jax.errors import UserError, shorten
from har_jax.recordings import units
from har_jax.recordings.language import COLUMNS, IN_ROWS, words
from har_jax.recordings.tables import Axes, NoRecording, Table, is_date, is_number

_AXES = {'acc': ('ax', 'ay', 'az'), 'gyro': ('gx', 'gy', 'gz')}
_ROLES = ('time', *_AXES['acc'], *_AXES['gyro'], 'label')
# The roles in a file of one sensor, by that sensor.
_ROLES_OF = {
  '': _ROLES,
  'acc': ('time', *_AXES['acc'], 'label'),
  'gyro': ('time', *_AXES['gyro']),
  'gravity': ('time',),
}
WORDS = {'acc': 'accelerometer', 'gyro': 'gyroscope', 'gravity': 'gravity'}

_ANGLES = {'alpha': 'x', 'beta': 'y', 'gamma': 'z'}  # of the browser's rotationRate, in deg/s

# On iOS gravity points down: a phone that lies face up reads -1 g on z, and +1 g on Android and here.
# These are CoreMotion's words; apps that flip the signs themselves use others.
_CORE_MOTION = ('accelerometer acceleration', 'motion user acceleration', 'user acceleration')


def choose(
  table: Table, options: Mapping[str, str | int], sensor: str, timed: bool, notes: list[str]
) -> Table:
  """Chooses the columns of a table: `options` maps roles to names of columns; the rest is inferred.

  Axes come in the order of `WORDS`; there is no time unless `timed`. `sensor` is the one that a file holds
  alone, with axes perhaps called x, y, z only; or ''.
  Raises UserError: an unknown role or column, no three axes, no time though `timed`.
  """
  if unknown := [str(role) for role in options if role not in _ROLES]:
    raise UserError(
      f'columns has no role {shorten(", ".join(unknown))}; it maps {", ".join(_ROLES)} to column names'
    )
  named = {role: _find(table, name, role) for role, name in options.items() if role in _ROLES_OF[sensor]}
  sensors = dict(table.axes) or _infer_axes(table, set(named.values()), sensor, notes)
  for name, roles in _AXES.items():
    if not (present := [role for role in roles if role in named]):
      continue
    x, y, z = (named.get(role, -1) for role in roles)
    if len(present) < 3 or len({x, y, z}) < 3:
      raise UserError(
        f'columns gives {shorten(", ".join(f"{role}={table.names[named[role]]}" for role in present))}: '
        f'a sensor has three axes, {", ".join(roles)}, each in a different column'
      )
    unit = units.split(table.names[x])[1]
    sensors[name] = Axes((x, y, z), unit if unit in units.SENSORS[name] else '')
    if name == 'acc':
      sensors.pop('gravity', None)  # axes that the user names are used as they are
  if (sensor or 'acc') not in sensors:
    word = WORDS[sensor or 'acc']
    others = f'a {" and ".join(WORDS[name] for name in sensors)}, but ' if sensors else ''
    raise NoRecording(
      f'{table.path} has {others}no three {word} axes with a known name; its columns are {table.listed()}: '
      f'record it, or name them with columns, such as {"gx" if sensor == "gyro" else "ax"}=<its name>'
    )
  used = {column for axes in sensors.values() for column in axes.columns}
  time = named.get('time', table.time)
  if time is None and timed:
    time = _infer_time(table, used, notes)
  _check_used(table, used if time is None else {*used, time})
  labels = [i for i, name in enumerate(table.names) if ' '.join(words(name)) in IN_ROWS]
  label = named.get('label', labels[0] if labels and table.label is None else table.label)
  if 'label' in named and label in used | {time}:
    raise UserError(
      f'columns gives label={shorten(table.names[named["label"]])}, which is a sensor or the time'
    )
  in_order = {name: sensors[name] for name in WORDS if name in sensors}
  label = None if label in used | {time} else label
  return dataclasses.replace(table, axes=in_order, time=time if timed else None, label=label)


def _check_used(table: Table, used: set[int]) -> None:
  """Raises UserError for a column whose name others have, too, and for one of True and False."""
  for index in sorted(used):
    if (times := table.names.count(table.names[index])) > 1:
      raise UserError(f'{table.title(index)} is there {times} times: rename them, or leave others out')
    if (cells := table.column(index)) and {cell.lower() for cell in cells} <= {'true', 'false'}:
      raise UserError(f'{table.title(index)} holds True and False, no numbers: name another one with columns')


def _find(table: Table, name: str | int, role: str) -> int:
  name = str(name)  # columns of a DataFrame may have numbers
  if name in table.names:
    return table.names.index(name)
  similar = [i for i, other in enumerate(table.names) if other.strip().lower() == name.strip().lower()]
  if len(similar) == 1:
    return similar[0]
  raise UserError(f'{table.path} has no column {shorten(name)!r} (for {role}); it has {table.listed()}')


def _parse(name: str) -> tuple[str, str, str, str] | None:
  """Kind (acc, linear, total, gyro, gravity, plain), axis, unit and other words of an axis; else None."""
  bare, unit = units.split(name)
  parts = words(bare)
  axes = [word for word in parts if word in ('x', 'y', 'z')]
  others = [word for word in parts if word not in ('x', 'y', 'z', 'axis', 'value', 'values', 'data')]
  terms = set(others)
  if {'rotation', 'rate'} <= terms and (angle := terms & set(_ANGLES)) and not axes:
    # The browser's angular velocity.
    return 'gyro', _ANGLES[angle.pop()], unit if unit in units.GYRO else 'deg/s', 'rotation rate'
  if len(axes) != 1 or terms & COLUMNS['other'] or ('velocity' in terms and 'angular' not in terms):
    return None
  if terms & COLUMNS['gyro']:
    kind = 'gyro'
  elif terms & (COLUMNS['acc'] | {'linacc', 'lacc', 'gf'}):
    kind = 'linear' if terms & COLUMNS['linear'] else 'total' if terms & COLUMNS['total'] else 'acc'
  elif terms & COLUMNS['gravity']:
    kind = 'gravity'
  elif 'g' in terms:
    kind = 'gyro'
  elif unit:
    kind = 'acc' if unit in units.ACC else 'gyro'
  elif not others:
    kind = 'plain'
  else:
    return None
  unit = unit or ('g' if terms & {'gf', 'gforce'} else '')
  possible = units.SENSORS['gyro' if kind == 'gyro' else 'acc']
  return kind, axes[0], unit if unit in possible else '', ' '.join(others)


def _infer_axes(table: Table, used: set[int], sensor: str, notes: list[str]) -> dict[str, Axes]:
  """The best three columns of each sensor, of those not `used`."""
  groups: dict[tuple[str, str], dict[str, tuple[int, str]]] = {}
  for index, name in enumerate(table.names):
    if index not in used and (parsed := _parse(name)) is not None:
      kind, axis, unit, other = parsed
      groups.setdefault((kind, other), {}).setdefault(axis, (index, unit))
  sensors = {}
  for name, kinds in (
    ('acc', ('total', 'acc', 'plain', 'linear')),
    ('gyro', ('gyro', 'plain') if sensor else ('gyro',)),
    ('gravity', ('gravity', 'plain') if sensor else ('gravity',)),
  ):
    ranked = sorted(
      (key for key, axes in groups.items() if len(axes) == 3 and key[0] in kinds),
      key=lambda key: (kinds.index(key[0]), bool(COLUMNS['rough'] & set(key[1].split()))),
    )
    if not ranked or (sensor and sensor != name):
      continue
    (kind, other), axes = ranked[0], groups[ranked[0]]
    sensors[name] = Axes(
      (axes['x'][0], axes['y'][0], axes['z'][0]),
      axes['x'][1],
      is_linear=kind == 'linear',
      is_flipped=name == 'acc' and other in _CORE_MOTION,
    )
    if rivals := [table.names[groups[key]['x'][0]] for key in ranked[1:] if key[0] == kind]:
      first, others = shorten(table.names[axes['x'][0]]), shorten(', '.join(rivals))
      notes.append(f'Besides {first}, {others} could be the x axis: choose with columns.')
  return sensors


def _infer_time(table: Table, used: set[int], notes: list[str]) -> int:
  candidates, illegible = [], []
  for index, name in enumerate(table.names):
    cells = table.column(index)
    if index in used or not cells:
      continue
    parts = words(units.without_brackets(name))
    is_named = bool(set(parts) & COLUMNS['time'])
    dates, numbers = (sum(map(is_kind, cells)) > len(cells) / 2 for is_kind in (is_date, is_number))
    if dates or (is_named and numbers):
      is_constant = len(cells) > 1 and len(set(cells)) <= max(1, len(cells) // 10)
      candidates.append((is_constant, ' '.join(parts) not in COLUMNS['time_first'], not is_named, index))
    elif is_named:
      illegible.append(f'{table.title(index)} holds {shorten(repr(cells[0]), 40)}, which is no time')
  if not candidates:
    raise UserError(
      (illegible[0] if illegible else f'{table.path} has no column of time with a known name')
      + f'; its columns are {table.listed()}: name the one of time with columns, time=…, or give rate_hz '
      'if rows are evenly spaced'
    )
  best, *others = (table.names[candidate[-1]] for candidate in sorted(candidates))
  if others:
    notes.append(f'Time is read from {best}; {shorten(", ".join(others))} could be it: choose with columns.')
  return min(candidates)[-1]

"""One recording's files → its sensors in our units on one clock, and its labels row by row.

n rows, m samples of one sensor.
"""

import dataclasses
import math

import numpy as np
from jaxtyping import Int, Int32

from har_jax.data.recording import Samples
from har_jax.data.user_recordings import turning, units
from har_jax.data.user_recordings.clock import Clock
from har_jax.data.user_recordings.columns import Triple
from har_jax.data.user_recordings.files import Item
from har_jax.data.user_recordings.rows import Asked, Rows, load, many, sentence
from har_jax.data.user_recordings.table import open_table
from har_jax.errors import UserError

_MANY_SAME = 0.05  # share of rows with the time of another from which a user is told, ...
_TOO_MANY_SAME = 0.5  # ... and from which the clock is taken to be too coarse
_LINEAR = 0.7  # acceleration shorter than this share of gravity lacks it


@dataclasses.dataclass(frozen=True)
class Track:
  """One recording before it is split at gaps. Seconds count from the clock's origin, at or before either sensor begins."""

  name: str
  acc: Samples
  gyro: Samples | None
  clock: Clock
  labels: Int32[np.ndarray, 'm'] | None  # of the accelerometer's samples; -1: none
  words: dict[int, str]
  notes: list[str]
  warnings: list[str]


def track(item: Item, asked: Asked) -> Track:
  """Reads one recording. Raises UserError at what cannot be read, with what to do."""
  notes: list[str] = []
  warnings: list[str] = []
  tables = {
    sensor: load(open_table(path), asked, sensor, notes, warnings) for sensor, path in item.files.items()
  }
  main = tables.get('acc') or tables['']
  acc_named = main.choice.acc
  assert acc_named is not None
  acc, kept = _sensor(main, 'acc', main.clock, notes, warnings)
  if len(acc.time_s) < 2:
    raise UserError(
      f'{item.name} holds {len(acc.time_s)} samples of the accelerometer: a recording needs two at least'
    )
  gravity_rows = tables.get('gravity') or (main if main.choice.gravity else None)
  if gravity_rows is not None:
    acc = _with_gravity(acc, acc_named, gravity_rows, main.clock, notes, warnings)
  unit, why = units.acc_unit(acc.values, acc_named.unit, asked.acc_unit, warnings)
  notes.append(sentence(why))
  sign = 1.0
  if acc_named.turned:
    sign = -1.0
    notes.append(
      'These names are of iOS, which has gravity point down: all three axes of acceleration were turned, so that a '
      'device lying face up reads +9.81 on z. Name ax, ay and az with columns to keep their signs.'
    )
  acc.values[:] *= np.float32(sign * units.ACC[unit])
  gyro_rows = tables.get('gyro') or (main if main.choice.gyro else None)
  gyro = _gyro(gyro_rows, acc, main.clock, asked, notes, warnings)
  begin = min(float(acc.time_s[0]), math.inf if gyro is None else float(gyro.time_s[0]))
  acc = Samples(acc.time_s - begin, acc.values)
  gyro = None if gyro is None else Samples(gyro.time_s - begin, gyro.values)
  clock = dataclasses.replace(main.clock, origin_ns=main.clock.origin_ns + round(begin * 1e9))
  labels = None if main.labels is None else main.labels[kept]
  said, doubted = (
    list(dict.fromkeys(sentences)) for sentences in (notes, warnings)
  )  # each of both sensors once
  return Track(item.name, acc, gyro, clock, labels, main.words, said, doubted)


def _sensor(
  rows: Rows, sensor: str, clock: Clock, notes: list[str], warnings: list[str]
) -> tuple[Samples, Int[np.ndarray, 'm']]:
  """The rows that hold all three axes, each moment once; and which rows they are.

  Seconds count from the origin of `clock`. An app may log its sensors in rows of their own: what one lacks, another has.
  """
  values = rows.values[sensor]
  word = {'acc': 'accelerometer', 'gyro': 'gyroscope', 'gravity': 'gravity'}[sensor]
  there = np.isfinite(values).all(axis=1)
  if not there.all():
    notes.append(f'{many(~there)} without all values of the {word}: left out for it.')
  kept = np.flatnonzero(there)
  if len(kept) > 1:
    again = np.r_[False, np.diff(rows.time_s[kept]) == 0]
    if again.any():
      share = float(again.mean())
      notes.append(f'{many(again)} at the time of another: the first of each moment was kept.')
      if share > _TOO_MANY_SAME:
        raise UserError(
          f'{share:.0%} of the rows of the {word} repeat the time of another: the column of time is too coarse; '
          'choose another one with columns, or give rate_hz'
        )
      if share > _MANY_SAME:
        warnings.append(
          f'{share:.0%} of the rows of the {word} repeat the time of another: is its clock too coarse?'
        )
      kept = kept[~again]
  if rows.clock.kind != clock.kind:
    raise UserError('the sensors are on clocks of different kinds: name columns of time that are alike')
  shift_s = (rows.clock.origin_ns - clock.origin_ns) / 1e9
  everything = len(kept) == len(values)
  time_s = rows.time_s if everything else rows.time_s[kept]
  return Samples(time_s + shift_s, values if everything else values[kept]), kept


def _with_gravity(
  acc: Samples, named: Triple, rows: Rows, clock: Clock, notes: list[str], warnings: list[str]
) -> Samples:
  """Gravity added to acceleration that lacks it, where a file holds them apart."""
  gravity, _ = _sensor(rows, 'gravity', clock, [], [])
  triple = rows.choice.gravity
  if len(gravity.time_s) < 2 or triple is None:
    return acc
  pulls = float(np.median(units.lengths(gravity.values)))
  moves = float(np.median(units.lengths(acc.values)))
  if not named.linear and moves > _LINEAR * pulls:
    return acc
  if named.unit and triple.unit and named.unit != triple.unit:
    warnings.append(
      f'Acceleration lacks gravity and is in {named.unit}; gravity is in {triple.unit}: not put together.'
    )
    return acc
  notes.append(
    f'Acceleration lacks gravity (its median length is {moves:.4g}): gravity was added from its own columns.'
  )
  same = len(acc.time_s) == len(gravity.time_s) and np.array_equal(acc.time_s, gravity.time_s)
  for axis in range(3):
    along = gravity.values[:, axis]
    acc.values[:, axis] += along if same else np.interp(acc.time_s, gravity.time_s, along).astype(np.float32)
  return acc


def _gyro(
  rows: Rows | None, acc: Samples, clock: Clock, asked: Asked, notes: list[str], warnings: list[str]
) -> Samples | None:
  if rows is None or rows.choice.gyro is None:
    return None
  gyro, _ = _sensor(rows, 'gyro', clock, notes, warnings)
  if len(gyro.time_s) < 2:
    notes.append('The columns of the gyroscope are empty.')
    return None
  named = rows.choice.gyro.unit
  unit, why = units.gyro_unit(gyro.values, named, asked.gyro_unit, turning.unit(acc, gyro), warnings)
  notes.append(sentence(why))
  gyro.values[:] *= np.float32(units.GYRO[unit])
  return gyro

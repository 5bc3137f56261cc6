"""The tables of one recording → its sensors in m/s² and rad/s on one clock, and a label for each row.

n rows, m samples of one sensor.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float, Int, Int32, Shaped

from har_jax.errors import UserError, counted, shorten
from har_jax.recordings import infer, row_faults, units
from har_jax.recordings.clocks import Clock
from har_jax.recordings.columns import WORDS
from har_jax.recordings.infer import Findings
from har_jax.recordings.rows import Options, Rows, read_rows
from har_jax.recordings.tables import Table, count_of
from har_jax.signal import physics, segments
from har_jax.signal.recording import Samples

# Fractions of rows with a repeated time: a warning, and a clock that is too coarse.
_MANY_REPEATS, _TOO_MANY_REPEATS = 0.05, 0.5
_LINEAR = 0.7  # acceleration shorter than this fraction of gravity lacks it
_LIMITS = {'acc': physics.MAX_ACC_M_S2, 'gyro': physics.MAX_GYRO_RAD_S, 'gravity': physics.MAX_ACC_M_S2}
# A clock in bursts: this fraction of steps is shorter than a tenth of the mean step. A gap is no step.
_BURSTS, _SHORT_STEP, _GAP_S = 0.25, 0.1, 1.0
_SLOWEST_S = 5.0  # from one row to the next; no window has pauses of over 0.2 s
_CONSTANT_S = 10.0  # a coarse gyroscope at rest may be constant for seconds


@dataclasses.dataclass(frozen=True)
class Track:
  """One recording before it is split at gaps; seconds count from whichever sensor starts first."""

  acc: Samples
  gyro: Samples | None
  clock: Clock
  rows: Int[np.ndarray, 'm']  # of the accelerometer's samples, in order of time
  labels: Int32[np.ndarray, 'm'] | None  # of the accelerometer's samples, -1: none; indices of `activities`
  activities: dict[int, str]


def load(name: str, tables: Mapping[str, Table], options: Options, findings: Findings) -> Track:
  """One recording from its tables by sensor: 'acc', 'gyro', 'gravity', or '' for all.

  Raises UserError if a file cannot be read or interpreted.
  """
  rows = {sensor: read_rows(table, options, sensor, findings) for sensor, table in tables.items()}
  main = rows.get('acc') or rows['']
  rows_of = dict.fromkeys(main.table.axes, main) | {name: file for name, file in rows.items() if name}
  acc, indices = _samples(main, 'acc', main.clock, findings)
  if len(acc.time_s) < 2:
    raise UserError(f'{name} holds {len(acc.time_s)} accelerometer samples of up to 50 g: give at least two')
  axes = main.table.axes['acc']
  added = 'gravity' in rows_of and _add_gravity(acc, main, rows_of['gravity'], findings)
  if axes.is_linear and not added:
    raise UserError(
      f'{name}: {shorten(main.table.names[axes.columns[0]])} is acceleration without gravity: record it with '
      'gravity, or name ax, ay and az with columns if gravity is in it'
    )
  if added:
    complete = ~np.isnan(acc.values).any(axis=1)
    acc, indices = Samples(acc.time_s[complete], acc.values[complete]), indices[complete]
    if len(acc.time_s) < 2:
      raise UserError(f'{name}: acceleration and gravity do not overlap in time: are they of one recording?')
  turning = _samples(rows_of['gyro'], 'gyro', main.clock, findings)[0] if 'gyro' in rows_of else None
  if turning is not None and infer.seem_swapped(acc.values, turning.values):
    sentence = (
      f'{name}: gravity is in the columns of the gyroscope, not in those of the accelerometer: if they are '
      'swapped, name them with columns, such as ax=<name>, gx=<name>'
    )
    if not (axes.unit or options.acc_unit):
      raise UserError(sentence)
    findings.warn(f'{sentence}.')
  unit = infer.acc_unit(acc.values, axes.unit, options.acc_unit, findings)
  if axes.is_flipped:
    findings.note(
      'The signs of acceleration are those of iOS, where gravity points down: they were flipped, so that a '
      'device that lies face up reads +9.81 on z. Name ax, ay and az with columns to keep the signs.'
    )
  acc.values[:] *= np.float32((-1.0 if axes.is_flipped else 1.0) * units.ACC[unit])
  acc, possible = _possible(acc, 'acc', findings)
  indices = indices[possible]
  named = '' if turning is None else rows_of['gyro'].table.axes['gyro'].unit
  gyro = None if turning is None else _gyro(turning, named, acc, options, findings)
  start_s = min(float(samples.time_s[0]) for samples in (acc, gyro) if samples is not None)
  acc_times_s, acc = acc.time_s, Samples(_later(acc.time_s, -start_s), acc.values)
  if gyro is not None:
    is_same = np.array_equal(gyro.time_s, acc_times_s)  # those of a day take 35 MB
    gyro = Samples(acc.time_s if is_same else _later(gyro.time_s, -start_s), gyro.values)
  clock = dataclasses.replace(main.clock, origin_ns=main.clock.origin_ns + round(start_s * 1e9))
  labels = None if main.labels is None else main.labels[indices]
  return Track(acc, gyro, clock, indices, labels, main.activities)


def _gyro(
  gyro: Samples, named_unit: str, acc: Samples, options: Options, findings: Findings
) -> Samples | None:
  if len(gyro.time_s) < 2:
    findings.note('The columns of the gyroscope are empty.')
    return None
  if np.ptp(gyro.time_s) > _CONSTANT_S and (gyro.values == gyro.values[0]).all():
    findings.warn(
      'The gyroscope has the same values all the time, so it measured nothing: the recording is read as one '
      'without a gyroscope.'
    )
    return None
  unit = infer.gyro_unit(acc, gyro, named_unit, options.gyro_unit, findings)
  if lag_s := infer.lag_s(acc, gyro):
    when = f'{abs(lag_s):.2g} s {"earlier" if lag_s > 0 else "later"}'
    findings.warn(
      f'Gravity turns with angular velocity if that is {when}: did the sensors begin at different times? '
      'Give files with one clock.'
    )
  gyro.values[:] *= np.float32(units.GYRO[unit])
  return _possible(gyro, 'gyro', findings)[0]


def _add_gravity(acc: Samples, main: Rows, rows: Rows, findings: Findings) -> bool:
  """Adds a separate gravity to acceleration without it, in place; False if that cannot be done."""
  gravity, _ = _samples(rows, 'gravity', main.clock, Findings())
  if len(gravity.time_s) < 2:
    return False
  acc_axes, gravity_axes = main.table.axes['acc'], rows.table.axes['gravity']
  gravity_length, acc_length = (float(np.median(infer.lengths(part.values))) for part in (gravity, acc))
  if not acc_axes.is_linear and acc_length > _LINEAR * gravity_length:
    return False
  if acc_axes.unit and gravity_axes.unit and acc_axes.unit != gravity_axes.unit:
    findings.warn(
      f'Acceleration lacks gravity and is in {acc_axes.unit}; gravity is in {gravity_axes.unit}: not added.'
    )
    return False
  findings.note(
    f'Acceleration lacks gravity (its median length is {acc_length:.4g}): gravity was added from its columns.'
  )
  # Most apps' are: a day is then read half a second sooner, with 100 MB less.
  same = np.array_equal(acc.time_s, gravity.time_s)
  if not same:
    nearest = np.searchsorted((gravity.time_s[1:] + gravity.time_s[:-1]) / 2, acc.time_s)
    is_alone = np.abs(acc.time_s - gravity.time_s[nearest]) > _GAP_S
    acc.values[is_alone] = np.nan
    if is_alone.any():
      findings.warn(f'{count_of(is_alone)} of acceleration have no gravity at the same time: left out.')
  for axis, along in enumerate(gravity.values.T):
    along = along if same else np.interp(acc.time_s, gravity.time_s, along).astype(np.float32)
    acc.values[:, axis] += along
  return True


def _possible(samples: Samples, sensor: str, findings: Findings) -> tuple[Samples, Bool[np.ndarray, 'm']]:
  """Removes values that no motion gives; also returns which samples remain."""
  values, count = physics.drop_impossible(samples.values, _LIMITS[sensor])
  remain = ~np.isnan(values).any(axis=1)
  if remain.all():
    return samples, remain
  if count:
    findings.warn(f'{counted(count, f"{WORDS[sensor]} value")} {physics.RULE}: {count_of(~remain)} left out.')
  if remain.sum() < 2:
    raise UserError(
      f'the values of the {WORDS[sensor]} are {physics.RULE}: is the unit right? Give {sensor}_unit'
    )
  return Samples(samples.time_s[remain], samples.values[remain]), remain


def _samples(
  rows: Rows, sensor: str, clock: Clock, findings: Findings
) -> tuple[Samples, Int[np.ndarray, 'm']]:
  """The rows with all three axes, each time once, and their indices; seconds are from the origin of `clock`.

  An app may write each sensor in separate rows, where the others are empty.
  """
  # Before the unit is known, values beyond the limit in the smallest one are wrong.
  limit = _LIMITS[sensor] / min(units.SENSORS[sensor].values())
  values, faults = physics.drop_impossible(rows.values[sensor], limit)
  complete = np.isfinite(values).all(axis=1)
  if faults:
    findings.warn(f'{counted(faults, f"{WORDS[sensor]} value")} {physics.RULE}: left out, as if missing.')
  if not complete.all():
    findings.note(f'{count_of(~complete)} without all {WORDS[sensor]} values: left out.')
  indices = np.flatnonzero(complete)
  # Rows that were sent or joined twice say nothing of the clock.
  again = segments.repeats(_select(rows.time_s, indices))
  again[again] = (values[indices[again]] == values[indices[np.flatnonzero(again) - 1]]).all(axis=1)
  if again.any():
    findings.note(f'{count_of(again)} with a repeated time and the same values: left out.')
    indices = indices[~again]
  repeats = segments.repeats(_select(rows.time_s, indices))
  if repeats.any():
    findings.note(f'{count_of(repeats)} with a repeated time: the first of each time was kept.')
    fraction = float(repeats.mean())
    repeated = f'{fraction:.0%} of the {WORDS[sensor]} rows repeat a time'
    if fraction > _TOO_MANY_REPEATS:
      raise UserError(f'{repeated}: the time column is too coarse; choose another one, or give rate_hz')
    if fraction > _MANY_REPEATS:
      findings.warn(f'{repeated}: is the clock too coarse?')
    indices = indices[~repeats]
  if rows.clock.kind != clock.kind:
    raise UserError('the clocks of the sensors are of different kinds: choose similar time columns')
  if len(indices) > 1:
    # All that follows takes memory for each second.
    kept = Samples(_select(rows.time_s, indices), _select(values, indices))
    step_s = kept.step_s
    if step_s > _SLOWEST_S:
      raise UserError(
        f'the {WORDS[sensor]} rows are {step_s:.3g} s apart, and a window needs several a second: is the '
        'unit of time right? Give time_unit'
      )
    is_held = row_faults.find_held_rows(kept)
    if is_held.any():
      findings.warn(
        f'{count_of(is_held)} of the {WORDS[sensor]} repeat the values of the row before: left out, as if '
        'missing. Export each sensor at its own rate.'
      )
      indices = indices[~is_held]
  shift_s = (rows.clock.origin_ns - clock.origin_ns) / 1e9
  time_s = _later(_select(rows.time_s, indices), shift_s)
  return Samples(_even(time_s, sensor, findings), _select(values, indices)), indices


def _select(array: Shaped[np.ndarray, 'n *a'], indices: Int[np.ndarray, 'm']) -> Shaped[np.ndarray, 'm *a']:
  """Rows of an array, in their order; the array itself, and no copy, if these are all."""
  return array if len(indices) == len(array) else array[indices]


def _later(time_s: Float[np.ndarray, 'm'], shift_s: float) -> Float[np.ndarray, 'm']:
  """Shifted times. Without a shift no copy, so that two sensors with one clock share their times."""
  return time_s + shift_s if shift_s else time_s


def _even(time_s: Float[np.ndarray, 'm'], sensor: str, findings: Findings) -> Float[np.ndarray, 'm']:
  """A clock in bursts put on the even grid of its count over its span, between gaps; else the clock itself.

  Some phones deliver many samples at once, and stamp them when they arrive.
  """
  steps_s = np.diff(time_s)
  is_gap = steps_s > _GAP_S
  if is_gap.all() or not len(steps_s):
    return time_s
  mean_s = float(steps_s.mean(where=~is_gap))
  if (steps_s < _SHORT_STEP * mean_s).mean() < _BURSTS:
    return time_s
  findings.warn(
    f'The {WORDS[sensor]} has a clock in bursts, with steps from {steps_s.min():.2g} to '
    f'{steps_s[~is_gap].max():.2g} s: its samples were spaced evenly, at {1 / mean_s:.4g} Hz.'
  )
  even = time_s.copy()
  for part in np.split(np.arange(len(time_s)), np.flatnonzero(is_gap) + 1):
    even[part] = np.linspace(time_s[part[0]], time_s[part[-1]], len(part))
  return even

"""The files of one recording → its sensors in m/s² and rad/s on one clock, and a label for each row.

n rows, m samples of one sensor.
"""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Int32

from har_jax.data import segments
from har_jax.data.recording import Samples
from har_jax.data.user_recordings import columns, formats, infer, units
from har_jax.data.user_recordings.columns import WORDS, Columns
from har_jax.data.user_recordings.formats import Kind, Table
from har_jax.data.user_recordings.infer import Clock, Findings
from har_jax.errors import UserError

# Fractions of rows with a repeated time: a warning, and a clock that is too coarse.
_MANY_REPEATS, _TOO_MANY_REPEATS = 0.05, 0.5
_LINEAR = 0.7  # acceleration shorter than this fraction of gravity lacks it


@dataclasses.dataclass(frozen=True)
class Options:
  """What the user specifies; empty or None if it is to be inferred."""

  columns: Mapping[str, str]
  acc_unit: str
  gyro_unit: str
  time_unit: str
  rate_hz: float | int | None


@dataclasses.dataclass(frozen=True)
class Track:
  """One recording before it is split at gaps; seconds count from whichever sensor starts first."""

  acc: Samples
  gyro: Samples | None
  clock: Clock
  labels: Int32[np.ndarray, 'm'] | None  # of the accelerometer's samples, -1: none; indices of `activities`
  activities: dict[int, str]


@dataclasses.dataclass(frozen=True)
class _Rows:
  """One file, in order of time; values as written."""

  columns: Columns
  time_s: Float[np.ndarray, 'n']
  clock: Clock
  values: dict[str, Float32[np.ndarray, 'n 3']]
  labels: Int32[np.ndarray, 'n'] | None
  activities: dict[int, str]


def load(name: str, files: Mapping[str, pathlib.Path], options: Options, findings: Findings) -> Track:
  """One recording from its files by sensor: 'acc', 'gyro', 'gravity', or '' for all.

  Raises UserError if a file cannot be read or interpreted.
  """
  tables = {
    sensor: _rows(formats.open_table(path), options, sensor, findings) for sensor, path in files.items()
  }
  main = tables.get('acc') or tables['']
  rows_of = dict.fromkeys(main.columns.sensors, main) | {each: tables[each] for each in tables if each}
  acc, kept = _samples(main, 'acc', main.clock, findings)
  if len(acc.time_s) < 2:
    raise UserError(f'{name} holds {len(acc.time_s)} accelerometer samples: give at least two')
  axes = main.columns.sensors['acc']
  if 'gravity' in rows_of:
    _add_gravity(acc, main, rows_of['gravity'], findings)
  unit = infer.acc_unit(acc.values, axes.unit, options.acc_unit, findings)
  if axes.is_flipped:
    findings.note(
      'The names are of iOS, where gravity points down: the signs of acceleration were flipped, so that a '
      'device that lies face up reads +9.81 on z. Name ax, ay and az with columns to keep the signs.'
    )
  acc.values[:] *= np.float32((-1.0 if axes.is_flipped else 1.0) * units.ACC[unit])
  gyro = _gyro(rows_of['gyro'], acc, main.clock, options, findings) if 'gyro' in rows_of else None
  start_s = min(float(samples.time_s[0]) for samples in (acc, gyro) if samples is not None)
  acc = Samples(acc.time_s - start_s, acc.values)
  gyro = None if gyro is None else Samples(gyro.time_s - start_s, gyro.values)
  clock = dataclasses.replace(main.clock, origin_ns=main.clock.origin_ns + round(start_s * 1e9))
  labels = None if main.labels is None else main.labels[kept]
  return Track(acc, gyro, clock, labels, main.activities)


def _gyro(rows: _Rows, acc: Samples, clock: Clock, options: Options, findings: Findings) -> Samples | None:
  gyro, _ = _samples(rows, 'gyro', clock, findings)
  if len(gyro.time_s) < 2:
    findings.note('The columns of the gyroscope are empty.')
    return None
  unit = infer.gyro_unit(acc, gyro, rows.columns.sensors['gyro'].unit, options.gyro_unit, findings)
  gyro.values[:] *= np.float32(units.GYRO[unit])
  return gyro


def _add_gravity(acc: Samples, main: _Rows, rows: _Rows, findings: Findings) -> None:
  """Adds a separate gravity to acceleration without it, in place."""
  gravity, _ = _samples(rows, 'gravity', main.clock, Findings())
  if len(gravity.time_s) < 2:
    return
  acc_axes, gravity_axes = main.columns.sensors['acc'], rows.columns.sensors['gravity']
  gravity_length, acc_length = (float(np.median(infer.lengths(each.values))) for each in (gravity, acc))
  if not acc_axes.is_linear and acc_length > _LINEAR * gravity_length:
    return
  if acc_axes.unit and gravity_axes.unit and acc_axes.unit != gravity_axes.unit:
    findings.warn(
      f'Acceleration lacks gravity and is in {acc_axes.unit}; gravity is in {gravity_axes.unit}: not added.'
    )
    return
  findings.note(
    f'Acceleration lacks gravity (its median length is {acc_length:.4g}): gravity was added from its columns.'
  )
  same = np.array_equal(acc.time_s, gravity.time_s)
  for axis, along in enumerate(gravity.values.T):
    along = along if same else np.interp(acc.time_s, gravity.time_s, along).astype(np.float32)
    acc.values[:, axis] += along


def _samples(
  rows: _Rows, sensor: str, clock: Clock, findings: Findings
) -> tuple[Samples, Int[np.ndarray, 'm']]:
  """The rows with all three axes, each time once, and their indices; seconds are from the origin of `clock`.

  An app may write each sensor in separate rows, where the others are empty.
  """
  values = rows.values[sensor]
  complete = np.isfinite(values).all(axis=1)
  if not complete.all():
    findings.note(f'{_count(~complete)} without all {WORDS[sensor]} values: left out.')
  kept = np.flatnonzero(complete)
  repeats = segments.repeats(rows.time_s[kept])
  if repeats.any():
    findings.note(f'{_count(repeats)} with a repeated time: the first of each time was kept.')
    fraction = float(repeats.mean())
    repeated = f'{fraction:.0%} of the {WORDS[sensor]} rows repeat a time'
    if fraction > _TOO_MANY_REPEATS:
      raise UserError(f'{repeated}: the time column is too coarse; choose another one, or give rate_hz')
    if fraction > _MANY_REPEATS:
      findings.warn(f'{repeated}: is the clock too coarse?')
    kept = kept[~repeats]
  if rows.clock.kind != clock.kind:
    raise UserError('the clocks of the sensors are of different kinds: choose similar time columns')
  shift_s = (rows.clock.origin_ns - clock.origin_ns) / 1e9
  if len(kept) == len(values):
    return Samples(rows.time_s + shift_s, values), kept  # no copy of the values
  return Samples(rows.time_s[kept] + shift_s, values[kept]), kept


def _rows(table: Table, options: Options, sensor: str, findings: Findings) -> _Rows:
  """Reads a file; `sensor` is the one that it holds alone, or ''."""
  notes: list[str] = []
  chosen = columns.choose(table, options.columns, sensor, options.rate_hz is None, notes)
  time = chosen.time if options.rate_hz is None else None
  sources: dict[str, tuple[int, ...]] = {} if time is None else {'time': (time,)}
  sources |= {WORDS[each]: axes.columns for each, axes in chosen.sensors.items()}
  sources |= {'labels': (chosen.label,)} if chosen.label is not None else {}
  named = [f'{what} from {", ".join(table.names[i] for i in used)}' for what, used in sources.items()]
  findings.notes += [f'{table.path.name}: {"; ".join(named)}.', *notes]
  kinds: dict[int, Kind] = {i: 'number' for axes in chosen.sensors.values() for i in axes.columns}
  if chosen.label is not None:
    kinds[chosen.label] = 'text'
  if time is not None:
    kinds[time] = table.kind_of_time(time)
  parts: dict[str, list[np.ndarray]] = {each: [] for each in chosen.sensors}
  times: list[tuple[np.ndarray, str]] = []
  labels: list[np.ndarray] = []
  codes: dict[str, int] = {}
  for chunk in formats.chunks(table, kinds):
    for each, axes in chosen.sensors.items():
      parts[each].append(np.stack([chunk[index] for index in axes.columns], axis=1))
    if time is not None:
      # Parsed chunk by chunk: as text, the times of a long recording would fill the memory.
      numbers = kinds[time] == 'precise'
      times.append((chunk[time], '') if numbers else infer.parse_times(chunk[time], table.place(time)))
    if chosen.label is not None:
      labels.append(_encode(chunk[chosen.label], codes))
  values = {each: np.concatenate(part) for each, part in parts.items()}
  # The rate is that of the file's first sensor.
  sampled = np.isfinite(next(iter(values.values()))).all(axis=1)
  if sampled.sum() < 2:
    raise UserError(f'{table.path} holds {sampled.sum()} samples of three axes: give at least two')
  time_s, clock = _clock(table, time, times, options, sampled, findings)
  order = _order(time_s, findings.notes)
  return _Rows(
    chosen,
    time_s[order],
    clock,
    {each: rows[order] for each, rows in values.items()},
    np.concatenate(labels)[order] if labels else None,
    {code: word for word, code in codes.items()},
  )


def _encode(cells: Any, codes: dict[str, int]) -> Int32[np.ndarray, 'n']:
  """Labels as codes, -1 if empty; new ones are added to `codes`."""
  indices, known = cells.str.strip().factorize()
  for word in known:
    if word:
      codes.setdefault(str(word), len(codes))
  lookup = np.array([*(codes.get(str(word), -1) for word in known), -1], np.int32)
  return lookup[indices]  # a missing label has the index -1, which is the last


def _clock(
  table: Table,
  time: int | None,
  times: list[tuple[np.ndarray, str]],
  options: Options,
  sampled: Bool[np.ndarray, 'n'],
  findings: Findings,
) -> tuple[Float[np.ndarray, 'n'], Clock]:
  if time is None:
    assert options.rate_hz is not None
    findings.note(f'Rows are evenly spaced at {options.rate_hz:g} Hz, as requested; no time is read.')
    return np.arange(len(sampled)) / options.rate_hz, Clock('relative', 0, 's')
  name, (values, kind) = table.names[time], (np.concatenate([part for part, _ in times]), times[0][1])
  if kind:
    if options.time_unit not in ('', 'iso'):
      raise UserError(
        f'{table.place(time)} holds text, which has no unit {options.time_unit}; omit time_unit'
      )
    written = {
      'zoned': 'dates with a time zone',
      'date': 'dates without a time zone',
      'day': 'times of day',
      'relative': 'times from a start',
    }
    findings.note(f'Column {name} holds {written[kind]}.')
    return infer.clock_of_dates(values, kind)
  if options.time_unit == 'iso':
    raise UserError(f'{table.place(time)} holds numbers, not ISO times: give time_unit as s, ms, us or ns')
  named = units.time_unit(columns.words(name))
  time_s, clock, reason = infer.clock_of_numbers(
    values, sampled, named, options.time_unit, table.place(time), findings
  )
  findings.note(f'Column {name} is in {clock.unit}, {reason}.')
  return time_s, clock


def _order(time_s: Float[np.ndarray, 'n'], notes: list[str]) -> slice | Int[np.ndarray, 'm']:
  """Rows with a time, sorted by it; a slice, which copies nothing, if they are."""
  missing = np.isnan(time_s)
  if missing.any():
    notes.append(f'{_count(missing)} without a time: left out.')
  fell = int((np.diff(time_s[~missing]) < 0).sum())
  if fell:
    notes.append(f'Time ran back {fell} times: all rows were sorted by it.')
  if not fell and not missing.any():
    return slice(None)
  order = np.argsort(time_s, kind='stable')  # NaN comes last
  return order[: len(order) - int(missing.sum())]


def _count(rows: Bool[np.ndarray, 'n']) -> str:
  count = int(rows.sum())
  return f'{count} row{"s" * (count != 1)}'

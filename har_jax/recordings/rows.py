"""One table → its columns in order of time, and its clock.   n rows."""

import dataclasses
from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Int32

from har_jax.errors import UserError, counted, often, shorten
from har_jax.recordings import clocks, columns, language, row_faults, units
from har_jax.recordings.clocks import Clock
from har_jax.recordings.columns import WORDS
from har_jax.recordings.infer import Findings
from har_jax.recordings.tables import Kind, Table, count_of, encode


@dataclasses.dataclass(frozen=True)
class Options:
  """What the user specifies; empty or None if it is to be inferred."""

  columns: Mapping[str, str | int]
  acc_unit: str
  gyro_unit: str
  time_unit: str
  rate_hz: float | int | None
  time_zone: str  # of times that do not say it


@dataclasses.dataclass(frozen=True)
class Rows:
  """One file, in order of time; values as written."""

  table: Table
  time_s: Float[np.ndarray, 'n']
  clock: Clock
  values: dict[str, Float32[np.ndarray, 'n 3']]
  labels: Int32[np.ndarray, 'n'] | None
  activities: dict[int, str]


def read_rows(table: Table, options: Options, sensor: str, findings: Findings) -> Rows:
  """Reads a file; `sensor` is the one that it holds alone, or ''."""
  notes: list[str] = []
  table = columns.choose(table, options.columns, sensor, options.rate_hz is None, notes)
  sources: dict[str, tuple[int, ...]] = {} if table.time is None else {'time': (table.time,)}
  sources |= {WORDS[name]: axes.columns for name, axes in table.axes.items()}
  sources |= {'labels': (table.label,)} if table.label is not None else {}
  named = [
    f'{what} from {", ".join(table.names[i] or "a column without a name" for i in indices)}'
    for what, indices in sources.items()
  ]
  gyro_words = language.COLUMNS['gyro'] - {'w'}
  unused = [name for name in table.names if gyro_words & set(language.words(name))]
  if not sensor and 'gyro' not in table.axes and unused:
    findings.warn(
      f'{shorten(", ".join(unused))} may be a gyroscope, but its axes are not known: name gx, gy and gz with '
      'columns.'
    )
  findings.notes += [f'{table.path.name}: {shorten("; ".join(named), 400)}.', *notes]
  kinds: dict[int, Kind] = {i: 'number' for axes in table.axes.values() for i in axes.columns}
  if table.time is not None:
    kinds[table.time] = table.kind_of_time(table.time)
  labels = None if table.label is None else row_faults.Source(table.label)
  people = row_faults.find_sources(table, {*kinds, table.label})
  coded = people if labels is None else [*people, labels]
  kinds |= {source.column: 'text' for source in coded}
  values, times = _read_columns(table, kinds, coded)
  first = next(iter(values.values()))
  incomplete = ~np.all([np.isfinite(sensor).all(axis=1) for sensor in values.values()], axis=0)
  is_cut = incomplete[-1:].any() and incomplete.sum() == 1  # the last row lacks values, and no other
  if 'acc' in values and not table.axes['acc'].is_linear:
    row_faults.drop_acc_filler(values, findings)
  if 'gyro' in values:
    row_faults.drop_gyro_filler(values['gyro'], findings)
  # The rate is that of the file's first sensor.
  sampled = np.isfinite(first).all(axis=1)
  if sampled.sum() < 2:
    raise UserError(
      f'{table.path} holds {counted(int(sampled.sum()), "sample")} of three axes: give at least two'
    )
  time_s, clock = _clock(table, times, options, sampled, findings)
  if is_cut and table.time is not None and not np.isnan(time_s[-1]):  # a row of separators has no time
    findings.warn(
      f'The last row of {table.path.name} lacks values that every other row has: the file was probably cut '
      'short, and what followed is missing. Copy or export it again.'
    )
  time_s = row_faults.continue_restarts(time_s, sampled, first, findings)
  if people:
    row_faults.check_sources(table, people, np.where(sampled, time_s, np.nan), first, findings)
  order = _order(time_s, findings.notes)
  return Rows(
    table,
    time_s[order],
    clock,
    {name: rows[order] for name, rows in values.items()},
    None if labels is None else np.concatenate(labels.parts)[order],
    {} if labels is None else {code: word for word, code in labels.codes.items()},
  )


def _read_columns(
  table: Table, kinds: dict[int, Kind], coded: list[row_faults.Source]
) -> tuple[dict[str, Float32[np.ndarray, 'n 3']], tuple[np.ndarray, str, str] | None]:
  """Values of each sensor, and what `clocks.join` tells of the times; appends to the parts of `coded`."""
  parts: dict[str, list[np.ndarray]] = {name: [] for name in table.axes}
  times: list[clocks.Times] = []
  count = 0
  for chunk in table.read(kinds):
    for name, axes in table.axes.items():
      parts[name].append(np.stack([chunk[index] for index in axes.columns], axis=1))
    if table.time is not None:
      # Parsed chunk by chunk: as text, the times of a long recording would fill the memory.
      times.append(clocks.parse(chunk[table.time], table.title(table.time), count))
      count += len(chunk[table.time])
    for source in coded:
      source.parts.append(encode(chunk[source.column], source.codes))
  if not next(iter(parts.values())):
    raise UserError(f'{table.path} holds no row: it is empty')
  joined = None if table.time is None else clocks.join(times, table.title(table.time))
  return {name: np.concatenate(parts.pop(name)) for name in table.axes}, joined  # one copy at a time


def _clock(
  table: Table,
  times: tuple[np.ndarray, str, str] | None,
  options: Options,
  sampled: Bool[np.ndarray, 'n'],
  findings: Findings,
) -> tuple[Float[np.ndarray, 'n'], Clock]:
  if options.rate_hz is not None:
    findings.note(f'Rows are evenly spaced at {options.rate_hz:g} Hz, as requested; no time is read.')
    return np.arange(len(sampled)) / options.rate_hz, Clock('relative', 0, 's')
  assert table.time is not None
  assert times is not None
  (values, kind, zone), title = times, table.title(table.time)
  column = f'Column {name}' if (name := shorten(table.names[table.time])) else 'The column without a name'
  if kind:
    if options.time_unit not in ('', 'iso'):
      raise UserError(f'{title} holds text, which has no unit {options.time_unit}; omit time_unit')
    written = {
      'zoned': f'dates with a time zone{zone and f", {zone}"}',
      'date': 'dates without a time zone',
      'day': 'times of day',
      'relative': 'times from a start',
    }
    findings.note(f'{column} holds {written[kind]}.')
    if kind == 'date' and options.time_zone:
      values, kind = clocks.to_utc(values, options.time_zone), 'zoned'
      findings.note(f'They are read as times of {options.time_zone}.')
    time_s, clock = clocks.count_dates(values, kind, zone)
    time_s = row_faults.unwrap(time_s, findings)
    clocks.check_span(time_s[sampled], title)
    return time_s, clock
  if options.time_unit == 'iso':
    raise UserError(f'{title} holds numbers, not ISO times: give time_unit as s, ms, us or ns')
  named = units.time_unit(language.words(table.names[table.time]))
  values = row_faults.unwrap(values, findings)
  time_s, clock, reason = clocks.count_numbers(values, sampled, named, options.time_unit, title, findings)
  clocks.check_span(time_s[sampled], title)
  if named and clock.unit != named and not options.time_unit:
    findings.warn(
      f'The name of time says {named}, but only {clock.unit} makes a likely rate. Name it with time_unit.'
    )
  findings.note(f'{column} is in {clock.unit}, {reason}.')
  return time_s, clock


def _order(time_s: Float[np.ndarray, 'n'], notes: list[str]) -> slice | Int[np.ndarray, 'm']:
  """Rows with a time, sorted by it; a slice, which copies nothing, if they are."""
  missing = np.isnan(time_s)
  if missing.any():
    notes.append(f'{count_of(missing)} without a time: left out.')
  fell = int((np.diff(time_s[~missing]) < 0).sum())
  if fell:
    notes.append(f'Time ran back {often(fell)}: all rows were sorted by it.')
  if not fell and not missing.any():
    return slice(None)
  order = np.argsort(time_s, kind='stable')  # NaN comes last
  return order[: len(order) - int(missing.sum())]

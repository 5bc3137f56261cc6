"""A file of labels → spans of a recording: times are on the recording's clock, or count from its start.

s spans.
"""

import dataclasses
import pathlib
import re
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from har_jax.errors import UserError, shorten
from har_jax.recordings import clocks, language, units
from har_jax.recordings.clocks import Clock
from har_jax.recordings.infer import Findings
from har_jax.recordings.tables import Kind, Table, as_label, printable
from har_jax.signal import segments
from har_jax.signal.recording import Span

_OVERLAP_S = 0.5  # that two activities may have: people label with a stopwatch
_OUTSIDE_S = 1.0  # by which a label may exceed the recording without a warning
_SHORT_S = 2.56  # of labels: too short to hold a window of the bundled base
_FEW = 0.25  # of the recording: where labels in a guessed unit end before, it is doubtful
_ROLES = ('start', 'end', 'activity')
_SCALES_S = units.NAMED_TIME_S
_HOURS, _MINUTES = re.compile(r'\s*\d\d?:\d\d\s*'), 'h:min'  # 12:30, elsewhere minutes and seconds
_ROWS = frozenset(('row', 'rows', 'sample', 'samples', 'index', 'idx'))  # in a name: numbers of rows, from 0
_OWN = {'start_s', 'end_s'}  # as bouts.csv and suggestions.csv have them: from the first sample
_MOST = 0.9  # of the labels fit after a shift by whole hours, or it is not named


@dataclasses.dataclass(frozen=True)
class Labels:
  """A file of labels as written: `start` and `stop` are numbers, or nanoseconds of dates and times."""

  path: pathlib.Path
  start: Float[np.ndarray, 's']
  stop: Float[np.ndarray, 's']
  kind: str  # of the clock, see Clock; '' for numbers
  unit: str  # of numbers, if the name says it; of times of day 'h:min' if all may be such
  activity: tuple[str, ...]
  recording: tuple[str, ...] | None
  people: tuple[str, ...] = ()  # of each label, which may be names of recordings or of their folders
  is_from_start: bool = False  # times likely count from the recording's first sample

  def select(self, names: set[str]) -> 'Labels':
    """Selects the labels of one recording, by any of its names; all if none is named."""
    if self.recording is None:
      return self
    rows = [row for row, name in enumerate(self.recording) if name in names]
    activity = tuple(self.activity[row] for row in rows)
    return dataclasses.replace(
      self, start=self.start[rows], stop=self.stop[rows], activity=activity, recording=None
    )

  def in_seconds(self, rows: Int[np.ndarray, 'n'], time_s: Float[np.ndarray, 'n']) -> 'Labels':
    """Converts numbers of rows, whose times are given, to seconds from the start."""
    start, stop = (
      np.interp(numbers, rows, time_s) + np.maximum(numbers - rows[-1], 0) * np.median(np.diff(time_s))
      for numbers in (self.start, self.stop)
    )
    return dataclasses.replace(self, start=start, stop=stop, unit='s', is_from_start=True)


@dataclasses.dataclass(frozen=True)
class _Reading:
  """One interpretation of the times, in seconds from the recording's start."""

  how: str
  start_s: Float[np.ndarray, 's']
  stop_s: Float[np.ndarray, 's']
  is_unit_known: bool

  @property
  def is_likely(self) -> bool:
    """Returns false for too small a unit: labels would lie in the first moments, too short for a window."""
    return self.is_unit_known or bool(np.median(self.stop_s - self.start_s) >= _SHORT_S)

  def inside(self, length_s: float) -> float:
    """The fraction of labels whose middle lies in the recording."""
    middle_s = (self.start_s + self.stop_s) / 2
    return float(((middle_s > 0) & (middle_s < length_s)).mean())


def has_labels(table: Table) -> bool:
  """Returns whether it has the columns of a file of labels."""
  return _find_columns(table).keys() >= {*_ROLES}


def read_labels(table: Table) -> Labels:
  """Raises UserError: no columns start, end, activity; an empty cell; an end before its start."""
  path = table.path
  indices = _find_columns(table)
  if missing := [role for role in _ROLES if role not in indices]:
    raise UserError(
      f'{path} lacks {", ".join(missing)}; its columns are {table.listed()}: give a table with start, '
      'end and activity'
    )
  kinds: dict[int, Kind] = {indices[name]: table.kind_of_time(indices[name]) for name in ('start', 'end')}
  kinds |= {indices[name]: 'text' for name in ('activity', 'recording', 'person') if name in indices}
  if kinds[indices['start']] != kinds[indices['end']]:
    raise UserError(f'{path} has numbers in one of start and end, text in the other: write both alike')
  chunks = list(table.read(kinds))
  cells = {name: [cell for chunk in chunks for cell in chunk[index]] for name, index in indices.items()}
  start, stop, kind = _times(table, indices['start'], indices['end'], chunks)
  # Excel writes rows of separators only.
  empty = np.isnan(start) & np.isnan(stop) & [not isinstance(cell, str) for cell in cells['activity']]
  for row, activity in enumerate(cells['activity']):
    if empty[row]:
      continue
    if (
      not np.isfinite([start[row], stop[row]]).all()
      or not isinstance(activity, str)
      or not printable(activity)
    ):
      raise UserError(
        f'{path}: row {row + 1} lacks its start, its end or its activity: add it or delete the row'
      )
    if not start[row] < stop[row]:
      zones = ', or add offsets such as +02:00 if clocks changed in between' if kind == 'date' else ''
      zones = ', or write dates if it lasts over midnight' if kind == 'day' else zones
      raise UserError(
        f'{path}: row {row + 1} ({shorten(activity.strip())}) ends at or before its start: '
        f'correct its times{zones}'
      )
  rows = np.flatnonzero(~empty)
  activities = tuple(as_label(cells['activity'][row]) for row in rows)
  recording, people = (
    tuple(as_label(str(cells[name][row])) for row in rows) if name in cells else None
    for name in ('recording', 'person')
  )
  words = language.words(table.names[indices['start']])
  unit = '' if kind else 'row' if _ROWS & {*words} else units.time_unit(words)
  if kind == 'day' and all(
    _HOURS.fullmatch(str(cells[name][row])) for name in ('start', 'end') for row in rows
  ):
    unit = _MINUTES
  is_own = {table.names[indices[name]] for name in ('start', 'end')} == _OWN
  return Labels(path, start[rows], stop[rows], kind, unit, activities, recording, people or (), is_own)


def place_labels(
  labels: Labels,
  clock: Clock,
  length_s: float,
  findings: Findings,
  *,
  several: bool = False,
  time_zone: str = '',
) -> tuple[Span, ...]:
  """Gives spans in seconds from the recording's start, clipped to it, in order and without overlaps.

  Of all ways to read the times, the one is chosen that puts most labels into the recording. `several`: the
  labels are of several recordings, which only the clock tells apart, so that this one may have none.
  `time_zone` is that of labels without one. Whole hours by which labels miss the recording are named.
  Raises UserError: all labels outside the recording, unless `several`; two activities at once.
  """
  if not len(labels.start):
    return ()
  labels = _in_utc(labels, clock, length_s, time_zone)
  readings = _readings(labels, clock, several=several, time_zone=time_zone)
  inside = [reading.inside(length_s) if reading.is_likely else 0.0 for reading in readings]
  if not max(inside, default=0.0):
    if several:
      return ()
    raise UserError(_outside(labels, clock, length_s, readings, time_zone))
  best, *others = [reading for reading, share in zip(readings, inside, strict=True) if share == max(inside)]
  name = labels.path.name
  count = '1 label, its' if len(best.start_s) == 1 else f'{len(best.start_s)} labels, their'
  findings.note(f'{name}: {count} times read as {best.how}.')
  other = next((one for one in others if abs(one.start_s - best.start_s).max() > _OUTSIDE_S), None)
  if other and not labels.is_from_start:
    findings.warn(
      f'{name}: times were read as {best.how}; as {other.how} they would lie in the recording too. '
      'Compare a label with the signal.'
    )
  hours = readings[0]
  is_otherwise = labels.unit == _MINUTES and best is not hours
  if is_otherwise and (shifted := _shifted(labels, clock, length_s, hours, time_zone)):
    findings.warn(f'{name}: times were read as {best.how}. They may be {hours.how}{shifted}.')
  last_s = float(best.stop_s.max())
  is_short = 60 * last_s < length_s + _OUTSIDE_S if best.how.startswith('s ') else last_s < _FEW * length_s
  if is_short and not labels.kind and not labels.unit:
    findings.warn(
      f'{name}: read as {best.how}, all labels lie in the first {last_s:.1f} of {length_s:.1f} s. Are they '
      'minutes, or numbers of rows? Name their unit, such as start (min) or start (row), or write seconds.'
    )
  over = (best.start_s < -_OUTSIDE_S) | (best.stop_s > length_s + _OUTSIDE_S)
  if over.any() and not several:
    findings.warn(
      f'{name}: {int(over.sum())} of {len(over)} labels exceed the recording (0 to {length_s:.1f} s) and are '
      f'clipped, the first at {float(best.start_s[over][0]):.1f} to {float(best.stop_s[over][0]):.1f} s'
      f'{_shifted(labels, clock, length_s, best, time_zone)}.'
    )
  elif labels.kind == 'date' and clock.kind == 'zoned':
    findings.warn(
      f'{name} has no time zone, and its times were read as UTC: if they are local, give time_zone, such '
      'as Europe/Berlin.'
    )
  spans = map(Span, best.start_s.tolist(), best.stop_s.tolist(), labels.activity)
  clipped = segments.clip(tuple(spans), 0.0, length_s)
  return _without_overlaps(sorted(clipped, key=lambda span: span.start_s), labels.path)


def _find_columns(table: Table) -> dict[str, int]:
  words = [language.words(units.without_brackets(name)) for name in table.names]
  bare = [
    ' '.join(word for word in parts if not (units.time_unit([word]) or word in _ROWS)) for parts in words
  ]
  return {
    role: next(index for index, name in enumerate(bare) if name in titles)
    for role, titles in language.LABELS.items()
    if titles & {*bare}
  }


def _times(
  table: Table, start: int, stop: int, chunks: list[dict[int, Any]]
) -> tuple[Float[np.ndarray, 's'], Float[np.ndarray, 's'], str]:
  """Numbers or nanoseconds, NaN if missing, and the kind of clock; '' for numbers."""
  # Both columns together say whether day or month is first.
  parts = [clocks.parse(chunk[index], table.title(index)) for index in (start, stop) for chunk in chunks]
  ns, kind, _ = clocks.join(parts, table.title(start))
  times = np.where(ns == clocks.MISSING, np.nan, ns.astype(np.float64))
  return times[: len(times) // 2], times[len(times) // 2 :], kind


def _in_utc(labels: Labels, clock: Clock, length_s: float, time_zone: str) -> Labels:
  """Converts dates of the time zone to UTC, if both are known, and ends an open label with the recording."""
  if np.isinf(labels.stop).any():
    end_ns = clock.origin_ns + length_s * 1e9
    stop = np.where(np.isinf(labels.stop), np.maximum(end_ns, labels.start + 1e9), labels.stop)
    labels = dataclasses.replace(labels, stop=stop)
  if not (time_zone and labels.kind == 'date' and clock.kind == 'zoned'):
    return labels
  start, stop = (
    clocks.to_utc(times.astype(np.int64), time_zone).astype(np.float64)
    for times in (labels.start, labels.stop)
  )
  return dataclasses.replace(labels, start=start, stop=stop, kind='zoned')


def _readings(labels: Labels, clock: Clock, *, several: bool, time_zone: str) -> list[_Reading]:
  """All ways to read the times, the likeliest first."""

  def reading(how: str, scale: float, zero_s: float = 0.0, is_unit_known: bool = True) -> _Reading:
    return _Reading(how, labels.start * scale - zero_s, labels.stop * scale - zero_s, is_unit_known)

  on_clock, from_start = list[_Reading](), list[_Reading]()
  origin_s = clock.origin_ns / 1e9
  dated = clock.kind in ('zoned', 'date')
  if not labels.kind:
    possible = [labels.unit] if labels.unit else [*units.TIME_S]
    known = labels.unit or 's'
    for unit in possible if labels.unit else dict.fromkeys([clock.unit, *possible]):
      on_clock.append(reading(f"{unit} on the recording's clock", _SCALES_S[unit], origin_s, unit == known))
    for unit in possible:
      from_start.append(reading(f"{unit} from the recording's start", _SCALES_S[unit], 0.0, unit == known))
  elif labels.kind in ('zoned', 'date'):
    utc = '' if clock.kind == labels.kind else ', without a time zone as UTC'
    on_clock = [reading(f"dates on the recording's clock{utc}", 1e-9, origin_s)] if dated else []
  else:
    zone, zero_s = '', origin_s
    if clock.kind == 'day':
      on_clock.append(reading("times of day on the recording's clock", 1e-9, zero_s))
    elif dated:
      ahead_s = clocks.offset_s(time_zone, clock.origin_ns) if time_zone and clock.kind == 'zoned' else 0.0
      zone = f' ({time_zone or "UTC"})' if clock.kind == 'zoned' else ''
      zero_s = (clock.origin_ns % (86_400 * 10**9) / 1e9 + ahead_s) % 86_400
      on_clock.append(reading(f'times of the day on which the recording starts{zone}', 1e-9, zero_s))
    if on_clock and labels.unit == _MINUTES:
      how = f'hours and minutes of the day on which the recording starts{zone}'
      on_clock.insert(0, reading(how, 60e-9, zero_s))
    from_start.append(reading("hours, minutes and seconds from the recording's start", 1e-9))
  if several:
    from_start = []
  elif labels.is_from_start:
    on_clock, from_start = from_start, on_clock
  return on_clock[:1] + from_start[:1] + on_clock[1:] + from_start[1:]


def _outside(labels: Labels, clock: Clock, length_s: float, readings: list[_Reading], time_zone: str) -> str:
  if not readings:
    return (
      f'{labels.path} gives dates, but the recording has none: write the labels in seconds from its start'
    )
  starts = f' and starts at {clock.start}' if clock.start else ''
  shifts = [_shifted(labels, clock, length_s, reading, time_zone) for reading in readings]
  reading, shifted = next((pair for pair in zip(readings, shifts, strict=True) if pair[1]), (readings[0], ''))
  if not labels.kind:  # in another unit they may be decades away
    likely = [reading for reading in readings if reading.is_likely] or readings
    reading = min(likely, key=lambda reading: max(-reading.stop_s.max(), reading.start_s.min() - length_s))
  first, last = reading.start_s.min(), reading.stop_s.max()
  rows = ', or name them start_row and end_row if they count rows'
  return (
    f'{labels.path}: no label lies in the recording, which lasts {length_s:.1f} s{starts}; read as '
    f'{reading.how}, the labels are from {first:.1f} to {last:.1f} s'
    + (shifted or f': write them on its clock or in seconds from its start{"" if labels.kind else rows}')
  )


def _shifted(labels: Labels, clock: Clock, length_s: float, reading: _Reading, time_zone: str) -> str:
  """Part of a sentence: labels in dates or times of day fit better if shifted by whole hours; '' if not."""
  if labels.kind not in ('date', 'zoned', 'day') or clock.kind not in ('date', 'zoned'):
    return ''

  def inside(hours: float) -> float:
    shift_s = hours * 3600
    starts = (reading.start_s + shift_s > -_OUTSIDE_S) & (reading.start_s + shift_s < length_s)
    return float((starts & (reading.stop_s + shift_s < length_s + _OUTSIDE_S)).mean())

  best = max(np.arange(-14, 14.5, 0.5).tolist(), key=lambda hours: (inside(hours), -abs(hours)))
  if not best or inside(best) <= inside(0.0) or inside(best) < _MOST:
    return ''
  sentence = f'; shifted by exactly {abs(best):g} h {"back" if best < 0 else "forth"} they would fit'
  if labels.kind == 'day' and abs(best) == 12:
    return f'{sentence}: write times of 24 hours, or am and pm'
  if time_zone or labels.kind == clock.kind:
    return f'{sentence}: correct their times or their time zone'
  # Labels without a zone that are late belong east of UTC; so does such a recording with early labels.
  ahead = -best if clock.kind == 'zoned' else best
  minutes = round(abs(ahead) * 60)
  return f'{sentence}: time_zone=UTC{"-" if ahead < 0 else "+"}{minutes // 60:02d}:{minutes % 60:02d}'


def _without_overlaps(spans: list[Span], path: pathlib.Path) -> tuple[Span, ...]:
  """Joins overlaps of one activity; a short overlap of two belongs to the later one."""
  separate: list[Span] = []
  for span in spans:
    last = separate[-1] if separate else None
    if last is None or span.start_s >= last.stop_s:
      separate.append(span)
    elif span.activity == last.activity:
      separate[-1] = Span(last.start_s, max(last.stop_s, span.stop_s), last.activity)
    elif min(last.stop_s, span.stop_s) - span.start_s <= _OVERLAP_S and span.start_s > last.start_s:
      separate[-1:] = [Span(last.start_s, span.start_s, last.activity), span]
      if last.stop_s > span.stop_s:  # a moment within a longer activity, which goes on
        separate.append(Span(span.stop_s, last.stop_s, last.activity))
    else:
      raise UserError(
        f'{path}: {shorten(last.activity)} ({last.start_s:.1f} to {last.stop_s:.1f} s) and '
        f'{shorten(span.activity)} '
        f'({span.start_s:.1f} to {span.stop_s:.1f} s) overlap: only one activity at a time'
      )
  return tuple(separate)

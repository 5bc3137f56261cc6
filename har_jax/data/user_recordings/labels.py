"""Labels that a user wrote beside a recording: spans on the recording's clock or in seconds from its start.

s spans.
"""

import dataclasses
import pathlib
from typing import Any

import numpy as np
from jaxtyping import Float

from har_jax.config import WINDOW_SAMPLES
from har_jax.data.recording import RATE_HZ, Span
from har_jax.data.user_recordings import clock as clocks
from har_jax.data.user_recordings import columns, units
from har_jax.data.user_recordings.clock import Clock
from har_jax.data.user_recordings.table import Kind, Table, chunks, is_number, open_table
from har_jax.errors import UserError

_NAMES = {
  'start': ('start', 'begin', 'from', 'onset', 'start time', 'time start', 'begin time', 'begins', 'starts'),
  'end': ('end', 'stop', 'to', 'until', 'finish', 'offset', 'end time', 'stop time', 'time end', 'ends', 'stops'),
  'activity': ('activity', 'label', 'class', 'annotation', 'text', 'tag', 'name', 'activities', 'labels'),
  'recording': ('recording', 'file', 'filename', 'file name'),
}  # fmt: skip
_SLACK_S = 0.5  # labels of two activities may overlap by as much: a hand on a stopwatch
_OUTSIDE_S = 1.0  # a label may reach over the recording's ends by as much without a word


@dataclasses.dataclass(frozen=True)
class Labels:
  """A file of labels as written: `start` and `stop` are numbers, or nanoseconds where they were dates or times."""

  path: pathlib.Path
  start: Float[np.ndarray, 's']
  stop: Float[np.ndarray, 's']
  kind: str  # 'numbers', or what kind of clock the text is of
  unit: str  # of numbers, where the name says it
  activity: tuple[str, ...]
  recording: tuple[str, ...] | None

  def of(self, names: set[str]) -> 'Labels':
    """Those of one recording, by any of its names; all where none is named."""
    if self.recording is None:
      return self
    keep = [i for i, name in enumerate(self.recording) if name in names]
    return dataclasses.replace(
      self,
      start=self.start[keep],
      stop=self.stop[keep],
      activity=tuple(self.activity[i] for i in keep),
      recording=tuple(self.recording[i] for i in keep),
    )


@dataclasses.dataclass(frozen=True)
class _Way:
  """The labels' times read in one way, in seconds from the recording's start."""

  how: str
  start_s: Float[np.ndarray, 's']
  stop_s: Float[np.ndarray, 's']
  is_sure: bool  # the unit is given, or seconds

  @property
  def window_long(self) -> bool:
    """Read in too small a unit, labels would all lie in the first moments: what is too short to cut from is unlikely."""
    return bool(np.median(self.stop_s - self.start_s) >= WINDOW_SAMPLES / RATE_HZ)


def read_labels(path: pathlib.Path) -> Labels:
  """Raises UserError: no such file, no columns start, end and activity, a row without one of them, an end before its start."""
  table = open_table(path)
  where = _find(table)
  kinds: dict[int, Kind] = {}
  for name in ('start', 'end'):
    cells = table.column(where[name])
    kinds[where[name]] = 'precise' if 2 * sum(map(is_number, cells)) >= len(cells) else 'stamp'
  kinds |= {where[name]: 'text' for name in ('activity', 'recording') if name in where}
  if kinds[where['start']] != kinds[where['end']]:
    raise UserError(f'{path} has numbers in one of start and end, text in the other: write both alike')
  parts = list(chunks(table, kinds))
  (start, kind), (stop, _) = (_times(table, where[name], parts) for name in ('start', 'end'))
  activity = [cell for part in parts for cell in part[where['activity']]]
  for row in range(len(start)):
    word = activity[row]
    if np.isnan(start[row]) or np.isnan(stop[row]) or not isinstance(word, str) or not word.strip():
      raise UserError(
        f'{path}: row {row + 1} lacks its start, its end or its activity: fill it in or delete it'
      )
    if not start[row] < stop[row]:
      raise UserError(f'{path}: row {row + 1} ({word.strip()}) ends at or before its start: mend its times')
  named = None
  if 'recording' in where:
    named = tuple(str(cell).strip() for part in parts for cell in part[where['recording']])
  unit = units.time_unit(columns.words(table.names[where['start']])) if kind == 'numbers' else ''
  return Labels(path, start, stop, kind, unit, tuple(word.strip() for word in activity), named)


def place(
  labels: Labels,
  clock: Clock,
  length_s: float,
  notes: list[str],
  warnings: list[str],
  *,
  several: bool = False,
) -> list[Span]:
  """Spans in seconds from the recording's start, clipped to it, in order and apart.

  How the times are counted is guessed by which reading of them falls into the recording, and said. Where the labels are
  of several recordings only the clock can tell them apart, and there may be none for this one.
  Raises UserError: all outside the recording, unless `several`; two activities at once.
  """
  if not len(labels.start):
    return []
  ways = _ways(labels, clock, from_start=not several)
  likely = [(_inside(way, length_s), way) for way in ways if way.is_sure or way.window_long]
  most = max((share for share, _ in likely), default=0.0)
  if not most:
    if several:
      return []
    raise UserError(_outside(labels, clock, length_s, ways))
  best = [way for share, way in likely if share == most]
  how, start_s, stop_s = best[0].how, best[0].start_s, best[0].stop_s
  notes.append(f'{labels.path.name}: {len(start_s)} labels, their times read as {how}.')
  if others := [way.how for way in best if abs(way.start_s - start_s).max() > _OUTSIDE_S]:
    warnings.append(
      f'{labels.path.name}: times were read as {how}; read as {others[0]} they would fall into the recording too. '
      'Compare a label with the signal.'
    )
  over = (start_s < -_OUTSIDE_S) | (stop_s > length_s + _OUTSIDE_S)
  if over.any() and not several:
    warnings.append(
      f'{labels.path.name}: {int(over.sum())} of {len(over)} labels reach beyond the recording (0 to {length_s:.1f} s) '
      f'and were cut, the first at {float(start_s[over][0]):.1f} to {float(stop_s[over][0]):.1f} s.'
    )
  spans = [
    Span(max(start, 0.0), min(stop, length_s), word)
    for start, stop, word in zip(start_s.tolist(), stop_s.tolist(), labels.activity, strict=True)
    if max(start, 0.0) < min(stop, length_s)
  ]
  return _apart(sorted(spans, key=lambda span: span.start_s), labels.path)


def _find(table: Table) -> dict[str, int]:
  where: dict[str, int] = {}
  for name, known in _NAMES.items():
    for index, own in enumerate(table.names):
      bare = [word for word in columns.words(units.without_brackets(own)) if not units.time_unit([word])]
      if ' '.join(bare) in known and index not in where.values():
        where[name] = index
        break
  if missing := [name for name in ('start', 'end', 'activity') if name not in where]:
    raise UserError(
      f'{table.path} lacks {", ".join(missing)}; its columns are {", ".join(table.names)}: '
      'labels are rows of start, end and activity'
    )
  return where


def _times(table: Table, index: int, parts: list[dict[int, Any]]) -> tuple[Float[np.ndarray, 's'], str]:
  cells = [part[index] for part in parts]
  if isinstance(cells[0], np.ndarray):
    return np.concatenate(cells), 'numbers'
  place_ = f'{table.path}, column {table.names[index]!r}'
  read = [clocks.text_ns(part, place_) for part in cells]
  ns = np.concatenate([part for part, _ in read])
  return np.where(ns == np.iinfo(np.int64).min, np.nan, ns.astype(np.float64)), read[0][1]


def _ways(labels: Labels, clock: Clock, *, from_start: bool) -> list[_Way]:
  """Every way to read the times, the likeliest first."""
  origin_s = clock.origin_ns / 1e9
  # How, the unit in seconds, the recording's begin in seconds of that clock, and whether that unit needs no second thought.
  on_clock: list[tuple[str, float, float, bool]] = []
  since: list[tuple[str, float, float, bool]] = []
  if labels.kind == 'numbers':
    named = [labels.unit] if labels.unit else []
    for unit in named or dict.fromkeys([clock.unit, *units.TIME_S]):
      sure = bool(named) or unit == 's'
      on_clock.append((f"{unit} on the recording's clock", units.TIME_S[unit], origin_s, sure))
    for unit in named or units.TIME_S:
      sure = bool(named) or unit == 's'
      since.append((f"{unit} from the recording's start", units.TIME_S[unit], 0.0, sure))
  elif labels.kind in ('zoned', 'date'):
    if clock.kind in ('zoned', 'date'):
      utc = '' if clock.kind == labels.kind else ', what has no time zone as UTC'
      on_clock.append((f"dates on the recording's clock{utc}", 1e-9, origin_s, True))
  else:
    if clock.kind == 'day':
      on_clock.append(("times of day on the recording's clock", 1e-9, origin_s, True))
    elif clock.kind in ('date', 'zoned'):
      zone = ' (UTC)' if clock.kind == 'zoned' else ''
      since_midnight_s = (clock.origin_ns - clocks.midnight_ns(clock)) / 1e9
      on_clock.append((f'times of the day on which the recording begins{zone}', 1e-9, since_midnight_s, True))
    since.append(("hours, minutes and seconds from the recording's start", 1e-9, 0.0, True))
  if not from_start:
    since = []
  # The likeliest of both kinds before the others of either.
  return [
    _Way(how, labels.start * scale - begin_s, labels.stop * scale - begin_s, sure)
    for how, scale, begin_s, sure in on_clock[:1] + since[:1] + on_clock[1:] + since[1:]
  ]


def _inside(way: _Way, length_s: float) -> float:
  """The share of labels whose middle lies in the recording."""
  middle = (way.start_s + way.stop_s) / 2
  return float(((middle > 0) & (middle < length_s)).mean())


def _outside(labels: Labels, clock: Clock, length_s: float, ways: list[_Way]) -> str:
  if not ways:
    return (
      f'{labels.path} gives dates, but the recording (0 to {length_s:.1f} s) has no date to place them by: '
      'write the labels in seconds from its start'
    )
  begins = f' and begins at {clock.start}' if clock.start else ''
  return (
    f'{labels.path}: no label lies in the recording, which lasts {length_s:.1f} s{begins}; read as {ways[0].how}, the '
    f'labels run from {ways[0].start_s.min():.1f} to {ways[0].stop_s.max():.1f} s: write them on its clock or in seconds '
    'from its start'
  )


def _apart(spans: list[Span], path: pathlib.Path) -> list[Span]:
  """No moment twice: the same activity is joined, a short overlap of two goes to the later one."""
  kept: list[Span] = []
  for span in spans:
    last = kept[-1] if kept else None
    if last is None or span.start_s >= last.stop_s:
      kept.append(span)
    elif span.activity == last.activity:
      kept[-1] = Span(last.start_s, max(last.stop_s, span.stop_s), last.activity)
    elif min(last.stop_s, span.stop_s) - span.start_s <= _SLACK_S and span.start_s > last.start_s:
      kept[-1] = Span(last.start_s, span.start_s, last.activity)
      kept.append(span)
    else:
      raise UserError(
        f'{path}: {last.activity} ({last.start_s:.1f} to {last.stop_s:.1f} s) and {span.activity} '
        f'({span.start_s:.1f} to {span.stop_s:.1f} s) overlap: a moment has one activity'
      )
  return kept

"""Reading a user's files: recordings in our units, and sentences on all that was guessed on the way."""

import collections
import dataclasses
import pathlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import Float

from har_jax.data.archives.runs import labeled_spans
from har_jax.data.recording import Recording, Samples, Span
from har_jax.data.user_recordings import units
from har_jax.data.user_recordings.files import Item, items
from har_jax.data.user_recordings.labels import Labels, place, read_labels
from har_jax.data.user_recordings.rows import Asked
from har_jax.data.user_recordings.sensors import Track, track
from har_jax.errors import UserError

GAP_S, _GAP_STEPS = 1.0, 3.0  # the longer of both ends a recording


@dataclasses.dataclass(frozen=True)
class Reading:
  """A user's recordings, in order of file and time; time begins at 0 in each.

  `notes` say what was guessed, `warnings` what a user should look at; `check` looks at the signals themselves.
  `start` is when the first file's first sample was taken by the wall clock, ISO, or ''. Without a gyroscope its samples are zeros.
  `files` names each recording's file, `offsets_s` says where on that file's clock it begins, from the file's first sample.
  """

  recordings: list[Recording]
  notes: list[str]
  warnings: list[str]
  start: str
  has_gyro: bool
  files: list[str] = dataclasses.field(default_factory=list)
  offsets_s: list[float] = dataclasses.field(default_factory=list)


def read(
  path: str | pathlib.Path,
  *,
  labels: str | pathlib.Path | None = None,
  columns: Mapping[str, str] | None = None,
  acc_unit: str = 'auto',
  gyro_unit: str = 'auto',
  time_unit: str = 'auto',
  subject: str = 'me',
  position: str = 'unknown',
  rate_hz: float | int | None = None,
) -> Reading:
  """Reads a CSV or Parquet file, or a folder of them, with labels or without.

  `columns` maps our names (time, ax, ay, az, gx, gy, gz, label) to the file's; what it leaves out is guessed. `labels` is a
  file of start, end, activity (and recording, for a folder); without it `<name>.labels.csv` beside the recording, then the
  recording's own column of labels. `rate_hz` is for rows without a time. Activities stay the user's words.
  Memory: 32 bytes a row of both sensors, about three times that at the peak.
  Raises UserError at whatever does not fit, with what to do.
  """
  if rate_hz is not None and not (rate_hz > 0 and np.isfinite(rate_hz)):
    raise UserError(f'rate_hz is {rate_hz}; it must be positive, such as 50')
  asked = Asked(
    columns or {},
    units.asked(acc_unit, units.ACC, 'acc_unit'),
    units.asked(gyro_unit, units.GYRO, 'gyro_unit'),
    'iso' if time_unit == 'iso' else units.asked(time_unit, units.TIME_S, 'time_unit'),
    rate_hz,
  )
  labels_path = None if labels is None else pathlib.Path(labels)
  given = None if labels_path is None else read_labels(labels_path)
  found = items(pathlib.Path(path), labels_path)
  if given is not None:
    _fits(given, found)
  notes: list[str] = []
  warnings: list[str] = []
  reading = Reading([], notes, warnings, '', True)
  start, with_gyro = '', []
  for item in found:
    one = track(item, asked)
    spans = _spans(item, one, given, several=len(found) > 1)
    parts = list(_split(one, spans, subject, position))
    if not parts:
      raise UserError(
        f'{item.name}: accelerometer and gyroscope do not overlap in time: are they of one recording?'
      )
    for offset_s, recording in parts:
      reading.recordings.append(recording)
      reading.files.append(item.name)
      reading.offsets_s.append(offset_s)
    with_gyro.append(one.gyro is not None)
    start = start or one.clock.start
    label = f'{item.name}: ' if len(found) > 1 else ''
    notes += [label + note for note in one.notes]
    warnings += [label + warning for warning in one.warnings]
  if given is not None and not any(recording.spans for recording in reading.recordings):
    raise UserError(f'{given.path}: no label lies in any recording: are its times on their clock?')
  if any(with_gyro) and not all(with_gyro):
    without = [item.name for item, there in zip(found, with_gyro, strict=True) if not there]
    warnings.append(f'{", ".join(without)} without a gyroscope, others with: read them apart.')
  notes.append(_summary(reading.recordings))
  return dataclasses.replace(reading, start=start, has_gyro=all(with_gyro))


def _fits(labels: Labels, found: Sequence[Item]) -> None:
  """Raises UserError where labels name a recording that is not there."""
  if labels.recording is None:
    return
  known = set().union(*map(_names, found))
  if unknown := sorted(set(labels.recording) - known):
    raise UserError(
      f'{labels.path} labels {", ".join(unknown)}; the recordings are {", ".join(item.name for item in found)}'
    )


def _names(item: Item) -> set[str]:
  return {item.name} | {path.name for path in item.files.values()}


def _spans(item: Item, one: Track, given: Labels | None, *, several: bool) -> list[Span]:
  """From the labels file, else from the one beside the recording, else from its own column."""
  length_s = float(one.acc.time_s[-1]) + _step_s(one.acc.time_s)
  labels = given
  if labels is None and item.own_labels is not None:
    labels = read_labels(item.own_labels)
  if labels is None:
    if one.labels is None:
      return []
    spans = labeled_spans(one.acc.time_s, one.labels, one.words)
    missing = float((one.labels < 0).mean())
    one.notes.append(
      f'{len(spans)} stretches of labels from its own column; {missing:.0%} of the rows are without.'
      if missing
      else f'{len(spans)} stretches of labels from its own column.'
    )
    return spans
  if one.labels is not None:
    one.notes.append(f'Its own column of labels is not used: {labels.path.name} is.')
  if labels is given and several and labels.recording is None:
    if one.clock.kind == 'own' or labels.kind == 'own':
      raise UserError(
        f'{labels.path} does not say which recording each label is of, and their clocks cannot tell: add a column '
        '`recording` with the names of the files'
      )
    return place(labels, one.clock, length_s, one.notes, one.warnings, several=True)
  return place(labels.of(_names(item)), one.clock, length_s, one.notes, one.warnings)


def _split(
  one: Track, spans: Sequence[Span], subject: str, position: str
) -> Iterator[tuple[float, Recording]]:
  """Recordings and where each begins: stretches in which neither sensor pauses for long, of two samples at least."""
  gyro = one.gyro
  if gyro is None:
    one.notes.append(
      'No gyroscope: its samples are zeros. Normalization takes their mean, nought, away, so that they say nothing.'
    )
    # One array for all: zeros are never written to.
    gyro = Samples(one.acc.time_s, np.zeros((len(one.acc.time_s), 3), np.float32))
  step_s = _step_s(one.acc.time_s)
  _say_rate(one, step_s)
  lost = 0
  for begin_s, end_s in _overlaps(_stretches(one.acc.time_s), _stretches(gyro.time_s)):
    acc_part, gyro_part = (_between(samples, begin_s, end_s) for samples in (one.acc, gyro))
    if min(len(acc_part.time_s), len(gyro_part.time_s)) < 2:
      lost += len(acc_part.time_s)
      continue
    stop_s = end_s + step_s  # the last sample lasts a step
    inside = tuple(
      Span(max(span.start_s, begin_s) - begin_s, min(span.stop_s, stop_s) - begin_s, span.activity)
      for span in spans
      if max(span.start_s, begin_s) < min(span.stop_s, stop_s)
    )
    yield begin_s, Recording(subject, position, acc_part, gyro_part, inside)
  if lost:
    one.notes.append(f'{lost} samples between gaps, alone, were left out.')


def _say_rate(one: Track, step_s: float) -> None:
  steps = np.diff(one.acc.time_s)
  low, high = np.quantile(steps, [0.05, 0.95])
  even = (
    ' on an even clock'
    if high - low < 0.02 * step_s
    else f', steps from {low * 1e3:.3g} to {high * 1e3:.3g} ms'
  )
  rate = f'The rate of the accelerometer is {1 / step_s:.4g} Hz{even}'
  if one.gyro is not None and abs(_step_s(one.gyro.time_s) / step_s - 1) > 0.02:
    rate += f', that of the gyroscope {1 / _step_s(one.gyro.time_s):.4g} Hz'
  one.notes.append(f'{rate}.')
  for word, samples in (('accelerometer', one.acc), ('gyroscope', one.gyro)):
    if samples is not None:
      gaps = _gaps(samples.time_s)
      pauses = np.diff(samples.time_s)[gaps]
      if len(gaps):
        times = 'once' if len(gaps) == 1 else f'{len(gaps)} times'
        one.notes.append(
          f'The {word} pauses {times} for over {_limit_s(samples.time_s):.2g} s, at longest {pauses.max():.1f} s: '
          'the recording is split there.'
        )


def _step_s(time_s: Float[np.ndarray, 'n']) -> float:
  return float(np.median(np.diff(time_s)))


def _limit_s(time_s: Float[np.ndarray, 'n']) -> float:
  return max(GAP_S, _GAP_STEPS * _step_s(time_s))


def _gaps(time_s: Float[np.ndarray, 'n']) -> np.ndarray:
  """Samples after which the sensor pauses."""
  return np.flatnonzero(np.diff(time_s) > _limit_s(time_s) + 1e-6)


def _stretches(time_s: Float[np.ndarray, 'n']) -> list[tuple[float, float]]:
  gaps = _gaps(time_s)
  return list(zip(time_s[np.r_[0, gaps + 1]].tolist(), time_s[np.r_[gaps, -1]].tolist(), strict=True))


def _overlaps(a: list[tuple[float, float]], b: list[tuple[float, float]]) -> Iterator[tuple[float, float]]:
  i = j = 0
  while i < len(a) and j < len(b):
    begin_s, end_s = max(a[i][0], b[j][0]), min(a[i][1], b[j][1])
    if begin_s <= end_s:
      yield begin_s, end_s
    if a[i][1] < b[j][1]:
      i += 1
    else:
      j += 1


def _between(samples: Samples, begin_s: float, end_s: float) -> Samples:
  first = np.searchsorted(samples.time_s, begin_s)
  stop = np.searchsorted(samples.time_s, end_s, side='right')
  return Samples(samples.time_s[first:stop] - begin_s, samples.values[first:stop])


def _summary(recordings: Sequence[Recording]) -> str:
  seconds = sum(float(recording.acc.time_s[-1]) for recording in recordings)
  by_activity: dict[str, float] = collections.defaultdict(float)
  for recording in recordings:
    for span in recording.spans:
      by_activity[span.activity] += span.stop_s - span.start_s
  shown = ', '.join(f'{activity} {labeled_s:.1f} s' for activity, labeled_s in by_activity.items())
  many = f'{len(recordings)} recording{"s" * (len(recordings) > 1)}'
  return f'{many}, {seconds:.1f} s in all; labels: {shown or "none"}.'

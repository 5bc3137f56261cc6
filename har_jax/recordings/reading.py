"""Reads a user's files: recordings in our units, with sentences on what was inferred and what is doubtful."""

import collections
import contextlib
import dataclasses
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias, TypedDict

import numpy as np

from har_jax import config_fields
from har_jax.errors import UserError, counted, often, shorten
from har_jax.recordings import clocks, formats, language, sensors, units
from har_jax.recordings.files import as_path
from har_jax.recordings.formats import LABELS_ENDING
from har_jax.recordings.formats.export import Export
from har_jax.recordings.infer import Findings
from har_jax.recordings.labels import Labels, has_labels, place_labels
from har_jax.recordings.rows import Options
from har_jax.recordings.sensors import Track
from har_jax.recordings.sentences import gather
from har_jax.recordings.tables import NoRecording
from har_jax.signal import segments
from har_jax.signal.recording import Recording, Samples, Span

if TYPE_CHECKING:
  import pandas as pd

_RATES_HZ = (0.2, 20_000.0)
# A gap ends a recording if longer than both: a slow sensor's steps are no gaps. Shorter gaps end a piece.
_GAP_S, _GAP_STEPS = 1.0, 3.0
_SENTENCE = 2000  # characters
_LOST = 0.02  # of the acceleration without angular velocity: more is a warning


@dataclasses.dataclass(frozen=True)
class Reading:
  """A user's recordings, in order of file and time; time starts at 0 in each.

  `notes` say what was inferred, `warnings` what is doubtful; `check` looks at the signals.
  `start` is the ISO time of the first file's first sample, or ''. Without a gyroscope its samples are zeros.
  `files` names the file of each recording, `offsets_s` its start, from the file's first sample.
  `time_zone` is the one in which its times are shown, or '': the user's, or the one that the app names.
  `has_sure_signs`: each export says which way acceleration is positive.
  """

  recordings: list[Recording]
  notes: list[str]
  warnings: list[str]
  start: str
  has_gyro: bool
  files: list[str] = dataclasses.field(default_factory=list)
  offsets_s: list[float] = dataclasses.field(default_factory=list)
  time_zone: str = ''
  has_sure_signs: bool = False

  @property
  def seconds(self) -> float:
    """Length of all recordings together."""
    return sum(float(recording.acc.time_s[-1]) for recording in self.recordings)


Source: TypeAlias = 'str | os.PathLike[str] | pd.DataFrame'


class ReadingOptions(TypedDict, total=False):
  """Parameters of `read` for what it would infer."""

  columns: Mapping[str, str | int]
  acc_unit: str
  gyro_unit: str
  time_unit: str
  rate_hz: float | int | None
  time_zone: str


def read(
  source: Source,
  *,
  labels: 'Source | None' = None,
  columns: Mapping[str, str | int] | None = None,
  acc_unit: str = 'auto',
  gyro_unit: str = 'auto',
  time_unit: str = 'auto',
  subject: str = 'me',
  position: str = 'unknown',
  rate_hz: float | int | None = None,
  time_zone: str = '',
) -> Reading:
  """Reads a recording as an app exported it, a folder of recordings, or a DataFrame, with or without labels.

  `columns` maps roles (time, ax, ay, az, gx, gy, gz, label) to names of columns; the rest is inferred.
  `labels` is a table of start, end, activity (and recording, for a folder). Without it, `<name>.labels.csv`
  next to the recording is read, else its own labels. `rate_hz` is for rows without a time. `time_zone`, such
  as Europe/Berlin, is that of times that do not say it.
  Memory: 32 bytes for each row of both sensors, about three times that at the peak.
  Raises UserError at whatever cannot be read, with what to do.
  """
  if rate_hz is not None:
    rule = f'it must lie in {_RATES_HZ[0]:g} to {_RATES_HZ[1]:g}, such as 50'
    config_fields.check_value('rate_hz', rate_hz, rule, lambda value: _RATES_HZ[0] <= value <= _RATES_HZ[1])
  if time_zone:
    clocks.zone(time_zone)
  rule = "give a dict of roles and names of columns, such as {'ax': 'acc_x'}"
  config_fields.check_value('columns', columns or {}, rule, kind=Mapping)
  options = Options(
    columns or {},
    units.requested(acc_unit, units.ACC, 'acc_unit'),
    units.requested(gyro_unit, units.GYRO, 'gyro_unit'),
    'iso' if time_unit == 'iso' else units.requested(time_unit, units.TIME_S, 'time_unit'),
    rate_hz,
    time_zone,
  )
  recording, label_source = as_path(source), as_path(labels)
  shared = None if label_source is None else formats.read_labels(label_source)
  if isinstance(recording, pathlib.Path):
    ignored = label_source.resolve() if isinstance(label_source, pathlib.Path) else None
    exports, warnings = formats.find(recording, ignored)
  else:
    exports, warnings = formats.find_in_frame(recording), []
  shared = shared and _name_by_people(shared, exports, warnings)
  left_out = _check_names(shared, exports)
  several = len(exports) > 1
  parts: list[Reading] = []
  for export in exports:
    try:
      parts.append(_read_export(export, shared, options, subject, position, several=several))
    except NoRecording as error:
      table = next(iter(export.tables.values()))
      if not several:
        raise UserError(f'{error}{formats.nearest(table.names)}') from error
      of_labels = f'Not read: {table.path} has labels: give it as the labels.'
      warnings.append(of_labels if has_labels(table) else f'Left out: {error}')
    except UserError as error:
      if not several or export.name in str(error):
        raise
      raise UserError(f'{export.name}: {error}') from error
  warnings.extend(gather({part.files[0]: part.warnings for part in parts}, named=several))
  if not parts:
    raise UserError(f'{source} holds no recording. {warnings[0]}')
  recordings = [recording for part in parts for recording in part.recordings]
  if shared is not None and not any(recording.spans for recording in recordings):
    apart = ', or add a column `recording` with the names of the files' if several else ''
    raise UserError(f'{shared.path}: no label lies in any recording: write its times on their clock{apart}')
  without_gyro = [part.files[0] for part in parts if not part.has_gyro]
  if 0 < len(without_gyro) < len(parts):
    warnings.append(f'Only {shorten(", ".join(without_gyro))} lacks a gyroscope: read it separately.')
  recordings = _spelled_alike(recordings, warnings)
  notes = [*left_out, *gather({part.files[0]: part.notes for part in parts}, named=several)]
  reading = Reading(
    recordings,
    # A name of a file or a value in it may hold marks of direction.
    [shorten(note, _SENTENCE) for note in notes],
    [shorten(warning, _SENTENCE) for warning in warnings],
    next((part.start for part in parts if part.start), ''),
    has_gyro=not without_gyro,
    files=[file for part in parts for file in part.files],
    offsets_s=[offset_s for part in parts for offset_s in part.offsets_s],
    time_zone=next((part.time_zone for part in parts if part.time_zone), ''),
    has_sure_signs=all(export.has_sure_signs for export in exports),
  )
  reading.notes.append(_summary(reading))
  return reading


def _name_by_people(labels: Labels, exports: Sequence[Export], warnings: list[str]) -> Labels:
  """Labels with people's names as those of their recordings, where one of them is."""
  people = {*labels.people}
  if any(export.names & people for export in exports):
    return dataclasses.replace(labels, recording=labels.recording or labels.people)
  if len(people) > 1 and len(exports) == 1:
    warnings.append(f'{labels.path.name} has labels of several people, and all were read: give those of one.')
  return labels


def _check_names(labels: Labels | None, exports: Sequence[Export]) -> list[str]:
  """A sentence on labels of recordings that are not given. Raises UserError if a given one has none."""
  named = set(() if labels is None else labels.recording or ())
  unknown = sorted(named.difference(*(export.names for export in exports)))
  if labels is None or not unknown:
    return []
  listed, names = shorten(', '.join(unknown)), shorten(', '.join(export.name for export in exports))
  if not all(named & export.names for export in exports):  # a name may be misspelled
    raise UserError(f'{labels.path} labels {listed}; the recordings are {names}')
  return [f'{labels.path.name}: labels of {listed} are left out, as these are not given.']


def _read_export(
  export: Export, shared: Labels | None, options: Options, subject: str, position: str, *, several: bool
) -> Reading:
  name = '' if several else f'{export.name}: '
  findings = Findings([f'{name}read as {export.app}.', *export.notes], [*export.warnings])
  track = sensors.load(export.name, export.tables, options, findings)
  zone = options.time_zone
  if export.time_zone and not zone:
    with contextlib.suppress(UserError):  # an app's name of a zone may be that of none
      clocks.zone(export.time_zone)
      zone = export.time_zone
  zone = zone or track.clock.zone
  spans = _spans(export, track, shared, several, zone, findings)
  parts = list(_split(track, spans, subject, position, findings))
  if not parts:
    raise UserError(f'{export.name}: the sensors do not overlap in time: are they of one recording?')
  left = {span.activity for _, recording in parts for span in recording.spans}
  if lost := sorted({span.activity for span in spans} - left):
    findings.warn(f'All labels of {shorten(", ".join(lost))} lie where a sensor paused: they are left out.')
  acc_s = sum(stop_s - start_s for start_s, stop_s in _unbroken(track.acc))
  lost_s = acc_s - sum(float(recording.acc.time_s[-1]) for _, recording in parts)
  if track.gyro is not None and lost_s > max(_GAP_S, _LOST * acc_s):
    findings.warn(
      f'{lost_s:.1f} of {acc_s:.1f} s of acceleration have no angular velocity at the same time: they are '
      'left out, without an answer.'
    )
  return Reading(
    [recording for _, recording in parts],
    findings.notes,
    findings.warnings,
    track.clock.start,
    has_gyro=track.gyro is not None,
    files=[export.name] * len(parts),
    offsets_s=[offset_s for offset_s, _ in parts],
    time_zone=zone,
  )


def _summary(reading: Reading) -> str:
  by_activity: dict[str, float] = collections.defaultdict(float)
  for span in (span for recording in reading.recordings for span in recording.spans):
    by_activity[span.activity] += span.stop_s - span.start_s
  labels_s = ', '.join(f'{activity} {labeled_s:.1f} s' for activity, labeled_s in by_activity.items())
  number = counted(len(reading.recordings), 'recording')
  return f'{number}, {reading.seconds:.1f} s in total; labels: {shorten(labels_s) or "none"}.'


def _spelled_alike(recordings: Sequence[Recording], warnings: list[str]) -> list[Recording]:
  """Gives each activity one name, the first, where people write it now in capitals and now not."""
  names: dict[str, str] = {}
  others: dict[str, dict[str, None]] = collections.defaultdict(dict)  # by the first name, in order
  spelled = []
  for recording in recordings:
    spans = []
    for span in recording.spans:
      name = names.setdefault(language.normalize(span.activity), span.activity)
      if span.activity != name:
        others[name][span.activity] = None
      spans.append(dataclasses.replace(span, activity=name))
    spelled.append(dataclasses.replace(recording, spans=tuple(spans)))
  for name in (name for name in names.values() if name in others):
    listed = shorten(', '.join(others[name]))
    warnings.append(f'{listed}: read as {shorten(name)}, which differs in its spelling only.')
  return spelled


def _spans(
  export: Export, track: Track, shared: Labels | None, several: bool, time_zone: str, findings: Findings
) -> tuple[Span, ...]:
  """Spans from the shared labels, else the file next to the recording, else those in it."""
  labels = shared
  if shared is None and export.folder is not None:
    # Next to the recording, or next to the folder of its files.
    folders = [export.folder] if '' in export.tables else [export.folder, export.folder.parent]
    paths = [folder / f'{export.stem or export.name}{LABELS_ENDING}.csv' for folder in folders]
    labels = next((formats.read_labels(path) for path in paths if path.is_file()), None)
  if labels is None and export.activity:
    return (Span(0.0, length_s(track.acc), export.activity),)
  if labels is None and track.labels is not None:
    spans = segments.labeled_spans(track.acc.time_s, track.labels, track.activities)
    missing = float((track.labels < 0).mean())
    empty = f'; {missing:.0%} of the rows have no label' if missing else ''
    findings.note(f'{counted(len(spans), "labeled span")} from the column of labels{empty}.')
    return tuple(spans)
  labels = labels or export.labels
  if labels is None:
    return ()
  if labels is not export.labels and (track.labels is not None or export.activity or export.labels):
    findings.note(f'The labels in the recording are not used, but {labels.path.name}.')
  by_clock = labels is shared and several and labels.recording is None
  if by_clock and 'relative' in (track.clock.kind, labels.kind):
    raise UserError(
      f'{labels.path} does not say which recording each label is of, and their clocks do not tell: add a '
      'column `recording` with the names of the files'
    )
  labels = labels.select(export.names)
  labels = labels.in_seconds(track.rows, track.acc.time_s) if labels.unit == 'row' else labels
  return place_labels(
    labels, track.clock, length_s(track.acc), findings, several=by_clock, time_zone=time_zone
  )


def length_s(samples: Samples) -> float:
  """Seconds from 0 to the end of the last sample, which lasts a step."""
  return float(samples.time_s[-1]) + samples.step_s


def _split(
  track: Track, spans: Sequence[Span], subject: str, position: str, findings: Findings
) -> Iterator[tuple[float, Recording]]:
  """Recordings without a gap in either sensor, of at least two samples, and where each starts."""
  acc, gyro = track.acc, track.gyro
  if gyro is None:
    findings.note('No gyroscope: its samples are zeros, also when normalized.')
    gyro = Samples(acc.time_s, np.zeros((len(acc.time_s), 3), np.float32))
  _note_rates(track, findings)
  unsplit = Recording(subject, position, acc, gyro, tuple(spans))
  step_s = acc.step_s
  lost = 0
  both = (_unbroken(samples) for samples in (acc, gyro))
  # Moments: a sample that stands alone is counted for the user.
  for start_s, stop_s in segments.overlaps(*both, moments=True):
    # A column of labels ends with the last sample, which lasts a step.
    recording = segments.extract(unsplit, start_s, stop_s, last_s=step_s)
    if min(len(recording.acc.time_s), len(recording.gyro.time_s)) < 2:
      lost += len(recording.acc.time_s)
    else:
      yield start_s, recording
  if lost:
    findings.note(f'Left out between gaps: {counted(lost, "isolated sample")}.')


def _unbroken(samples: Samples) -> list[segments.Segment]:
  return segments.unbroken(samples.time_s, _max_gap_s(samples))


def _note_rates(track: Track, findings: Findings) -> None:
  step_s = track.acc.step_s
  low_s, high_s = np.quantile(np.diff(track.acc.time_s), [0.05, 0.95])
  is_even = high_s - low_s < 0.02 * step_s
  clock = ' on an even clock' if is_even else f', steps from {low_s * 1e3:.3g} to {high_s * 1e3:.3g} ms'
  rate = f'The rate of the accelerometer is {1 / step_s:.4g} Hz{clock}'
  if track.gyro is not None and abs(track.gyro.step_s / step_s - 1) > 0.02:
    rate += f', that of the gyroscope {1 / track.gyro.step_s:.4g} Hz'
  findings.note(f'{rate}.')
  for word, samples in (('accelerometer', track.acc), ('gyroscope', track.gyro)):
    if samples is not None:
      steps_s = np.diff(samples.time_s)
      gaps_s = steps_s[steps_s > _max_gap_s(samples)]
      if len(gaps_s):
        over = f'over {_max_gap_s(samples):.2g} s, at longest {gaps_s.max():.1f} s'
        findings.note(f'The {word} pauses {often(len(gaps_s))} for {over}: the recording is split there.')


def _max_gap_s(samples: Samples) -> float:
  return max(_GAP_S, _GAP_STEPS * samples.step_s) + 1e-6  # a microsecond, for rounding

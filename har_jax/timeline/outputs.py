"""The files of a timeline: windows.csv, bouts.csv, summary.json and timeline.svg."""

import csv
import dataclasses
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import har_jax
from har_jax import escaping, storage
from har_jax.config import SCHEMA_VERSION
from har_jax.files import safetensors_io
from har_jax.recordings import Reading
from har_jax.storage import Place
from har_jax.timeline import picture
from har_jax.timeline.bouts import NOT_WORN, UNKNOWN, Bout, Rules, minutes_by_activity
from har_jax.timeline.clock import Clock
from har_jax.timeline.predictions import Predictions
from har_jax.timeline.scoring import Score

FORMAT = f'har_jax timeline {SCHEMA_VERSION}'


def write(
  folder: str | Place,
  predictions: Predictions,
  bouts: Sequence[Bout],
  rules: Rules,
  reading: Reading,
  adapter: Mapping[str, Any],
  scored: Score | None = None,
  frame: Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:
  """Writes all files or none, and returns the summary.

  adapter: method, classes, temperature and checksum; weights of the members of an ensemble.

  `frame`: what was changed about each file's frame. The reading's warnings stand below the picture, too.

  Raises UserError if they cannot be written.
  """
  clock = Clock.from_reading(reading)
  contents = {
    'windows.csv': _csv(_window_rows(predictions, rules, clock)),
    'bouts.csv': _csv(_bout_rows(bouts, clock)),
    'timeline.svg': picture.svg(bouts, clock, predictions.classes, reading.warnings),
  }
  summary = _summary(predictions, bouts, rules, reading, adapter)
  summary['frame'] = list(frame)
  if scored is not None:
    summary['score'] = dataclasses.asdict(scored)
  contents['summary.json'] = safetensors_io.to_text(summary)
  safetensors_io.write_files(storage.place(str(folder)), contents)
  return summary


def _summary(
  predictions: Predictions, bouts: Sequence[Bout], rules: Rules, reading: Reading, adapter: Mapping[str, Any]
) -> dict[str, Any]:
  """`recorded_minutes`: from each file's first sample to its last. The other minutes add up to it."""
  minutes = minutes_by_activity(bouts)
  clock = Clock.from_reading(reading)
  ends_s: dict[str, float] = {}
  for index, recording in enumerate(reading.recordings):
    end_s = clock.in_file_s(index, float(recording.acc.time_s[-1]))
    ends_s[clock.files[index]] = max(end_s, ends_s.get(clock.files[index], 0.0))
  recorded = sum(ends_s.values()) / 60
  covered = sum(bout.length_s for bout in bouts) / 60
  classes = predictions.classes
  unknown, not_worn = (
    0.0 if name in classes else minutes.get(name, 0.0)  # a class may have this name
    for name in (UNKNOWN, NOT_WORN)
  )
  return {
    'format': FORMAT,
    'har_jax': har_jax.__version__,
    'start': reading.start or None,
    'time_zone': reading.time_zone or None,
    'files': list(ends_s),
    'minutes': {
      name: round(minutes.get(name, 0.0), 2)
      for name in sorted(classes, key=lambda name: -minutes.get(name, 0.0))
    },
    'unknown_minutes': round(unknown, 2),
    'not_worn_minutes': round(not_worn, 2),
    'compared_with_walking': predictions.compared,
    'gap_minutes': round(max(recorded - covered, 0.0), 2),
    'recorded_minutes': round(recorded, 2),
    'windows': len(predictions.start_s),
    'tta_shifts': predictions.tta_shifts,
    'bouts': len(bouts),
    'rules': str(rules),
    'adapter': adapter,
    'notes': reading.notes,
    'warnings': reading.warnings,
  }


def _window_rows(predictions: Predictions, rules: Rules, clock: Clock) -> Iterable[list[str]]:
  """The prediction of each window alone, without its neighbors and without the rule for `not_worn`."""
  columns = [f'p_{name}' for name in predictions.classes]
  yield [*_location_names(clock, ('time',)), 'activity', 'confidence', *columns]
  for recording, start_s, probabilities in zip(
    predictions.recording, predictions.start_s, predictions.probabilities, strict=True
  ):
    best = int(probabilities.argmax())
    yield [
      *_location(clock, int(recording), (float(start_s),)),
      predictions.classes[best] if probabilities[best] >= rules.unknown_below else UNKNOWN,
      f'{probabilities[best]:.4f}',
      *(f'{probability:.4f}' for probability in probabilities),
    ]


def _bout_rows(bouts: Sequence[Bout], clock: Clock) -> Iterable[list[str]]:
  yield [*_location_names(clock, ('start', 'end')), 'activity', 'confidence']
  for bout in bouts:
    confidence = '' if math.isnan(bout.confidence) else f'{bout.confidence:.4f}'
    times_s = (bout.start_s, bout.stop_s)
    yield [*_location(clock, bout.recording, times_s), bout.activity, confidence]


def _location_names(clock: Clock, names: Sequence[str]) -> list[str]:
  walls = list(names) if clock.start is not None else []
  return ['file'] * clock.has_several + [f'{name}_s' for name in names] + walls


def _location(clock: Clock, recording: int, times_s: Sequence[float]) -> list[str]:
  """File, seconds and wall-clock times, as `_location_names` lists them."""
  file_s = [clock.in_file_s(recording, time_s) for time_s in times_s]
  walls = [clock.wall(time_s) for time_s in file_s] if clock.start is not None else []
  return [clock.files[recording]] * clock.has_several + [f'{time_s:.3f}' for time_s in file_s] + walls


def _csv(rows: Iterable[list[str]]) -> bytes:
  text = io.StringIO()
  csv.writer(text, lineterminator='\n').writerows(map(escaping.csv_cell, row) for row in rows)
  return text.getvalue().encode(errors='backslashreplace')

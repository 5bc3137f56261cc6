"""What a prediction leaves behind: windows.csv, bouts.csv, summary.json and, where matplotlib is, timeline.svg."""

import csv
import dataclasses
import importlib.util
import io
import math
from collections.abc import Iterable, Sequence
from typing import Any

import har_jax
from har_jax import storage
from har_jax.data.user_recordings import Reading
from har_jax.files import safetensors_io
from har_jax.inference.timeline import picture
from har_jax.inference.timeline.answers import Answers
from har_jax.inference.timeline.bouts import NOT_WORN, UNKNOWN, Bout, Rules, minutes
from har_jax.inference.timeline.clock import Clock
from har_jax.inference.timeline.scoring import Score
from har_jax.storage import Place

FORMAT = 'har_jax timeline 1'


def write(
  folder: str | Place,
  answers: Answers,
  bouts: Sequence[Bout],
  rules: Rules,
  reading: Reading,
  card: dict[str, Any],
  scored: Score | None = None,
) -> dict[str, Any]:
  """Writes the files, all of them or none, and returns the summary; `card` is the adapter's.

  Raises UserError where they cannot be written.
  """
  clock = Clock.of(reading)
  made = {
    'windows.csv': _csv(_window_rows(answers, rules, clock)),
    'bouts.csv': _csv(_bout_rows(bouts, clock)),
  }
  if importlib.util.find_spec('matplotlib') is not None:
    made['timeline.svg'] = picture.svg(bouts, clock, answers.classes)
  told = _summary(answers, bouts, rules, reading, card)
  if scored is not None:
    told['score'] = dataclasses.asdict(scored)
  made['summary.json'] = safetensors_io.to_text(told)
  safetensors_io.write_files(storage.place(str(folder)), made)
  return told


def _summary(
  answers: Answers, bouts: Sequence[Bout], rules: Rules, reading: Reading, card: dict[str, Any]
) -> dict[str, Any]:
  """Minutes of all that was recorded, from each file's first sample to its last: they add up, but for a window's end."""
  by = minutes(bouts)
  clock = Clock.of(reading)
  ends_s: dict[str, float] = {}
  for number, recording in enumerate(reading.recordings):
    end_s = clock.in_file_s(number, float(recording.acc.time_s[-1]))
    ends_s[clock.files[number]] = max(end_s, ends_s.get(clock.files[number], 0.0))
  recorded = sum(ends_s.values()) / 60
  special = {name: by.pop(name, 0.0) for name in (UNKNOWN, NOT_WORN) if name not in answers.classes}
  shown = {
    name: round(by.get(name, 0.0), 2) for name in sorted(answers.classes, key=lambda each: -by.get(each, 0.0))
  }
  covered = sum(bout.length_s for bout in bouts) / 60
  return {
    'format': FORMAT,
    'har_jax': har_jax.__version__,
    'start': reading.start or None,
    'files': list(ends_s),
    'minutes': shown,
    'unknown_minutes': round(special.get(UNKNOWN, 0.0), 2),
    'not_worn_minutes': round(special.get(NOT_WORN, 0.0), 2),
    'gap_minutes': round(max(recorded - covered, 0.0), 2),
    'recorded_minutes': round(recorded, 2),
    'windows': len(answers.start_s),
    'shifts': answers.tta_shifts,
    'bouts': len(bouts),
    'rules': str(rules),
    'adapter': {
      'method': card['method'],
      'classes': list(answers.classes),
      'temperature': card['temperature'],
      'checksum': card['checksum'],
    },
    'notes': reading.notes,
    'warnings': reading.warnings,
  }


def _window_rows(answers: Answers, rules: Rules, clock: Clock) -> Iterable[list[str]]:
  """Each window's own answer, neither averaged nor looked at for a device that is not worn."""
  yield [
    *_place_names(clock, ('time',)),
    'activity',
    'confidence',
    *(f'p_{name}' for name in answers.classes),
  ]
  for recording, start_s, shares in zip(
    answers.recording, answers.start_s, answers.probabilities, strict=True
  ):
    likeliest = int(shares.argmax())
    sure = shares[likeliest] >= rules.unknown_below
    yield [
      *_places(clock, int(recording), (float(start_s),)),
      answers.classes[likeliest] if sure else UNKNOWN,
      f'{shares[likeliest]:.4f}',
      *(f'{share:.4f}' for share in shares),
    ]


def _bout_rows(bouts: Sequence[Bout], clock: Clock) -> Iterable[list[str]]:
  yield [*_place_names(clock, ('start', 'end')), 'activity', 'confidence']
  for bout in bouts:
    sure = '' if math.isnan(bout.confidence) else f'{bout.confidence:.4f}'
    yield [*_places(clock, bout.recording, (bout.start_s, bout.stop_s)), bout.activity, sure]


def _place_names(clock: Clock, names: Sequence[str]) -> list[str]:
  walls = list(names) if clock.start is not None else []
  return ['file'] * clock.has_several + [f'{name}_s' for name in names] + walls


def _places(clock: Clock, recording: int, times_s: Sequence[float]) -> list[str]:
  file_s = [clock.in_file_s(recording, time_s) for time_s in times_s]
  walls = [clock.wall(each) for each in file_s] if clock.start is not None else []
  return [clock.files[recording]] * clock.has_several + [f'{each:.3f}' for each in file_s] + walls


def _csv(rows: Iterable[list[str]]) -> bytes:
  text = io.StringIO()
  csv.writer(text, lineterminator='\n').writerows(rows)
  return text.getvalue().encode()

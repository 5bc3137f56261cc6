"""What was done when in a recording: DataFrames, a picture, and the files of a timeline."""

import csv
import dataclasses
import io
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

import har_jax
from har_jax import escaping
from har_jax.config import SCHEMA_VERSION
from har_jax.errors import counted
from har_jax.files import safetensors_io
from har_jax.recordings import Reading
from har_jax.storage import Place
from har_jax.timeline import movement
from har_jax.timeline.activities import Score
from har_jax.timeline.bouts import NOT_WORN, UNKNOWN, Bout, Clock, Rules, minutes_by_activity
from har_jax.timeline.picture import Picture, as_element
from har_jax.timeline.predictions import Predictions

if TYPE_CHECKING:
  import pandas as pd
  from matplotlib.figure import Figure

_SEPARATOR = ' | '  # of a set's activities
_DIGITS = {'time_s': 3, 'start_s': 3, 'end_s': 3, 'steps': 0, 'cadence': 1}  # of other numbers 4
FORMAT = f'har_jax timeline {SCHEMA_VERSION}'


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Answers:
  """What was done when in a recording, as `har_jax.recognize` answers. A notebook shows it as a timeline.

  Attributes
  ----------
  windows : DataFrame
    A row per window, each alone: time, activity, confidence, and the probability p_<activity> of each. `set`
    has the activities that it may be of, with a coverage of 90 %, if enough windows calibrated the adapter.
    Times in seconds count from a file's first sample; `time` is on the wall clock, if the file states it.
  bouts : DataFrame
    A row per bout, decoded over the windows: start, end, activity, and mean confidence (NaN if not worn).
    `set` has the activities that are in the sets of half of its windows, and the answer, if there are sets.
    `steps`, and `cadence` in steps a minute, are counted while walking and running; NaN elsewhere.
  summary : dict
    The entries of summary.json.
  notes, warnings : list of str
    What was inferred from the recording, and what is doubtful.
  score : Score or None
    Agreement of single windows with the labels, if there are any.
  """

  windows: 'pd.DataFrame'
  bouts: 'pd.DataFrame'
  summary: dict[str, Any]
  notes: list[str]
  warnings: list[str]
  score: Score | None
  picture: Picture

  @property
  def minutes(self) -> 'pd.DataFrame':
    """Minutes of each activity, longest first, then the rest of the recorded time."""
    import pandas as pd

    entries = {UNKNOWN: 'unknown_minutes', 'not worn': 'not_worn_minutes', 'no signal': 'gap_minutes'}
    others = {name: self.summary[entry] for name, entry in entries.items()}
    minutes = pd.Series(_with_texts(self.summary['minutes']) | others, name='minutes')
    return minutes.rename_axis('activity').to_frame()

  @property
  def days(self) -> 'pd.DataFrame':
    """A row per day, or per file and day if the date is unknown: hours worn, steps, minutes of activities."""
    import pandas as pd

    rows = [
      {name: value for name, value in day.items() if name != 'minutes'} | _with_texts(day['minutes'])
      for day in self.summary['days']
    ]
    return pd.DataFrame(rows).set_index('day').fillna(0.0)

  def plot(self) -> 'Figure':
    """The timeline as a figure of Matplotlib: a row per day or file, a color per activity."""
    return self.picture.draw()

  def save(self, folder: str | Place, *, overwrite: bool = False) -> None:
    """Writes windows.csv, bouts.csv, summary.json and timeline.svg, all or none.

    Raises UserError if they cannot be written, and if the folder holds files, unless `overwrite`.
    """
    contents = {
      'windows.csv': to_csv(self.windows),
      'bouts.csv': to_csv(self.bouts),
      'timeline.svg': self.picture.svg(),
      'summary.json': safetensors_io.to_text(self.summary),
    }
    safetensors_io.write_files(folder, contents, overwrite=overwrite)

  def __repr__(self) -> str:
    return f'{counted(len(self.bouts), "bout")} in {self.summary["recorded_minutes"]} minutes\n{self.minutes}'

  def _repr_html_(self) -> str:
    return as_element(self.picture.svg()) + self.minutes.to_html(float_format='%.1f')


def make_answers(
  predictions: Predictions,
  bouts: Sequence[Bout],
  rules: Rules,
  reading: Reading,
  adapter: Mapping[str, Any],
  scored: Score | None = None,
  frame: Sequence[dict[str, Any]] = (),
) -> Answers:
  """The answers to a reading. The reading's warnings stand in the summary and below the picture, too.

  adapter: method, classes, temperature and checksum.
  frame: what was changed about each file's frame.
  """
  clock = Clock.from_reading(reading)
  measured = movement.measure(bouts, reading, clock)
  # The minutes add up to `recorded_minutes`, from each file's first sample to its last. `unknown_minutes`:
  # answered `unknown`, whether the model has a class of that name or nothing was probable.
  minutes = minutes_by_activity(bouts)
  lengths_s = [float(recording.acc.time_s[-1]) for recording in reading.recordings]
  # The last recording of a file ends it.
  ends_s = {clock.files[number]: clock.in_file_s(number, length) for number, length in enumerate(lengths_s)}
  recorded = sum(ends_s.values()) / 60
  covered = sum(bout.length_s for bout in bouts) / 60
  summary: dict[str, Any] = {
    'format': FORMAT,
    'har_jax': har_jax.__version__,
    'start': reading.start or None,
    'time_zone': reading.time_zone or None,
    'files': list(ends_s),
    'minutes': {
      name: round(minutes.get(name, 0.0), 2)
      for name in sorted(predictions.classes, key=lambda name: -minutes.get(name, 0.0))
      if name not in (UNKNOWN, NOT_WORN)
    },
    'unknown_minutes': round(minutes.get(UNKNOWN, 0.0), 2),
    'not_worn_minutes': round(minutes.get(NOT_WORN, 0.0), 2),
    'compared_with_walking': predictions.compared,
    'distribution_shift': predictions.shift,
    'gap_minutes': round(max(recorded - covered, 0.0), 2),
    'recorded_minutes': round(recorded, 2),
    'windows': len(predictions.start_s),
    'tta_shifts': predictions.tta_shifts,
    'bouts': len(bouts),
    'rules': str(rules),
    'adapter': adapter,
    'notes': reading.notes,
    'warnings': reading.warnings,
    'movement': measured.summary,
    'days': measured.days,
    'frame': list(frame),
  }
  if scored is not None:
    summary['score'] = dataclasses.asdict(scored)
  return Answers(
    _window_frame(predictions, rules, clock),
    bout_frame(bouts, clock).assign(steps=measured.steps, cadence=measured.cadence),
    summary,
    reading.notes,
    reading.warnings,
    scored,
    Picture(bouts, clock, predictions.classes, reading.warnings),
  )


def _window_frame(predictions: Predictions, rules: Rules, clock: Clock) -> 'pd.DataFrame':
  """The prediction of each window, without a hidden Markov model and without the rule for `not_worn`."""
  probabilities = predictions.probabilities
  confidence = probabilities.max(axis=1)
  names = np.array(predictions.classes)[probabilities.argmax(axis=1)]
  columns = _locations(clock, predictions.recording.tolist(), {'time': predictions.start_s.tolist()})
  is_unknown, classes = predictions.is_unknown(rules.unknown_below), predictions.classes
  columns |= {'activity': np.where(is_unknown, UNKNOWN, names), 'confidence': confidence}
  if predictions.sets is not None:
    columns['set'] = [_SEPARATOR.join(itertools.compress(classes, own)) for own in predictions.sets]
  columns |= {f'p_{name}': column for name, column in zip(classes, probabilities.T, strict=True)}
  return _to_frame(columns)


def bout_frame(bouts: Sequence[Bout], clock: Clock) -> 'pd.DataFrame':
  """A row per bout: start, end, activity, confidence and set, with the file if there are several."""
  times_s = {'start': [bout.start_s for bout in bouts], 'end': [bout.stop_s for bout in bouts]}
  columns = _locations(clock, [bout.recording for bout in bouts], times_s)
  columns |= {name: [getattr(bout, name) for bout in bouts] for name in ('activity', 'confidence')}
  if any(bout.set for bout in bouts):
    columns['set'] = [_SEPARATOR.join(bout.set) for bout in bouts]
  return _to_frame(columns)


def _locations(
  clock: Clock, recordings: Sequence[int], times_s: Mapping[str, Sequence[float]]
) -> dict[str, Any]:
  """Columns of the file, if there are several, of seconds, and of times on the wall clock, if it is known."""
  file_s = {
    name: [clock.in_file_s(*pair) for pair in zip(recordings, column, strict=True)]
    for name, column in times_s.items()
  }
  columns: dict[str, Any] = {}
  if len(set(clock.files)) > 1:
    columns['file'] = [clock.files[recording] for recording in recordings]
  columns |= {f'{name}_s': column for name, column in file_s.items()}
  if clock.start is not None:
    columns |= {name: [clock.moment(time_s) for time_s in column] for name, column in file_s.items()}
  return columns


def _to_frame(columns: dict[str, Any]) -> 'pd.DataFrame':
  import pandas as pd

  # Half a pair of UTF-16, which a card's JSON may hold, is no text for pandas.
  texts = {'file', 'activity', 'set'}.intersection(columns)
  columns |= {name: [_as_text(value) for value in columns[name]] for name in texts}
  return pd.DataFrame(_with_texts(columns))


def _with_texts(entries: Mapping[str, Any]) -> dict[str, Any]:
  return {_as_text(name): value for name, value in entries.items()}


def _as_text(name: str) -> str:
  return name.encode(errors='replace').decode()


def to_csv(frame: 'pd.DataFrame') -> bytes:
  """The table as a file that a spreadsheet opens; no cell is a formula."""
  text = io.StringIO()
  writer = csv.writer(text, lineterminator='\n')
  writer.writerow(frame.columns)  # those of activities begin with p_
  writer.writerows(zip(*(_cells(frame[name]) for name in frame.columns), strict=True))
  return text.getvalue().encode()


def _cells(column: 'pd.Series') -> list[str]:
  number = f'%.{_DIGITS.get(column.name, 4)}f'

  def write(value: Any) -> str:
    if isinstance(value, str):
      return escaping.csv_cell(value)
    if isinstance(value, float):
      return '' if math.isnan(value) else number % value
    return value.isoformat(timespec='milliseconds')

  return list(map(write, column.tolist()))

"""Quality of a recording: rates, gaps, time worn, sensors at rest, and what is doubtful."""

import dataclasses
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from jaxtyping import Float

import har_jax
from har_jax import recordings
from har_jax.config import SCHEMA_VERSION, Windowing
from har_jax.errors import counted, often
from har_jax.files import safetensors_io
from har_jax.recognizer import distribution_shift
from har_jax.recordings import Reading, ReadingOptions, Source, row_faults
from har_jax.recordings.infer import Findings, Tell
from har_jax.signal import still
from har_jax.signal.recording import Samples
from har_jax.storage import Place
from har_jax.timeline import rate_check, recognition
from har_jax.timeline.bouts import Clock, Rules, find_not_worn
from har_jax.timeline.picture import QualityPicture, as_element
from har_jax.timeline.predictions import warnings_for, without_gaps

if TYPE_CHECKING:
  import pandas as pd
  from matplotlib.figure import Figure

FORMAT = f'har_jax check {SCHEMA_VERSION}'
_RATE_S = 10.0  # a rate is counted over so long
_AXES = 'xyz'


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Quality:
  """Quality of a recording, as `har_jax.check` finds it. A notebook shows it as a picture and two tables.

  Attributes
  ----------
  files : DataFrame
    A row per file: minutes from first to last sample, their fraction with samples of both sensors, gaps, and
    minutes worn and not worn.
  sensors : DataFrame
    A row per sensor: median rate, slowest and fastest rate over ten seconds, and new values a second.
  summary : dict
    The entries of check.json. `rest`: noise, bias and gain from moments without movement.
  notes, warnings : list of str
    What was inferred from the recording, and what is doubtful: those of `har_jax.recognize`.
  """

  files: 'pd.DataFrame'
  sensors: 'pd.DataFrame'
  summary: dict[str, Any]
  notes: list[str]
  warnings: list[str]
  picture: QualityPicture

  @property
  def is_good(self) -> bool:
    """Returns whether nothing is doubtful."""
    return not self.warnings

  @property
  def text(self) -> str:
    """All on one page."""
    tables = (frame.round(3).to_string() for frame in (self.files, self.sensors))
    doubts = (f'{number}. {warning}' for number, warning in enumerate(self.warnings, 1))
    return '\n'.join(['\n\n'.join([*tables, *self._findings]), *doubts])

  @property
  def _findings(self) -> tuple[str, str]:
    """What moments of rest tell, and how many things are doubtful."""
    count = len(self.warnings)
    verdict = f'{counted(count, "thing")} to look at:' if count else 'Nothing doubtful was found.'
    return _describe_rest(self.summary['rest']), verdict

  def plot(self) -> 'Figure':
    """Acceleration and movement over time, as a figure of Matplotlib."""
    return self.picture.draw()

  def save(self, folder: str | Place, *, overwrite: bool = False) -> None:
    """Writes check.txt, check.json and check.svg, all or none.

    Raises UserError if they cannot be written, and if the folder holds files, unless `overwrite`.
    """
    contents = {
      'check.txt': f'{self.text}\n'.encode(errors='backslashreplace'),
      'check.svg': self.picture.svg(),
      'check.json': safetensors_io.to_text(self.summary),
    }
    safetensors_io.write_files(folder, contents, overwrite=overwrite)

  def __repr__(self) -> str:
    return self.text

  def _repr_html_(self) -> str:
    tables = (frame.to_html(float_format='%.4g') for frame in (self.files, self.sensors))
    sentences = (f'<p>{sentence}</p>' for sentence in self._findings[: 1 + self.is_good])
    return ''.join([*tables, *sentences, as_element(self.picture.svg())])


def check(
  recording: Source,
  adapter: recognition.Adapter | None = None,
  *,
  labels: 'Source | None' = None,
  not_worn_min: float | int = 30.0,
  frame: str = 'auto',
  tell: Tell | None = None,
  **options: Unpack[ReadingOptions],
) -> Quality:
  """Says how good a recording is, as `har-jax check` does.

  Its warnings are those of `recognize` and `adapt`.

  Parameters
  ----------
  recording : str, path-like or DataFrame
    What an app exported: a file, a zip or a folder; or a table of one recording.
  adapter : Recognizer, Adapted, str or path-like, default None
    The model for which the recording is meant; gravity is compared with its training windows. None: the
    bundled base.
  labels : str, path-like or DataFrame, default None
    Table of start, end and activity. None: <recording>.labels.csv, or a column of the recording.
  not_worn_min : float, default 30
    A device at rest for so many minutes is not worn; 0: always worn.
  frame : str, default 'auto'
    Axes and signs. What `recognize` would correct with 'auto' is a warning here.
  tell : callable, default None
    Called with 'note' or 'warning' and each sentence as soon as it is known.
  **options
    What is not to be inferred, as in `har_jax.recognize`.

  Raises UserError, with what to do, if the recording or the adapter cannot be read.
  """
  import pandas as pd

  Rules(not_worn_min=not_worn_min)  # raises UserError where it is out of range
  recognizer = recognition.to_recognizer(adapter)
  findings, windowing = Findings(tell=tell), recognizer.windowing
  frame = 'as_is' if frame == 'auto' else frame
  reading, _ = rate_check.read(recognizer, recording, frame, findings, labels=labels, **options)
  findings.warn(*reading.warnings, *recordings.check(reading, windowing))
  if hasattr(recognizer, 'adapter_'):
    findings.warn(*warnings_for(recognizer, reading))
  windows, some = _cut(reading, windowing, not_worn_min)
  shift = None
  if hasattr(recognizer, 'adapter_'):
    of_some, signals = map(np.array, zip(*some, strict=True))
    shift = distribution_shift.measure_windows(recognizer, signals, of_some)
    findings.warn(*distribution_shift.warnings(shift))
  files = pd.DataFrame(_describe_files(reading, windows, windowing)).set_index('file')
  names = ('accelerometer', 'gyroscope')[: 1 + reading.has_gyro]
  sensors = pd.DataFrame([_describe_sensor(reading, name) for name in names]).set_index('sensor')
  summary = {
    'format': FORMAT,
    'har_jax': har_jax.__version__,
    'start': reading.start or None,
    'time_zone': reading.time_zone or None,
    'is_good': not findings.warnings,
    'files': files.round(4).reset_index().to_dict('records'),
    'sensors': sensors.round(4).to_dict('index'),
    'distribution_shift': shift,
    'rest': _measure_rest(still.find_rest(recording.acc for recording in reading.recordings)),
    'notes': findings.notes,
    'warnings': findings.warnings,
  }
  picture = QualityPicture(windows, findings.warnings)
  return Quality(files, sensors, summary, findings.notes, findings.warnings, picture)


def _cut(
  reading: Reading, windowing: Windowing, not_worn_min: float | int
) -> tuple['pd.DataFrame', list[tuple[str, np.ndarray]]]:
  """Windows that overlap by half, as `recognize` cuts them, with what `QualityPicture` draws.

  Also file and signal of some of them, evenly spaced.
  """
  import pandas as pd

  clock, is_still = Clock.from_reading(reading), []
  rows: list[tuple[Any, ...]] = []
  some, step = [], max(int(reading.seconds / windowing.step_s) // distribution_shift.MOST, 1)
  for window in recordings.overlapping_windows(reading, windowing):
    acc, number = window.signal[:, :3], window.recording
    time_s = clock.in_file_s(number, window.start_s)
    movement = np.linalg.norm(acc.std(axis=0))
    if len(rows) % step == 0:
      some.append((clock.files[number], window.signal))
    rows.append((clock.files[number], number, window.start_s, time_s, *acc.mean(axis=0), movement))
    is_still.append(still.is_still(window.signal[None])[0])
  windows = pd.DataFrame(rows, columns=['file', 'recording', 'start_s', 'time_s', *_AXES, 'movement'])
  start_s, still_ones = windows['start_s'].to_numpy(), np.array(is_still)
  not_worn = [
    find_not_worn(still_ones[part], start_s[part], not_worn_min, windowing.seconds)
    for part in without_gaps(windows['recording'].to_numpy(), start_s, windowing)
  ]
  return windows.assign(is_worn=~np.concatenate(not_worn)), some


def _describe_files(
  reading: Reading, windows: 'pd.DataFrame', windowing: Windowing
) -> list[dict[str, object]]:
  rows, files = [], np.array(reading.files)
  for name in dict.fromkeys(files.tolist()):
    numbers = np.flatnonzero(files == name).tolist()
    lengths_s = [float(reading.recordings[number].acc.time_s[-1]) for number in numbers]
    end_s = reading.offsets_s[numbers[-1]] + lengths_s[-1]
    is_off = windows['recording'].isin(numbers) & ~windows['is_worn']
    not_worn_min = float(is_off.sum()) * windowing.step_s / 60
    row = {'minutes': end_s / 60, 'coverage': sum(lengths_s) / max(end_s, 1e-9), 'gaps': len(numbers) - 1}
    row |= {'worn_min': max(sum(lengths_s) / 60 - not_worn_min, 0.0), 'not_worn_min': not_worn_min}
    rows.append({'file': name, **row})
  return rows


def _describe_sensor(reading: Reading, name: str) -> dict[str, object]:
  samples = [part.acc if name == 'accelerometer' else part.gyro for part in reading.recordings]
  longest = max(samples, key=lambda one: len(one.values))
  counted = np.concatenate([_rates_hz(one) for one in samples])
  row = {'sensor': name, 'rows': sum(len(one.values) for one in samples)}
  rate_hz = 1 / longest.step_s
  row |= {'rate_hz': rate_hz, 'slowest_hz': counted.min(), 'fastest_hz': counted.max()}
  new_hz = row_faults.measure_rates_hz(longest)[1]  # of whole seconds, so up to a row too many
  return row | {'new_values_hz': min(new_hz, rate_hz)}


def _rates_hz(samples: Samples) -> Float[np.ndarray, '_k']:
  """Rows a second, over ten seconds at a time; over all of a shorter recording."""
  size = int(samples.time_s[-1] // _RATE_S)
  if not size:
    return np.array([(len(samples.time_s) - 1) / max(np.ptp(samples.time_s), 1e-9)])
  edges = np.searchsorted(samples.time_s, np.arange(size + 1) * _RATE_S)
  return np.diff(edges) / _RATE_S


def _measure_rest(at_rest: still.Rest) -> dict[str, Any]:
  fit, errors = still.calibrate(at_rest.means), at_rest.errors
  extremes = [errors.min(), errors.max()] if len(errors) else []
  return {
    'stretches': len(at_rest.means),
    'directions': still.count_directions(at_rest.means),
    'noise_m_s2': None if at_rest.noise_m_s2 is None else round(at_rest.noise_m_s2, 4),
    'gravity_error_m_s2': [round(float(extreme), 3) for extreme in extremes],
    'calibration': fit and {name: np.round(value, 4).tolist() for name, value in fit._asdict().items()},
  }


def _describe_rest(entries: dict[str, Any]) -> str:
  if not entries['stretches']:
    return 'The device is never at rest for 2.56 s, so noise, bias and gain are not known.'
  low, high = entries['gravity_error_m_s2']
  text = (
    f'At rest {often(entries["stretches"])} for 2.56 s: noise {entries["noise_m_s2"]:.3f} m/s², gravity '
    f'{low:+.2f} to {high:+.2f} m/s² longer than 9.81.'
  )
  fit = entries['calibration']
  if fit is None:
    return (
      f'{text} Bias and gain are left alone: at rest the device had {entries["directions"]} of '
      f'{still.DIRECTIONS} directions.'
    )
  axes = (
    f'{axis} = (measured {-bias:+.3f}) / {gain:.4f}'
    for axis, bias, gain in zip(_AXES, fit['bias_m_s2'], fit['gain'], strict=True)
  )
  return (
    f'{text} This calibration would reduce the mean error from {fit["before"]:.3f} to {fit["after"]:.3f}: '
    f'{"; ".join(axes)}.'
  )

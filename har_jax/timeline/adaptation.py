"""A recognizer adapted to a user's labeled recording, and how well it does on windows that were held out."""

import collections
import dataclasses
import html
import os
import time
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from har_jax import config_fields, files, recordings
from har_jax.datasets import splits
from har_jax.errors import UserError
from har_jax.recognizer import comparison, parameters
from har_jax.recognizer.calibration import Calibration, calibrate
from har_jax.recognizer.comparison import Comparison
from har_jax.recognizer.parameters import Base, TrainingChanges
from har_jax.recognizer.recognizer import Recognizer
from har_jax.recordings import ReadingOptions, Source
from har_jax.recordings.infer import Findings, Tell
from har_jax.timeline import rate_check

if TYPE_CHECKING:
  import pandas as pd

OVERLAPPING = 'overlap windows held out'  # a reason why windows were left out


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Adapted:
  """A recognizer that was adapted to a recording, as `har_jax.adapt` returns it.

  Attributes
  ----------
  recognizer : Recognizer
    It is calibrated if windows were held out.
  validation : DataFrame
    Windows of each activity: to train on, held out, and recognized among these.
  comparison : Comparison or None
    The recognizer and baselines on the windows held out; None if there are none.
  calibration : Calibration or None
    The temperature that was fitted to them.
  left_out : dict
    Counts of windows that were not used, by the reason.
  are_files_apart : bool
    Windows held out are of other files than those to train on.
  notes, warnings : list of str
    What was inferred from the recording, and what is doubtful.
  """

  recognizer: Recognizer
  validation: 'pd.DataFrame'
  comparison: Comparison | None
  calibration: Calibration | None
  left_out: dict[str, int]
  are_files_apart: bool
  notes: list[str]
  warnings: list[str]

  @property
  def scores(self) -> 'pd.DataFrame':
    """Macro-F1, accuracy and seconds of the fit of each model; no row if nothing was held out."""
    import pandas as pd

    names = ['model', 'macro_f1', 'accuracy', 'seconds']
    scores = [] if self.comparison is None else self.comparison.scores
    rows = [[getattr(score, name) for name in names] for score in scores]
    return pd.DataFrame(rows, columns=names).set_index('model')

  def save(self, folder: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Writes adapter and base, as `Recognizer.save`."""
    self.recognizer.save(folder, overwrite=overwrite)

  def __repr__(self) -> str:
    return f'{self.recognizer}\n{self.validation}\n{self.scores}'

  def _repr_html_(self) -> str:
    tables = (frame.to_html(float_format='%.3f') for frame in (self.validation, self.scores))
    verdict = [] if self.comparison is None else self.comparison.sentences
    sentences = (f'<p>{html.escape(sentence)}</p>' for sentence in [*verdict, *self.warnings])
    return ''.join([*tables, *sentences])


class AdaptOptions(ReadingOptions, TrainingChanges, total=False):
  """What `adapt` passes on to `recordings.read` and to `Recognizer`."""


def adapt(
  recording: Source,
  labels: 'Source | None' = None,
  *,
  base: Base = None,
  validation_fraction: float | int = 0.2,
  frame: str = 'auto',
  progress: bool = False,
  tell: Tell | None = None,
  **options: Unpack[AdaptOptions],
) -> Adapted:
  """Adapts a base to a labeled recording, as `har-jax adapt` does.

  Parameters
  ----------
  recording : str, path-like or DataFrame
    What an app exported: a file, a zip or a folder; or a table of one recording.
  labels : str, path-like or DataFrame, default None
    Table of start, end and activity. None: <recording>.labels.csv, or a column of the recording.
  base : Base, str or path-like, default None
    The base to adapt, or a folder that has one, such as an adapter's. None: the bundled base.
  validation_fraction : float in [0, 1), default 0.2
    Fraction of each activity, its last part, to validate and calibrate on. The head is then fitted to all
    labeled windows.
  frame, progress, tell
    As in `har_jax.recognize`.
  **options
    Parameters of `Recognizer`, whose alpha is twice the rank; and what is not to be inferred, as in
    `har_jax.recognize`.

  Raises UserError, with what to do, if the recording, its labels or a parameter cannot be used.
  """
  import pandas as pd

  config_fields.check_names(options, AdaptOptions.__annotations__, 'adapt')
  changed: dict[str, Any] = {**options}
  read_options = {name: changed.pop(name) for name in ReadingOptions.__annotations__ if name in changed}
  pretrained = Recognizer(base) if isinstance(base, files.Base) else Recognizer.load(base)
  if pretrained.base is None:
    raise UserError(f'{base} was trained from scratch and has no base: give another folder')
  base, windowing = pretrained.base, pretrained.windowing
  recognizer = Recognizer(base, validation_fraction=validation_fraction, verbose=progress, **changed)
  parameters.check(recognizer)  # a long recording takes minutes to read
  recognizer.set_params(alpha=2.0 * recognizer.rank)
  findings = Findings(tell=tell)
  reading, _ = rate_check.read(pretrained, recording, frame, findings, labels=labels, **read_options)
  findings.warn(*reading.warnings, *recordings.check(reading, windowing))
  dropped: collections.Counter[str] = collections.Counter()
  windows = recordings.to_windows(reading, windowing, dropped=dropped)
  if len(names := sorted({window.activity for window in windows})) < 2:
    raise UserError(
      f'{f"only {names[0]} has" if names else "no activity has"} labeled windows, and at least two must have '
      f'them: label each for {windowing.seconds:g} s or more at a time, in a column of the '
      'recording or with labels='
    )
  held_out, overlapping = splits.hold_out_last(windows, float(validation_fraction), windowing)
  dropped[OVERLAPPING] = int(overlapping.sum())
  all_signals = np.stack([window.signal for window in windows])
  all_activities = np.array([window.activity for window in windows])
  signals, activities = all_signals[~overlapping], all_activities[~overlapping]
  recording_of_window = np.array([window.recording for window in windows])[~overlapping]
  file_of_window = np.array(reading.files)[recording_of_window]
  held_out = held_out[~overlapping]
  start_s = time.monotonic()
  recognizer.fit(signals, activities, held_out=held_out)
  seconds = time.monotonic() - start_s
  if (summary := recognizer.signals) is not None:
    summary = dataclasses.replace(summary, rates_hz=rate_check.rates_hz(reading))
    recognizer.adapter_ = recognizer.adapter_.with_card(signals=summary)
  compared, calibration, is_correct = None, None, np.zeros(0, bool)
  if held_out.any():
    parts = (part[held_out] for part in (signals, activities, recording_of_window))
    calibration = calibrate(recognizer, *parts)
    compared = comparison.compare(recognizer, signals, activities, held_out, seconds)
    recognizer.adapter_.card.metrics['comparison'] = {
      one.model: {'macro_f1': one.macro_f1, 'accuracy': one.accuracy, 'seconds': round(one.seconds, 1)}
      for one in compared.scores
    }
    is_correct = compared.adapted.is_correct
    recognizer.refit(all_signals, all_activities)  # measured and calibrated: no label is lost
  validated = activities[held_out]
  parts_of = {'training': activities[~held_out], 'validation': validated, 'correct': validated[is_correct]}
  names = pd.Index(np.unique(activities), name='activity')
  counts = {part: [int((own == name).sum()) for name in names] for part, own in parts_of.items()}
  is_shared = np.isin(file_of_window[held_out], file_of_window[~held_out])
  are_apart = len(is_shared) > 0 and not is_shared.any()
  said = findings.notes, findings.warnings
  return Adapted(recognizer, pd.DataFrame(counts, names), compared, calibration, dropped, are_apart, *said)

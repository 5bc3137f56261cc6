"""Stretches of a recording that are most worth a label.

w windows, s stretches, f statistics.

Stretches are clustered by the statistics of their windows, and the one nearest to each cluster's center is
suggested. So each label is of something else. docs/results/suggestions.md has what was measured and tried.
Source of the idea: Hacohen, Dekel and Weinshall, arXiv:2202.02794, section 3.
"""

import dataclasses
import numbers
import os
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from jaxtyping import Float, Int

from har_jax import config_fields, recordings
from har_jax.errors import UserError
from har_jax.files import safetensors_io
from har_jax.recordings import Reading, ReadingOptions, Source
from har_jax.recordings.infer import Findings, Tell
from har_jax.signal import segments
from har_jax.signal.statistics import window_statistics
from har_jax.timeline import answers, rate_check, recognition
from har_jax.timeline.bouts import Bout, Clock, Rules, find_bouts, find_not_worn
from har_jax.timeline.picture import Picture
from har_jax.timeline.predictions import Predictions, predict, without_gaps

if TYPE_CHECKING:
  import pandas as pd

STRETCH_WINDOWS = 3  # that overlap by half: as long as two windows
_MOST_STRETCHES = 3000  # to choose from, evenly spaced: bounds time and memory
_LEAST_DEVIATION = 1e-6  # of a statistic: below, it is constant


@dataclasses.dataclass(frozen=True, eq=False)
class Suggestions:
  """Stretches to label, as `har_jax.suggest` returns them.

  stretches: start and end of each, as in `Answers.bouts`, and an empty activity. With the activities filled
  in, it is a table of labels for `har_jax.adapt`.
  picture: the timeline of the base's answers, in which the stretches are marked.
  notes, warnings: what was inferred from the recording, and what is doubtful.
  """

  stretches: 'pd.DataFrame'
  picture: Picture
  notes: list[str]
  warnings: list[str]

  def save(self, folder: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Writes suggestions.csv and timeline.svg, both or none.

    Raises UserError if they cannot be written, and if the folder holds files, unless `overwrite`.
    """
    contents = {'suggestions.csv': answers.to_csv(self.stretches), 'timeline.svg': self.picture.svg()}
    safetensors_io.write_files(folder, contents, overwrite=overwrite)


def suggest(
  recording: Source,
  count: int = 20,
  labels: 'Source | None' = None,
  *,
  base: str | os.PathLike[str] | None = None,
  frame: str = 'auto',
  progress: bool = False,
  tell: Tell | None = None,
  **options: Unpack[ReadingOptions],
) -> Suggestions:
  """Suggests the stretches of a recording that are most worth a label, as `har-jax adapt --suggest` does.

  count: number of stretches, each as long as two windows of the base: 5.1 s for the bundled one.
  labels: table of what is labeled already, as in `har_jax.adapt`; stretches that it overlaps are left out.
  base: folder of the base or adapter that draws the timeline; None: the bundled base.
  frame, progress, tell, **options: as in `har_jax.recognize`.

  Raises UserError, with what to do, if the recording or the base cannot be used.
  """
  check_count(count)
  findings, recognizer = Findings(tell=tell), recognition.load(base)
  reading, _ = rate_check.read(recognizer, recording, frame, findings, labels=labels, **options)
  findings.warn(*reading.warnings)
  predictions = predict(recognizer, reading, progress=progress)
  windowing, window_s = predictions.windowing, predictions.windowing.seconds
  length_s = window_s + (STRETCH_WINDOWS - 1) * windowing.step_s
  firsts = _candidates(predictions, reading, length_s)
  if not len(firsts):
    raise UserError(f'no stretch of {length_s:g} s is left to label: all is labeled, too short or not worn')
  indices = (firsts[:, None] + np.arange(STRETCH_WINDOWS)).ravel().tolist()
  members, windows = set(indices), recordings.overlapping_windows(reading, windowing)
  signals = [window.signal for index, window in enumerate(windows) if index in members]
  features = window_statistics(np.stack(signals), windowing.rate_hz)
  means = features.reshape(len(firsts), STRETCH_WINDOWS, -1).mean(axis=1)
  firsts = firsts[choose(means, count)]
  places = zip(predictions.recording[firsts].tolist(), predictions.start_s[firsts].tolist(), strict=True)
  marks = [Bout(recording, start_s, start_s + length_s, '', np.nan) for recording, start_s in places]
  clock = Clock.from_reading(reading)
  bouts = find_bouts(predictions, Rules())
  picture = Picture(bouts, clock, predictions.classes, reading.warnings, marks)
  stretches = answers.bout_frame(marks, clock).drop(columns='confidence')
  return Suggestions(stretches, picture, findings.notes, findings.warnings)


def check_count(count: Any) -> None:
  """Raises UserError if this is no number of stretches."""
  rule = 'give a whole number, 1 or more'
  config_fields.check_value('count', count, rule, lambda value: value >= 1, kind=numbers.Integral)


def choose(features: Float[np.ndarray, 's f'], count: int) -> Int[np.ndarray, 'c']:
  """Indices of stretches that are unlike each other: c clusters, or fewer if stretches are equal."""
  from sklearn.cluster import KMeans

  deviations = features.std(axis=0)
  scaled = (features - features.mean(axis=0)) / np.where(deviations > _LEAST_DEVIATION, deviations, np.inf)
  clusters = min(count, len(np.unique(scaled, axis=0)))
  distances = KMeans(clusters, n_init=1, random_state=0).fit_transform(scaled)
  return np.unique(distances.argmin(axis=0))


def _candidates(predictions: Predictions, reading: Reading, length_s: float) -> Int[np.ndarray, 's']:
  """Indices of the first windows of stretches that are worn, have no gap and no label, and do not overlap."""
  firsts = []
  windowing = predictions.windowing
  for part in without_gaps(predictions.recording, predictions.start_s, windowing):
    start_s, spans = predictions.start_s[part], reading.recordings[predictions.recording[part.start]].spans
    off = find_not_worn(predictions.still[part], start_s, Rules.not_worn_min, windowing.seconds)
    # One window more: its first half ends this stretch, its second half begins the next.
    for first in range(0, len(start_s) - STRETCH_WINDOWS + 1, STRETCH_WINDOWS + 1):
      is_off = off[first : first + STRETCH_WINDOWS].any()
      if not is_off and not segments.clip(spans, start_s[first], start_s[first] + length_s):
        firsts.append(part.start + first)
  spaced = np.linspace(0, len(firsts) - 1, min(len(firsts), _MOST_STRETCHES)).round().astype(int)
  return np.array(firsts, np.int64)[spaced]

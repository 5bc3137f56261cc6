"""The recognizer's prediction for each window of a long recording.   w windows, y classes."""

import dataclasses
import itertools
from concurrent import futures

import numpy as np
from jaxtyping import Bool, Float, Int

from har_jax import recordings
from har_jax.baselines import relative_features
from har_jax.baselines.relative_features import Described
from har_jax.config import Windowing
from har_jax.files import baseline_adapter
from har_jax.recognizer import distribution_shift, prediction_sets, unknown_activities
from har_jax.recognizer.recognizer import Recognizer
from har_jax.recognizer.recording_head import RecordingHead
from har_jax.recordings import Reading
from har_jax.signal import segments
from har_jax.signal.still import is_still

_MOST_STEPS = 1.5  # after a gap the next window starts at least a whole window later
_CHUNK = 256  # windows per call: three calls of them are in memory

# Also the inputs of the output layer, of some of the windows.
_Answers = tuple[Float[np.ndarray, 'w y'], Float[np.ndarray, 'a f'] | None]


@dataclasses.dataclass(frozen=True)
class Predictions:
  """Windows in order of recording and time. A window with a gap in it has no prediction.

  `recording` is an index into the reading's recordings; `start_s` is on that recording's clock.
  `still` is True where the device did not move. `compared`: whether the recording had enough walking for the
  recording head; None: there is no such head. `pooled_files`: how many were compared with the walking of all,
  because one of them has too little; 0: each with its own.
  `sets`: True for the classes that a window may be of (`recognizer.prediction_sets`); None without enough
  scores for that.
  `refused`: True for windows unlike all classes (`recognizer.unknown_activities`); None: not asked for.
  `shift`: how far the windows are from the training windows (`recognizer.distribution_shift`); None: unknown.
  """

  classes: tuple[str, ...]
  recording: Int[np.ndarray, 'w']
  start_s: Float[np.ndarray, 'w']
  probabilities: Float[np.ndarray, 'w y']
  still: Bool[np.ndarray, 'w']
  windowing: Windowing
  tta_shifts: int = 1
  compared: bool | None = None
  pooled_files: int = 0
  sets: Bool[np.ndarray, 'w y'] | None = None
  refused: Bool[np.ndarray, 'w'] | None = None
  shift: float | None = None

  def is_unknown(self, unknown_below: float) -> Bool[np.ndarray, 'w']:
    """True: the window was refused, or its highest probability is lower."""
    is_low = self.probabilities.max(axis=1) < unknown_below
    return is_low if self.refused is None else is_low | self.refused

  @property
  def warnings(self) -> list[str]:
    """Sentences on what the answers rest on."""
    sentences = [*distribution_shift.warnings(self.shift)]
    if self.pooled_files:
      sentences.append(
        f'At least one of {self.pooled_files} files has too little walking, so the windows of all were '
        'compared with the walking of all: if they are of several people or devices, give each one alone.'
      )
    return sentences


def predict(
  recognizer: Recognizer, reading: Reading, *, refusal_rate: float = 0.0, progress: bool = True
) -> Predictions:
  """Predicts windows that overlap by half, adapted to each file (`recognizer.recording_adaptation`).

  A base without an adapter uses its recording head, if it has one.
  refusal_rate: of windows that are like those that calibrated the adapter; 0: none.

  Memory: an hour is resampled at a time. A recording head needs 1 kB per window more, and refusals 2 kB.
  Raises UserError if no window fits into the recordings.
  """
  import tqdm

  recording: list[int] = []
  start_s: list[float] = []
  still: list[np.ndarray] = []
  answers: list[futures.Future[_Answers]] = []
  head, adapter = recognizer.recording_head_, recognizer.adapter_
  seconds = reading.seconds
  most = int(seconds / recognizer.windowing.step_s)
  described = relative_features.allocate(0 if head is None else most)
  measures_shift = adapter.card.class_spread is not None
  # Of which windows the inputs are kept: of all for refusals, and of some for the shift.
  step = 1 if refusal_rate or not measures_shift else max(most // distribution_shift.MOST, 1)
  total = {'total': round(seconds), 'unit': 's', 'unit_scale': True}
  bar = tqdm.tqdm(desc='recognizing', postfix='compiling', disable=not progress, **total)
  # Two of them answer windows while the next ones are cut: one alone leaves a core idle between its products.
  with bar, futures.ThreadPoolExecutor(2) as encoders:
    every = iter(recordings.overlapping_windows(reading, recognizer.windowing))
    while windows := list(itertools.islice(every, _CHUNK)):
      signals = np.stack([window.signal for window in windows])
      if len(answers) > 1:
        answers[-2].result()  # no more than three chunks are in memory
        last = -_CHUNK - 1  # that is answered
        before_s = sum(float(earlier.acc.time_s[-1]) for earlier in reading.recordings[: recording[last]])
        bar.set_postfix_str('', refresh=False)
        bar.update(round(before_s + start_s[last]) - bar.n)
      kept = slice(-len(start_s) % step, None, step) if refusal_rate or measures_shift else None
      answers.append(encoders.submit(_answer, recognizer, signals, kept))
      still.append(is_still(signals))
      if head is not None:
        part = slice(len(start_s), len(start_s) + len(signals))
        rows = relative_features.describe(signals, recognizer.windowing.rate_hz)
        for column, values in zip(described, rows, strict=True):
          column[part] = values
      recording += [window.recording for window in windows]
      start_s += [window.start_s for window in windows]
    probabilities, parts_of_inputs = zip(*(answer.result() for answer in answers), strict=True)
    bar.set_postfix_str('', refresh=False)
    bar.update(round(seconds) - bar.n)
  classes, joined = tuple(map(str, recognizer.classes_)), np.concatenate(probabilities)
  moments = np.array(recording), np.array(start_s)
  files = np.array(reading.files)[recording]
  compared, pooled = None, 0
  joined = recognizer.adapt_probabilities(joined, files)  # they may be of several people
  if head is not None:
    whole = Described(*(column[: len(start_s)] for column in described))
    joined, compared, pooled = _combine(head, joined, whole, classes, files, recognizer.temperature)
    if compared:
      together = np.zeros(len(files)) if pooled else files
      joined = recognizer.adapt_probabilities(joined, together)
  refused, shift = None, None
  if refusal_rate or measures_shift:
    inputs = np.concatenate(parts_of_inputs)
    del answers, parts_of_inputs  # 2 kB per window
  if refusal_rate:
    parts = without_gaps(*moments, recognizer.windowing)
    ask_base = adapter.card.unknown_by_base
    answered = inputs, joined, files, parts
    scores = unknown_activities.score(recognizer, *answered, ask_base=ask_base)
    refused = unknown_activities.refuse(scores, recognizer.unknown_scores, refusal_rate)
  if measures_shift:
    shift = distribution_shift.measure(adapter, inputs, joined[::step], files[::step])
  set_scores, coverage, sets = recognizer.set_scores, prediction_sets.COVERAGE, None
  # A base's own answers, with a recording head or without, cover far less on devices and places of others.
  if head is None and prediction_sets.shortage(set_scores, coverage) is None:
    sets = prediction_sets.make_sets(joined, set_scores, coverage)
  shifts = int(recognizer.tta_shifts)  # JSON has no NumPy integers
  columns = classes, *moments, joined, np.concatenate(still)
  return Predictions(*columns, recognizer.windowing, shifts, compared, pooled, sets, refused, shift)


def _answer(recognizer: Recognizer, signals: Float[np.ndarray, 'w n 6'], kept: slice | None) -> _Answers:
  """Probabilities, and the inputs of the output layer for some of the windows."""
  if kept is None:
    return recognizer.probabilities(signals).astype(np.float32), None
  probabilities, inputs = recognizer.answer_with_inputs(signals)
  return probabilities.astype(np.float32), inputs[kept].astype(np.float16)


def without_gaps(
  recording: Int[np.ndarray, 'w'], start_s: Float[np.ndarray, 'w'], windowing: Windowing
) -> list[slice]:
  """Parts in which each window overlaps the next."""
  is_gap = (np.diff(recording) != 0) | (np.diff(start_s) > _MOST_STEPS * windowing.step_s)
  return [slice(*pair) for pair in segments.equal_runs(np.r_[0, np.cumsum(is_gap)]).tolist()]


def _combine(
  head: RecordingHead,
  encoder: Float[np.ndarray, 'w y'],
  described: Described,
  classes: tuple[str, ...],
  files: np.ndarray,
  temperature: float,
) -> tuple[Float[np.ndarray, 'w y'], bool, int]:
  """Probabilities, whether windows were compared with walking, and how many files with that of all.

  Each file has its own walking if all have enough, since they may be of several people. Else all share one.
  files: the name of each window's file.
  """
  combined, names = np.array(encoder), dict.fromkeys(files.tolist())
  for name in names:
    is_in_file = files == name
    alone = encoder[is_in_file]
    answers = head.combine(alone, described.only(is_in_file), classes, temperature)
    if answers is alone:  # too little walking
      break
    combined[is_in_file] = answers
  else:
    return combined, True, 0
  together = head.combine(encoder, described, classes, temperature)
  compared = together is not encoder
  return together, compared, len(names) if compared else 0


def warnings_for(recognizer: Recognizer, reading: Reading) -> list[str]:
  """Sentences on sensors, and versions of packages, that differ from those of the training."""
  sentences = baseline_adapter.version_doubts(recognizer.adapter_.card)
  if recognizer.has_gyro and not reading.has_gyro:
    sentences.append(
      'The model was trained with a gyroscope, and this recording has none: expect more errors.'
    )
  if reading.has_gyro and not recognizer.has_gyro:
    sentences.append('The model was trained without a gyroscope: the gyroscope of this recording is ignored.')
  return sentences

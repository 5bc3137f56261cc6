"""The recognizer's prediction for each window of a long recording.   w windows, y classes."""

import collections
import dataclasses
import itertools
from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float, Int

from har_jax import recordings
from har_jax.baselines import relative_features
from har_jax.baselines.relative_features import Described
from har_jax.config import DEFAULT_WINDOWING, Windowing
from har_jax.datasets import signal_summary
from har_jax.errors import UserError
from har_jax.recognizer.recognizer import Recognizer
from har_jax.recognizer.recording_head import RecordingHead
from har_jax.recordings import Reading
from har_jax.signal.cutting import Window

_CHUNK = 1024  # windows per call: a few seconds on a CPU, so that the progress bar moves


@dataclasses.dataclass(frozen=True)
class Predictions:
  """Windows in order of recording and time. A window with a gap in it has no prediction.

  `recording` is an index into the reading's recordings; `start_s` is on that recording's clock.
  `still` is True where the device did not move. `compared`: whether the recording had enough walking for the
  recording head; None: there is no such head. `pooled_files`: how many were compared with the walking of all,
  because one of them has too little; 0: each with its own.
  """

  classes: tuple[str, ...]
  recording: Int[np.ndarray, 'w']
  start_s: Float[np.ndarray, 'w']
  probabilities: Float[np.ndarray, 'w y']
  still: Bool[np.ndarray, 'w']
  tta_shifts: int = 1
  compared: bool | None = None
  pooled_files: int = 0
  windowing: Windowing = DEFAULT_WINDOWING

  @property
  def warnings(self) -> list[str]:
    """Sentences on what the answers rest on."""
    if not self.pooled_files:
      return []
    return [
      f'At least one of {self.pooled_files} files has too little walking, so the windows of all were '
      'compared with the walking of all: if they are of several people or devices, give each one alone.'
    ]


def predict(recognizer: Recognizer, reading: Reading, *, progress: bool = True) -> Predictions:
  """Predicts windows that overlap by half. A base without an adapter uses its recording head, if it has one.

  Memory: 24 bytes per sample of the longest recording, and a few MB. A recording head needs 1 kB
  per window more.
  Raises UserError if no window fits into the recordings.
  """
  import tqdm

  recording, start_s, probabilities, still, described = [], [], [], [], []
  head = recognizer.recording_head_
  seconds = reading.seconds
  with tqdm.tqdm(
    total=round(seconds), desc='recognizing', unit='s', unit_scale=True, disable=not progress
  ) as bar:
    for windows in _chunks(windows_of(reading, recognizer.windowing), _CHUNK):
      signals = np.stack([window.signal for window in windows])
      probabilities.append(recognizer.probabilities(signals).astype(np.float32))
      still.append(signal_summary.is_still(signals))
      if head is not None:
        described.append(relative_features.describe(signals, recognizer.windowing.rate_hz))
      recording += [window.recording for window in windows]
      start_s += [window.start_s for window in windows]
      before_s = sum(float(each.acc.time_s[-1]) for each in reading.recordings[: recording[-1]])
      bar.update(round(before_s + start_s[-1]) - bar.n)
    bar.update(round(seconds) - bar.n)
  classes, joined = tuple(str(each) for each in recognizer.classes_), np.concatenate(probabilities)
  compared, pooled = None, 0
  if head is not None:
    each_file = _by_file(reading, np.array(recording))
    joined, compared, pooled = _combine(
      head, joined, relative_features.concatenate(described), classes, each_file
    )
  return Predictions(
    classes,
    np.array(recording),
    np.array(start_s),
    joined,
    np.concatenate(still),
    int(recognizer.tta_shifts),  # JSON has no NumPy integers
    compared,
    pooled,
    recognizer.windowing,
  )


def _by_file(reading: Reading, recording: Int[np.ndarray, 'w']) -> list[Bool[np.ndarray, 'w']]:
  """Masks of the windows of each file."""
  files = np.array(reading.files or [''] * len(reading.recordings))[recording]
  return [files == name for name in dict.fromkeys(files.tolist())]


def _combine(
  head: RecordingHead,
  encoder: Float[np.ndarray, 'w y'],
  described: Described,
  classes: tuple[str, ...],
  each_file: list[Bool[np.ndarray, 'w']],
) -> tuple[Float[np.ndarray, 'w y'], bool, int]:
  """Probabilities, whether windows were compared with walking, and how many files with that of all.

  Each file with its own walking if all have enough, since they may be of several people; else all together.
  """
  combined = np.array(encoder)
  for kept in each_file:
    alone = encoder[kept]
    found = head.combine(alone, described.only(kept), classes)
    if found is alone:  # too little walking
      break
    combined[kept] = found
  else:
    return combined, True, 0
  together = head.combine(encoder, described, classes)
  compared = together is not encoder
  return together, compared, len(each_file) if compared and len(each_file) > 1 else 0


def warnings_for(recognizer: Recognizer, reading: Reading) -> list[str]:
  """Sentences on sensors that differ from those of the training windows, and on an untrained head."""
  found = []
  federated = recognizer.adapter_.card.federated
  if federated is not None and federated.settings.get('personal_head'):
    found.append(
      'The adapter is of a federation with personal heads: its own was not trained. Expect errors.'
    )
  if recognizer.has_gyro and not reading.has_gyro:
    found.append('The adapter was trained with a gyroscope, and this recording has none: expect more errors.')
  if reading.has_gyro and not recognizer.has_gyro:
    found.append('The adapter was trained without a gyroscope: the gyroscope of this recording is ignored.')
  return found


def windows_of(reading: Reading, windowing: Windowing) -> Iterator[Window]:
  """Windows without a gap, which overlap by half. One resampled recording is in memory at a time.

  Raises UserError at the end if there was none.
  """
  count = 0
  for index, recording in enumerate(reading.recordings):
    one = dataclasses.replace(reading, recordings=[recording])
    for window in recordings.to_windows(one, windowing, unlabeled=True, dropped=collections.Counter()):
      count += 1
      yield dataclasses.replace(window, recording=index)
  if not count:
    raise UserError(
      f'no window of {windowing.seconds:g} s without a gap in {reading.seconds:.1f} s of recording: '
      'is its rate 5 Hz or less, or is it too short?'
    )


def _chunks(windows: Iterator[Window], size: int) -> Iterator[list[Window]]:
  while chunk := list(itertools.islice(windows, size)):
    yield chunk

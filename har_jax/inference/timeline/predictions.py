"""The recognizer's prediction for each window of a long recording.   w windows, y classes."""

import collections
import dataclasses
import itertools
from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float, Int

from har_jax.baselines import relative_features
from har_jax.data import signal_summary, user_recordings
from har_jax.data.cutting import Window
from har_jax.data.user_recordings import Reading
from har_jax.errors import UserError
from har_jax.inference.recognizer import Recognizer

_CHUNK = 1024  # windows per call: a few seconds on a CPU, so that the progress bar moves


@dataclasses.dataclass(frozen=True)
class Predictions:
  """Windows in order of recording and time. A window with a gap in it has no prediction.

  `recording` is an index into the reading's recordings; `start_s` is on that recording's clock.
  `still` is True where the device did not move. `compared`: whether the recording had enough walking for the
  recording head; None: there is no such head.
  """

  classes: tuple[str, ...]
  recording: Int[np.ndarray, 'w']
  start_s: Float[np.ndarray, 'w']
  probabilities: Float[np.ndarray, 'w y']
  still: Bool[np.ndarray, 'w']
  tta_shifts: int = 1
  compared: bool | None = None


def predict(recognizer: Recognizer, reading: Reading, *, progress: bool = True) -> Predictions:
  """Predicts a window every 1.28 s. A base without an adapter answers with its recording head, if it has one.

  Memory: 24 bytes per sample of the longest recording at 50 Hz, and a few MB. A recording head needs 1 kB
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
    for windows in _chunks(windows_of(reading), _CHUNK):
      signals = np.stack([window.signal for window in windows])
      probabilities.append(recognizer.probabilities(signals).astype(np.float32))
      still.append(signal_summary.is_still(signals))
      if head is not None:
        described.append(relative_features.describe(signals))
      recording += [window.recording for window in windows]
      start_s += [window.start_s for window in windows]
      before_s = sum(float(each.acc.time_s[-1]) for each in reading.recordings[: recording[-1]])
      bar.update(round(before_s + start_s[-1]) - bar.n)
    bar.update(round(seconds) - bar.n)
  classes, joined = tuple(str(each) for each in recognizer.classes_), np.concatenate(probabilities)
  compared = None
  if head is not None:  # one wearer and one device: all windows are compared with the same walking
    combined = head.combine(joined, relative_features.concatenate(described), classes)
    joined, compared = combined, combined is not joined
  return Predictions(
    classes,
    np.array(recording),
    np.array(start_s),
    joined,
    np.concatenate(still),
    int(recognizer.tta_shifts),  # JSON has no NumPy integers
    compared,
  )


def warnings_for(recognizer: Recognizer, reading: Reading) -> list[str]:
  """Sentences on sensors that differ from those of the training windows, and on an untrained head."""
  found = []
  federation = recognizer.adapter_.card.get('federated') or {'settings': {}}
  if federation['settings'].get('personal_head'):
    found.append(
      'The adapter is of a federation with personal heads: its own was not trained. Expect errors.'
    )
  if recognizer.has_gyro and not reading.has_gyro:
    found.append('The adapter was trained with a gyroscope, and this recording has none: expect more errors.')
  if reading.has_gyro and not recognizer.has_gyro:
    found.append('The adapter was trained without a gyroscope: the gyroscope of this recording is ignored.')
  return found


def windows_of(reading: Reading) -> Iterator[Window]:
  """Those without a gap, a window every 1.28 s. One resampled recording is in memory at a time.

  Raises UserError at the end if there was none.
  """
  count = 0
  for index, recording in enumerate(reading.recordings):
    one = dataclasses.replace(reading, recordings=[recording])
    for window in user_recordings.to_windows(one, unlabeled=True, dropped=collections.Counter()):
      count += 1
      yield dataclasses.replace(window, recording=index)
  if not count:
    raise UserError(
      f'no window of 2.56 s without a gap in {reading.seconds:.1f} s of recording: '
      'is its rate 5 Hz or less, or is it too short?'
    )


def _chunks(windows: Iterator[Window], size: int) -> Iterator[list[Window]]:
  while chunk := list(itertools.islice(windows, size)):
    yield chunk

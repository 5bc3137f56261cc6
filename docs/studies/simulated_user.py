"""What a user's corrections are worth: recordings streamed to a simulated user, who corrects wrong answers.

w windows, y classes, f features: the output layer's inputs, and a 1 for the bias.
"""

import dataclasses
import math
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from har_jax.config import Windowing
from har_jax.datasets.windows import find_labels
from har_jax.errors import UserError
from har_jax.experiments.supervised_head import NAMES
from har_jax.recognizer.recognizer import Recognizer
from har_jax.recordings import Reading, to_windows
from har_jax.signal.recording import Recording
from har_jax.stream.corrections import PENALTY, REPLAYED, CorrectedFilter
from har_jax.timeline.activities import label_at
from har_jax.timeline.bouts import MEAN_BOUT_S, Chain
from har_jax.train import metrics
from har_jax.train.evaluation import predict

WRONG_S = 10.0  # after which the user corrects
SAID_S = 5.0  # what the user then says that the last seconds were
_BETWEEN_S = 3600.0  # two recordings of a person


@dataclasses.dataclass(frozen=True)
class Windows:
  """One person's windows in order of time, on one clock. label: index of the class, or -1."""

  start_s: Float[np.ndarray, 'w']
  label: Int[np.ndarray, 'w']
  hidden: Float[np.ndarray, 'w f']
  logits: Float[np.ndarray, 'w y']
  is_last: Bool[np.ndarray, 'w']  # recording of the person: to test on


def windows_of(recognizer: Recognizer, recordings: Sequence[Recording]) -> dict[str, Windows]:
  """Windows of people with two recordings or more, by person, grouped as by a base's head."""
  reading = Reading(list(recordings), [], [], '', True)
  windowing = recognizer.windowing
  cut = to_windows(reading, windowing, unlabeled=True)
  signal = recognizer.prepare(np.stack([window.signal for window in cut]))
  batch = {'signal': signal, 'label': np.zeros(len(signal), np.int32)}
  outputs = predict(recognizer.adapter_.objective.with_hidden, recognizer.variables_, batch)
  classes = recognizer.classes_.tolist()
  number = np.array([window.recording for window in cut])
  start_s = np.array([window.start_s for window in cut])
  names = [label_at(recordings[window.recording], window.start_s, windowing) for window in cut]
  names = [name if name is None or name in classes else NAMES.get(name) for name in names]
  label = find_labels(names, classes)
  by_person = {}
  for subject in dict.fromkeys(recording.subject for recording in recordings):
    numbers = [index for index, recording in enumerate(recordings) if recording.subject == subject]
    if len(numbers) > 1:
      indices = np.flatnonzero(np.isin(number, numbers))
      clock_s = start_s[indices] + _BETWEEN_S * number[indices]
      hidden, logits = outputs[indices, : -len(classes)], outputs[indices, -len(classes) :]
      by_person[subject] = Windows(clock_s, label[indices], hidden, logits, number[indices] == numbers[-1])
  if not by_person:
    raise UserError('no person has two recordings; give those of hapt')
  return by_person


def without(windows: Windows, label: int) -> Windows:
  """Windows as a model without this class has them: its label is then one more than the classes."""
  is_other = np.arange(windows.logits.shape[1]) != label
  # The last one: of no class.
  labels = np.append(np.where(is_other, np.cumsum(is_other) - 1, is_other.sum()), -1)
  return dataclasses.replace(windows, label=labels[windows.label], logits=windows.logits[:, is_other])


def measure(
  people: Sequence[Windows],
  recognizer: Recognizer,
  most: Sequence[int],
  *,
  penalty: float = PENALTY,
  replayed: int = REPLAYED,
) -> Iterator[dict[str, Any]]:
  """A row for each number in `most`: means over the people of measures on their last recordings.

  The user makes at most so many corrections, none of them in the last recording. `corrected`, `other`:
  windows of activities that this person corrected, or never. Worst: of the people. Milliseconds: of the
  processor.
  """
  classes, temperature = people[0].logits.shape[1], float(recognizer.adapter_.card.temperature)
  windowing = recognizer.windowing
  chain = Chain(MEAN_BOUT_S, windowing.step_s, windowing.seconds)

  def streamed(windows: Windows, limit: int) -> _Streamed:
    features = windows.hidden.shape[1]
    layer = CorrectedFilter(chain, features, classes, penalty=penalty, replayed=replayed)
    return _stream(windows, layer, temperature, limit, windowing)

  plain = [streamed(windows, 0).answers for windows in people]
  for limit in most:
    streams = [streamed(windows, limit) for windows in people]
    rows = pd.DataFrame(map(_measures, people, streams, plain))
    milliseconds = [duration for person in streams for duration in person.milliseconds]
    change = rows['accuracy'] - rows['plain_accuracy']
    yield {'most': limit, 'people': len(rows), **rows.mean()} | {
      'gain_deviation': change.std(ddof=0),
      'gain_worst': change.min(),
      'milliseconds': float(np.mean(milliseconds)) if milliseconds else None,
      'milliseconds_worst': float(np.max(milliseconds)) if milliseconds else None,
    }


class _Streamed(NamedTuple):
  """The answers, the label of each correction, and how long each one took."""

  answers: Int[np.ndarray, 'w']
  corrected: list[int]
  milliseconds: list[float]


def _stream(
  windows: Windows, layer: CorrectedFilter, temperature: float, limit: int, windowing: Windowing
) -> _Streamed:
  window_s = windowing.seconds
  answers = np.zeros(len(windows.label), int)
  corrected: list[int] = []
  milliseconds: list[float] = []
  wrong_since_s, wrong = 0.0, -1  # the activity that has been answered wrongly since then
  for index, (start_s, label) in enumerate(
    zip(windows.start_s.tolist(), windows.label.tolist(), strict=True)
  ):
    if index and start_s > windows.start_s[index - 1] + windowing.step_s + window_s:
      layer.restart()
    answers[index] = layer.update(start_s, windows.hidden[index], windows.logits[index], temperature).argmax()
    if label < 0 or answers[index] == label:
      wrong = -1
    elif label != wrong:
      wrong_since_s, wrong = start_s, label
    is_long = wrong >= 0 and start_s + window_s >= wrong_since_s + WRONG_S
    if is_long and not windows.is_last[index] and len(corrected) < limit:
      begun_s = time.process_time()
      layer.correct(label, label, SAID_S)
      milliseconds.append(1e3 * (time.process_time() - begun_s))
      corrected.append(label)
      wrong = -1
  return _Streamed(answers, corrected, milliseconds)


def _measures(windows: Windows, streamed: _Streamed, plain: Int[np.ndarray, 'w']) -> dict[str, float | int]:
  """plain: the answers without corrections. NaN of `corrected` or `other` activities where there are none."""
  tested = windows.is_last & (windows.label >= 0)
  label, answers, plain = windows.label[tested], streamed.answers[tested], plain[tested]
  is_corrected = np.isin(label, streamed.corrected)
  accuracies = {
    f'{name}_{suffix}': float((predicted == label)[is_counted].mean()) if is_counted.any() else math.nan
    for name, is_counted in (('corrected', is_corrected), ('other', ~is_corrected))
    for suffix, predicted in (('plain_accuracy', plain), ('accuracy', answers))
  }
  measured = metrics.measure(label, answers, 1 + int(max(label.max(), answers.max())))
  return {
    'used': len(streamed.corrected),
    'accuracy': measured.accuracy,
    'macro_f1': measured.macro_f1,
    'plain_accuracy': float((plain == label).mean()),
    **accuracies,
  }

"""Measure what a user's corrections are worth, write results/corrections.csv, and fill its page.

python docs/studies/corrections.py --archive_path=<HAPT's zip or folder>
python docs/studies/corrections.py --nomeasure

HAPT's recordings are streamed to a simulated user, who corrects wrong answers.
Groups of rows that the table has are not measured again. All of them take some minutes.
w windows, y classes, f features: the output layer's inputs, and a 1 for the bias.
"""

import collections
import dataclasses
import math
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import study
from jaxtyping import Bool, Float, Int

from har_jax import Recognizer
from har_jax.archives import ARCHIVES
from har_jax.config import Windowing
from har_jax.datasets.windows import find_labels
from har_jax.errors import UserError
from har_jax.experiments.supervised_head import NAMES
from har_jax.report import csv_table, markdown
from har_jax.signal.recording import LOCOMOTION, Recording
from har_jax.stream.corrections import PENALTY, REPLAYED, CorrectedFilter
from har_jax.timeline.bouts import MEAN_BOUT_S, Chain
from har_jax.train import metrics
from har_jax.train.evaluation import predict

FLAGS, _define = study.new_flags()
_ARCHIVE_PATH = _define('archive_path', None, "HAPT's zip or extracted folder")
TABLE, PAGE = study.places('corrections')
_MOST = (0, 1, 3, 5, 10)
_SEEDS = (0, 1, 2)
_LABELS = 10  # windows of each activity and person that an adapter is trained on
# Penalty, replayed windows per class.
_CHOICES = ((0.1, 32), (0.03, 32), (1.0, 32), (0.1, 128), (0.1, 0))
_GROUP = ['recordings', 'trained_people', 'seed']  # trained_people 0: the bundled base's own head
WRONG_S = 10.0  # after which the user corrects
SAID_S = 5.0  # what the user then says that the last seconds were
_BETWEEN_S = 3600.0  # two recordings of a person


def _hapt(name: str, trained_people: int, seed: int) -> Iterator[dict[str, Any]]:
  recordings = study.read(name, _ARCHIVE_PATH.value)
  tested = ARCHIVES[name].test_subjects or ()
  others = sorted({recording.subject for recording in recordings} - {*tested}, key=int)
  trained = np.random.default_rng(seed).permutation(others)[:trained_people].tolist()
  recognizer = Recognizer.load()
  if trained:
    own = [recording for recording in recordings if recording.subject in trained]
    recognizer = _adapted(recognizer, own, seed)
  windows = windows_of(recognizer, recordings)
  validation = [windows[person] for person in others if person in windows and person not in trained]
  test = [windows[person] for person in tested if person in windows]
  classes = enumerate(recognizer.classes_.tolist()) if trained_people > 1 else ()
  cases = [
    *(('validation', validation, choice, _MOST[-1:]) for choice in (_CHOICES if seed == _SEEDS[0] else ())),
    ('test', test, (PENALTY, REPLAYED), _MOST),
    *(
      (f'without {activity}', [without(one, label) for one in test], (PENALTY, REPLAYED), _MOST[-1:])
      for label, activity in classes
    ),
  ]
  for part, people, (penalty, replayed), most in cases:
    for row in measure(people, recognizer, most, penalty=penalty, replayed=replayed):
      yield {'part': part, 'penalty': penalty, 'replayed': replayed, **row}


def _adapted(base: Recognizer, recordings: list[Recording], seed: int) -> Recognizer:
  """An adapter of these people's first windows of each activity."""
  windows, names = study.cut(recordings, base.windowing)
  by_activity: dict[Any, list[int]] = collections.defaultdict(list)
  for index, (name, window) in enumerate(zip(names, windows, strict=True)):
    if name in LOCOMOTION:
      by_activity[window.subject, name].append(index)
  first = [index for indices in by_activity.values() for index in indices[:_LABELS]]
  signals = np.stack([windows[index].signal for index in first])
  options: dict[str, Any] = {'max_steps': 100, 'random_state': seed}
  return base.adapt(signals, [names[index] for index in first], **options)


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
  cut, names = study.cut(recordings, recognizer.windowing)
  signal = recognizer.prepare(np.stack([window.signal for window in cut]))
  batch = {'signal': signal, 'label': np.zeros(len(signal), np.int32)}
  outputs = predict(recognizer.adapter_.objective.with_hidden, recognizer.variables_, batch)
  classes = recognizer.classes_.tolist()
  number = np.array([window.recording for window in cut])
  start_s = np.array([window.start_s for window in cut])
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


def _measure_all() -> None:
  groups = (
    dict(zip(_GROUP, ('hapt', *group), strict=True))
    for group in [(0, 0), *((people, seed) for seed in _SEEDS for people in (1, 12))]
  )
  study.resume(TABLE, groups, lambda group: [group | row for row in _hapt(*group.values())], _GROUP)


def block() -> str:
  """What was measured, and two tables: means over people, then over seeds."""
  rows = csv_table.read(TABLE)
  names = ['recordings', 'trained_people']
  test = _shown(rows[rows['part'] == 'test'], [*names, 'most'])
  choices = _shown(rows[rows['part'] == 'validation'], [*names, 'penalty', 'replayed'])
  lacking = _shown(rows[rows['part'].str.startswith('without')], [*names, 'part', 'most'])
  return '\n\n'.join(
    (
      'On test people. “Most” is the number of corrections that the user may make, “used” how many '
      'were. Accuracy and macro-F1 are on the last recording of each person, after all corrections: the '
      'mean over people, then over seeds. “Gain” is of the accuracy, in points, ± its standard '
      'deviation over people; “worst” is of one person. “Corrected” is the accuracy on activities '
      'that a person corrected, before and after; “others” is that on activities that this person never '
      'corrected. “ms” are of one processor core: the mean, and the longest correction.',
      markdown.tabulated(test),
      f'On validation people, which chose the penalty, with at most {_MOST[-1]} corrections:',
      markdown.tabulated(choices),
      'On test people; the output layer lacks an activity, and “corrected” is mostly that one:',
      markdown.tabulated(lacking),
    )
  )


def _shown(rows: pd.DataFrame, names: list[str]) -> pd.DataFrame:
  grouped = rows.groupby(names, sort=False)
  means, worst = grouped.mean(numeric_only=True).reset_index(), grouped.min(numeric_only=True).reset_index()
  longest, seeds = grouped['milliseconds_worst'].max(), grouped['seed'].nunique()
  gain = 100 * (means['accuracy'] - means['plain_accuracy'])
  shown = {name: means[name].astype(str) for name in names}
  shown['trained_people'] = means['trained_people'].map(
    lambda count: f'adapter of {count:.0f}' if count else 'bundled base'
  )
  shown |= {
    'seeds': seeds.astype(str).to_numpy(),
    'people': means['people'].map('{:.0f}'.format),
    'used': means['used'].map('{:.1f}'.format),
    'accuracy': means['accuracy'].map('{:.3f}'.format),
    'macro-F1': means['macro_f1'].map('{:.3f}'.format),
    'gain': [
      f'{mean:+.1f} ± {100 * spread:.1f}' for mean, spread in zip(gain, means['gain_deviation'], strict=True)
    ],
    'worst': (100 * worst['gain_worst']).map('{:+.1f}'.format),
    'corrected': _pairs(means, 'corrected'),
    'others': _pairs(means, 'other'),
    'ms': [
      markdown.NONE if pd.isna(mean) else f'{mean:.0f}, {most:.0f}'
      for mean, most in zip(means['milliseconds'], longest, strict=True)
    ],
  }
  return pd.DataFrame(shown).rename(columns={'trained_people': 'start'})


def _pairs(means: pd.DataFrame, name: str) -> list[str]:
  pairs = zip(means[f'{name}_plain_accuracy'], means[f'{name}_accuracy'], strict=True)
  return [f'{study.number(before)}, {study.number(after)}' for before, after in pairs]


if __name__ == '__main__':
  study.run(__name__, _measure_all)

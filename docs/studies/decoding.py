"""Compare decoders of recordings, write results/decoding.csv, and fill its page.   w windows, y activities.

python docs/studies/decoding.py --archive_path=<HAPT's zip or folder>

Each window alone, their average, and a hidden Markov model. Recordings: HAPT's, and made-up days of two
archives of the sample, with few labels. Takes some minutes.
"""

import collections
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import study
from jaxtyping import Float, Int
from scipy import special

from har_jax import config
from har_jax.baselines import BASELINES
from har_jax.datasets import splits
from har_jax.datasets.windows import find_labels
from har_jax.errors import UserError
from har_jax.recognizer import temperature
from har_jax.report import csv_table, markdown
from har_jax.signal.recording import LOCOMOTION, Recording, Span, regular
from har_jax.timeline.bouts import Chain
from har_jax.timeline.predictions import Predictions, without_gaps
from har_jax.train import metrics

FLAGS, _define = study.new_flags()
_ARCHIVE_PATH = _define('archive_path', None, "HAPT's zip or extracted folder")
TABLE, PAGE = study.places('decoding')[0], study.places('ablations')[1]
_SEEDS = (0, 1, 2)
_DAYS = {'sample_motionsense': 60.0, 'sample_wisdm': 60.0}  # archive → mean bout, s
Decoder = Callable[[Float[np.ndarray, 'w y']], Float[np.ndarray, 'w y']]
_WINDOWING = config.DEFAULT_WINDOWING
_MEANS_S = (2.5, 5.0, 10.0, 20.0, 40.0)
_AVERAGED = 9  # windows, 10 s
_MIN_PROBABILITY = 1e-3  # a forest's may be 0


def block() -> str:
  """Each decoder with the mean bout that is best for validation people, on test people."""
  measured = csv_table.read(TABLE, {'mean_bout_s': object}).fillna({'mean_bout_s': markdown.NONE})
  by = ['recordings', 'decoder']
  mean = measured.groupby([*by, 'mean_bout_s', 'part'], sort=False)['macro_f1'].mean().unstack('part')
  best = mean['validation'].groupby(by, sort=False).idxmax()
  best_rows = measured[pd.MultiIndex.from_frame(measured[[*by, 'mean_bout_s']]).isin(best)]
  test, validation = (best_rows[best_rows['part'] == part] for part in ('test', 'validation'))
  means = validation.groupby(by)['macro_f1'].mean()
  cells = {
    'seeds': markdown.seeds,
    'validation macro-F1': lambda groups: [f'{means[key[:2]]:.3f}' for key in groups.size().index],
    'test macro-F1': markdown.spread_of('macro_f1', '.3f'),
    'test accuracy': markdown.spread_of('accuracy', '.3f'),
  }
  return markdown.tabulated(markdown.rows(test, [*by, 'mean_bout_s'], cells))


def _rows() -> Iterator[dict[str, Any]]:
  recordings = study.read('hapt', _ARCHIVE_PATH.value)
  for seed in _SEEDS:
    for row in measure(recordings, config.Protocol(), seed):
      yield {'recordings': 'hapt', **row}
  for name, mean_bout_s in _DAYS.items():
    parts = study.read(name, None)
    for seed in _SEEDS:
      days = made_up_days(parts, mean_bout_s=mean_bout_s, length_s=1200.0, seed=seed)
      for row in measure(days, config.Protocol(label_budget='5/class'), seed):
        yield {'recordings': f'{name}, made-up days', **row}


def measure(
  recordings: Sequence[Recording], protocol: config.Protocol, seed: int
) -> Iterator[dict[str, Any]]:
  """A row per part, decoder and mean bout: measures over the windows that lie within one labeled activity.

  The forest is fitted to the train people's windows, its temperature to the validation people's.
  Raises UserError where each recording has one activity: decoding would cross recordings.
  """
  if all(len({span.activity for span in recording.spans}) < 2 for recording in recordings):
    raise UserError('each recording has one activity; give continuous recordings, such as those of hapt')
  windows, names = study.cut(recordings, _WINDOWING)
  signals = np.stack([window.signal for window in windows])
  classes = [name for name in LOCOMOTION if name in names]
  labels = find_labels(names, classes)
  people = list(dict.fromkeys(recording.subject for recording in recordings))
  subjects = np.array([people.index(window.subject) for window in windows])
  labeled = np.flatnonzero(labels >= 0)
  split = splits.split(labels[labeled], subjects[labeled], protocol, seed)
  train = labeled[splits.apply_label_budget(split.train, labels[labeled], protocol, seed)]
  forest = BASELINES['forest'](seed, _WINDOWING.rate_hz).fit(signals[train], labels[train])
  logits = np.log(np.maximum(forest.predict_proba(signals), _MIN_PROBABILITY))
  validation = labeled[split.validation]
  probabilities = special.softmax(logits / temperature.fit(logits[validation], labels[validation]), axis=1)
  for part in ('validation', 'test'):
    indices = np.flatnonzero(np.isin(subjects, subjects[labeled[getattr(split, part)]]))
    predictions = Predictions(
      tuple(classes),
      np.array([windows[index].recording for index in indices]),
      np.array([windows[index].start_s for index in indices]),
      probabilities[indices],
      np.zeros(len(indices), bool),
      _WINDOWING,
    )
    for decoder, mean_bout_s, decode in _decoders():
      yield {
        'seed': seed,
        'part': part,
        'decoder': decoder,
        'mean_bout_s': mean_bout_s,
        **_measures(predictions, labels[indices], decode),
      }


def made_up_days(
  recordings: Sequence[Recording], *, mean_bout_s: float, length_s: float, seed: int
) -> list[Recording]:
  """A day per person, of pieces of the person's recordings of one activity each, at their rate.

  A bout lasts 3 s and an exponentially distributed time; each activity follows each other one alike.
  """
  by_person: dict[str, dict[str, list[Recording]]] = {}
  for recording in recordings:
    activities = by_person.setdefault(recording.subject, collections.defaultdict(list))
    activities[recording.spans[0].activity].append(recording)
  rng = np.random.default_rng(seed)
  return [_day(activities, mean_bout_s, length_s, rng) for activities in by_person.values()]


def _day(
  recordings: dict[str, list[Recording]], mean_bout_s: float, length_s: float, rng: np.random.Generator
) -> Recording:
  acc, gyro, spans, at_s, name = [], [], [], 0.0, ''
  while at_s < length_s:
    name = rng.choice([activity for activity in recordings if activity != name])
    source = recordings[name][rng.integers(len(recordings[name]))]
    rate_hz = 1 / float(np.median(np.diff(source.acc.time_s)))
    count = min(round((3 + rng.exponential(mean_bout_s)) * rate_hz), len(source.acc.values))
    first = rng.integers(len(source.acc.values) - count + 1)
    acc.append(source.acc.values[first : first + count])
    gyro.append(source.gyro.values[first : first + count])
    spans.append(Span(at_s, at_s + count / rate_hz, str(name)))
    at_s += count / rate_hz
  samples = [regular(np.concatenate(parts), rate_hz) for parts in (acc, gyro)]
  return Recording(source.subject, source.position, samples[0], samples[1], tuple(spans))


def _decoders() -> Iterator[tuple[str, float | None, Decoder]]:
  yield 'each window alone', None, lambda probabilities: probabilities
  yield 'average over 10 s', None, _average
  for mean_bout_s in _MEANS_S:
    chain = Chain(mean_bout_s, _WINDOWING.step_s, _WINDOWING.seconds)
    yield 'filter', mean_bout_s, functools.partial(_filtered, chain)
    yield 'smoother', mean_bout_s, chain.smoothed
    yield 'Viterbi', mean_bout_s, functools.partial(_most_probable_path, chain)


def _measures(
  predictions: Predictions, labels: Int[np.ndarray, 'w'], decode: Decoder
) -> dict[str, float | int]:
  gapless = without_gaps(predictions.recording, predictions.start_s, predictions.windowing)
  parts = [decode(predictions.probabilities[part]) for part in gapless]
  predicted, is_labeled = np.concatenate(parts).argmax(axis=1), labels >= 0
  measured = metrics.measure(labels[is_labeled], predicted[is_labeled], len(predictions.classes))
  return {'windows': int(is_labeled.sum())} | {'accuracy': measured.accuracy, 'macro_f1': measured.macro_f1}


def _average(probabilities: Float[np.ndarray, 'w y']) -> Float[np.ndarray, 'w y']:
  return pd.DataFrame(probabilities).rolling(_AVERAGED, min_periods=1, center=True).mean().to_numpy()


def _filtered(chain: Chain, probabilities: Float[np.ndarray, 'w y']) -> Float[np.ndarray, 'w y']:
  posteriors: list[np.ndarray] = []
  for row in probabilities:
    posteriors.append(chain.update(posteriors[-1] if posteriors else None, row))
  return np.stack(posteriors)


def _most_probable_path(chain: Chain, probabilities: Float[np.ndarray, 'w y']) -> Float[np.ndarray, 'w y']:
  """The Viterbi path, as 0 and 1."""
  states = np.eye(probabilities.shape[1])
  # `update` normalizes; a factor a window changes no path.
  steps = np.log([chain.update(state, np.ones(len(states))) for state in states])
  evidence = np.log([chain.update(None, row) for row in probabilities])
  best, came_from = evidence[0], []
  for row in evidence[1:]:
    scores = best[:, None] + steps
    came_from.append(scores.argmax(axis=0))
    best = scores.max(axis=0) + row
  path = [int(best.argmax())]
  for earlier in reversed(came_from):
    path.append(int(earlier[path[-1]]))
  return states[path[::-1]]


if __name__ == '__main__':
  study.run(__name__, lambda: study.write(TABLE, _rows()))

"""Compare stretches suggested for labels with random ones, and fill docs/results/suggestions.md.

python docs/studies/suggestions.py --windows=windows
python docs/studies/suggestions.py --nomeasure

One person's recordings are cut into stretches, some of which are labeled. A linear head on the frozen bundled
base is fitted to them, and tested on other people.
w windows, t training windows, s stretches, f features.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

import kinds
import numpy as np
import pandas as pd
import study
from jaxtyping import Float
from sklearn.cluster import KMeans, kmeans_plusplus
from sklearn.linear_model import LogisticRegression

from har_jax import Recognizer, methods
from har_jax.continual.learner import Features
from har_jax.model import head_input_limits
from har_jax.report import csv_table, markdown
from har_jax.signal import statistics
from har_jax.timeline import suggestions
from har_jax.train import evaluation, output_layer

FLAGS = kinds.FLAGS
TABLE, PAGE = study.places('suggestions')
KINDS = (
  kinds.Kind('HAPT, waist', 'hapt'),
  kinds.Kind('MotionSense, pocket', 'motionsense'),
  kinds.Kind('PDIoT, pocket', 'pdiot'),
)
_SEEDS, _LABELS = range(5), (10, 20, 40)
_MOST_TESTED = 600  # windows of other people
_GAP_S = 2.0  # between the starts of windows that are neighbors: less
RANDOM, SUGGESTED = 'random', 'suggested'


@dataclasses.dataclass(frozen=True)
class Person:
  """Stretches of one person, and windows of other people with the same activities."""

  stretches: list[np.ndarray]  # indices of the windows of each
  tested: np.ndarray
  features: dict[int, Float[np.ndarray, 'f']]  # the head's input, by window
  probabilities: Float[np.ndarray, 's y']  # of the base's own head
  statistics: Float[np.ndarray, 's f']
  encoded: Float[np.ndarray, 's f']  # the encoder's part of the head's input


def draw(kind: kinds.Kind, seed: int) -> Person:
  """One person, drawn anew for each seed, and half of the others."""
  signals, activities, people = kinds.load(kind)
  loaded = kinds.open_windows(kind)
  recordings, start_s = np.array(loaded.recording), np.array(loaded.start_s)
  rng = np.random.default_rng(seed)
  order = rng.permutation(np.unique(people))
  own = np.flatnonzero(people == order[0])
  own = own[np.lexsort((start_s[own], recordings[own]))]
  breaks = np.flatnonzero((np.diff(recordings[own]) != 0) | (np.diff(start_s[own]) > _GAP_S)) + 1
  size = suggestions.STRETCH_WINDOWS
  stretches = [
    part[first : first + size]
    for part in np.split(own, breaks)
    for first in range(0, len(part) - size + 1, size)
  ]
  names = [_most_frequent(activities[stretch]) for stretch in stretches]
  others = np.isin(people, order[len(order) // 2 :]) & np.isin(activities, names)
  tested = rng.permutation(np.flatnonzero(others))[:_MOST_TESTED]
  indices = np.concatenate([*stretches, tested])
  features, probabilities = encode(signals[indices])
  own_count = size * len(stretches)

  def means(windows: Float[np.ndarray, 'w f']) -> Float[np.ndarray, 's f']:
    return windows[:own_count].reshape(len(stretches), size, -1).mean(axis=1)

  own = statistics.window_statistics(signals[indices[:own_count]], 50)
  encoded = features[:, : -own.shape[1]]
  by_window = dict(zip(indices.tolist(), features, strict=True))
  return Person(stretches, tested, by_window, means(probabilities), means(own), means(encoded))


def encode(signals: Float[np.ndarray, 'w n 6']) -> tuple[Float[np.ndarray, 'w f'], Float[np.ndarray, 'w y']]:
  """Inputs of a linear head on the bundled base, and the base's own answers."""
  model = Recognizer.load()
  windows = {'signal': model.prepare(signals), 'label': np.zeros(len(signals), np.int32)}
  objective = Features(methods.with_linear_head(model.adapter_.objective.model), 2)
  encoder = {path: leaf for path, leaf in model.variables_.items() if '/encoder/' in path}
  return evaluation.predict(objective, encoder, windows), model.probabilities(signals)


def head_inputs(
  features: Float[np.ndarray, 'w f'], training: Float[np.ndarray, 't f']
) -> Float[np.ndarray, 'w f']:
  """Features of `encode` as a linear head takes them that is fitted to some of them."""
  count = len(statistics.NAMES)
  widths = features.shape[1] - count, 0, count
  mean, scale = output_layer.standardization(training, widths)
  limits = head_input_limits(widths)
  return np.clip((features - mean) * scale, -limits, limits)


def choices(person: Person, count: int, seed: int) -> Iterator[tuple[str, np.ndarray]]:
  """Indices of so many stretches, by each way to choose them."""
  total = len(person.stretches)
  ordered = np.sort(person.probabilities, axis=1)
  margins = ordered[:, -1] - ordered[:, -2]
  values = person.statistics
  scaled = (values - values.mean(axis=0)) / np.maximum(values.std(axis=0), 1e-6)
  yield RANDOM, np.random.default_rng(seed).permutation(total)[:count]
  yield 'evenly spaced', np.linspace(0, total - 1, min(count, total)).round().astype(int)
  yield 'least certain', np.argsort(margins)[:count]
  yield 'k-means++', kmeans_plusplus(scaled, min(count, total), random_state=seed)[1]
  yield 'least certain of each cluster', _least_certain(scaled, margins, min(count, total))
  yield "centers of clusters of the encoder's features", suggestions.choose(person.encoded, count)
  yield SUGGESTED, suggestions.choose(values, count)


def _least_certain(scaled: Float[np.ndarray, 's f'], margins: np.ndarray, count: int) -> np.ndarray:
  clusters = KMeans(count, n_init=1, random_state=0).fit_predict(scaled)
  members = [np.flatnonzero(clusters == cluster) for cluster in np.unique(clusters)]
  return np.array([own[margins[own].argmin()] for own in members])


def measure(kind: kinds.Kind, seed: int) -> Iterator[dict[str, Any]]:
  """Rows of TABLE. A stretch has one label, its most frequent activity."""
  person, activities = draw(kind, seed), kinds.load(kind)[1]
  names = np.array([_most_frequent(activities[stretch]) for stretch in person.stretches])
  tested = np.stack([person.features[index] for index in person.tested.tolist()])
  for count in _LABELS:
    for name, chosen in choices(person, count, seed):
      windows = np.concatenate([person.stretches[index] for index in chosen])
      labels = np.repeat(names[chosen], suggestions.STRETCH_WINDOWS)
      features = np.stack([person.features[index] for index in windows.tolist()])
      score = 0.0
      if len(np.unique(labels)) > 1:
        head = LogisticRegression(C=10.0, max_iter=1000).fit(head_inputs(features, features), labels)
        score = kinds.macro_f1(activities[person.tested], head.predict(head_inputs(tested, features)))
      yield {
        'kind': kind.name,
        'seed': seed,
        'choice': name,
        'labels': count,
        'stretches': len(person.stretches),
        'activities_labeled': round(len(np.unique(labels)) / len(np.unique(names)), 4),
        'macro_f1': round(score, 4),
      }


def _most_frequent(activities: np.ndarray) -> str:
  names, counts = np.unique(activities, return_counts=True)
  return names[counts.argmax()]


def block() -> str:
  """A table for each kind: macro-F1 by choice and labels, and how many of the activities have a label."""
  parts = []
  for kind, own in csv_table.read(TABLE).groupby('kind', sort=False):
    mean = own.groupby(['choice', 'labels'], sort=False)[['macro_f1', 'activities_labeled']].mean()
    lines = [
      [name, *('{:.3f} ({:.0%})'.format(*mean.loc[name, count]) for count in _LABELS)]
      for name in own.choice.unique()
    ]
    table = pd.DataFrame(lines, columns=['stretches', *(f'{count} labels' for count in _LABELS)])
    parts.append(f'**{kind}, {own.stretches.mean():.0f} stretches**\n\n{markdown.tabulated(table)}')
  return '\n\n'.join(parts)


if __name__ == '__main__':
  study.run(__name__, lambda: study.write(TABLE, study.measure_kinds(KINDS, _SEEDS, measure)))

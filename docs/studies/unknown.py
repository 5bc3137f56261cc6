"""Compare scores that tell activities that were never learned, and fill docs/results/unknown.md.

python docs/studies/unknown.py --windows=windows --bases=runs/bases
python docs/studies/unknown.py --nomeasure

Half of a kind's people give the training windows of all activities but one. Whole recordings of others are
tested. w windows, t training windows, f inputs of the head.
"""

import itertools
from collections.abc import Iterator
from typing import Any

import kinds
import numpy as np
import study
from jaxtyping import Float, Int
from scipy import special
from sklearn.covariance import ledoit_wolf_shrinkage
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

from har_jax import Recognizer
from har_jax.recognizer import unknown_activities
from har_jax.report import csv_table, markdown

FLAGS = kinds.FLAGS
TABLE, PAGE = study.places('unknown')
_CHOOSING = (kinds.WAIST, kinds.SHOULDER, kinds.EXERCISES)
KINDS = (*_CHOOSING, kinds.FALLS, kinds.POCKET, kinds.CHEST, *kinds.USUAL)
CHOSEN_ON = tuple(kind.name for kind in _CHOOSING)
_SEEDS, _LABELS, _LEFT_OUT = (0, 1, 2), 10, 5  # windows of each activity; activities
_PEOPLE = 6  # of each part
_RATE = 0.05
_NEIGHBORS = 3
HIGHEST, MEANS, RECORDING = 'highest probability', 'nearest class mean', 'class means, in a recording'
BASE = f"{RECORDING}, and the base's answers"


def draw(kind: kinds.Kind, seed: int) -> tuple[Int[np.ndarray, 'w'], Int[np.ndarray, 'w']]:
  """Indices of windows, and the part of each.

  part: 0 to train on, 1 all others of some of the same people, 2 of a quarter of the people, 3 of the last
  quarter. A person's files follow each other in random order, as one recording.
  """
  _, activities, people = kinds.load(kind)
  every = len(people)
  train, *quarters = study.draw_parts(activities, people, seed, (_LABELS,), (every, every))
  is_class = np.isin(activities, activities[train])
  same = np.setdiff1d(np.flatnonzero(is_class & np.isin(people, people[train])), train)
  rng = np.random.default_rng(seed)
  files = kinds.recordings_of(kind)
  place = rng.permutation(files.max() + 1)[files]
  parts = [train]
  for indices in (same, *quarters):
    some = indices[np.isin(people[indices], rng.permutation(np.unique(people[indices]))[:_PEOPLE])]
    parts.append(some[np.lexsort((some, place[some], people[some]))])
  numbers = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
  return np.concatenate(parts), numbers


def scores(
  model: Recognizer,
  signals: Float[np.ndarray, 'w n 6'],
  people: Int[np.ndarray, 'w'],
  train: Float[np.ndarray, 't n 6'],
  labels: Int[np.ndarray, 't'],
) -> Iterator[tuple[str, Float[np.ndarray, 'w']]]:
  """Scores of windows in order of people, by name; the higher, the less known."""
  answers, inputs = model.answer_with_inputs(signals)
  _, of_train = model.answer_with_inputs(train)
  yield HIGHEST, -answers.max(axis=1)
  layer = (model.variables_[f'params/head/dense_0/{leaf}'] for leaf in ('kernel', 'bias'))
  kernel, bias = map(np.asarray, layer)
  yield 'energy', -special.logsumexp(inputs @ kernel + bias, axis=1)
  neighbors = NearestNeighbors(n_neighbors=_NEIGHBORS).fit(of_train)
  distances = neighbors.kneighbors(inputs)[0]
  yield 'nearest training window', distances[:, 0]
  yield f'{_NEIGHBORS} nearest training windows', distances.mean(axis=1)
  means = np.stack([of_train[labels == label].mean(axis=0) for label in np.unique(labels)])
  # Mahalanobis' distance with Ledoit and Wolf's covariance: low rank, and one variance in all directions.
  within = of_train - means[labels]
  shrinkage = ledoit_wolf_shrinkage(within, assume_centered=True)
  _, singular, directions = np.linalg.svd(within, full_matrices=False)
  least = shrinkage * within.var()
  weights = 1 / ((1 - shrinkage) * singular**2 / len(within) + least) - 1 / least
  squares = [
    (difference**2).sum(axis=1) / least + (difference @ directions.T) ** 2 @ weights
    for difference in (inputs - mean for mean in means)
  ]
  yield "Mahalanobis' distance", np.min(squares, axis=0)
  yield MEANS, np.min([((inputs - mean) ** 2).sum(axis=1) for mean in means], axis=0)
  bounds = np.flatnonzero(np.diff(people, prepend=-1, append=-1))
  parts = [slice(first, stop) for first, stop in itertools.pairwise(bounds.tolist())]
  windows = inputs, model.adapt_probabilities(answers, people), people, parts
  for name, ask_base in ((RECORDING, False), (BASE, True)):
    yield name, unknown_activities.score(model, *windows, ask_base=ask_base)


def measure(kind: kinds.Kind, seed: int) -> Iterator[dict[str, Any]]:
  """Rows of TABLE: how well each score tells each of some activities that were left out."""
  indices, part = draw(kind, seed)
  signals, activities, people = (array[indices] for array in kinds.load(kind))
  recorded, names = part[part > 0], activities[part > 0]
  tested = names[recorded == 3]
  for name in np.random.default_rng(seed).permutation(np.unique(tested))[:_LEFT_OUT]:
    is_train = (part == 0) & (activities != name)
    model = Recognizer(kinds.base_of(kind), method='side').fit(signals[is_train], activities[is_train])
    labels = np.searchsorted(model.classes_, activities[is_train])
    is_unknown = tested == name
    windows = signals[part > 0], people[part > 0] + 1000 * recorded, signals[is_train], labels
    for title, values in scores(model, *windows):
      row = {'kind': kind.name, 'seed': seed, 'left_out': name, 'score': title}
      row['auroc'] = round(float(roc_auc_score(is_unknown, values[recorded == 3])), 4)
      for others, number in (('same', 1), ('other', 2)):
        held_out = np.sort(values[(recorded == number) & (names != name)]).tolist()
        refused = unknown_activities.refuse(values[recorded == 3], held_out, _RATE)
        row[f'refused_wrongly_{others}'] = round(float(refused[~is_unknown].mean()), 4)
        row[f'refused_rightly_{others}'] = round(float(refused[is_unknown].mean()), 4)
      yield row


def block() -> str:
  """AUROC by score and kind, and refusals by score on the kinds that did not choose the distance."""
  rows = csv_table.read(TABLE)
  order = list(dict.fromkeys(rows.score))
  means = rows.pivot_table(index='score', columns='kind', values='auroc', sort=False).loc[order]
  usual = [kind.name for kind in kinds.USUAL]
  never = [name for name in dict.fromkeys(rows.kind) if name not in (*CHOSEN_ON, *usual)]
  means['mean, chosen on'] = means[list(CHOSEN_ON)].mean(axis=1)
  means['mean, never seen'] = means[never].mean(axis=1)
  means['mean, usual targets'] = means[usual].mean(axis=1)
  reported = rows[~rows.kind.isin(CHOSEN_ON)]
  columns = [name for name in rows if name.startswith('refused')]
  by_kind = reported.groupby(['score', 'kind'], sort=False)[columns].mean()
  refused = by_kind.groupby('score', sort=False).mean().loc[order]
  refused.columns = [
    f'{"known" if "wrongly" in name else "unknown"}, {name.rpartition("_")[2]} people' for name in columns
  ]
  parts = {
    'AUROC between the activity left out and all others': means,
    'Refused at 5 %, by the people who calibrated; kinds that did not choose the distance': refused,
  }
  return '\n\n'.join(
    f'**{title}**\n\n{markdown.tabulated(table.map("{:.3f}".format).reset_index())}'
    for title, table in parts.items()
  )


if __name__ == '__main__':
  study.run(__name__, lambda: study.write(TABLE, study.measure_kinds(KINDS, _SEEDS, measure)))

"""Measure prediction sets and shrunk temperatures on people who gave no label, and fill docs/results/sets.md.

python docs/studies/sets.py --windows=windows --bases=runs/bases
python docs/studies/sets.py --nomeasure

Half of a kind's people give the training windows. They calibrate, or another quarter does.
The last quarter is tested.
"""

import dataclasses
import itertools
import math
from collections.abc import Iterator
from typing import Any

import kinds
import numpy as np
import pandas as pd
import study
from jaxtyping import Bool, Float
from scipy import special

from har_jax import Recognizer
from har_jax.recognizer import prediction_sets, temperature
from har_jax.recognizer.recording_adaptation import adapt_to_recordings
from har_jax.report import csv_table, markdown

FLAGS = kinds.FLAGS
TABLE, PAGE = study.places('sets')
TEMPERATURES = TABLE.with_name('temperatures.csv')
NEVER_SEEN = kinds.POCKET, kinds.FALLS, kinds.WAIST
_SEEDS, _COVERAGES = (0, 1, 2), (0.8, 0.9, 0.95)
_LABELS = 10  # windows of each activity to train on
_CALIBRATED = (2, 5, 30)  # more of these people
_OF_PERSON = (2, 5)  # of each person tested
_MOST_OTHERS, _MOST_TESTED = 600, 1500  # windows of other people
_SLACK = 0.02  # by which a person's coverage may miss what was asked for
_PENALTY = 0.1  # of regularized sets, for each class after the first
LEAST = 'least ambiguous'
_ADAPTED = f'{LEAST}, answers adapted to the recording'
_PEOPLE = f'{LEAST}, for nine of ten people'
_ADAPTED_PEOPLE = f'{_ADAPTED}, for nine of ten people'
_FEW, _REPEATS = (5, 12, 25, 50, 150), 8


@dataclasses.dataclass(frozen=True)
class Answered:
  """Answers to windows of a kind.   part: 0 same people as the training windows, 1 others, 2 to test on.

  expected: the temperature before any window calibrates it.
  """

  logits: Float[np.ndarray, 'w y']
  class_logits: Float[np.ndarray, 'y y']
  labels: np.ndarray
  people: np.ndarray
  part: np.ndarray
  expected: float

  def select(self, windows: int | None) -> np.ndarray:
    """Indices to calibrate on: so many of each activity of the same people, or all of other people."""
    if windows is None:
      return np.flatnonzero(self.part == 1)
    own = np.flatnonzero(self.part == 0)
    return np.concatenate([own[self.labels[own] == label][:windows] for label in np.unique(self.labels)])

  def calibrate(self, chosen: np.ndarray) -> Float[np.ndarray, 'w y']:
    """Probabilities of all windows, with the temperature that these calibrate."""
    fitted = temperature.fit(self.logits[chosen], self.labels[chosen])
    return special.softmax(self.logits / temperature.shrink(fitted, len(chosen), self.expected), axis=1)


def answer(kind: kinds.Kind, seed: int) -> Answered:
  """Answers of the default method of `adapt`."""
  signals, activities, people = kinds.load(kind)
  sizes, most = (_LABELS, max(_CALIBRATED)), (_MOST_OTHERS, _MOST_TESTED)
  train, own, others, tested = study.draw_parts(activities, people, seed, sizes, most)
  model = Recognizer(kinds.base_of(kind), method='side').fit(signals[train], activities[train])
  indices = np.concatenate([own, others, tested])
  logits = model.temperature * np.log(np.maximum(model.probabilities(signals[indices]), 1e-30))
  part = np.repeat([0, 1, 2], [len(own), len(others), len(tested)])
  assert model.class_logits is not None
  labels = np.searchsorted(model.classes_, activities[indices])
  return Answered(logits, model.class_logits, labels, people[indices], part, model.temperature)


def scores_of(sets: str, probabilities: Float[np.ndarray, 'w y']) -> Float[np.ndarray, 'w y']:
  """The score of each class: its probability's complement, or the mass of the more probable ones."""
  if not sets.startswith('adaptive'):
    return 1 - probabilities
  order = np.argsort(-probabilities, axis=1)
  rank = np.argsort(order, axis=1)
  sums = np.cumsum(np.take_along_axis(probabilities, order, axis=1), axis=1)
  mass = np.take_along_axis(sums, rank, axis=1) - probabilities
  return mass + (_PENALTY * np.maximum(rank - 1, 0) if sets.endswith('regularized') else 0)


def _within(scores: np.ndarray, calibrated: np.ndarray, coverage: float) -> Bool[np.ndarray, '...']:
  rank = math.ceil((len(calibrated) + 1) * coverage - 1e-9)
  return scores <= (np.sort(calibrated)[rank - 1] if rank <= len(calibrated) else np.inf)


def make(
  sets: str, probabilities: Float[np.ndarray, 'w y'], chosen: np.ndarray, labels: np.ndarray, coverage: float
) -> Bool[np.ndarray, 'w y']:
  """Sets of all windows, calibrated on those chosen."""
  if sets == LEAST:
    fitted = prediction_sets.fit_scores(probabilities[chosen], labels[chosen])
    return prediction_sets.make_sets(probabilities, fitted.tolist(), coverage)
  scores = scores_of(sets, probabilities)
  true = scores[chosen, labels[chosen]]
  if sets.endswith('by activity'):
    by_class = [true[labels[chosen] == label] for label in range(scores.shape[1])]
    made = [_within(scores[:, label], own, coverage) for label, own in enumerate(by_class)]
    return np.stack(made, axis=1)
  return _within(scores, true, coverage)


def measure(kind: kinds.Kind, seed: int, answered: Answered) -> Iterator[dict[str, Any]]:
  """Rows of TABLE: mean coverage of the tested people, how many reach it, and mean size."""
  tested, labels = answered.part == 2, answered.labels
  for windows in (*_CALIBRATED, None):
    chosen = answered.select(windows)
    probabilities = answered.calibrate(chosen)
    plain = special.softmax(answered.logits, axis=1)
    adapted = adapt_to_recordings(plain, answered.class_logits, answered.people)
    scores = prediction_sets.fit_scores(probabilities[chosen], labels[chosen]).tolist()
    of_people = prediction_sets.fit_scores(probabilities[chosen], labels[chosen], answered.people[chosen])
    by_scores = {
      _ADAPTED: (adapted, scores),
      _PEOPLE: (probabilities, of_people.tolist()),
      _ADAPTED_PEOPLE: (adapted, of_people.tolist()),
    }
    for sets in (LEAST, *by_scores, f'{LEAST}, by activity', 'adaptive', 'adaptive, regularized'):
      for coverage in _COVERAGES:
        if sets in by_scores:
          answers, of_sets = by_scores[sets]
          made = prediction_sets.make_sets(answers, of_sets, coverage)
        else:
          made = make(sets, probabilities, chosen, labels, coverage)
        calibrated = 'other people' if windows is None else f'same people, {windows} of each activity'
        figures = measured(made[tested], labels[tested], answered.people[tested], coverage)
        yield {'kind': kind.name, 'seed': seed, 'calibrated_on': calibrated, 'sets': sets, **figures}


def measure_person(kind: kinds.Kind, seed: int, answered: Answered) -> Iterator[dict[str, Any]]:
  """Rows of TABLE: sets calibrated on some windows of each tested person; the others are tested."""
  labels, people = answered.labels, answered.people
  own = np.random.default_rng(seed).permutation(np.flatnonzero(answered.part == 2))
  for windows, coverage in itertools.product(_OF_PERSON, _COVERAGES):
    made, is_tested = np.zeros(answered.logits.shape, bool), answered.part == 2
    for person in np.unique(people[own]):
      mine = own[people[own] == person]
      chosen = np.concatenate([mine[labels[mine] == label][:windows] for label in np.unique(labels[mine])])
      made[mine] = make(LEAST, answered.calibrate(chosen), chosen, labels, coverage)[mine]
      is_tested[chosen] = False
    figures = measured(made[is_tested], labels[is_tested], people[is_tested], coverage)
    calibrated = f'the person, {windows} of each activity'
    yield {'kind': kind.name, 'seed': seed, 'calibrated_on': calibrated, 'sets': LEAST, **figures}


def measured(
  sets: Bool[np.ndarray, 'w y'], labels: np.ndarray, people: np.ndarray, asked: float
) -> dict[str, float]:
  """Figures of a row of TABLE."""
  is_covered = sets[np.arange(len(labels)), labels]
  by_person = np.array([is_covered[people == person].mean() for person in np.unique(people)])
  return {
    'asked': asked,
    'coverage': round(float(by_person.mean()), 4),
    'error': round(float(by_person.std(ddof=1) / math.sqrt(len(by_person))), 4),
    'people_covered': round(float((by_person >= asked - _SLACK).mean()), 4),
    'size': round(float(sets.sum(axis=1).mean()), 3),
    'least_covered_activity': round(
      min(float(is_covered[labels == label].mean()) for label in np.unique(labels)), 4
    ),
  }


def measure_base(kind: kinds.Kind, seed: int) -> Iterator[dict[str, Any]]:
  """Rows of TABLE: the base without labels, on windows of activities that it knows."""
  model = Recognizer(kinds.base_of(kind))
  signals, activities, people = kinds.load(kind)
  is_class = np.flatnonzero(np.isin(activities, model.classes_))
  tested = np.random.default_rng(seed).permutation(is_class)[:_MOST_TESTED]
  labels = np.array([model.classes_.tolist().index(name) for name in activities[tested]])
  described = {'calibrated_on': 'people of its sources', 'sets': f'{LEAST}, of the base'}
  for coverage in _COVERAGES:
    made = model.predict_set(signals[tested], coverage)
    figures = measured(made, labels, people[tested], coverage)
    yield {'kind': kind.name, 'seed': seed, **described, **figures}


def measure_temperatures(kind: kinds.Kind, seed: int, answered: Answered) -> Iterator[dict[str, Any]]:
  """Rows of TEMPERATURES: calibration error of the tested people's windows, mean over repeated draws."""
  tested, own = answered.part == 2, np.flatnonzero(answered.part == 0)
  true, rng = answered.labels[tested], np.random.default_rng(seed)
  for windows in _FEW:
    errors = []
    for _ in range(_REPEATS):
      chosen = rng.permutation(own)[:windows]
      fitted = temperature.fit(answered.logits[chosen], answered.labels[chosen])
      shrunk = temperature.shrink(fitted, windows, answered.expected)
      for divisor in (1.0, answered.expected, fitted, shrunk):
        probabilities = special.softmax(answered.logits[tested] / divisor, axis=1)
        errors.append(calibration_error(probabilities, true))
    means = np.mean(np.reshape(errors, (_REPEATS, 4)), axis=0).round(4)
    yield {
      'kind': kind.name,
      'seed': seed,
      'windows': windows,
      **dict(zip(('none', 'expected', 'fitted', 'shrunk'), means, strict=True)),
    }


def calibration_error(probabilities: Float[np.ndarray, 'w y'], labels: np.ndarray) -> float:
  """Expected calibration error with 15 bins of equal width."""
  confidence = probabilities.max(axis=1)
  gap = confidence - (probabilities.argmax(axis=1) == labels)
  bins = np.minimum((15 * confidence).astype(int), 14)
  return float(np.abs(np.bincount(bins, gap)).sum() / len(labels))


def _measure_all() -> None:
  temperatures: list[dict[str, Any]] = []

  def measure_kind(kind: kinds.Kind, seed: int) -> Iterator[dict[str, Any]]:
    answered = answer(kind, seed)
    temperatures.extend(measure_temperatures(kind, seed, answered))
    yield from measure(kind, seed, answered)
    yield from measure_person(kind, seed, answered)
    yield from measure_base(kind, seed)

  study.write(TABLE, study.measure_kinds((*NEVER_SEEN, *kinds.USUAL), _SEEDS, measure_kind))
  study.write(TEMPERATURES, temperatures)


def block() -> str:
  """Tables by sets and group of kinds, by coverage and kind, and of temperatures."""
  rows, temperatures = csv_table.read(TABLE), csv_table.read(TEMPERATURES)
  usual = [kind.name for kind in kinds.USUAL]
  parts = {}
  for title, is_usual in (('kinds never seen', False), ('the usual targets', True)):
    some = rows[(rows.asked == 0.9) & (rows.kind.isin(usual) == is_usual)]
    parts[f'Coverage of 90 %, mean of {title} and seeds'] = _by(some, ['calibrated_on', 'sets'])
  least = rows[(rows.sets == LEAST) & rows.calibrated_on.str.startswith('same people, 5')]
  title = f'Sets that are {LEAST}, calibrated on 5 windows of each activity of the same people'
  parts[title] = _by(least, ['kind', 'asked'])
  temperatures['kinds'] = np.where(temperatures.kind.isin(usual), 'usual targets', 'never seen')
  errors = temperatures.drop(columns=['kind', 'seed']).groupby(['kinds', 'windows']).mean().reset_index()
  errors.columns = ['kinds', 'windows', 'a temperature of 1', 'expected', 'fitted', 'fitted and shrunk']
  parts['Expected calibration error on other people, by windows that calibrated'] = _rounded(errors)
  return '\n\n'.join(f'**{title}**\n\n{markdown.tabulated(table)}' for title, table in parts.items())


def _by(rows: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
  """Means of the figures; of the coverage with 1.96 standard errors over people."""
  groups = rows.assign(error=rows.error**2).groupby(columns, sort=False)
  table = groups[['coverage', 'people_covered', 'size', 'least_covered_activity']].mean()
  errors = 1.96 * np.sqrt(groups.error.sum()) / groups.size()
  table = _rounded(table)
  table['coverage'] += [f' ± {error:.3f}' for error in errors]
  table.columns = ['mean coverage', 'people covered', 'mean size', 'least covered activity']
  table.index.names = [name.replace('_', ' ') for name in columns]
  return table.reset_index().astype(str)


def _rounded(table: pd.DataFrame) -> pd.DataFrame:
  figures = [name for name in table.select_dtypes('float') if name != 'asked']
  return table.assign(**{name: table[name].map('{:.3f}'.format) for name in figures}).astype(str)


if __name__ == '__main__':
  study.run(__name__, _measure_all)

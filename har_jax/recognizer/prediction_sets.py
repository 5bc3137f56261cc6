"""Prediction sets, by scores of held-out windows.

w windows, y classes, s scores.

The score of a labeled window outside the training set is one minus the probability of its true class. A class
is in a window's set if its own score is at most a quantile of these. If windows are exchangeable, the true
class is in the set with at least the probability asked for. These are the least ambiguous sets of split
conformal prediction. docs/results/sets.md has what was measured, and which others were tried.
Source: Sadinle, Lei and Wasserman, arXiv:1609.00451; Angelopoulos and Bates, arXiv:2107.07511, section 1.

Windows of one person are more alike than those of all people, so some people get less. Where the people are
known, the quantile is of two levels: of each person's scores, then of these quantiles over the people.
Such data of two levels are those of Dunn, Wasserman and Ramdas, arXiv:1809.07441.
"""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from har_jax import config_fields

COVERAGE = 0.9  # of the sets in windows.csv
PEOPLE = 0.9  # of people whose sets have the coverage, where people are known
MOST_SCORES = 200  # in a card
_DIGITS = 6
_TINY = 1e-9  # (9 + 1) * 0.9 is no more than 9


class SetWarning(UserWarning):
  """Too few windows were held out for the coverage that was asked for."""


def fit_scores(
  probabilities: Float[np.ndarray, 'w y'],
  labels: Int[np.ndarray, 'w'],
  people: Shaped[np.ndarray, 'w'] | None = None,
) -> Float[np.ndarray, 's']:
  """Sorted scores of labeled windows outside the training set, for a card.

  people: the person of each window. Then sets have the coverage for nine of ten people, and are larger. With
    fewer than nine people, they have it for each of these.
  Sets may become larger by rounding up and by `thin`, but never lose coverage.
  """
  scores = 1 - probabilities[np.arange(len(labels)), labels].astype(np.float64)
  scores = thin(scores) if people is None else _over_people(scores, people)
  return np.minimum(np.ceil(scores * 10**_DIGITS) / 10**_DIGITS, 1.0)


def _over_people(scores: Float[np.ndarray, 'w'], people: Shaped[np.ndarray, 'w']) -> Float[np.ndarray, 's']:
  """Takes, for each coverage that `rank` may ask for, the quantile over people of each person's quantile."""
  count = min(len(scores), MOST_SCORES)
  coverages = np.arange(1, count + 1) / (count + 1)
  own = [np.sort(scores[people == person]) for person in np.unique(people)]
  ranks = [[min(rank(len(one), coverage), len(one)) - 1 for coverage in coverages] for one in own]
  quantiles = np.sort([one[of_person] for one, of_person in zip(own, ranks, strict=True)], axis=0)
  return quantiles[min(rank(len(own), PEOPLE), len(own)) - 1]


def thin(scores: Float[np.ndarray, 'w']) -> Float[np.ndarray, 's']:
  """Sorted scores; of more than MOST_SCORES, the largest of each of as many blocks of neighbors."""
  count = min(len(scores), MOST_SCORES)
  last = np.ceil(np.arange(1, count + 1) * len(scores) / max(count, 1) - _TINY).astype(int) - 1
  return np.sort(scores)[last]


def shortage(scores: Sequence[float], coverage: float | int) -> str | None:
  """A sentence if the scores are too few for the coverage, so that each set is of all activities."""
  if rank(len(scores), coverage) <= len(scores):
    return None
  needed = math.ceil(coverage / (1 - coverage) - _TINY)
  return (
    f'Sets with a coverage of {100 * coverage:g} % need {needed} labeled windows outside the training set, '
    f'and there are {len(scores)}, so each set is of all activities. Label more windows.'
  )


def make_sets(
  probabilities: Float[np.ndarray, 'w y'], scores: Sequence[float], coverage: float | int
) -> Bool[np.ndarray, 'w y']:
  """True: the class is in the window's set, as the most probable one always is.

  All is True if the scores are too few. Raises UserError unless coverage is between 0 and 1.
  """
  sets = 1 - probabilities <= quantile(scores, coverage)
  sets[np.arange(len(sets)), probabilities.argmax(axis=1)] = True
  return sets


def rank(count: int, coverage: float | int) -> int:
  """Rank of the score that is the quantile, from 1; more than `count` if that is too few."""
  rule = f'give a number between 0 and 1, such as {COVERAGE}'
  config_fields.check_value('coverage', coverage, rule, lambda value: 0 < value < 1)
  return math.ceil((count + 1) * coverage - _TINY)


def quantile(scores: Sequence[float], coverage: float | int) -> float:
  """The quantile of sorted scores; infinite if they are too few."""
  number = rank(len(scores), coverage)
  return scores[number - 1] if number <= len(scores) else math.inf

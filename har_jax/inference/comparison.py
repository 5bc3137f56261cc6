"""An adapter and baselines on the same held-out windows.   w windows."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool
from scipy import stats

from har_jax.train import metrics

_LEVEL = 0.05  # of the test


@dataclasses.dataclass(frozen=True)
class Score:
  """A model's measures, as fractions of one, the seconds of its fit, and on which windows it is right."""

  model: str
  macro_f1: float
  accuracy: float
  seconds: float
  is_correct: Bool[np.ndarray, 'w']


def score(model: str, true: np.ndarray, predicted: np.ndarray, seconds: float) -> Score:
  """The score of predicted labels."""
  classes, labels = np.unique(np.r_[true, predicted], return_inverse=True)
  actual, found = np.split(labels, 2)
  measured = metrics.measure(actual, found, len(classes))
  return Score(model, measured['macro_f1'], measured['accuracy'], seconds, actual == found)


def mcnemar_p(one: Bool[np.ndarray, 'w'], other: Bool[np.ndarray, 'w']) -> float:
  """Two-sided p of the exact McNemar test: a sign test over the windows where one model alone is right.

  It takes windows as independent. Windows of one recording are not, so the p is too small.
  """
  alone, other_alone = int((one & ~other).sum()), int((other & ~one).sum())
  return float(stats.binomtest(alone, alone + other_alone).pvalue) if alone + other_alone else 1.0


def verdict(chosen: Score, baselines: Sequence[Score]) -> str:
  """Sentences: which has the higher macro-F1, by how much, and whether that may be chance."""
  best = max(baselines, key=lambda each: each.macro_f1)
  points = 100 * (best.macro_f1 - chosen.macro_f1)
  if not points:
    return f'{chosen.model} and {best.model}, the best baseline, have the same macro-F1.'
  if points > 0:
    first = f'The baseline {best.model} is better than {chosen.model}, by {points:.1f} points of macro-F1.'
  else:
    first = (
      f'{chosen.model} is better than {best.model}, the best baseline, by {-points:.1f} points of macro-F1.'
    )
  p = mcnemar_p(best.is_correct, chosen.is_correct)
  return (
    f'{first}\nOf {len(best.is_correct)} windows, {best.model} alone is right on '
    f'{(best.is_correct & ~chosen.is_correct).sum()}, {chosen.model} alone on '
    f'{(chosen.is_correct & ~best.is_correct).sum()} (exact McNemar test: p = {p:.2g}).\n'
    + (
      'With so few of them, the difference may be chance.'
      if p >= _LEVEL
      else 'Chance is unlikely, but neighboring windows are alike, and the test takes them as independent.'
    )
  )


def as_metrics(scores: Sequence[Score]) -> Mapping[str, dict[str, float]]:
  """The figures of a comparison as a card holds them, by model."""
  return {
    each.model: {'macro_f1': each.macro_f1, 'accuracy': each.accuracy, 'seconds': round(each.seconds, 1)}
    for each in scores
  }

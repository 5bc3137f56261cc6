"""An adapter and baselines on the same held-out windows.   w windows, n samples."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from har_jax.baselines import BASELINES
from har_jax.baselines.installed import fit_installed
from har_jax.recognizer.recognizer import Recognizer
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


@dataclasses.dataclass(frozen=True)
class Comparison:
  """Scores on the same windows. `missing`: sentences on packages that baselines lack."""

  adapted: Score
  baselines: list[Score]
  missing: list[str]

  @property
  def scores(self) -> list[Score]:
    return [self.adapted, *self.baselines]

  @property
  def sentences(self) -> list[str]:
    """What is missing, and which model is better."""
    return [*self.missing, *([verdict(self.adapted, self.baselines)] if self.baselines else [])]


def compare(
  recognizer: Recognizer,
  windows: Float[np.ndarray, 'w n 6'],
  labels: np.ndarray,
  held_out: Bool[np.ndarray, 'w'],
  seconds: float,
) -> Comparison:
  """Scores the recognizer and the baselines on held-out windows.

  windows, labels, held_out, seconds: of the recognizer's fit. The baselines are fitted to the same training
  windows, except for the one that is the recognizer's own method.
  """
  test, true, classes = windows[held_out], labels[held_out], recognizer.classes_
  method = recognizer.adapter_.card.method
  indices, seed = np.searchsorted(classes, labels[~held_out]), int(recognizer.random_state)
  rate_hz = recognizer.windowing.rate_hz
  fitted, fit_s, missing = fit_installed(windows[~held_out], indices, seed, rate_hz, but=method)
  adapted = score(method, true, recognizer.predict(test), seconds)
  baselines = [
    score(name, true, classes[baseline.predict_proba(test).argmax(axis=1)], fit_s[name])
    for name, baseline in fitted.items()
  ]
  return Comparison(adapted, baselines, missing)


def score(model: str, true: np.ndarray, predicted: np.ndarray, seconds: float) -> Score:
  """The score of predicted labels. Macro-F1 is over the classes that occur in `true`."""
  is_correct = true == predicted
  macro_f1 = metrics.labeled_macro_f1(true, predicted)
  return Score(model, macro_f1, float(is_correct.mean()), seconds, is_correct)


def mcnemar_p(alone: int, other_alone: int) -> float:
  """Two-sided p of the exact McNemar test: a sign test over the windows where one model alone is right.

  It takes windows as independent. Windows of one recording are not, so the p is too small.
  """
  from scipy import stats

  return float(stats.binomtest(alone, alone + other_alone).pvalue) if alone + other_alone else 1.0


def verdict(adapted: Score, baselines: Sequence[Score]) -> str:
  """Sentences: which is better, by how much, if that is more than chance."""
  best = max(baselines, key=lambda baseline: baseline.macro_f1)
  points = 100 * (best.macro_f1 - adapted.macro_f1)
  alone = int((best.is_correct & ~adapted.is_correct).sum())
  adapted_alone = int((adapted.is_correct & ~best.is_correct).sum())
  p = mcnemar_p(alone, adapted_alone)
  best_one = f'the best {"other " if adapted.model in BASELINES else ""}baseline'
  counts = (
    f'Of {len(best.is_correct)} windows, {best.model} alone is right on {alone}, {adapted.model} alone on '
    f'{adapted_alone} (exact McNemar test: p = {p:.2g}).'
  )
  if p >= _LEVEL or points * (alone - adapted_alone) <= 0:
    return (
      f'{adapted.model} and {best.model}, {best_one}, differ by no more than chance may explain.\n{counts}'
    )
  if points > 0:
    first = (
      f'The baseline {best.model} is better than {adapted.model}, by {points:.1f} points of macro-F1. '
      f'method={best.model} takes it, in an adapter that holds your training windows. Or label more windows '
      'of each activity.'
    )
  else:
    first = f'{adapted.model} is better than {best.model}, {best_one}, by {-points:.1f} points of macro-F1.'
  return (
    f'{first}\n{counts}\n'
    'Chance is unlikely, but neighboring windows are alike, and the test takes them as independent.'
  )

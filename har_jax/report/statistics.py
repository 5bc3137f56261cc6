"""Which differences between methods are significant. Needs no JAX.

The unit is a test subject, who counts once: the mean over the seeds that tested the subject. Figures are
macro-F1 in points, 100 times the fraction.
"""

import functools
from typing import NamedTuple

import numpy as np
import pandas as pd

from har_jax.report.frame import methods

MARGIN = 1.0  # points; methods closer than this count as equivalent
LEVEL = 0.05
POOLED = 'all targets, pooled'
# Subjects that differ: of n, Wilcoxon's smallest two-sided p is 2 / 2^n, .0625 for 5 and .031 for 6.
FEWEST = 6
_RESAMPLES = 10_000
_DECIMALS = 4  # the table of runs holds six digits; rounding must not break ties of ranks


class Interval(NamedTuple):
  """A mean over subjects and its 95 % bootstrap interval."""

  mean: float
  low: float
  high: float


def scores(runs: pd.DataFrame) -> pd.DataFrame:
  """(target, subject, seed) × method → points."""
  columns = runs[['target', 'seed', 'method', 'subject_macro_f1']].itertuples(index=False)
  entries = [
    (target, subject, seed, method, 100 * float(fraction))
    for target, seed, method, text in columns
    for subject, _, fraction in (entry.rpartition('=') for entry in text.split())
  ]
  long = pd.DataFrame(entries, columns=['target', 'subject', 'seed', 'method', 'points'])
  wide = long.pivot(index=['target', 'subject', 'seed'], columns='method', values='points')
  return wide.reindex(columns=methods(runs))


def by_subject(points: pd.DataFrame) -> pd.DataFrame:
  """(target, subject) × method → means over seeds, of points as `scores` makes them."""
  return points.groupby(['target', 'subject']).mean().round(_DECIMALS)


@functools.cache
def _resamples(size: int) -> np.ndarray:
  """Resample × value → how often it was drawn; the same at every call."""
  drawn = np.random.default_rng(0).integers(size, size=(_RESAMPLES, size))
  flat = drawn + size * np.arange(_RESAMPLES)[:, None]
  return np.bincount(flat.ravel(), minlength=flat.size).reshape(flat.shape).astype(float)


def interval(points: np.ndarray) -> Interval:
  """Percentile bootstrap, the same at every call.

  With a handful of subjects it is too narrow: a resample varies by (n - 1) / n of the variance.
  """
  if points.size == 0:
    return Interval(np.nan, np.nan, np.nan)
  low, high = np.percentile(_resamples(points.size) @ points / points.size, [2.5, 97.5])
  return Interval(float(points.mean()), float(low), float(high))


def compare(runs: pd.DataFrame, against: str = 'full') -> pd.DataFrame:
  """Every other method minus this one, for each target, and for all targets pooled where there are several.

  Columns: target, method, n subjects, difference (Interval), better_on, rank_biserial, wilcoxon_p,
  equivalence_p, verdict. Each of the two tests is corrected by Holm over all rows; NaN: not made.
  """
  targets, points, found = sorted(set(runs['target'])), scores(runs), []
  others = [name for name in methods(runs) if name != against]
  # Of the seeds that have both.
  pairs = {method: by_subject(points[[method, against]].dropna()) for method in others}
  for target in [*targets, *([POOLED] if len(targets) > 1 else [])]:
    for method, pair in pairs.items():
      chosen = pair if target == POOLED else pair[pair.index.get_level_values('target') == target]
      differences = (chosen[method] - chosen[against]).round(_DECIMALS).to_numpy()
      row = {
        'target': target,
        'method': method,
        'n': len(differences),
        'difference': interval(differences),
        'better_on': int((differences > 0).sum()),
        'rank_biserial': rank_biserial(differences),
        'wilcoxon_p': wilcoxon(differences),
        'equivalence_p': equivalence(differences),
      }
      found.append(row)
  table = pd.DataFrame(found)
  for name in ('wilcoxon_p', 'equivalence_p'):
    table[name] = holm(table[name])
  table['verdict'] = table.apply(_verdict, axis=1)
  return table


def _verdict(row: pd.Series) -> str:
  if row['n'] == 0:
    return '–'
  if row['equivalence_p'] < LEVEL:
    return 'equivalent'  # also where a difference within the margin is significant
  # Ranks and mean disagree where many subjects differ a little and a few much.
  signs = np.sign([row['difference'].mean, row['rank_biserial']])
  if row['wilcoxon_p'] < LEVEL and signs[0] == signs[1]:
    return 'better' if signs[0] > 0 else 'worse'
  return 'undecided'


def wilcoxon(differences: np.ndarray) -> float:
  """Two-sided p of the signed-rank test without differences of zero; NaN with fewer than FEWEST others."""
  from scipy import stats

  nonzero = differences[differences != 0]
  return float(stats.wilcoxon(nonzero).pvalue) if len(nonzero) >= FEWEST else np.nan


def rank_biserial(differences: np.ndarray) -> float:
  """(W+ - W-) / (W+ + W-), in [-1, 1]; differences of zero do not count. NaN where no subject differs."""
  from scipy import stats

  nonzero = differences[differences != 0]
  ranks = stats.rankdata(np.abs(nonzero))
  return float(np.sign(nonzero) @ ranks / ranks.sum()) if nonzero.size else np.nan


def equivalence(differences: np.ndarray) -> float:
  """p of two one-sided paired t tests (TOST) that the mean difference is not within MARGIN.

  NaN for fewer than two subjects, and where all differ by the same.
  """
  if len(differences) < 2 or np.ptp(differences) == 0:
    return np.nan
  from scipy import stats

  above = stats.ttest_1samp(differences, -MARGIN, alternative='greater').pvalue
  below = stats.ttest_1samp(differences, MARGIN, alternative='less').pvalue
  return float(max(above, below))


def holm(p_values: pd.Series) -> pd.Series:
  """Corrected by Holm's step-down method; NaN, where no test was made, does not count."""
  ordered = p_values.dropna().sort_values()
  corrected = (ordered * np.arange(len(ordered), 0, -1)).cummax().clip(upper=1)
  return corrected.reindex(p_values.index)

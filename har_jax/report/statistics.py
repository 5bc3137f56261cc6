"""Significance of differences between methods. Needs no JAX.

The unit is a test subject, who counts once: the mean over the seeds that tested the subject. Figures are
macro-F1 in points, 100 times the fraction.
Source of ranks: Demšar, Statistical Comparisons of Classifiers over Multiple Data Sets, JMLR 7 (2006), sec.
3.2.2. There a block is a dataset; here it is a subject of a target.
"""

import functools
import itertools
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy  # loads scipy.stats when it is used

from har_jax import results
from har_jax.report.frame import methods

MARGIN = 1.0  # points; methods closer than this count as equivalent
LEVEL = 0.05
POOLED = 'all targets, pooled'
# Subjects that differ: of n, Wilcoxon's smallest two-sided p is 2 / 2^n, .0625 for 5 and .031 for 6.
FEWEST = 6
_DECIMALS = 4  # the table of runs holds six digits; rounding must not break ties of ranks


def scores(runs: pd.DataFrame) -> pd.DataFrame:
  """(target, subject, seed) × method → points."""
  entries = runs['subject_macro_f1'].map(lambda text: list(results.split_scores(text).items()))
  long = runs[['target', 'seed', 'method']].assign(entry=entries).explode('entry').dropna(subset='entry')
  long['subject'], long['points'] = long['entry'].str[0], 100 * long['entry'].str[1].astype(float)
  wide = long.pivot(index=['target', 'subject', 'seed'], columns='method', values='points')
  return wide.reindex(columns=methods(runs))


def by_subject(points: pd.DataFrame) -> pd.DataFrame:
  """(target, subject) × method → means over seeds, of points as `scores` makes them."""
  return points.groupby(['target', 'subject']).mean().round(_DECIMALS)


def interval(points: np.ndarray) -> tuple[float, float, float]:
  """Mean, and both ends of the 95 % percentile bootstrap interval; the same at every call.

  With a handful of subjects it is too narrow: a resample varies by (n - 1) / n of the variance.
  """
  if points.size < 2:
    return (float(points[0]) if points.size else np.nan,) * 3
  means = points[_resamples(points.size)].mean(axis=1)
  return float(points.mean()), *np.percentile(means, (2.5, 97.5)).tolist()


@functools.cache
def _resamples(n: int) -> np.ndarray:
  """Indices of 10,000 resamples of n subjects."""
  return np.random.default_rng(0).integers(0, n, (10_000, n))


def compare(runs: pd.DataFrame, against: str = 'full') -> pd.DataFrame:
  """Every other method minus this one, for each target, and for all targets pooled where there are several.

  Columns: target, method, n subjects; mean, low, high of the difference; better_on, rank_biserial,
  wilcoxon_p, equivalence_p, verdict. Each of the two tests is corrected by Holm over all rows; NaN: not made.
  """
  targets, points, comparisons = sorted(set(runs['target'])), scores(runs), []
  # Of the seeds that have both.
  pairs = {name: by_subject(points[[name, against]].dropna()) for name in methods(runs) if name != against}
  for target, method in itertools.product([*targets, *[POOLED][: len(targets) - 1]], pairs):
    pair = pairs[method]
    pair = pair if target == POOLED else pair[pair.index.get_level_values('target') == target]
    differences = (pair[method] - pair[against]).round(_DECIMALS).to_numpy()
    comparisons.append(
      {
        'target': target,
        'method': method,
        'n': len(differences),
        **dict(zip(('mean', 'low', 'high'), interval(differences), strict=True)),
        'better_on': int((differences > 0).sum()),
        'rank_biserial': rank_biserial(differences),
        'wilcoxon_p': wilcoxon(differences),
        'equivalence_p': equivalence(differences),
      }
    )
  table = pd.DataFrame(comparisons)
  table[['wilcoxon_p', 'equivalence_p']] = table[['wilcoxon_p', 'equivalence_p']].apply(holm)
  return table.assign(verdict=table.apply(_verdict, axis=1))


def _verdict(row: pd.Series) -> str:
  if row['n'] == 0:
    return '–'
  if row['equivalence_p'] < LEVEL:
    return 'equivalent'  # also where a difference within the margin is significant
  # Ranks and mean disagree where many subjects differ a little and a few much.
  if row['wilcoxon_p'] < LEVEL and np.sign(row['mean']) == np.sign(row['rank_biserial']):
    return 'better' if row['mean'] > 0 else 'worse'
  return 'undecided'


def wilcoxon(differences: np.ndarray) -> float:
  """Two-sided p of the signed-rank test without differences of zero; NaN with fewer than FEWEST others."""
  nonzero = differences[differences != 0]
  return float(scipy.stats.wilcoxon(nonzero).pvalue) if len(nonzero) >= FEWEST else np.nan


def rank_biserial(differences: np.ndarray) -> float:
  """(W+ - W-) / (W+ + W-), in [-1, 1]; differences of zero do not count. NaN where no subject differs."""
  nonzero = differences[differences != 0]
  ranks = scipy.stats.rankdata(np.abs(nonzero))
  return float(np.sign(nonzero) @ ranks / ranks.sum()) if nonzero.size else np.nan


def equivalence(differences: np.ndarray) -> float:
  """p of two one-sided paired t tests (TOST) for MARGIN; NaN of one subject, and where all differ equally."""
  if len(differences) < 2 or np.ptp(differences) == 0:
    return np.nan
  above = scipy.stats.ttest_1samp(differences, -MARGIN, alternative='greater').pvalue
  below = scipy.stats.ttest_1samp(differences, MARGIN, alternative='less').pvalue
  return float(max(above, below))


def holm(p_values: pd.Series) -> pd.Series:
  """Corrected by Holm's step-down method; NaN, where no test was made, does not count."""
  ordered = p_values.dropna().sort_values()
  corrected = (ordered * np.arange(len(ordered), 0, -1)).cummax().clip(upper=1)
  return corrected.reindex(p_values.index)


class Ranks(NamedTuple):
  mean_ranks: pd.Series  # of methods, from the best on; rank 1 is the best of a block, ties share theirs
  blocks: pd.MultiIndex  # (target, subject)
  friedman_p: float  # NaN where all methods tie in every block
  critical_difference: float  # of two mean ranks, Nemenyi's at .05
  cliques: list[list[str]]  # of two or more methods that do not differ significantly; none in another


def ranks(runs: pd.DataFrame) -> Ranks | None:
  """Ranks over subjects that every method was tested on under one seed; None for two methods or one subject.

  Where Friedman's test finds no difference at .05, all methods are one clique.
  """
  blocks = by_subject(scores(runs).dropna())
  count = len(blocks.columns)
  if count < 3 or len(blocks) < 2:
    return None
  mean_ranks = blocks.rank(axis=1, ascending=False).mean().sort_values(kind='stable')
  has_ties_only = blocks.nunique(axis=1).max() == 1
  p = np.nan if has_ties_only else float(scipy.stats.friedmanchisquare(*blocks.to_numpy().T).pvalue)
  critical = critical_difference(count, len(blocks))
  # Past the last method that does not differ from each: the longest runs of ranks that start there.
  ends = np.searchsorted(mean_ranks, mean_ranks + critical, side='right') if p < LEVEL else [count] * count
  longer = [(first, end) for first, end in enumerate(ends) if end > max([first + 1, *ends[:first]])]
  cliques = [list(mean_ranks.index[first:end]) for first, end in longer]
  return Ranks(mean_ranks, blocks.index, p, critical, cliques)


def critical_difference(methods: int, blocks: int) -> float:
  """Nemenyi's: the difference of two mean ranks that .05 of experiments without any difference pass."""
  q = scipy.stats.studentized_range.ppf(1 - LEVEL, methods, np.inf) / 2**0.5
  return float(q * (methods * (methods + 1) / (6 * blocks)) ** 0.5)

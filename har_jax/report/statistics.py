"""Which differences between methods are significant. Needs no JAX.

The unit is a test subject, who counts once: the mean over the seeds that tested the subject. Figures are
macro-F1 in points, 100 times the fraction.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd

from har_jax.report.frame import methods

MARGIN = 1.0  # points; methods closer than this count as equivalent
LEVEL = 0.05
POOLED = 'all targets, pooled'
# Subjects that differ: of n, Wilcoxon's smallest two-sided p is 2 / 2^n, .0625 for 5 and .031 for 6.
FEWEST = 6
NO_VERDICT = '–'
_RESAMPLES = 10_000
_DECIMALS = 4  # the table of runs holds six digits; rounding must not break ties of ranks


@dataclasses.dataclass(frozen=True)
class Interval:
  """A mean over subjects and its 95 % bootstrap interval; None with fewer than two subjects."""

  mean: float
  low: float | None
  high: float | None
  n: int


def scores(runs: pd.DataFrame) -> pd.DataFrame:
  """(target, subject, seed) × method → points."""
  entries = runs.assign(entry=runs['subject_macro_f1'].str.split()).explode('entry').dropna(subset=['entry'])
  entries[['subject', 'points']] = entries['entry'].str.extract('(.*)=(.*)')
  entries['points'] = 100 * entries['points'].astype(float)
  wide = entries.pivot(index=['target', 'subject', 'seed'], columns='method', values='points')
  return wide.reindex(columns=methods(runs))


def by_subject(points: pd.DataFrame, compared: Sequence[str]) -> pd.DataFrame:
  """(target, subject) × method → points: means over the seeds in which all the methods tested the subject.

  `points`: as `scores` makes them.
  """
  both = points[list(compared)].dropna()
  return both.groupby(['target', 'subject']).mean().round(_DECIMALS)


def interval(values: Sequence[float]) -> Interval | None:
  """Percentile bootstrap, the same at every call. None without values.

  With a handful of subjects it is too narrow: a resample varies by (n - 1) / n of the variance.
  """
  points = np.asarray(values, float)
  if points.size < 2:
    return Interval(float(points[0]), None, None, 1) if points.size else None
  drawn = np.random.default_rng(0).integers(points.size, size=(_RESAMPLES, points.size))
  low, high = np.percentile(points[drawn].mean(axis=1), [2.5, 97.5])
  return Interval(float(points.mean()), float(low), float(high), points.size)


def compare(runs: pd.DataFrame, against: str = 'full') -> pd.DataFrame:
  """Every other method less this one, for each target, and for all targets pooled where there are several.

  Columns: target, method, n subjects, difference (Interval), better_on, rank_biserial, wilcoxon_p,
  equivalence_p, verdict, note. Each of the two tests is corrected by Holm over all rows; NaN: not made.
  """
  targets, points, found = sorted(set(runs['target'])), scores(runs), []
  for method in [name for name in methods(runs) if name != against]:
    pairs = by_subject(points, [method, against])
    for target in [*targets, *([POOLED] if len(targets) > 1 else [])]:
      chosen = pairs if target == POOLED else pairs[pairs.index.get_level_values('target') == target]
      found.append({'target': target, 'method': method, **_tests(chosen.to_numpy())})
  table = pd.DataFrame(found)
  for name in ('wilcoxon_p', 'equivalence_p'):
    table[name] = holm(table[name].astype(float))
  table['verdict'] = table.apply(_verdict, axis=1)
  order = {name: place for place, name in enumerate([*targets, POOLED])}
  return table.sort_values('target', key=lambda column: column.map(order), kind='stable', ignore_index=True)


def _tests(pairs: np.ndarray) -> dict:
  differences = np.round(pairs[:, 0] - pairs[:, 1], _DECIMALS).tolist()
  p, why_no_test = wilcoxon(differences)
  q, why_no_equivalence = equivalence(pairs)
  reasons = dict.fromkeys(reason for reason in (why_no_test, why_no_equivalence) if reason)
  return {
    'n': len(pairs),
    'difference': interval(differences),
    'better_on': sum(difference > 0 for difference in differences),
    'rank_biserial': rank_biserial(differences),
    'wilcoxon_p': p,
    'equivalence_p': q,
    'note': '; '.join(reasons) if len(pairs) else 'no subject tested with both under one seed',
  }


def _verdict(row: pd.Series) -> str:
  if row['difference'] is None:
    return NO_VERDICT
  if row['equivalence_p'] < LEVEL:
    return 'equivalent'  # also where a difference within the margin is significant
  if row['wilcoxon_p'] < LEVEL:
    # Ranks and mean disagree where many subjects differ a little and a few much.
    signs = (row['difference'].mean > 0, row['rank_biserial'] > 0)
    return {(True, True): 'better', (False, False): 'worse'}.get(signs, 'undecided')
  return 'undecided'


def wilcoxon(differences: Sequence[float]) -> tuple[float | None, str]:
  """Two-sided p of the signed-rank test without differences of zero; or None and why no test was made."""
  from scipy import stats

  nonzero = [difference for difference in differences if difference]
  if not nonzero:
    return None, 'no subject differs'
  if len(nonzero) < FEWEST:
    return (
      None,
      f'only {len(nonzero)} subjects differ, and the Wilcoxon test needs {FEWEST} to reach {LEVEL:g}',
    )
  return float(stats.wilcoxon(nonzero).pvalue), ''


def rank_biserial(differences: Sequence[float]) -> float | None:
  """(W+ - W-) / (W+ + W-), in [-1, 1]; differences of zero do not count. None where no subject differs."""
  from scipy import stats

  nonzero = np.array([difference for difference in differences if difference])
  ranks = stats.rankdata(np.abs(nonzero))
  return float(np.sign(nonzero) @ ranks / ranks.sum()) if nonzero.size else None


def equivalence(pairs: np.ndarray) -> tuple[float | None, str]:
  """p of two one-sided paired t tests that the mean difference is not within MARGIN; or None and why.

  `pairs`: a row a subject, with both methods' points.
  """
  if len(pairs) < 2:
    return None, 'one subject is too few to test equivalence'
  one, other = np.asarray(pairs).T
  differences = np.round(one - other, _DECIMALS)
  if np.ptp(differences) == 0:
    return None, 'every subject differs by the same, so no t test can be made' if differences[0] else ''
  from statsmodels.stats import weightstats

  return float(weightstats.ttost_paired(one, other, -MARGIN, MARGIN)[0]), ''


def holm(p_values: pd.Series) -> pd.Series:
  """Corrected by Holm's step-down method; NaN, where no test was made, does not count."""
  ordered = p_values.dropna().sort_values()
  corrected = (ordered * np.arange(len(ordered), 0, -1)).cummax().clip(upper=1)
  return corrected.reindex(p_values.index)

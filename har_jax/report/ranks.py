"""Mean ranks of methods, and which do not differ significantly. Needs no JAX.

Source: Demšar, Statistical Comparisons of Classifiers over Multiple Data Sets, JMLR 7 (2006), sec. 3.2.2.
There a block is a dataset; here it is a subject of a target.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy

from har_jax.report.statistics import LEVEL, by_subject, scores


class Ranks(NamedTuple):
  mean_ranks: pd.Series  # of methods, from the best on; rank 1 is the best of a block, ties share theirs
  blocks: pd.MultiIndex  # (target, subject)
  friedman_p: float  # NaN where all methods tie in every block
  critical_difference: float  # of two mean ranks, Nemenyi's at .05
  cliques: list[list[str]]  # of two or more methods that do not differ significantly; none in another


def ranks(runs: pd.DataFrame) -> Ranks | None:
  """Over the subjects of each target that every method was tested on under one seed.

  Where Friedman's test finds no difference at .05, all methods are one clique.
  None with fewer than three methods or two blocks.
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

"""Mean ranks of methods, and which do not differ significantly. Needs no JAX.

Source: Demšar, Statistical Comparisons of Classifiers over Multiple Data Sets, JMLR 7 (2006), sec. 3.2.2.
There a block is a dataset; here it is a subject of a target.
"""

import dataclasses

import numpy as np
import pandas as pd

from har_jax.report.statistics import LEVEL, by_subject, scores


@dataclasses.dataclass(frozen=True)
class Ranks:
  """Methods from the best mean rank on; rank 1 is the best of a block, ties share the mean of theirs."""

  methods: tuple[str, ...]
  mean_ranks: tuple[float, ...]
  blocks: int
  targets: tuple[str, ...]
  friedman_p: float  # NaN where all methods tie in every block
  critical_difference: float  # of two mean ranks, Nemenyi's at .05
  cliques: tuple[tuple[str, ...], ...]  # of two or more that do not differ significantly; none in another


def ranks(runs: pd.DataFrame) -> Ranks | None:
  """Over the subjects of each target that every method was tested on under one seed.

  Where Friedman's test finds no difference at .05, all methods are one clique.
  None with fewer than three methods or two blocks.
  """
  blocks = by_subject(scores(runs).dropna())
  if len(blocks.columns) < 3 or len(blocks) < 2:
    return None
  from scipy import stats

  mean_ranks = blocks.rank(axis=1, ascending=False).mean().sort_values(kind='stable')
  has_ties_only = blocks.nunique(axis=1).max() == 1
  p = np.nan if has_ties_only else float(stats.friedmanchisquare(*blocks.to_numpy().T).pvalue)
  critical = critical_difference(len(blocks.columns), len(blocks))
  names = tuple(mean_ranks.index)
  cliques = _cliques(mean_ranks.to_numpy(), critical) if p < LEVEL else [(0, len(names))]
  return Ranks(
    methods=names,
    mean_ranks=tuple(map(float, mean_ranks)),
    blocks=len(blocks),
    targets=tuple(sorted(set(blocks.index.get_level_values('target')))),
    friedman_p=p,
    critical_difference=critical,
    cliques=tuple(names[first:end] for first, end in cliques),
  )


def critical_difference(methods: int, blocks: int) -> float:
  """Nemenyi's: the difference of two mean ranks that .05 of experiments without any difference pass."""
  from scipy import stats

  q = stats.studentized_range.ppf(1 - LEVEL, methods, np.inf) / 2**0.5
  return float(q * (methods * (methods + 1) / (6 * blocks)) ** 0.5)


def _cliques(mean_ranks: np.ndarray, critical: float) -> list[tuple[int, int]]:
  """First and past the last of each longest run of ranks that spans at most the critical difference."""
  found: list[tuple[int, int]] = []
  for first, rank in enumerate(mean_ranks):
    end = int(np.searchsorted(mean_ranks, rank + critical, side='right'))
    if end - first > 1 and (not found or end > found[-1][1]):
      found.append((first, end))
  return found

"""Which differences between methods can be told from chance. Needs no JAX.

A subject counts once, by the mean over the seeds that tested the subject. Figures are macro-F1 in points, 100
times the fraction.
"""

import collections
import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from har_jax.report.groups import Group

MARGIN = 1.0  # points; methods closer than this count as equivalent
LEVEL = 0.05
POOLED = 'all targets, pooled'
FEWEST = (
  6  # subjects that differ: of n, Wilcoxon's smallest two-sided p is 2 / 2^n, .0625 for 5 and .031 for 6
)
_RESAMPLES = 10_000
_DECIMALS = 9  # float noise is no difference, and would break ties of ranks by chance

NO_VERDICT = '–'

Runs = Mapping[int, dict[str, Any]]  # seed → result


@dataclasses.dataclass(frozen=True)
class Interval:
  """A mean over subjects, and where 95 of 100 means of resampled subjects lie; None with fewer than two subjects."""

  mean: float
  low: float | None
  high: float | None
  n: int


@dataclasses.dataclass(frozen=True)
class Comparison:
  """A method less another, over the subjects tested with both; p values are corrected by Holm's rule, None where no test was made."""

  target: str
  method: str
  n: int  # subjects
  difference: Interval | None
  better_on: int  # subjects
  rank_biserial: (
    float | None
  )  # (W+ - W-) / (W+ + W-), from -1, all worse, to 1; None where no subject differs
  wilcoxon_p: float | None
  equivalence_p: float | None
  verdict: str  # equivalent, worse, better, undecided; – without a subject
  notes: tuple[str, ...]


def by_subject(methods: Sequence[Runs]) -> dict[str, tuple[float, ...]]:
  """Subject → points with each of the methods: means over the seeds in which all of them tested the subject.

  A seed draws its own split, and a subject may be tested under several seeds.
  """
  tested: dict[str, list[list[float]]] = collections.defaultdict(list)
  for seed in sorted(set.intersection(*map(set, methods))):
    parts = [runs[seed].get('test_by_subject', {}) for runs in methods]
    for subject in set.intersection(*map(set, parts)):
      tested[subject].append([100 * part[subject]['macro_f1'] for part in parts])
  return {
    subject: tuple(round(statistics.mean(points), _DECIMALS) for points in zip(*tested[subject], strict=True))
    for subject in sorted(tested)
  }


def interval(values: Sequence[float]) -> Interval | None:
  """Percentile bootstrap, the same at every call. None where there are no values.

  With a handful of subjects it is too narrow: a resample varies by (n - 1) / n of the variance.
  """
  if not values:
    return None
  mean = statistics.mean(values)
  if len(values) < 2:
    return Interval(mean, None, None, len(values))
  from scipy import stats

  found = stats.bootstrap(
    (values,), np.mean, n_resamples=_RESAMPLES, method='percentile', rng=np.random.default_rng(0)
  ).confidence_interval
  return Interval(mean, float(found.low), float(found.high), len(values))


def compare(group: Group, against: str = 'full') -> list[Comparison]:
  """Every other method of every target, and of all targets pooled where there are several.

  Both tests, of a difference (Wilcoxon) and of equivalence, are each corrected over all comparisons returned.
  """
  raw = []
  for method in [name for name in group.methods if name != against]:
    pairs = {target: _pairs(group, target, method, against) for target in group.targets}
    raw += [
      _compare(target, method, found, _why_none(group, target, method, against))
      for target, found in pairs.items()
    ]
    if len(pairs) > 1:
      without = [target for target, found in pairs.items() if not found]
      note = f'without {", ".join(without)}' if without else ''
      raw.append(_compare(POOLED, method, [pair for found in pairs.values() for pair in found], note))
  differing = holm([each.wilcoxon_p for each in raw])
  equivalent = holm([each.equivalence_p for each in raw])
  return sorted(
    (
      dataclasses.replace(each, wilcoxon_p=p, equivalence_p=q, verdict=_verdict(each, p, q))
      for each, p, q in zip(raw, differing, equivalent, strict=True)
    ),
    key=lambda each: (each.target == POOLED, each.target, group.methods.index(each.method)),
  )


def _pairs(group: Group, target: str, method: str, against: str) -> list[tuple[float, ...]]:
  both = [group.runs.get((target, name), {}) for name in (method, against)]
  return list(by_subject(both).values())


def _why_none(group: Group, target: str, method: str, against: str) -> str:
  absent = [name for name in (method, against) if (target, name) not in group.runs]
  if absent:
    return f'not run: {", ".join(absent)}'
  return '' if _pairs(group, target, method, against) else 'no subject tested with both under one seed'


def _compare(target: str, method: str, pairs: Sequence[tuple[float, ...]], note: str) -> Comparison:
  differences = [round(own - other, _DECIMALS) for own, other in pairs]
  p, why_not = wilcoxon(differences)
  q, why_no_equivalence = equivalence(pairs)
  reasons = (why_not, why_no_equivalence) if pairs else ()
  return Comparison(
    target,
    method,
    len(pairs),
    interval(differences),
    sum(difference > 0 for difference in differences),
    rank_biserial(differences),
    p,
    q,
    NO_VERDICT,
    tuple(dict.fromkeys(reason for reason in (note, *reasons) if reason)),
  )


def _verdict(each: Comparison, differing: float | None, equivalent: float | None) -> str:
  if each.difference is None:
    return NO_VERDICT
  if equivalent is not None and equivalent < LEVEL:
    return 'equivalent'  # also where a difference within the margin is sure
  if differing is not None and differing < LEVEL and each.rank_biserial is not None:
    # Ranks and mean may point to different sides, where many subjects differ a little and a few much.
    sides = (each.difference.mean > 0, each.rank_biserial > 0)
    return {(True, True): 'better', (False, False): 'worse'}.get(sides, 'undecided')
  return 'undecided'


def wilcoxon(differences: Sequence[float]) -> tuple[float | None, str]:
  """Two-sided p of the signed-rank test, without the differences of nought; or None and why no test was made."""
  from scipy import stats

  moved = [difference for difference in differences if difference]
  if differences and not moved:
    return None, 'no subject differs, so there is nothing to test'
  if len(moved) < FEWEST:
    return None, (
      f'only {len(moved)} {"subject differs" if len(moved) == 1 else "subjects differ"}: '
      f"Wilcoxon's test cannot reach {LEVEL:g} with fewer than {FEWEST}, so it was not made"
    )
  return float(stats.wilcoxon(moved).pvalue), ''


def rank_biserial(differences: Sequence[float]) -> float | None:
  """How one-sided the signed ranks are, of -1 to 1; differences of nought count on neither side."""
  from scipy import stats

  moved = np.array([difference for difference in differences if difference])
  if not moved.size:
    return None
  ranks = stats.rankdata(np.abs(moved))
  return float(np.sign(moved) @ ranks / ranks.sum())


def equivalence(pairs: Sequence[tuple[float, ...]]) -> tuple[float | None, str]:
  """p of two one-sided paired t tests: that the mean difference is not within MARGIN; or None and why."""
  if len(pairs) < 2:
    return None, 'one subject is too few to test equivalence'
  own, other = np.array(pairs).T
  differences = np.round(own - other, _DECIMALS)
  if not np.any(differences):
    return None, 'no subject differs, so there is nothing to test'
  if np.ptp(differences) == 0:
    return None, 'every subject differs by the same, so no t test can be made'
  from statsmodels.stats import weightstats

  return float(weightstats.ttost_paired(own, other, -MARGIN, MARGIN)[0]), ''


def holm(p_values: Sequence[float | None]) -> list[float | None]:
  """Corrected for their number; None, where no test was made, counts as none."""
  made = [p for p in p_values if p is not None]
  if not made:
    return list(p_values)
  from statsmodels.stats import multitest

  corrected = iter(multitest.multipletests(made, alpha=LEVEL, method='holm')[1])
  return [None if p is None else float(next(corrected)) for p in p_values]


def what_datasets_show(n: int) -> str:
  """What so many targets can and cannot tell."""
  smallest = 2 / 2**n
  reach = 'cannot reach' if smallest >= LEVEL else 'can reach'
  return (
    f'What {n} dataset{"" if n == 1 else "s"} can show. A claim about new datasets has datasets as its unit, and here there '
    f'{"is" if n == 1 else "are"} {n}: even if every one of them pointed the same way, the smallest two-sided p of a sign or signed-rank '
    f'test would be 2/2^{n} = {smallest:.3g}, which {reach} {LEVEL:g} (six datasets is the least that can). The tests above take '
    'subjects as their unit: they speak of new people recorded as those of that dataset were, with the same sensors and '
    'activities, and pooling them over datasets does not turn people into datasets. Seeds share the recordings, and most of '
    'the people they train on, so they are no independent sample: their spread shows how much a figure depends on the '
    'draw of the split and the start, not how far it carries over to other data.'
  )

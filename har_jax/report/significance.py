"""Tests of differences, intervals and ranks as tables. Needs no JAX."""

from collections.abc import Sequence

import pandas as pd

from har_jax.report import groups, published, statistics
from har_jax.report.markdown import NONE, POINTS, TEXTS, Section, intervals, number, p_value
from har_jax.report.statistics import FEWEST, LEVEL, MARGIN

_AGAINST = 'full'


def sections(parts: Sequence[pd.DataFrame]) -> list[Section]:
  """Sections of each experiment: tests against full fine-tuning, intervals, ranks of over two methods."""
  return [
    *(_tests(part) for part in parts if _AGAINST in set(part['method']) and part['method'].nunique() > 1),
    *(_levels(part) for part in parts),
    *(_ranks(part, made) for part in parts if (made := statistics.ranks(part))),
    Section(
      'What datasets can show',
      what_datasets_show(len({target for part in parts for target in part['target']})),
    ),
  ]


def _notes(part: pd.DataFrame) -> list[str]:
  same = [
    f'{ours} and {theirs} hold the same people, who count twice where targets are pooled.'
    for ours, theirs in published.SAME_RECORDINGS.items()
    if {ours, theirs} <= set(part['target'])
  ]
  return [*([TEXTS['window']] if part['split'].iat[0] == 'window' else []), *same, *groups.not_run(part)]


def _tests(part: pd.DataFrame) -> Section:
  comparisons = statistics.compare(part, _AGAINST)
  n = comparisons['n'].astype(str)
  table = comparisons[['target', 'method']].assign(
    **{
      'subjects': n,
      f'macro-F1 − {_AGAINST}, points': intervals(comparisons[['mean', 'low', 'high']], POINTS),
      'better on': comparisons['better_on'].astype(str) + ' of ' + n,
      'r': [number(value, '+.2f') for value in comparisons['rank_biserial']],
      'p of a difference': comparisons['wilcoxon_p'].map(p_value),
      'p of equivalence': comparisons['equivalence_p'].map(p_value),
      'verdict': comparisons['verdict'],
    }
  )
  caption = TEXTS['tests'].format(**TEXTS, margin=MARGIN, fewest=FEWEST, level=LEVEL)
  return Section(f'Tests against {_AGAINST}: {groups.title(part)}', caption, table, _notes(part))


def _levels(part: pd.DataFrame) -> Section:
  rows = [
    (target, method, str(points.count()), *statistics.interval(points.dropna().to_numpy()))
    for target, of_target in statistics.by_subject(statistics.scores(part)).groupby('target')
    for method, points in of_target.dropna(axis=1, how='all').items()
  ]
  numbers = pd.DataFrame(rows, columns=['target', 'method', 'subjects', 'mean', 'low', 'high'])
  table = numbers[['target', 'method', 'subjects']].assign(
    **{'macro-F1, points': intervals(numbers[['mean', 'low', 'high']], '.1f')}
  )
  return Section(f'Intervals: {groups.title(part)}', TEXTS['levels'].format(**TEXTS), table, _notes(part))


def _ranks(part: pd.DataFrame, ranks: statistics.Ranks) -> Section:
  rows = []
  for method, rank in ranks.mean_ranks.items():
    cliques = [[name for name in clique if name != method] for clique in ranks.cliques if method in clique]
    similar = '; '.join(map(', '.join, cliques)) or NONE
    rows.append({'method': method, 'mean rank': f'{rank:.2f}', 'not significantly different': similar})
  targets = ', '.join(sorted(set(ranks.blocks.get_level_values('target'))))
  note = (
    f'Friedman p: {p_value(ranks.friedman_p)}, over {len(ranks.blocks)} subjects of {targets}. '
    f'Critical difference: {ranks.critical_difference:.2f} ranks.'
  )
  return Section(
    f'Ranks: {groups.title(part)}', TEXTS['ranks'].format(**TEXTS), pd.DataFrame(rows), [note, *_notes(part)]
  )


def what_datasets_show(n: int) -> str:
  """What so many target datasets can show."""
  smallest = 2 / 2**n
  reach = 'cannot reach' if smallest >= LEVEL else 'can reach'
  return TEXTS['datasets'].format(n=n, smallest=smallest, reach=reach, level=LEVEL)

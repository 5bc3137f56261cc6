"""Tests of differences, intervals and ranks as tables. Needs no JAX."""

import pandas as pd

from har_jax.errors import UserError
from har_jax.report import groups, published, ranks, statistics
from har_jax.report.frame import methods
from har_jax.report.markdown import NONE, Section, number, p_value
from har_jax.report.statistics import LEVEL, Interval

_AGAINST = 'full'


def sections(runs: pd.DataFrame) -> list[Section]:
  """For each experiment: tests against full fine-tuning, intervals, and ranks of three methods or more."""
  found = groups.experiments(runs)
  ranked = [part for part in found if part['method'].nunique() > 2]
  return [
    *(_tests(part) for part in found if _AGAINST in set(part['method']) and part['method'].nunique() > 1),
    *(_levels(part) for part in found),
    *(_ranks(part) for part in ranked),
    Section('What datasets can show', what_datasets_show(runs['target'].nunique()), pd.DataFrame()),
  ]


_POINTS = 'Macro-F1 of a test subject in points, the mean over the seeds that tested it.'
_TESTS = (
  f'{_POINTS} Difference: of the same subject under the same seeds, the mean over subjects with a bootstrap '
  'interval of 95 %. p of a difference: Wilcoxon signed-rank test; r: rank-biserial correlation. '
  f'p of equivalence: two one-sided t tests (TOST), margin {statistics.MARGIN:g} point. Both are '
  f'corrected by Holm over all rows. Verdicts at {LEVEL:g}: equivalent; else better or worse; else '
  'undecided, which does not mean equal.'
)
_LEVELS = (
  f'{_POINTS} Mean over subjects with a bootstrap interval of 95 %, too narrow with a handful of them.'
)
_RANKS = (
  f'{_POINTS} A block is a subject tested with all methods; rank 1 is best. Friedman test, then the critical '
  'difference of Nemenyi. Subjects of a target share a training: blocks are not independent, p is too small.'
)
_WINDOW = 'Window-wise, the same people were trained on: nothing here speaks of new people.'


def _notes(part: pd.DataFrame) -> list[str]:
  same = [
    f'{ours} and {theirs} hold the same people, who count twice where targets are pooled.'
    for ours, theirs in published.SAME_RECORDINGS.items()
    if {ours, theirs} <= set(part['target'])
  ]
  return [*([_WINDOW] if part['split'].iat[0] == 'window' else []), *same, *groups.not_run(part)]


def _tests(part: pd.DataFrame) -> Section:
  found = statistics.compare(part, _AGAINST)
  table = pd.DataFrame(
    {
      'target': found['target'],
      'method': found['method'],
      'subjects': found['n'].astype(str),
      f'macro-F1 − {_AGAINST}, points': [shown(each, '+.1f') for each in found['difference']],
      'better on': [f'{better} of {n}' for better, n in found[['better_on', 'n']].itertuples(index=False)],
      'r': [number(value, '+.2f') for value in found['rank_biserial'].astype(float)],
      'p of a difference': found['wilcoxon_p'].map(p_value),
      'p of equivalence': found['equivalence_p'].map(p_value),
      'verdict': found['verdict'],
    }
  )
  named = found[found['note'] != ''].groupby(['note', 'target'], sort=False)['method'].agg(', '.join)
  notes = [f'{target} {names}: {note}.' for (note, target), names in named.items()]
  return Section(f'Tests against {_AGAINST}: {groups.title(part)}', _TESTS, table, [*notes, *_notes(part)])


def _levels(part: pd.DataFrame) -> Section:
  points = statistics.scores(part)
  rows = []
  for target, of_target in points.groupby('target'):
    for method in methods(part):
      values = list(statistics.by_subject(of_target, [method])[method])
      cells = {'subjects': str(len(values)), 'macro-F1, points': shown(statistics.interval(values), '.1f')}
      rows += [{'target': target, 'method': method, **cells}] if values else []
  return Section(f'Intervals: {groups.title(part)}', _LEVELS, pd.DataFrame(rows), _notes(part))


def shown(found: Interval | None, form: str) -> str:
  """'-0.7 (-1.5 to +0.1)'; of one subject without the interval."""
  if found is None:
    return NONE
  if found.low is None or found.high is None:
    return format(found.mean, form)
  return f'{found.mean:{form}} ({found.low:{form}} to {found.high:{form}})'


def _ranks(part: pd.DataFrame) -> Section:
  title = f'Ranks: {groups.title(part)}'
  try:
    found = ranks.ranks(part)
  except UserError as error:
    return Section(title, _RANKS, pd.DataFrame(), [f'Not ranked: {error}.'])
  rows = [
    {
      'method': method,
      'mean rank': f'{rank:.2f}',
      'not significantly different': '; '.join(
        ', '.join(name for name in clique if name != method) for clique in found.cliques if method in clique
      )
      or NONE,
    }
    for method, rank in zip(found.methods, found.mean_ranks, strict=True)
  ]
  p = NONE if found.friedman_p is None else p_value(found.friedman_p)
  note = (
    f'Friedman p: {p}, over {found.blocks} subjects of {", ".join(found.targets)}. '
    f'Critical difference: {found.critical_difference:.2f} ranks.'
  )
  return Section(title, _RANKS, pd.DataFrame(rows), [note, *_notes(part)])


def what_datasets_show(n: int) -> str:
  """What so many target datasets can show."""
  smallest = 2 / 2**n
  reach = 'cannot reach' if smallest >= LEVEL else 'can reach'
  return (
    f'The unit of a claim about new datasets is a dataset, and there are {n}. If all pointed the same way, '
    f'the smallest two-sided p of a signed-rank test would be 2/2^{n} = {smallest:.3g}, which {reach} '
    f'{LEVEL:g}; that takes six. The tests above have subjects as their unit: they speak of new people, '
    'recorded as those of the dataset were. Seeds share the recordings, so they are no independent sample.'
  )

"""Tests of differences, intervals and ranks as tables. Needs no JAX."""

from collections.abc import Sequence
from typing import Any

from har_jax.errors import UserError
from har_jax.report import families, published, ranks, statistics
from har_jax.report.families import Family
from har_jax.report.groups import Group
from har_jax.report.section import NONE, Footnotes, Row, Section, p_value
from har_jax.report.statistics import Comparison, Interval

_AGAINST = 'full'


def sections(results: Sequence[dict[str, Any]]) -> list[Section]:
  """For each experiment: methods against full fine-tuning, each by itself, their ranks; and what so many datasets can show."""
  found = []
  for family in families.families(results):
    (group,) = family.members
    said = ' '.join([_ABOUT, *_about_split(group), *family.caption()])
    where = family.title()
    found += [
      Section(f'Against full fine-tuning, {where}', f'{said} {_TESTS}', *_differences(family)),
      Section(f'Macro-F1 with its interval, {where}', f'{said} {_INTERVAL}', *_levels(family)),
      Section(f'Ranks of methods, {where}', f'{said} {_RANKS}', *_ranked(group)),
      Section(
        f'What datasets can show (n={len(group.targets)}), {where}',
        statistics.what_datasets_show(len(group.targets)),
        [],
        [],
      ),
    ]
  return found


_ABOUT = (
  "Macro-F1 in points (100 times the fraction) of each test subject, over the classes among that subject's labels and "
  'predictions; the mean over the seeds that tested the subject, who so counts once.'
)
_TESTS = (
  'A difference is that of the same subject under the same seeds; below, its mean over subjects with a bootstrap interval of '
  '95 %. p of a difference: two-sided Wilcoxon signed-rank test; r: how one-sided its ranks are (rank-biserial), of -1 to 1. '
  f'p of equivalence: two one-sided paired t tests against a margin of {statistics.MARGIN:g} point. Both kinds of p are '
  'corrected by Holm, each over all rows of this table, pooled ones too. Pooled: every subject of every target is one '
  f"pair, so targets weigh by their subjects. Verdicts at {statistics.LEVEL:g}: 'equivalent' where equivalence is shown; else "
  "'better' or 'worse' where a difference is; else 'undecided', which is no word for equal."
)
_INTERVAL = 'Mean over subjects, and a bootstrap interval of 95 % over them; it is too narrow with a handful of subjects.'
_RANKS = (
  "A block is a subject of a target that was tested with all methods; rank 1 is best. Friedman's test, then Nemenyi's critical "
  'difference at .05. Targets weigh by their subjects, and subjects of one target share a training, so blocks are not quite '
  'independent and p is too small.'
)


def _about_split(group: Group) -> list[str]:
  if group.split != 'window':
    return []
  return ['By window the same people were also trained on: nothing here speaks of new people.']


def _differences(family: Family) -> tuple[list[Row], list[str]]:
  (group,) = family.members
  if _AGAINST not in group.methods:
    return [], [f'No results of {_AGAINST}, so there is nothing to compare with.', *family.missing()]
  notes = Footnotes()
  rows = [_difference(each, notes) for each in statistics.compare(group, _AGAINST)]
  return rows, [*notes.texts, *family.missing(), *_same_people(group)]


def _difference(each: Comparison, notes: Footnotes) -> Row:
  return {
    'target': each.target,
    'method': each.method,
    'subjects': str(each.n),
    f'macro-F1 − {_AGAINST}, points': shown(each.difference, '+.1f'),
    'better on': f'{each.better_on} of {each.n}' if each.n else NONE,
    'r': NONE if each.rank_biserial is None else f'{each.rank_biserial:+.2f}',
    'p of a difference': p_value(each.wilcoxon_p),
    'p of equivalence': p_value(each.equivalence_p),
    'verdict': f'{each.verdict} {notes.mark(*each.notes)}'.strip(),
  }


def _same_people(group: Group) -> list[str]:
  """Pooled, two forms of one recording would count its people twice."""
  both = [
    (ours, theirs)
    for ours, (theirs, _) in published.SAME_RECORDINGS.items()
    if {ours, theirs} <= {*group.targets}
  ]
  return [
    f'{one} and {other} hold the same people, who count twice where targets are pooled.'
    for one, other in both
  ]


def _levels(family: Family) -> tuple[list[Row], list[str]]:
  (group,) = family.members
  rows = []
  for target in group.targets:
    for method in group.methods:
      runs = group.runs.get((target, method), {})
      points = [value for (value,) in statistics.by_subject([runs]).values()]
      rows.append(
        {
          'target': target,
          'method': method,
          'subjects': str(len(points)),
          'seeds': f'n={len(runs)}' if runs else 'not run',
          'macro-F1, points': shown(statistics.interval(points), '.1f'),
        }
      )
  return rows, family.missing()


def shown(found: Interval | None, form: str) -> str:
  """'-0.7 (-1.5 to +0.1)'; without the bracket where there is one subject."""
  if found is None:
    return NONE
  if found.low is None or found.high is None:
    return format(found.mean, form)
  return f'{found.mean:{form}} ({found.low:{form}} to {found.high:{form}})'


def _ranked(group: Group) -> tuple[list[Row], list[str]]:
  try:
    found = ranks.ranks(group)
  except UserError as error:
    return [], [f'Not ranked: {error}.']
  rows = [
    {
      'method': method,
      'mean rank': f'{rank:.2f}',
      'alike': '; '.join(
        ', '.join(name for name in clique if name != method) for clique in found.cliques if method in clique
      )
      or NONE,
    }
    for method, rank in zip(found.methods, found.mean_ranks, strict=True)
  ]
  friedman = (
    'Friedman: all methods tie everywhere'
    if found.friedman_p is None
    else f'Friedman: p {_with_sign(found.friedman_p)}'
  )
  none = (
    ''
    if found.friedman_p is not None and found.friedman_p < statistics.LEVEL
    else ', so no two are told apart'
  )
  return rows, [
    f'{friedman} over {found.blocks} subjects of {", ".join(found.targets)}{none}. '
    f"Nemenyi's critical difference: {found.critical_difference:.2f} ranks; 'alike' are those no further apart."
  ]


def _with_sign(p: float) -> str:
  return p_value(p) if p < 0.001 else f'= {p_value(p)}'

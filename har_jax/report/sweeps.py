"""Tables of experiments that differ in one knob: rank, labels, split; and full fine-tuning beside no pretraining. Needs no JAX."""

import itertools
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from har_jax.report import families, published
from har_jax.report.families import Family
from har_jax.report.groups import Group
from har_jax.report.section import NONE, Footnotes, Row, Section, span, spread, spread_of

Result = dict[str, Any]
_SPREAD = 'Mean ± sample standard deviation over seeds, no deviation where n=1.'
_PAIRED = 'Ratios and differences are paired by seed, which shares a split.'
_BY_WINDOW = "published figures are the paper's, split by window, 70 % of the windows to train on, one figure each, of its own model"


def table6(results: Sequence[Result], *, beside: bool = True) -> list[Section]:
  """Rank of LoRA: a section for each set of experiments that differ in lora.rank alone, where there are two or more."""
  of_lora = [result for result in results if result['identity']['method'] == 'lora']
  sweeps = [family for family in families.families(of_lora, families.RANK) if len(family.members) > 1]
  if not sweeps:
    return [_nothing('Table VI. Rank of LoRA', 'no two experiments with LoRA differ in lora.rank alone')]
  return [_ranks(family, beside=beside) for family in sweeps]


def _ranks(family: Family, *, beside: bool) -> Section:
  notes = Footnotes()
  rows = []
  for target in family.targets:
    for group in sorted(family.shown(target), key=_rank):
      runs = list(group.runs.get((target, 'lora'), {}).values())
      row = {'target': target, 'rank': str(_rank(group)), 'seeds': _seeds([len(runs)])}
      row['macro-F1'] = spread([run['test']['macro_f1'] for run in runs], '.3f')
      row['training, s'] = spread([run['seconds']['training'] for run in runs], ',.1f')
      row['trainable'] = span((run['parameters']['trainable'] for run in runs), '{:,}')
      theirs, mark = _published(target, notes) if beside else (False, '')
      f1, seconds = published.TABLE_VI.get(_rank(group), (None, None)) if theirs else (None, None)
      row['published macro-F1'] = NONE if f1 is None else f'{f1:.4f}{mark}'
      row['published s'] = NONE if seconds is None else f'{seconds:,.0f}{mark}'
      rows.append(row)
  return _section('Table VI. Rank of LoRA', family, [_SPREAD], _without_empty(rows), notes, ('lora',))


def _rank(group: Group) -> int:
  return group.experiment['lora']['rank']


def table7(results: Sequence[Result], *, beside: bool = True) -> list[Section]:
  """Labels: a section for each set of experiments that differ in the label budget alone, where there are two or more."""
  sweeps = [family for family in families.families(results, families.LABELS) if len(family.members) > 1]
  if not sweeps:
    return [_nothing('Table VII. Labels', 'no two experiments differ in their label budget alone')]
  return [_labels(family, beside=beside) for family in sweeps]


def _labels(family: Family, *, beside: bool) -> Section:
  notes = Footnotes()
  rows = []
  for target in family.targets:
    for group in family.shown(target):
      rows.append(_labels_row(group, target, family.methods, notes, beside=beside))
  said = [
    'Labels: a share of all windows, or so many windows a class, in each of train and validation.',
    _SPREAD,
    _PAIRED,
  ]
  return _section('Table VII. Labels', family, said, _without_empty(rows), notes)


def _labels_row(group: Group, target: str, methods: Sequence[str], notes: Footnotes, *, beside: bool) -> Row:
  runs = {method: group.runs.get((target, method), {}) for method in methods}
  row = {'target': target, 'labels': group.experiment['protocol']['label_budget']}
  row['seeds'] = _seeds([len(by_seed) for by_seed in runs.values() if by_seed])
  for key, name in (('accuracy', 'accuracy'), ('macro_f1', 'macro-F1')):
    for method, by_seed in runs.items():
      row[f'{method} {name}'] = spread([run['test'][key] for run in by_seed.values()], '.3f')
    ratios = _ratios(group, target, key)
    row[f'lora ÷ full, {name}'] = spread_of(ratios, _most(group, target), '.4f')
  theirs, mark = _published(target, notes) if beside and _share(group) in published.TABLE_VII else (False, '')
  full, lora = published.TABLE_VII[_share(group)] if theirs else (0.0, 0.0)
  row['published accuracy: full / lora / ratio'] = (
    f'{full:.4f} / {lora:.4f} / {lora / full:.4f}{mark}' if theirs else NONE
  )
  return row


def _share(group: Group) -> str:
  return f'{group.budget:g}' if isinstance(group.budget, float) else ''


def _ratios(group: Group, target: str, key: str) -> list[float]:
  """LoRA over full fine-tuning; none where that has nought."""

  def ratio(own: Result, full: Result) -> float | None:
    return own['test'][key] / full['test'][key] if full['test'][key] else None

  return _paired(group, target, 'lora', 'full', ratio)


def leakage(results: Sequence[Result]) -> list[Section]:
  """By window beside by subject, everything else equal but the normalization: the points that neighboring windows give away."""
  title = 'What a split by window gives away'
  pairs = _pairs(results, families.SPLIT, lambda each: each.split == 'window')
  if not pairs:
    return [_nothing(title, 'no two experiments differ in their split (by window, by subject) alone')]
  return [_leak(title, *pair) for pair in pairs]


def _leak(title: str, family: Family, leaky: Group, strict: Group) -> Section:
  rows = []
  for target in sorted({*leaky.targets, *strict.targets}):
    for method in family.methods:
      by_window, by_subject = (group.runs.get((target, method), {}) for group in (leaky, strict))
      rows.append(_beside(target, method, by_window, by_subject, _LEAK))
  compared = Family([leaky, strict], family.free, family.apart)
  said = [
    f'{families.by_split(leaky.split).capitalize()}, normalized on {_normalized(leaky)}, against '
    f'{families.by_split(strict.split)}, normalized on {_normalized(strict)}; the same model and seeds.',
    'Windows overlap by half, so by window a test window has neighbors among those trained on.',
    _SPREAD,
    'The gap is the mean over seeds that both have.',
  ]
  return _section(title, compared, said, rows, Footnotes(), ('full', 'lora'))


_LEAK = ('by window, macro-F1', 'by subject, macro-F1', 'window − subject, points')


def _normalized(group: Group) -> str:
  own = {'train': 'the train part', 'dataset': 'the whole dataset'}
  return own[group.experiment['protocol']['normalize']]


def pretraining(results: Sequence[Result]) -> list[Section]:
  """Full fine-tuning and LoRA less the same model from scratch, by label budget."""
  title = 'What pretraining is worth'
  own = [family for family in families.families(results, families.LABELS) if 'scratch' in family.methods]
  if not own:
    return [_nothing(title, 'scratch, the model without pretraining, was not run')]
  return [_worth(title, family) for family in own]


def _worth(title: str, family: Family) -> Section:
  compared = [method for method in ('full', 'lora') if method in family.methods]
  rows = []
  for target in family.targets:
    for group in family.shown(target):
      scratch = [run['test']['macro_f1'] for run in group.runs.get((target, 'scratch'), {}).values()]
      row = {'target': target, 'labels': group.experiment['protocol']['label_budget']}
      row |= {'seeds': _seeds([len(scratch)]), 'scratch, macro-F1': spread(scratch, '.3f')}
      for method in compared:
        points = _points(group, target, method, 'scratch')
        row[_less(method)] = spread_of(points, _most(group, target), '+.1f')
      rows.append(row)
  if len(family.targets) > 1:
    means = [_mean_worth(group, family.targets, compared) for group in family.members]
    rows += [row for row in means if any(row[_less(method)] != NONE for method in compared)]
  said = [
    _SPREAD,
    _PAIRED,
    'A mean of targets counts each target once, and is given where every target has been run.',
  ]
  return _section(title, family, said, rows, Footnotes(), ('full', 'lora', 'scratch'))


def _less(method: str) -> str:
  return f'{method} − scratch, points'


def _mean_worth(group: Group, targets: Sequence[str], methods: Sequence[str]) -> Row:
  row = {
    'target': 'mean of targets',
    'labels': group.experiment['protocol']['label_budget'],
    'seeds': '',
    'scratch, macro-F1': '',
  }
  for method in methods:
    by_target = [_points(group, target, method, 'scratch') for target in targets]
    row[_less(method)] = (
      f'{statistics.mean(map(statistics.mean, by_target)):+.1f}' if all(by_target) else NONE
    )
  return row


def rotation_std_deg(results: Sequence[Result]) -> list[Section]:
  """Windows turned in fine-tuning beside windows as they are, everything else equal."""
  title = 'What turned windows are worth'
  pairs = _pairs(results, families.ROTATION, _degrees)
  if not pairs:
    return [_nothing(title, 'no two experiments differ in finetune.rotation alone, of which one is 0')]
  return [_turned(title, *pair) for pair in pairs]


def _turned(title: str, family: Family, turned: Group, still: Group) -> Section:
  rows = []
  targets = [target for target in turned.targets if target in still.targets]
  for target, method in itertools.product(targets, family.methods):
    own, other = (group.runs.get((target, method), {}) for group in (turned, still))
    if own and other:
      rows.append(_beside(target, method, own, other, _TURNED))
  for method in family.methods if len(targets) > 1 else ():
    both = [tuple(group.runs.get((target, method), {}) for group in (turned, still)) for target in targets]
    if all(_gains(*pair) for pair in both):
      mean = statistics.mean(statistics.mean(_gains(*pair)) for pair in both)
      rows.append(
        dict.fromkeys(rows[0], '')
        | {'target': 'mean of targets', 'method': method, _TURNED[2]: f'{mean:+.1f}'}
      )
  said = [
    f'In fine-tuning each window of a step is turned, about each axis by a normal angle of deviation {_degrees(turned):g}°, or left as it '
    'is; the same pretraining, splits and seeds. Test windows are never turned.',
    _SPREAD,
    _PAIRED,
  ]
  return _section(
    title, Family([turned, still], family.free, family.apart), said, rows, Footnotes(), family.methods
  )


_TURNED = ('turned, macro-F1', 'as they are, macro-F1', 'turned − as they are, points')


def _degrees(group: Group) -> float:
  return group.experiment['finetune']['rotation']


# --- pairs, published figures, and what is the same in all


def _pairs(
  results: Sequence[Result], free: tuple[str, ...], is_first: Callable[[Group], Any]
) -> list[tuple[Family, Group, Group]]:
  """Every two experiments that differ in the free knobs alone, of which the first is such a one and the second is not."""
  return [
    (family, first, second)
    for family in families.families(results, free)
    for first in family.members
    for second in family.members
    if is_first(first) and not is_first(second)
  ]


def _paired(
  group: Group, target: str, method: str, against: str, value: Callable[[Result, Result], float | None]
) -> list[float]:
  own, other = (group.runs.get((target, name), {}) for name in (method, against))
  found = [value(own[seed], other[seed]) for seed in own if seed in other]
  return [each for each in found if each is not None]


def _points(group: Group, target: str, method: str, against: str) -> list[float]:
  return _paired(
    group,
    target,
    method,
    against,
    lambda own, other: 100 * (own['test']['macro_f1'] - other['test']['macro_f1']),
  )


Runs = Mapping[int, Result]  # by seed


def _beside(target: str, method: str, own: Runs, other: Runs, names: tuple[str, str, str]) -> Row:
  """A row of a method's runs under two experiments, and what the first is ahead by; `names` of the three columns."""
  row = {'target': target, 'method': method, 'seeds': _seeds([len(own), len(other)])}
  for name, runs in zip(names[:2], (own, other), strict=True):
    row[name] = spread([run['test']['macro_f1'] for run in runs.values()], '.3f')
  return row | {names[2]: spread_of(_gains(own, other), max(len(own), len(other)), '+.1f')}


def _gains(own: Runs, other: Runs) -> list[float]:
  return [
    100 * (own[seed]['test']['macro_f1'] - other[seed]['test']['macro_f1']) for seed in own if seed in other
  ]


def _most(group: Group, target: str) -> int:
  """Seeds of the method that has most."""
  return max((len(by_seed) for (name, _), by_seed in group.runs.items() if name == target), default=0)


def _seeds(counts: Sequence[int]) -> str:
  return f'n={span(counts)}' if max(counts, default=0) else 'not run'


def _published(target: str, notes: Footnotes) -> tuple[bool, str]:
  """Whether Tables VI and VII are of this target, and the mark of what sets it apart."""
  theirs, difference = published.SAME_RECORDINGS.get(target, (target, ''))
  if theirs != published.SWEPT:
    return False, ''
  return True, notes.mark(_BY_WINDOW, difference)


def _without_empty(rows: Sequence[Row]) -> list[Row]:
  """Without the columns of published figures where there is none."""
  unused = {
    name for name in rows[0] if name.startswith('published') and all(row[name] == NONE for row in rows)
  }
  return [{name: cell for name, cell in row.items() if name not in unused} for row in rows]


def _section(
  title: str,
  family: Family,
  said: Sequence[str],
  rows: list[Row],
  notes: Footnotes,
  expected: Sequence[str] = (),
) -> Section:
  where = family.title()
  caption = ' '.join([*said, *family.caption()])
  return Section(
    f'{title}, {where}' if where else title, caption, rows, [*notes.texts, *family.missing(expected)]
  )


def _nothing(title: str, why: str) -> Section:
  return Section(title, '', [], [f'Nothing to show: {why}.'])

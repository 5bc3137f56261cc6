"""Parts of the page that show a knob's curve: adapters' rank and label budget. Needs no JAX; needs matplotlib."""

import statistics
from collections.abc import Callable, Sequence
from typing import Any

from har_jax.report import families, figures, published, section, sweeps
from har_jax.report.blocks import Commands, Fold, Gallery, Note, Notes, Part, Table
from har_jax.report.families import Family
from har_jax.report.groups import Group

Result = dict[str, Any]

_BAND = 'Lines are means over seeds, bands ± one sample standard deviation; no band where there is one seed.'
_THEIRS = f'Dashed and hollow: published ({published.SOURCE.partition(",")[0]}), by window, one run each.'
_SPAN = 16  # the largest value over the smallest, from which on an axis is logarithmic


def ranks(results: Sequence[Result], *, beside: bool) -> Part:
  """Macro-F1 and time over lora.rank, for each set of experiments that differ in nothing else."""
  adapted = [run for run in results if 'lora' in run['bytes']['trainable']]
  parts: list[Part] = []
  for family in _several(adapted, families.RANK):
    name = f'ranks-{len(parts) + 1}'
    drawings = [each for target in family.swept for each in _of_ranks(family, target, name, beside=beside)]
    if drawings:
      caption = f'{_BAND} Time is over that of the smallest rank, and compares where all were run on one device. {_told(family, beside=beside)}'
      parts.append(Part(name, family.title().capitalize(), [Gallery(caption, drawings)]))
  return Part(
    'ranks',
    'Rank of the adapters',
    [*parts, *_tables(sweeps.table6(adapted, beside=beside))] if parts else _missing('lora.rank', '6'),
  )


def labels(results: Sequence[Result], *, beside: bool) -> Part:
  """Accuracy and macro-F1 over the label budget, for each set of experiments that differ in nothing else."""
  parts: list[Part] = []
  for family in _several(results, families.LABELS):
    name = f'labels-{len(parts) + 1}'
    drawings = [each for target in family.swept for each in _of_labels(family, target, name, beside=beside)]
    if drawings:
      caption = f'{_BAND} A share is of all windows. {_told(family, beside=beside)}'
      parts.append(Part(name, family.title().capitalize(), [Gallery(caption, drawings)]))
  return Part(
    'labels',
    'Label budget',
    [*parts, *_tables(sweeps.table7(results, beside=beside))]
    if parts
    else _missing('protocol.label_budget', '7'),
  )


def _several(results: Sequence[Result], free: tuple[str, ...]) -> list[Family]:
  return [family for family in families.families(results, free) if len(family.members) > 1] if results else []


def _missing(knob: str, table: str) -> list[Any]:
  command = f'python launch/paper.py --windows=windows --table={table}'
  return [
    Note(f'No two of these results differ in {knob} alone. It is swept by'),
    Commands('To sweep it', [command]),
  ]


def _tables(found: Sequence[section.Section]) -> list[Any]:
  return [
    Fold(each.title, [Note(each.caption), Table(each.title, each.rows, num_heads=2), Notes(each.footnotes)])
    for each in found
    if each.rows
  ]


# --- rank


def _of_ranks(family: Family, target: str, name: str, *, beside: bool) -> list[str]:
  def rank(group: Group) -> int:
    return group.experiment['lora']['rank']

  lines = _lines(family.members, target, rank, lambda run: run['test']['macro_f1'])
  if not lines:
    return []
  times = [
    _over_first(line) for line in _lines(family.members, target, rank, lambda run: run['seconds']['training'])
  ]
  if beside and _is_theirs(target):
    found = published.TABLE_VI
    theirs = [figures.Line('lora', list(found), [each[place] for each in found.values()]) for place in (0, 1)]
    lines, times = [*lines, theirs[0]], [*times, _over_first(theirs[1])]
  return [
    _drawn(lines, f'{name}-{target}', target, 'rank', 'macro-F1'),
    _drawn(times, f'{name}-{target}', target, 'rank', 'training time ÷ smallest rank’s'),
  ]


def _over_first(line: figures.Line) -> figures.Line:
  first = line.y[0]
  deviation = None if line.deviation is None else [each / first for each in line.deviation]
  return figures.Line(line.method, line.x, [each / first for each in line.y], deviation)


# --- labels


def _of_labels(family: Family, target: str, name: str, *, beside: bool) -> list[str]:
  drawings = []
  for kind, x in ((float, 'labeled share'), (int, 'labels a class')):
    members = [group for group in family.members if isinstance(group.budget, kind)]
    for key, y in (('accuracy', 'accuracy'), ('macro_f1', 'macro-F1')):
      lines = _lines(members, target, lambda group: group.budget, lambda run, key=key: run['test'][key])  # type: ignore[misc]
      if lines and beside and kind is float and key == 'accuracy' and _is_theirs(target):
        shares = sorted(published.TABLE_VII, key=float)
        lines += [
          figures.Line(
            method, list(map(float, shares)), [published.TABLE_VII[share][place] for share in shares]
          )
          for place, method in enumerate(('full', 'lora'))
        ]
      if lines:
        drawings.append(_drawn(lines, f'{name}-{target}-{kind.__name__}', target, x, y))
  return drawings


# --- both


def _lines(
  members: Sequence[Group],
  target: str,
  place: Callable[[Group], float | int],
  measure: Callable[[Result], float],
) -> list[figures.Line]:
  """Of each method that was run at two values or more."""
  lines = []
  for method in dict.fromkeys(method for group in members for method in group.methods):
    measured = {
      place(group): [measure(run) for run in by_seed.values()]
      for group in members
      if (by_seed := group.runs.get((target, method)))
    }
    if len(measured) > 1:
      x = sorted(measured)
      means = [statistics.mean(measured[value]) for value in x]
      lines.append(figures.Line(method, list(x), means, [figures.deviation(measured[value]) for value in x]))
  return lines


def _drawn(lines: Sequence[figures.Line], name: str, target: str, x: str, y: str) -> str:
  ticks = sorted({value for line in lines if line.deviation is not None for value in line.x})
  places = [value for line in lines for value in line.x]
  return figures.sweep(
    lines,
    f'{name}-{y}',
    title=target,
    x=x,
    y=y,
    ticks=ticks,
    logarithmic=max(places) / min(places) >= _SPAN,
  )


def _is_theirs(target: str) -> bool:
  """Whether Tables VI and VII are of this target or of its people's other recordings."""
  return published.SAME_RECORDINGS.get(target, (target, ''))[0] == published.SWEPT


def _told(family: Family, *, beside: bool) -> str:
  said = [_THEIRS] if beside and any(map(_is_theirs, family.targets)) else []
  for target in family.targets if said else []:
    if difference := published.SAME_RECORDINGS.get(target, ('', ''))[1]:
      said.append(f'{difference[0].upper()}{difference[1:]}.')
  seeds = sorted({len(by_seed) for group in family.members for by_seed in group.runs.values()})
  said.append(f'n = {section.span(seeds)} seeds.')
  return ' '.join([*said, *family.caption()])

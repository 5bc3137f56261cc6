"""Result files into Table II, as Markdown and for a terminal. Needs no JAX.

A table holds one experiment: results that differ in any knob, or in the windows they read, never share one.
"""

import dataclasses
import statistics
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

from har_jax.report import families, groups, provenance, published
from har_jax.report.caption import caption
from har_jax.report.groups import Group
from har_jax.report.section import NONE, Footnotes, Row, megabytes, span, spread, tabulated

_MEASURES = {'accuracy': 'accuracy', 'macro_f1': 'macro-F1', 'precision': 'precision', 'recall': 'recall'}
_DIFFERENCE = 'macro-F1 − full, points'
_PUBLISHED = 'published, by window: accuracy / macro-F1 / precision / recall'
_PUBLISHED_SHORT = 'published macro-F1, by window'
# Too wide for a terminal, which has them in the second table or in short.
_ONLY_WIDE = ('trainable', 'total', _PUBLISHED)
_LINE = 110  # columns of a terminal's text


@dataclasses.dataclass(frozen=True)
class Section:
  """A group's table."""

  group: Group
  title: str
  caption: list[str]
  figures: list[Row]
  memory: list[Row]
  footnotes: list[str]

  @property
  def wide(self) -> list[Row]:
    """The figures without what only a terminal needs."""
    return [{name: cell for name, cell in row.items() if name != _PUBLISHED_SHORT} for row in self.figures]


def table2(results: Sequence[dict[str, Any]], *, beside: bool = True) -> str:
  """Markdown: a table, with its caption, for each split, label budget and experiment.

  `beside`: the published figures in their own column, where label budget and target are among theirs.
  Raises UserError where one run occurs twice.
  """
  parts = ['# Adaptation to the dataset left out of pretraining (Table II)']
  for section in sections(results, beside=beside):
    parts += [f'## {section.title}', '\n'.join(f'- {line}' for line in section.caption)]
    parts += [tabulated(section.wide, 'pipe'), *section.footnotes]
    parts += ['### Parameters and memory', MEMORY_CAPTION, tabulated(section.memory, 'pipe')]
  return '\n\n'.join([*parts, provenance.spent(results)]) + '\n'


def terminal(results: Sequence[dict[str, Any]], *, beside: bool = True) -> str:
  """The same as plain text, without the widest columns."""

  def wrapped(text: str, bullet: str = '') -> str:
    return textwrap.fill(text, _LINE, initial_indent=bullet, subsequent_indent=' ' * len(bullet))

  parts = []
  for section in sections(results, beside=beside):
    figures = [
      {name: cell for name, cell in row.items() if name not in _ONLY_WIDE} for row in section.figures
    ]
    parts += [f'{section.title}\n{"=" * len(section.title)}']
    parts += ['\n'.join(wrapped(line, '- ') for line in section.caption)]
    parts += [tabulated(figures, 'simple'), *map(wrapped, section.footnotes)]
    parts += [wrapped(f'Parameters and memory. {MEMORY_CAPTION}'), tabulated(section.memory, 'simple')]
  return '\n\n'.join([*parts, wrapped(provenance.spent(results))]) + '\n'


def sections(results: Sequence[dict[str, Any]], *, beside: bool) -> list[Section]:
  """A section for each split, label budget and experiment, in the order of `groups.group`."""
  grouped = groups.group(results)
  return [_section(group, number, grouped, beside=beside) for number, group in enumerate(grouped, start=1)]


def _section(group: Group, number: int, grouped: Sequence[Group], *, beside: bool) -> Section:
  # repr: a share of 1.0 is not one label a class.
  peers = [
    other for other in grouped if (other.split, repr(other.budget)) == (group.split, repr(group.budget))
  ]
  figures, footnotes = _figures(group, beside=beside and group.budget == published.LABELS)
  labels = group.experiment['protocol']['label_budget']
  return Section(
    group=group,
    title=f'Table {number}. {families.by_split(group.split).capitalize()}, labels {labels}',
    caption=caption(group, groups.apart(group, peers), beside=any(_PUBLISHED in row for row in figures)),
    figures=figures,
    memory=_memory(group),
    footnotes=footnotes,
  )


# --- the figures


def _figures(group: Group, *, beside: bool) -> tuple[list[Row], list[str]]:
  """A row for each target and method, then the means over targets; and the footnotes the rows ask for."""
  rows: list[Row] = []
  footnotes = Footnotes()
  for target in group.targets:
    for method in group.methods:
      if runs := group.runs.get((target, method)):
        theirs, footnote = _published(target, method) if beside else (None, '')
        rows.append(_row(group, target, method, runs, theirs, footnotes.mark(footnote)))
  if len(group.targets) > 1:
    rows += [
      _mean_row(group, method)
      for method in group.methods
      if all((t, method) in group.runs for t in group.targets)
    ]
  unused = [] if 'full' in group.methods and len(group.methods) > 1 else [_DIFFERENCE]
  if all(row[_PUBLISHED] == NONE for row in rows if row['target'] in group.targets):
    unused += [_PUBLISHED, _PUBLISHED_SHORT]
  kept = [{name: cell for name, cell in row.items() if name not in unused} for row in rows]
  return kept, footnotes.texts


def _published(target: str, method: str) -> tuple[tuple[float, ...] | None, str]:
  theirs, footnote = published.SAME_RECORDINGS.get(target, (target, ''))
  found = published.TABLE_II.get(theirs, {}).get(method)
  return found, footnote if found else ''


def _row(
  group: Group,
  target: str,
  method: str,
  runs: dict[int, dict[str, Any]],
  theirs: tuple[float, ...] | None,
  mark: str,
) -> Row:
  of_runs = list(runs.values())
  points = _points_to_full(group, target, method)
  row = {'target': target, 'method': method, 'seeds': f'n={len(runs)}'}
  row |= {name: spread([run['test'][key] for run in of_runs], '.3f') for key, name in _MEASURES.items()}
  row[_DIFFERENCE] = spread(points, '+.1f') + ('' if len(points) in (0, len(runs)) else f' (n={len(points)})')
  row['trainable'] = span((run['parameters']['trainable'] for run in of_runs), '{:,}')
  row['total'] = span((run['parameters']['total'] for run in of_runs), '{:,}')
  row['training, s'] = f'{statistics.mean(run["seconds"]["training"] for run in of_runs):,.1f}'
  row[_PUBLISHED] = ' / '.join(f'{figure:.3f}' for figure in theirs) + mark if theirs else NONE
  row[_PUBLISHED_SHORT] = f'{theirs[1]:.3f}{mark}' if theirs else NONE
  return row


def _mean_row(group: Group, method: str) -> Row:
  """Plain means of the targets' means: each target counts once, however many seeds it has. No spread."""

  def over_targets(values: Callable[[str], list[float]], form: str) -> str:
    by_target = [values(target) for target in group.targets]
    return format(statistics.mean(map(statistics.mean, by_target)), form) if all(by_target) else NONE

  def measured(key: str) -> Callable[[str], list[float]]:
    return lambda target: [run['test'][key] for run in group.runs[target, method].values()]

  row = {'target': 'mean of targets', 'method': method, 'seeds': ''}
  row |= {name: over_targets(measured(key), '.3f') for key, name in _MEASURES.items()}
  row[_DIFFERENCE] = over_targets(lambda target: _points_to_full(group, target, method), '+.1f')
  return row | dict.fromkeys(('trainable', 'total', 'training, s', _PUBLISHED, _PUBLISHED_SHORT), '')


def _points_to_full(group: Group, target: str, method: str) -> list[float]:
  """Macro-F1 less that of full fine-tuning, in points, for each seed that both have: they share its split."""
  full = group.runs.get((target, 'full'), {})
  own = {} if method == 'full' else group.runs[target, method]
  return [
    100 * (own[seed]['test']['macro_f1'] - full[seed]['test']['macro_f1']) for seed in own if seed in full
  ]


# --- parameters and memory

MEMORY_CAPTION = (
  'Megabytes (2²⁰ bytes) that variables hold, by collection; activations and gradients are not '
  'counted. A range is over targets, whose heads differ.'
)


def _memory(group: Group) -> list[Row]:
  """A row for each method."""
  held = {
    method: [_held(run) for run in group.every_run if run['identity']['method'] == method]
    for method in group.methods
  }
  collections_held = sorted({name for runs in held.values() for run in runs for name in run})
  rows = []
  for method, runs in held.items():
    parameters = [run['parameters'] for run in group.every_run if run['identity']['method'] == method]
    row = {'method': method}
    row |= {
      f'{part} weights': span((run[part] for run in parameters), '{:,}') for part in ('trainable', 'total')
    }
    row |= {name: _held_by_all([run.get(name, 0) for run in runs]) for name in collections_held}
    rows.append(row | {'all': megabytes([sum(run.values()) for run in runs])})
  return rows


def _held(run: dict[str, Any]) -> dict[str, int]:
  """'frozen nf4' → bytes, and so on."""
  return {f'{part} {name}': size for part, sizes in run['bytes'].items() for name, size in sizes.items()}


def _held_by_all(sizes: Sequence[int]) -> str:
  return megabytes(sizes) if max(sizes) else NONE

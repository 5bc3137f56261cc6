"""Result files into Table II, as Markdown and for a terminal. Needs no JAX.

A table holds one experiment: results that differ in any knob, or in the windows they read, never share one.
"""

import collections
import dataclasses
import statistics
import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from har_jax.report import groups, published
from har_jax.report.groups import Group

_MEASURES = {'accuracy': 'accuracy', 'macro_f1': 'macro-F1', 'precision': 'precision', 'recall': 'recall'}
_DIFFERENCE = 'macro-F1 − full, points'
_PUBLISHED = 'published, by window: accuracy / macro-F1 / precision / recall'
_PUBLISHED_SHORT = 'published macro-F1, by window'
# Too wide for a terminal, which has them in the second table or in short.
_ONLY_WIDE = ('trainable', 'total', _PUBLISHED)
_NONE = '–'
_LINE = 110  # columns of a terminal's text

Row = dict[str, str]


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
    parts += [_tabulated(section.wide, 'pipe'), *section.footnotes]
    parts += ['### Parameters and memory', MEMORY_CAPTION, _tabulated(section.memory, 'pipe')]
  return '\n\n'.join([*parts, spent(results)]) + '\n'


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
    parts += [_tabulated(figures, 'simple'), *map(wrapped, section.footnotes)]
    parts += [wrapped(f'Parameters and memory. {MEMORY_CAPTION}'), _tabulated(section.memory, 'simple')]
  return '\n\n'.join([*parts, wrapped(spent(results))]) + '\n'


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
  by = {'window': 'window (optimistic)', 'official': "subject, the archive's own"}.get(
    group.split, group.split
  )
  labels = group.experiment['protocol']['labels']
  return Section(
    group=group,
    title=f'Table {number}. Split by {by}, labels {labels}',
    caption=_caption(group, groups.apart(group, peers), beside=any(_PUBLISHED in row for row in figures)),
    figures=figures,
    memory=_memory(group),
    footnotes=footnotes,
  )


# --- the figures


def _figures(group: Group, *, beside: bool) -> tuple[list[Row], list[str]]:
  """A row for each target and method, then the means over targets; and the footnotes the rows ask for."""
  rows: list[Row] = []
  footnotes: dict[str, str] = {}  # text → mark
  for target in group.targets:
    for method in group.methods:
      if runs := group.runs.get((target, method)):
        theirs, footnote = _published(target, method) if beside else (None, '')
        if footnote and footnote not in footnotes:
          footnotes[footnote] = '¹²³⁴⁵'[len(footnotes)]
        rows.append(_row(group, target, method, runs, theirs, footnotes.get(footnote, '')))
  if len(group.targets) > 1:
    rows += [
      _mean_row(group, method)
      for method in group.methods
      if all((t, method) in group.runs for t in group.targets)
    ]
  unused = [] if 'full' in group.methods and len(group.methods) > 1 else [_DIFFERENCE]
  if all(row[_PUBLISHED] == _NONE for row in rows if row['target'] in group.targets):
    unused += [_PUBLISHED, _PUBLISHED_SHORT]
  kept = [{name: cell for name, cell in row.items() if name not in unused} for row in rows]
  return kept, [f'{mark} {text[0].upper()}{text[1:]}.' for text, mark in footnotes.items()]


def _published(target: str, method: str) -> tuple[tuple[float, ...] | None, str]:
  theirs, footnote = published.LOOKALIKES.get(target, (target, ''))
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
  row['trainable'] = _range((run['parameters']['trainable'] for run in of_runs), '{:,}')
  row['total'] = _range((run['parameters']['total'] for run in of_runs), '{:,}')
  row['training, s'] = f'{statistics.mean(run["seconds"]["training"] for run in of_runs):,.1f}'
  row[_PUBLISHED] = ' / '.join(f'{figure:.3f}' for figure in theirs) + mark if theirs else _NONE
  row[_PUBLISHED_SHORT] = f'{theirs[1]:.3f}{mark}' if theirs else _NONE
  return row


def _mean_row(group: Group, method: str) -> Row:
  """Plain means of the targets' means: each target counts once, however many seeds it has. No spread."""

  def over_targets(values: Callable[[str], list[float]], form: str) -> str:
    by_target = [values(target) for target in group.targets]
    return format(statistics.mean(map(statistics.mean, by_target)), form) if all(by_target) else _NONE

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


def spread(values: Sequence[float], form: str) -> str:
  """Mean ± sample standard deviation; the mean alone where there is one value."""
  if not values:
    return _NONE
  mean = format(statistics.mean(values), form)
  return f'{mean} ± {statistics.stdev(values):{form.lstrip("+")}}' if len(values) > 1 else mean


def _range(values: Iterable[Any], form: str) -> str:
  ordered = sorted(values)
  low, high = form.format(ordered[0]), form.format(ordered[-1])
  return low if low == high else f'{low}–{high}'


# --- the caption


def _caption(group: Group, own: dict[str, Any], *, beside: bool) -> list[str]:
  protocol = group.experiment['protocol']
  lines = [_SPLIT[group.split]]
  if own:
    told = '; '.join(f'{name} {_short(value)}' for name, value in own.items())
    lines.append(f'Not the only experiment of this split and label budget; what sets this one apart: {told}.')
  lines += [
    f'Labels: {_labels(protocol["labels"])}. Normalised on {_NORMALISED[protocol["normalise"]]}. '
    f'Classes: {protocol["classes"]}.',
    *(_of_target(group, target) for target in group.targets),
    _model(group),
    f'Seeds: {", ".join(map(str, group.seeds))}. {_FIGURES}',
    *_missing(group),
    f'Device: {machines(group.every_run)}. Versions: {_versions(group.every_run)}.',
  ]
  if beside:
    lines.append(
      f'Published: {published.SOURCE}; split by window, their own windows and classes, one figure each.'
      + ('' if group.split == published.SPLIT else ' Not comparable with this split; see a table by window.')
    )
  return lines


_SPLIT = {
  'subject': 'Split by subject: nobody is in two parts.',
  'official': 'Split by subject, tested on those that the archive itself sets apart: nobody is in two parts.',
  'window': (
    'Split by window, so optimistic: neighbouring windows overlap by half and land on both sides of the '
    'split.'
  ),
}
_FIGURES = (
  'Figures are fractions of one: mean ± sample standard deviation over seeds, no deviation where n=1. A seed '
  'draws its own split, so methods are compared by the difference in points, which is paired by seed. A mean '
  'of targets counts each target once.'
)
_NORMALISED = {'train': 'the train part', 'dataset': 'the whole dataset, test part included'}


def _labels(budget: str) -> str:
  number, per_class, _ = budget.partition('/class')
  return f'{number} a class in each of train and validation' if per_class else f'{budget} of all windows'


def _of_target(group: Group, target: str) -> str:
  told = [run['data'] for run in group.of_target(target)]
  return (
    f'{target} ({", ".join(sorted({data["position"] for data in told}))}): '
    f'{_range((len(data["classes"]) for data in told), "{}")} classes; '
    f'{_range((data["windows"]["train"] for data in told), "{:,}")} labelled windows to train and '
    f'{_range((data["windows"]["validation"] for data in told), "{:,}")} to validate on; tested on '
    f'{_range((data["windows"]["test"] for data in told), "{:,}")} windows of '
    f'{_range((len(data["subjects"]["test"]) for data in told), "{}")} subjects; '
    f'pretrained on {", ".join(group.sources[target])}.'
  )


def _model(group: Group) -> str:
  model, lora = group.experiment['model'], group.experiment['lora']
  told = (
    f'Model: {model["blocks"]} blocks of width {model["width"]}, feed-forward {model["ffn"]}, patches of '
    f'{model["patch"]} samples, head {", ".join(map(str, model["head"]))}'
  )
  if {'lora', 'qlora'}.intersection(group.methods):
    told += f'; adapters of rank {lora["rank"]}, alpha {lora["alpha"]:g}, on {", ".join(lora["targets"])}'
  steps = group.experiment['protocol'].get('unlabelled_steps')
  more = f', then {steps:,} steps on the target’s own train part, labels unseen' if steps else ''
  return (
    f'{told}. Pretraining: {_length(group, "pretrain")}{more}. Fine-tuning: {_length(group, "finetune")}.'
  )


def _length(group: Group, part: str) -> str:
  training = group.experiment[part]
  capped = f', {training["max_steps"]:,} steps at most' if training['max_steps'] else ''
  patience = (
    f', ended after {training["patience"]} validations without gain, the best kept'
    if training['patience']
    else ''
  )
  return f'{training["epochs"]:g} epochs{capped}{patience}'


def _missing(group: Group) -> list[str]:
  lacking = [
    f'{target} {method} {"all" if (target, method) not in group.runs else ", ".join(map(str, seeds))}'
    for target in group.targets
    for method in group.methods
    if (seeds := [seed for seed in group.seeds if seed not in group.runs.get((target, method), {})])
  ]
  return [f'Seeds not run: {"; ".join(lacking)}.'] if lacking else []


def machines(found: Sequence[dict[str, Any]]) -> str:
  """The devices that results were made on, with counts where there are several."""

  def name(device: dict[str, Any]) -> str:
    many = f'{device["count"]} × ' if device['count'] > 1 else ''
    cores = f'{device["host_cores"]} core{"" if device["host_cores"] == 1 else "s"}'
    return f'{many}{device["kind"]} ({device["machine"]} host, {cores})'

  devices = collections.Counter(name(result['device']) for result in found)
  if len(devices) == 1:
    return next(iter(devices))
  return f'mixed, so seconds do not compare: {_counted(devices)}'


def _versions(found: Sequence[dict[str, Any]]) -> str:
  """har_jax and jax, and whatever else differs."""
  told = []
  for name in found[0]['versions']:
    versions = collections.Counter(str(result['versions'].get(name)) for result in found)
    if len(versions) > 1:
      told.append(f'{name} mixed: {_counted(versions)}')
    elif name in ('har_jax', 'jax'):
      told.append(f'{name} {next(iter(versions))}')
  return ', '.join(told)


def _counted(counts: collections.Counter) -> str:
  return ', '.join(f'{name} in {count} of {counts.total()} runs' for name, count in sorted(counts.items()))


def _short(value: Any) -> str:
  if isinstance(value, list):
    return ', '.join(map(str, value))
  return f'{value[:15]}…' if str(value).startswith('sha256:') else str(value)


# --- parameters, memory, seconds

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
      f'{part} weights': _range((run[part] for run in parameters), '{:,}') for part in ('trainable', 'total')
    }
    row |= {name: _megabytes([run.get(name, 0) for run in runs]) for name in collections_held}
    rows.append(row | {'all': _megabytes([sum(run.values()) for run in runs])})
  return rows


def _held(run: dict[str, Any]) -> dict[str, int]:
  """'frozen nf4' → bytes, and so on."""
  return {f'{part} {name}': size for part, sizes in run['bytes'].items() for name, size in sizes.items()}


def _megabytes(sizes: Sequence[int]) -> str:
  if not max(sizes):
    return _NONE
  return '<0.01' if max(sizes) < 0.005 * 2**20 else _range((size / 2**20 for size in sizes), '{:.2f}')


def spent(results: Sequence[dict[str, Any]]) -> str:
  """Seconds of all results together, in a sentence."""
  training = sum(result['seconds']['training'] for result in results)
  # A target's runs share one pretraining, by subject and by window alike: the same seconds are the same run.
  pretraining = {
    (result['identity']['target'], seconds)
    for result in results
    if (seconds := result['seconds']['pretraining'])
  }
  # And one that goes on from it is that of a split and seed.
  continued = {
    (result['identity']['target'], result['seconds']['continued'])
    for result in results
    if 'continued' in result['seconds']
  }
  total = sum(seconds for _, seconds in [*pretraining, *continued])
  return (
    f'Seconds: {training + total:,.0f} in all; {training:,.0f} of training in {len(results)} runs, '
    f'{total:,.0f} of pretraining in {len(pretraining) + len(continued)}.'
  )


def _tabulated(rows: list[Row], form: str) -> str:
  from tabulate import tabulate

  headers = {
    name: '\n'.join(textwrap.wrap(name, 10, break_long_words=False)) if form == 'simple' else name
    for name in rows[0]
  }
  alignment = ['left' if name in ('target', 'method') else 'right' for name in rows[0]]
  # Figures are text by now: parsed again, 0.980 would come out as 0.98.
  return tabulate(rows, headers=headers, tablefmt=form, colalign=alignment, disable_numparse=True)

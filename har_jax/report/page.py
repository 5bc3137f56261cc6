"""Result files into one HTML page that needs no other file and no network. Needs no JAX; needs matplotlib and jinja2."""

import importlib.resources
import importlib.util
import statistics
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from har_jax.errors import UserError
from har_jax.report import (
  again,
  curves,
  families,
  figures,
  groups,
  paper,
  pictures,
  published,
  ranks,
  scaling,
  significance,
  sweeps,
  tables,
)
from har_jax.report.blocks import Commands, Fold, Gallery, Matrices, Matrix, Note, Notes, Part, Table
from har_jax.report.groups import Group
from har_jax.report.section import Section as Plain
from har_jax.report.tables import Section

Result = dict[str, Any]

_FEW = 4  # tables whose commands need no fold
_SHOWN = ('Split', 'Not the only', 'Seeds not run', 'Published')  # lines of a caption that nobody should miss


def refuse_without_tools() -> None:
  """Raises UserError where there is nothing to draw or to lay out with."""
  scaling.refuse_without_matplotlib()
  if importlib.util.find_spec('jinja2') is None:
    raise UserError("the page needs jinja2: pip install jinja2, or 'har_jax[report]'")


def html(
  results: Sequence[Result],
  *,
  folder: str,
  embeddings: Sequence[dict[str, Any]] = (),
  reconstructions: Sequence[dict[str, Any]] = (),
  beside: bool = True,
) -> str:
  """The page. The same results give the same text.

  `folder`: where the results are, as the commands on the page shall name it. `embeddings` and `reconstructions`: as
  `pictures` reads them. `beside`: the published figures stand beside ours.
  Raises UserError where one run occurs twice, or matplotlib or jinja2 is missing.
  """
  refuse_without_tools()
  import jinja2
  import markupsafe

  kept = families.without_sweeps(results)
  sections = tables.sections(kept, beside=beside)
  parts = [
    _tables(sections),
    _differences(sections),
    _sections('leakage', 'What a split by window gives away', sweeps.leakage(kept)),
    _sections('pretraining', 'What pretraining is worth', sweeps.pretraining(results)),
    _sections('seconds', 'Seconds of training', paper.table5(kept, beside=beside)),
    *_of_largest(sections),
    curves.ranks(results, beside=beside),
    curves.labels(results, beside=beside),
    pictures.embedded(embeddings, folder),
    pictures.reconstructed(reconstructions, folder),
    _again(sections, results, folder),
  ]
  template = importlib.resources.files('har_jax.report').joinpath('page.html.jinja').read_text('utf-8')
  environment = jinja2.Environment(
    autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
  )
  environment.filters['drawing'] = markupsafe.Markup  # an SVG of ours, whose text ElementTree has escaped
  return environment.from_string(template).render(parts=parts, facts=_facts(results))


def headline(results: Sequence[Result]) -> str:
  """One SVG file for a README: macro-F1 against the bytes that a method holds, of the first split's largest experiment."""
  group = _largest(tables.sections(results, beside=False))[0].group
  (drawn,) = _costs(group, 'headline', ('megabytes held',))
  return drawn.replace(
    '<svg ', '<svg style="background: white" ', 1
  )  # a file has no page whose colours it could take


# --- the head


def _facts(results: Sequence[Result]) -> dict[str, Any]:
  budgets: dict[str, dict[str, None]] = {}
  for each in groups.group(results):
    labels = each.experiment['protocol']['labels']
    budgets.setdefault(families.by_split(each.split), {})[labels] = None
  return {
    'source': published.SOURCE.partition(',')[0],
    'datasets': _datasets(results),
    'lines': {
      'Results': f'{len(results)} runs in {_number(len(groups.group(results)), "experiment")}',
      'Protocols': '; '.join(f'{split}, labels {", ".join(labels)}' for split, labels in budgets.items()),
      'Seeds': ', '.join(map(str, sorted({run['identity']['seed'] for run in results}))),
      'Device': tables.machines(results),
      'Versions': ', '.join(
        f'{name} {version}' for name, version in _releases(results).items() if name in ('har_jax', 'jax')
      ),
      'Cost': tables.spent(results),
    },
  }


def _datasets(results: Sequence[Result]) -> Table:
  """A row a dataset, whether adapted to or only pretrained on."""
  metas = {name: meta for run in results for name, meta in run['identity']['windows'].items()}
  targets = {run['identity']['target']: run['data'] for run in results}
  rows = [
    {
      'dataset': name,
      'worn at': meta['position'],
      'windows': f'{meta["windows"]:,}',
      'adapted to': 'yes' if name in targets else 'no',
      'classes': ', '.join(targets[name]['classes']) if name in targets else '',
    }
    for name, meta in sorted(metas.items())
  ]
  return Table('Datasets. A target is pretrained on others only; the tables say which.', rows)


def _releases(results: Sequence[Result]) -> dict[str, str]:
  """Package → every version that a result names."""
  names = dict.fromkeys(name for run in results for name in run['versions'])
  return {
    name: ' and '.join(sorted({str(run['versions'].get(name, 'none')) for run in results})) for name in names
  }


# --- tables


def _sections(name: str, title: str, found: Sequence[Plain]) -> Part:
  """Tables that the Markdown has too; those after the first few in a fold."""
  parts = [
    Part(f'{name}-{number}', each.title, _of_section(each)) for number, each in enumerate(found, start=1)
  ]
  rest = [Fold(f'{_number(len(parts) - _FEW, "more table")}', parts[_FEW:])] if len(parts) > _FEW else []
  return Part(name, title, [*parts[:_FEW], *rest])


def _of_section(each: Plain) -> list[Any]:
  table = [Table(each.title, each.rows, heads=2)] if each.rows else []
  return (
    [Note(each.caption), *table, Notes(each.footnotes)] if each.caption else [*table, Notes(each.footnotes)]
  )


def _differences(sections: Sequence[Section]) -> Part:
  """Tests, intervals and ranks of the largest experiments, with the diagrams of ranks."""
  largest = _largest(sections)
  parts: list[Any] = []
  for place, each in enumerate(largest, start=1):
    found = significance.sections(each.group.every_run)
    parts += [
      Part(f'statistics-{place}-{number}', one.title, _of_section(one)) for number, one in enumerate(found, 1)
    ]
    try:
      drawn = ranks.svg(ranks.ranks(each.group), f'ranks-{place}')
    except UserError:
      continue  # the table of ranks says why
    parts.append(
      Gallery(f'{each.title}: mean ranks, 1 is best; a bar joins methods that are not told apart.', [drawn])
    )
  return Part('statistics', 'Which differences can be told from chance', parts)


def _tables(sections: Sequence[Section]) -> Part:
  """Those of the largest experiments, and the others in a fold."""
  largest = [section.title for section in _largest(sections)]
  parts = {section.title: _table(number, section) for number, section in enumerate(sections, 1)}
  others = [part for title, part in parts.items() if title not in largest]
  fold = (
    [Fold(f'{_number(len(others), "more table")}: other label budgets, ranks and so on', others)]
    if others
    else []
  )
  return Part('tables', 'Tables', [*(parts[title] for title in largest), *fold])


def _table(number: int, section: Section) -> Part:
  shown = [line for line in section.caption if line.startswith(_SHOWN)]
  details = [line for line in section.caption if line not in shown]
  return Part(
    f'table-{number}',
    section.title,
    [
      Notes([*shown, *section.footnotes]),
      Table(f'{section.title}: mean ± sample standard deviation over seeds.', section.wide, heads=2),
      Fold('How these were run and measured', [Notes(details)]),
      Fold('Parameters and memory', [Table(tables.MEMORY_CAPTION, section.memory)]),
    ],
    again=f'again-{number}',
  )


# --- pictures of one experiment a split


def _largest(sections: Sequence[Section]) -> list[Section]:
  """Of each split the experiment with the most runs; the first of those with as many."""
  splits = dict.fromkeys(section.group.split for section in sections)
  return [
    max(
      (section for section in sections if section.group.split == split),
      key=lambda section: len(section.group.every_run),
    )
    for split in splits
  ]


def _of_largest(sections: Sequence[Section]) -> list[Part]:
  """Learning curves, confusion, cost: of the largest experiment of each split."""
  largest = _largest(sections)
  choice = (
    []
    if len(largest) == len(sections)
    else [Note('Of each split the experiment with the most runs; the others are in the tables.')]
  )
  kinds = (
    ('curves', 'Learning curves', _curves),
    ('confusion', 'Confusion', _confusion),
    ('cost', 'Accuracy against parameters and bytes', _cost),
  )
  return [
    Part(
      name,
      title,
      choice
      + [
        Part(
          f'{name}-{place}',
          section.title,
          make(section.group, f'{name}-{place}'),
          again=f'again-{sections.index(section) + 1}',
        )
        for place, section in enumerate(largest, 1)
      ],
    )
    for name, title, make in kinds
  ]


def _curves(group: Group, name: str) -> list[Any]:
  drawings: list[str] = []
  for target in group.targets:
    runs = {
      method: {seed: run for seed, run in by_seed.items() if run.get('validation')}
      for method in group.methods
      if (by_seed := group.runs.get((target, method)))
    }
    if runs := {method: by_seed for method, by_seed in runs.items() if by_seed}:
      drawings.append(figures.learning_curves(runs, f'{name}-svg-{len(drawings) + 1}', target=target))
  if not drawings:
    return [Note('These results hold no validation history.')]
  return [
    Gallery(
      'Macro-F1 on the validation part over steps of fine-tuning. Thick: the mean over seeds, up to the last '
      f'step that all reached; thin: each seed. Seeds {", ".join(map(str, group.seeds))}.',
      drawings,
    )
  ]


def _confusion(group: Group, name: str) -> list[Any]:
  folds: list[Fold] = []
  for target in group.targets:
    matrices = [
      matrix
      for method in group.methods
      if (matrix := _matrix(target, method, list(group.runs.get((target, method), {}).values())))
    ]
    if matrices:
      folds.append(Fold(target, [Matrices(_CONFUSION, matrices)], open=not folds))
  return folds or [Note('These results hold no confusion matrices.')]


_CONFUSION = (
  'Rows: what a test window is; columns: what it was taken for, in percent of the row, over all seeds together. '
  'Blue is right, orange wrong; an empty cell is none at all.'
)


def _matrix(target: str, method: str, runs: Sequence[Result]) -> Matrix | None:
  held = [run for run in runs if run['test'].get('confusion')]
  if not held:
    return None
  classes = held[0]['data']['classes']  # the target's, so the same for all seeds
  counts = sum(np.array(run['test']['confusion']) for run in held)
  return Matrix(f'{target}, {method}: {_number(len(held), "seed")}', classes, np.asarray(counts))


def _cost(group: Group, name: str) -> list[Any]:
  return [
    Gallery(
      'Macro-F1 on the test part, mean ± SD over seeds, against what is trained and what is held in memory (2²⁰ bytes: '
      'weights, statistics and, where the results tell it, the optimizer’s state; not activations). A grey line joins the '
      'methods of one target. Filled: no other method of that target is as good for less.',
      _costs(group, name, tuple(_COSTS)),
    )
  ]


_COSTS: dict[str, Callable[[Result], float | int]] = {
  'trainable parameters': lambda run: run['parameters']['trainable'],
  'megabytes held': lambda run: sum(sum(sizes.values()) for sizes in run['bytes'].values()) / 2**20,
}


def _costs(group: Group, name: str, titles: Sequence[str]) -> list[str]:
  """A drawing for each of these costs. A start from scratch costs what full fine-tuning does, and would lie upon it."""
  runs = {
    (target, method): list(by_seed.values())
    for (target, method), by_seed in sorted(group.runs.items())
    if method != 'scratch'
  }
  return [
    figures.pareto(
      [_point(target, method, of, _COSTS[title]) for (target, method), of in runs.items()],
      f'{name}-svg-{place}',
      cost=title,
    )
    for place, title in enumerate(titles, start=1)
  ]


def _point(
  target: str, method: str, runs: Sequence[Result], cost: Callable[[Result], float | int]
) -> figures.Point:
  scores = [run['test']['macro_f1'] for run in runs]
  mean = statistics.mean(scores)
  return figures.Point(target, method, statistics.mean(map(cost, runs)), mean, figures.deviation(scores))


# --- how it is made again


def _again(sections: Sequence[Section], results: Sequence[Result], folder: str) -> Part:
  commands = [
    Part(f'again-{number}', section.title, [Commands(section.title, again.commands(section.group))])
    for number, section in enumerate(sections, 1)
  ]
  kept = [section.group.experiment for section in sections]
  swept = [each for each in groups.group(results) if each.experiment not in kept]
  points = Commands('Points of sweeps', [line for each in swept for line in again.commands(each)])
  versions = [{'package': name, 'version': told} for name, told in _releases(results).items()]
  return Part(
    'again',
    'How each is made again',
    [
      Note(
        'Windows come from launch/prepare.py. A table, and the curves, matrices and pictures under the same title, come from '
        "its command's results; the curves over rank and labels from all of them together."
      ),
      Fold('By table', commands, open=len(commands) <= _FEW),
      *([Fold(_number(len(swept), 'point') + ' of sweeps over rank or labels', [points])] if swept else []),
      Part('again-page', 'This page', [Commands('This page', [again.report(folder)])]),
      Part(
        'again-with',
        'Made with',
        [Note(f'Device: {tables.machines(results)}.'), Fold('Versions', [Table('Versions', versions)])],
      ),
    ],
  )


def _number(count: int, what: str) -> str:
  return f'{count} {what}{"" if count == 1 else "s"}'

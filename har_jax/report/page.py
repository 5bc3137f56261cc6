"""Result files into one HTML page that needs no other file and no network. Needs no JAX; needs matplotlib and jinja2."""

import importlib.resources
import importlib.util
from collections.abc import Sequence
from typing import Any

from har_jax.errors import UserError
from har_jax.report import (
  again,
  curves,
  experiment,
  families,
  groups,
  paper,
  pictures,
  provenance,
  published,
  ranks,
  scaling,
  significance,
  sweeps,
  tables,
)
from har_jax.report.blocks import Commands, Fold, Gallery, Note, Notes, Part, Table, counted
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
    _sections('rotation', 'What turned windows are worth', sweeps.rotation_std_deg(results)),
    _sections('seconds', 'Seconds of training', paper.table5(kept, beside=beside)),
    *experiment.parts(sections),
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
  group = experiment.largest(tables.sections(results, beside=False))[0].group
  (drawn,) = experiment.costs(group, 'headline', ('megabytes held',))
  return drawn.replace(
    '<svg ', '<svg style="background: white" ', 1
  )  # a file has no page whose colors it could take


# --- the head


def _facts(results: Sequence[Result]) -> dict[str, Any]:
  budgets: dict[str, dict[str, None]] = {}
  for each in groups.group(results):
    labels = each.experiment['protocol']['label_budget']
    budgets.setdefault(families.by_split(each.split), {})[labels] = None
  return {
    'source': published.SOURCE.partition(',')[0],
    'datasets': _datasets(results),
    'lines': {
      'Results': f'{len(results)} runs in {counted(len(groups.group(results)), "experiment")}',
      'Protocols': '; '.join(f'{split}, labels {", ".join(labels)}' for split, labels in budgets.items()),
      'Seeds': ', '.join(map(str, sorted({run['identity']['seed'] for run in results}))),
      'Device': provenance.machines(results),
      'Versions': ', '.join(
        f'{name} {version}' for name, version in _releases(results).items() if name in ('har_jax', 'jax')
      ),
      'Cost': provenance.spent(results),
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
  rest = [Fold(f'{counted(len(parts) - _FEW, "more table")}', parts[_FEW:])] if len(parts) > _FEW else []
  return Part(name, title, [*parts[:_FEW], *rest])


def _of_section(each: Plain) -> list[Any]:
  table = [Table(each.title, each.rows, num_heads=2)] if each.rows else []
  return (
    [Note(each.caption), *table, Notes(each.footnotes)] if each.caption else [*table, Notes(each.footnotes)]
  )


def _differences(sections: Sequence[Section]) -> Part:
  """Tests, intervals and ranks of the largest experiments, with the diagrams of ranks."""
  largest = experiment.largest(sections)
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
  largest = [section.title for section in experiment.largest(sections)]
  parts = {section.title: _table(number, section) for number, section in enumerate(sections, 1)}
  others = [part for title, part in parts.items() if title not in largest]
  fold = (
    [Fold(f'{counted(len(others), "more table")}: other label budgets, ranks and so on', others)]
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
      Table(f'{section.title}: mean ± sample standard deviation over seeds.', section.wide, num_heads=2),
      Fold('How these were run and measured', [Notes(details)]),
      Fold('Parameters and memory', [Table(tables.MEMORY_CAPTION, section.memory)]),
    ],
    again=f'again-{number}',
  )


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
      *([Fold(counted(len(swept), 'point') + ' of sweeps over rank or labels', [points])] if swept else []),
      Part('again-page', 'This page', [Commands('This page', [again.report(folder)])]),
      Part(
        'again-with',
        'Made with',
        [Note(f'Device: {provenance.machines(results)}.'), Fold('Versions', [Table('Versions', versions)])],
      ),
    ],
  )

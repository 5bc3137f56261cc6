"""Runs as one HTML page without other files or network. Needs no JAX; needs matplotlib and jinja2."""

import contextlib
import dataclasses
import importlib.resources
import importlib.util
from collections.abc import Callable, Iterable, Sequence

import pandas as pd

from har_jax.errors import UserError
from har_jax.report import commands, curves, figures, frame, groups, ranks, svg, tables
from har_jax.report.markdown import Section
from har_jax.report.pictures import Picture

_FEW = 4  # blocks of a part that are not folded
_NUMBER = r'[-+−–<~]?\d|–|n=\d|$'


@dataclasses.dataclass(frozen=True)
class Block:
  """A title with what there is of notes, a table, figures (SVG elements) and commands."""

  title: str
  notes: Sequence[str] = ()
  table: pd.DataFrame = dataclasses.field(default_factory=pd.DataFrame)
  drawings: Sequence[str] = ()
  commands: Sequence[str] = ()

  @property
  def numeric(self) -> set[str]:
    """Columns of numbers, aligned right."""
    return {str(name) for name, cells in self.table.items() if cells.str.match(_NUMBER).all()}


def refuse_without_tools() -> None:
  """Raises UserError if matplotlib or jinja2 is not installed."""
  svg.refuse_without_matplotlib()
  if importlib.util.find_spec('jinja2') is None:
    raise UserError("the page needs jinja2: pip install jinja2, or 'har_jax[report]'")


def html(
  runs: pd.DataFrame,
  *,
  folder: str,
  embeddings: Sequence[Picture] = (),
  reconstructions: Sequence[Picture] = (),
  with_published: bool = True,
) -> str:
  """The page. Deterministic.

  folder: the results, as the page's commands name it. embeddings, reconstructions: as `pictures` reads them.
  Raises UserError if a run occurs twice, or if matplotlib or jinja2 is not installed.
  """
  refuse_without_tools()
  import jinja2

  shown = {name: _tables(make(runs, with_published)) for name, make in tables.TABLES.items()}
  chosen = largest(groups.without_sweeps(runs))
  adapted = runs[runs['lora_rank'].notna()]
  parts = {
    ('configuration', 'Configuration'): shown['configuration'],
    ('tables', 'Macro-F1 and accuracy'): shown['2'],
    ('statistics', 'Statistical tests'): shown['statistics'] + _rank_diagrams(chosen),
    ('leakage', 'Window-wise against subject-wise split'): shown['leakage'],
    ('pretraining', 'Value of pretraining'): shown['pretraining'],
    ('rotation', 'Rotation augmentation and other ablations'): shown['rotation'] + shown['ablations'],
    ('seconds', 'Training time'): shown['5'],
    ('memory', 'Parameters and memory'): shown['3'] + shown['4'],
    ('curves', 'Learning curves'): _galleries(chosen, curves.learning_curves, 'curves', _CURVES),
    ('confusion', 'Confusion matrices'): _galleries(
      _by_target(chosen), curves.confusion, 'confusion', _CONFUSION
    ),
    ('cost', 'Macro-F1 against cost'): _galleries(chosen, curves.costs, 'cost', _COST),
    ('ranks', 'Rank of the adapters'): _sweeps(adapted, 'lora_rank', curves.ranks, with_published)
    + shown['6'],
    ('labels', 'Label budget'): _sweeps(runs, 'label_budget', curves.label_budgets, with_published)
    + shown['7'],
    ('embeddings', 'Embeddings before and after adaptation'): [
      Block(
        f'{each["target"]}, {each["method"]}, {groups.SPLITS[each["split"]]}, seed {each["seed"]}',
        [f'{len(each["label"])} test windows as the encoder embeds them, projected by t-SNE.'],
        drawings=curves.embeddings(each, f'embedding-{number}'),
      )
      for number, each in enumerate(embeddings)
    ]
    or [Block('No embeddings.json. To make it', commands=[_PAPER])],
    ('reconstructions', 'Reconstructions of masked windows'): [
      Block(
        each['target'], [_RECONSTRUCTION], drawings=curves.reconstructions(each, f'reconstruction-{number}')
      )
      for number, each in enumerate(reconstructions)
    ]
    or [Block('No reconstructions.json. To make it', commands=[_PAPER])],
    ('commands', 'Commands'): [
      Block('This page', commands=[commands.report(folder)]),
      *(Block(groups.title(part), commands=commands.commands(part)) for part in groups.experiments(runs)),
    ],
  }
  environment = jinja2.Environment(
    autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
  )
  template = importlib.resources.files('har_jax.report').joinpath('page.html.jinja').read_text('utf-8')
  return environment.from_string(template).render(title=finding(chosen[0]), parts=parts, few=_FEW)


def headline(runs: pd.DataFrame) -> str:
  """An SVG file: macro-F1 against bytes held, of the first split's largest experiment."""
  (drawing,) = curves.costs(largest(groups.without_sweeps(runs))[0], 'headline', ('megabytes held',))
  return drawing.replace('<svg ', '<svg style="background: white" ', 1)


def finding(runs: pd.DataFrame) -> str:
  """Mean macro-F1 over targets, of each method that all targets have."""
  scores = runs.groupby(['target', 'method'])['macro_f1'].mean().unstack().dropna(axis=1).mean()
  listed = ', '.join(f'{name} {scores[name]:.3f}' for name in frame.methods(runs) if name in scores)
  split, targets = groups.SPLITS[runs['split'].iloc[0]], ', '.join(sorted(set(runs['target'])))
  return f'Macro-F1 on {targets}, unseen in pretraining: {listed}; {split}'


def largest(runs: pd.DataFrame) -> list[pd.DataFrame]:
  """For each split the experiment with the most runs."""
  found: dict[str, pd.DataFrame] = {}
  for part in groups.experiments(runs):
    split = part['split'].iloc[0]
    found[split] = max(found.get(split, part), part, key=len)
  return list(found.values())


# --- blocks

_CURVES = (
  'Macro-F1 on the validation part during fine-tuning. Thin: one seed. Thick: their mean, up to the last '
  'step that all reached.'
)
_CONFUSION = (
  'Percent of the test windows of each true class, all seeds together. Blue: correct, orange: wrong.'
)
_COST = (
  'Macro-F1 on the test part, mean ± SD over seeds. Megabytes (2²⁰ bytes) of weights, statistics and '
  'optimizer state. A line joins the methods of a target. Filled: no other method is as good for less.'
)
_SWEEP = (
  'Means over seeds, bands ± sample standard deviation. Dashed: published, window-wise split, one run each.'
)
_RECONSTRUCTION = (
  'Shaded tokens were hidden from the autoencoder. Units are standard deviations of the dataset.'
)
_PAPER = 'python launch/paper.py --windows=windows --table=all'


def _tables(sections: Sequence[Section]) -> list[Block]:
  return [Block(each.title, [each.caption, *each.notes], each.table) for each in sections]


def _rank_diagrams(chosen: Sequence[pd.DataFrame]) -> list[Block]:
  blocks = []
  for number, runs in enumerate(chosen):
    with contextlib.suppress(UserError):  # the table of ranks says why
      found, title = ranks.ranks(runs), f'Mean ranks, {groups.title(runs)}'
      drawing = svg.render(figures.rank_diagram, found, name=f'rank-diagram-{number}', title=title)
      note = 'Rank 1 is best. A bar joins methods whose ranks do not differ significantly.'
      blocks.append(Block(title, [note], drawings=[drawing]))
  return blocks


def _by_target(chosen: Sequence[pd.DataFrame]) -> list[pd.DataFrame]:
  return [part for runs in chosen for _, part in runs.groupby('target')]


def _galleries(
  chosen: Iterable[pd.DataFrame], draw: Callable[..., list[str]], name: str, note: str
) -> list[Block]:
  return [
    Block(groups.title(runs), [note], drawings=draw(runs, f'{name}-{number}'))
    for number, runs in enumerate(chosen)
  ]


def _sweeps(
  runs: pd.DataFrame, flag: str, draw: Callable[..., list[str]], with_published: bool
) -> list[Block]:
  """Figures of each set of experiments that differ in `flag` alone."""
  families = groups.experiments(runs, [flag])
  drawn = [
    draw(part, f'{flag}-{number}', with_published=with_published) for number, part in enumerate(families)
  ]
  return [
    Block(groups.title(part, [flag]), [_SWEEP], drawings=drawings)
    for part, drawings in zip(families, drawn, strict=True)
    if drawings
  ] or [Block(f'No two experiments differ in {flag} alone. To run them', commands=[_PAPER])]

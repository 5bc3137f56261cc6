"""Runs as one HTML page without other files or network. Needs no JAX; needs matplotlib and jinja2."""

import dataclasses
import importlib.resources
import importlib.util
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import pandas as pd

from har_jax.errors import UserError
from har_jax.report import commands, curves, frame, groups, svg, tables
from har_jax.report.markdown import Section
from har_jax.report.pictures import Picture

_Draw = Callable[..., list[str]]

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
  draw_ranks = partial(curves.ranks, with_published=with_published)
  draw_budgets = partial(curves.label_budgets, with_published=with_published)
  parts = {
    'Configuration': shown['configuration'],
    'Macro-F1 and accuracy': shown['2'],
    'Statistical tests': shown['statistics'] + _galleries(chosen, curves.rank_diagram, 'mean-ranks', _RANKS),
    'Window-wise against subject-wise split': shown['leakage'],
    'Value of pretraining': shown['pretraining'],
    'Rotation augmentation and other ablations': shown['rotation'] + shown['ablations'],
    'Training time': shown['5'],
    'Parameters and memory': shown['3'] + shown['4'],
    'Learning curves': _galleries(chosen, curves.learning_curves, 'curves', _CURVES),
    'Confusion matrices': _galleries(chosen, curves.confusion, 'confusion', _CONFUSION),
    'Macro-F1 against cost': _galleries(chosen, curves.costs, 'cost', _COST),
    'Rank of the adapters': _sweep(runs[runs['lora_rank'].notna()], 'lora_rank', draw_ranks) + shown['6'],
    'Label budget': _sweep(runs, 'label_budget', draw_budgets) + shown['7'],
    'Embeddings': _pictures(embeddings, curves.embeddings, 'embeddings', _EMBEDDING),
    'Reconstructions': _pictures(reconstructions, curves.reconstructions, 'reconstructions', _RECONSTRUCTION),
    'Commands': _commands(runs, folder),
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
  'Macro-F1 on the validation part. Thin: one seed. Thick: the mean, up to the last step that all reached.'
)
_RANKS = 'Rank 1 is best. A bar joins methods whose ranks do not differ significantly.'
_CONFUSION = 'Percent of the test windows of each true class, of all seeds. Blue: correct, orange: wrong.'
_COST = (
  'Mean ± SD over seeds, 2²⁰ bytes a megabyte. Filled: no other method of the target is as good for less.'
)
_SWEEP = 'Means over seeds, bands ± SD. Dashed: published, window-wise split, one run each.'
_EMBEDDING = 'Test windows as the encoder embeds them, before and after adaptation, projected by t-SNE.'
_RECONSTRUCTION = 'Shaded: hidden from the autoencoder. Units are standard deviations of the dataset.'


def _tables(sections: Sequence[Section]) -> list[Block]:
  return [Block(each.title, [each.caption, *each.notes], each.table) for each in sections]


def _galleries(
  chosen: Iterable[pd.DataFrame], draw: _Draw, name: str, note: str, free: Sequence[str] = ()
) -> list[Block]:
  drawn = [(groups.title(runs, free), draw(runs, f'{name}-{number}')) for number, runs in enumerate(chosen)]
  return [Block(title, [note], drawings=drawings) for title, drawings in drawn if drawings]


def _sweep(runs: pd.DataFrame, flag: str, draw: _Draw) -> list[Block]:
  families = groups.experiments(runs, [flag])
  return _galleries(families, draw, flag, _SWEEP, [flag]) or _missing(f'No sweep of {flag}')


def _pictures(found: Iterable[Picture], draw: _Draw, name: str, note: str) -> list[Block]:
  return [
    Block(each['target'], [note], drawings=draw(each, f'{name}-{number}'))
    for number, each in enumerate(found)
  ] or _missing(f'No {name}.json')


def _missing(what: str) -> list[Block]:
  return [Block(f'{what}. To make it', commands=['har-jax paper --windows=windows --table=all'])]


def _commands(runs: pd.DataFrame, folder: str) -> list[Block]:
  return [
    Block('This page', commands=[commands.report(folder)]),
    *(Block(groups.title(part), commands=commands.commands(part)) for part in groups.experiments(runs)),
  ]

"""Runs as one HTML page without other files or network. Needs no JAX; needs jinja2."""

import importlib.resources
import itertools
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence

import pandas as pd

from har_jax.errors import counted
from har_jax.report import commands, curves, figures, groups, markdown, tables
from har_jax.report.markdown import POINTS, Section

_KEYS = ('target', 'method', 'label_budget', 'lora_rank')  # leading columns that name a row together


def html(runs: pd.DataFrame, sections: Mapping[str, list[Section]], *, folder: str) -> str:
  """The page: the finding, then a part for each question. Deterministic. Parts without content are left out.

  sections: `tables.sections` of the runs. folder: the results, as the page's commands name it.
  Raises UserError if a run occurs twice.
  """
  import jinja2

  shown = largest(runs)
  budgets = groups.families(runs, 'label_budget')
  ranks = groups.families(runs[runs['lora_rank'].notna()], 'lora_rank')
  environment = jinja2.Environment(
    autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
  )
  template = importlib.resources.files('har_jax.report').joinpath('page.html.jinja').read_text('utf-8')
  return environment.from_string(template).render(
    finding=finding(shown[0]),
    means=tables.means(shown[0]),
    picture=curves.means(tables.by_target(shown[0]), 'means'),
    figures={
      'ranks': _drawn('mean-ranks', curves.rank_diagram, shown, 'ranks'),
      'costs': _drawn('cost', curves.costs, shown, 'cost'),
      'budgets': _drawn('label_budget', curves.label_budgets, budgets, 'sweep'),
      'lora_ranks': _drawn('lora_rank', curves.ranks, ranks, 'sweep'),
      'risk': _drawn('risk', curves.risk_coverage, shown, 'risk'),
      'confusion': _drawn('confusion', curves.confusion, shown, 'confusion'),
      'learning': _drawn('curves', curves.learning_curves, shown, 'curves'),
    },
    tables={**sections, 'means': [*map(tables.targets, shown)], 'commands': [_commands(runs, folder)]},
    numeric=markdown.numeric,
    keys=lambda table: list(itertools.takewhile(_KEYS.__contains__, table)) or list(table)[:1],
  )


def headline(shown: pd.DataFrame) -> str:
  """An SVG file: macro-F1 of each method of an experiment."""
  return figures.as_file(curves.means(tables.by_target(shown), 'headline'))


def finding(runs: pd.DataFrame) -> tuple[str, str]:
  """The method with the highest mean macro-F1 of the targets, and what that is a mean of."""
  scores = tables.by_target(runs)
  best = scores.mean(axis=1, skipna=False)
  split, targets = groups.SPLITS[runs['split'].iloc[0]], ', '.join(scores)
  seeds = runs['seed'].nunique()
  return (
    'No method was run on all targets'
    if pd.isna(best.iloc[0])
    else f'{best.index[0]} has the highest macro-F1: {best.iloc[0]:.3f}',
    f'Mean of targets, unseen in pretraining: {targets}. {split[0].upper()}{split[1:]}, '
    f'labels {runs["label_budget"].iloc[0]}, {counted(seeds, "seed")}, experiment '
    f'{groups.experiment(runs)}.',
  )


def verdict(shown: pd.DataFrame) -> str:
  """The finding as a terminal shows it, and whether LoRA is ahead of the forest if both were run."""
  best, mean_of = finding(shown)
  lines = [f'{best}. {mean_of}']
  means = tables.by_target(shown).mean(axis=1, skipna=False).dropna()
  if {'lora', 'forest'} <= set(means.index):
    points = 100 * (means['lora'] - means['forest'])
    is_ahead = 'is' if points > 0 else 'is not'
    lines.append(f'lora {is_ahead} ahead of forest, which has no neural network: {points:{POINTS}} points.')
  return '\n'.join(lines)


def largest(runs: pd.DataFrame) -> list[pd.DataFrame]:
  """Experiments with the most runs, one for each split, without sweeps."""
  parts: dict[str, pd.DataFrame] = {}
  for part in groups.experiments(groups.without_sweeps(runs)):
    split = part['split'].iloc[0]
    parts[split] = max(parts.get(split, part), part, key=len)
  return list(parts.values())


def _commands(runs: pd.DataFrame, folder: str) -> Section:
  """This page's command, then those of all experiments, each with an output folder of its own."""
  lines = [shlex.join(['har-jax', 'report', f'--results={folder}', '--html'])]
  for number, part in enumerate(groups.experiments(runs), start=1):
    lines += commands.commands(part, f'runs/again-{number}')
  caption = 'The first writes this page. The others need the folder of `har-jax prepare`: put it in.'
  return Section('Commands', caption, commands=lines)


def _drawn(
  name: str, draw: Callable[..., Iterable[str]], parts: Sequence[pd.DataFrame], text: str
) -> list[Section]:
  """A section for each part that has figures. `name` starts the ids of their elements."""
  drawn = [(part, [*draw(part, f'{name}-{number}')]) for number, part in enumerate(parts)]
  return [
    Section(
      groups.title(part, groups.differing(part, ['label_budget'])),
      markdown.TEXTS[f'page_{text}'],
      drawings=drawings,
    )
    for part, drawings in drawn
    if drawings
  ]

"""Runs as one HTML page without other files or network. Needs no JAX; needs jinja2."""

import importlib.resources
import importlib.util
import operator
import shlex
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import pandas as pd

from har_jax.errors import UserError
from har_jax.report import commands, curves, frame, groups, svg, tables
from har_jax.report.markdown import Section
from har_jax.report.pictures import Picture

_FEW = 4  # sections of a part that are not folded
_CURVES = 'Thin: one seed. Thick: the mean, up to the last step that all reached.'
_RANKS = 'Rank 1 is best. A bar joins methods whose ranks do not differ significantly.'
_CONFUSION = 'Percent of the test windows of each true class, of all seeds. Blue: correct, orange: wrong.'
_COST = 'Mean ± SD over seeds. Filled: no other method of the target is as good for less.'
_SWEEP = 'Means over seeds, bands ± SD. Dashed: published, window-wise split, one run each.'
_EMBEDDING = 'Test windows as the encoder embeds them, before and after adaptation, projected by t-SNE.'
_RECONSTRUCTION = 'Shaded: hidden from the autoencoder. Units are standard deviations of the dataset.'


def refuse_without_tools() -> None:
  """Raises UserError if jinja2 is not installed."""
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
  """The page. Deterministic. Parts without content are left out.

  folder: the results, as the page's commands name it. embeddings, reconstructions: as `pictures` reads them.
  Raises UserError if a run occurs twice, or if jinja2 is not installed.
  """
  refuse_without_tools()
  import jinja2

  shown = {name: tables.sections(runs, name, with_published=with_published) for name in tables.TABLES}
  chosen = largest(groups.without_sweeps(runs))
  ranks = groups.experiments(runs[runs['lora_rank'].notna()], ['lora_rank'])
  budgets = groups.experiments(runs, ['label_budget'])
  draw_ranks = partial(curves.ranks, with_published=with_published)
  draw_budgets = partial(curves.label_budgets, with_published=with_published)
  any_budget, target = partial(groups.title, free=['label_budget']), operator.itemgetter('target')
  parts = {
    'Configuration': shown['configuration'],
    'Macro-F1 and accuracy': shown['2'],
    'Statistical tests': shown['statistics'] + _drawn(chosen, curves.rank_diagram, 'mean-ranks', _RANKS),
    'Window-wise against subject-wise split': shown['leakage'],
    'Value of pretraining': shown['pretraining'],
    'Rotation augmentation and other ablations': shown['rotation'] + shown['ablations'],
    'Training time': shown['5'],
    'Parameters and memory': shown['3'] + shown['4'],
    'Learning curves': _drawn(chosen, curves.learning_curves, 'curves', _CURVES),
    'Confusion matrices': _drawn(chosen, curves.confusion, 'confusion', _CONFUSION),
    'Macro-F1 against cost': _drawn(chosen, curves.costs, 'cost', _COST),
    'Rank of the adapters': _drawn(ranks, draw_ranks, 'lora_rank', _SWEEP) + shown['6'],
    'Label budget': _drawn(budgets, draw_budgets, 'label_budget', _SWEEP, any_budget) + shown['7'],
    'Embeddings': _drawn(embeddings, curves.embeddings, 'embeddings', _EMBEDDING, target),
    'Reconstructions': _drawn(reconstructions, curves.reconstructions, 'windows', _RECONSTRUCTION, target),
    'Commands': [
      Section('This page', commands=[shlex.join(['har-jax', 'report', f'--results={folder}', '--html'])]),
      *(Section(groups.title(part), commands=commands.commands(part)) for part in groups.experiments(runs)),
    ],
  }
  environment = jinja2.Environment(
    autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
  )
  template = importlib.resources.files('har_jax.report').joinpath('page.html.jinja').read_text('utf-8')
  filled = {name: sections for name, sections in parts.items() if sections}
  return environment.from_string(template).render(title=finding(chosen[0]), parts=filled, few=_FEW)


def headline(runs: pd.DataFrame) -> str:
  """An SVG file: macro-F1 against bytes held, of the first split's largest experiment."""
  return svg.file(curves.costs(largest(groups.without_sweeps(runs))[0], 'headline')[-1])


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


def _drawn(
  parts: Iterable[Any],
  draw: Callable[..., list[str]],
  name: str,
  caption: str,
  title: Callable[[Any], str] = groups.title,
) -> list[Section]:
  """A section for each part that has figures. `name` starts the ids of their elements."""
  drawn = [(title(part), draw(part, f'{name}-{number}')) for number, part in enumerate(parts)]
  return [Section(heading, caption, drawings=drawings) for heading, drawings in drawn if drawings]

"""Parts of the page that show one experiment of each split: learning curves, confusion, accuracy against cost. Needs no JAX."""

import statistics
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from har_jax.report import figures
from har_jax.report.blocks import Fold, Gallery, Matrices, Matrix, Note, Part, counted
from har_jax.report.groups import Group
from har_jax.report.tables import Section

Result = dict[str, Any]


def largest(sections: Sequence[Section]) -> list[Section]:
  """Of each split the experiment with the most runs; the first of those with as many."""
  splits = dict.fromkeys(section.group.split for section in sections)
  return [
    max(
      (section for section in sections if section.group.split == split),
      key=lambda section: len(section.group.every_run),
    )
    for split in splits
  ]


def parts(sections: Sequence[Section]) -> list[Part]:
  """Learning curves, confusion, cost: of the largest experiment of each split."""
  chosen = largest(sections)
  choice = (
    []
    if len(chosen) == len(sections)
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
        for place, section in enumerate(chosen, 1)
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
  return Matrix(f'{target}, {method}: {counted(len(held), "seed")}', classes, np.asarray(counts))


def _cost(group: Group, name: str) -> list[Any]:
  return [
    Gallery(
      'Macro-F1 on the test part, mean ± SD over seeds, against what is trained and what is held in memory (2²⁰ bytes: '
      'weights, statistics and, where the results tell it, the optimizer’s state; not activations). A grey line joins the '
      'methods of one target. Filled: no other method of that target is as good for less.',
      costs(group, name, tuple(_COSTS)),
    )
  ]


_COSTS: dict[str, Callable[[Result], float | int]] = {
  'trainable parameters': lambda run: run['parameters']['trainable'],
  'megabytes held': lambda run: sum(sum(sizes.values()) for sizes in run['bytes'].values()) / 2**20,
}


def costs(group: Group, name: str, titles: Sequence[str]) -> list[str]:
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

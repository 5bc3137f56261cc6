"""Mean ranks of methods, and the picture of those too close to tell apart. Needs no JAX; the picture needs matplotlib.

Source: Demšar, Statistical Comparisons of Classifiers over Multiple Data Sets, JMLR 7 (2006), sec. 3.2.2. There a block
is a dataset; here it is a subject of a target.
"""

import dataclasses
from typing import Any

import numpy as np

from har_jax.errors import UserError
from har_jax.report import vector
from har_jax.report.groups import Group
from har_jax.report.statistics import LEVEL, by_subject

_BAR = '#d55e00'  # of Okabe and Ito's palette; seen on white and on black


@dataclasses.dataclass(frozen=True)
class Ranks:
  """Methods from the best mean rank on; rank 1 is the best of a block, ties share the mean of theirs."""

  methods: tuple[str, ...]
  mean_ranks: tuple[float, ...]
  blocks: int
  targets: tuple[str, ...]
  friedman_p: float | None  # None where all methods tie in every block
  critical_difference: float  # of two mean ranks, Nemenyi's at .05
  cliques: tuple[tuple[str, ...], ...]  # neighbors not told apart; of two or more, none within another


def ranks(group: Group) -> Ranks:
  """Over the subjects of each target that every method of the group was tested on under one seed.

  Where Friedman's test finds no difference at .05, all methods are one clique.
  Raises UserError with fewer than three methods or two blocks.
  """
  methods, blocks, targets = group.methods, [], []
  for target in group.targets:
    runs = [group.runs.get((target, method), {}) for method in methods]
    found = list(by_subject(runs).values())
    blocks += found
    targets += [target] if found else []
  if len(methods) < 3 or len(blocks) < 2:
    raise UserError(
      'ranks need at least 3 methods and 2 subjects tested with all of them; there are '
      f'{len(methods)} ({", ".join(methods)}) and {len(blocks)}'
    )
  from scipy import stats

  points = np.array(blocks)
  mean_ranks = stats.rankdata(-points, axis=1).mean(axis=0)
  order = np.argsort(mean_ranks, kind='stable')
  tied = np.all(points == points[:, :1])
  p = None if tied else float(stats.friedmanchisquare(*points.T).pvalue)
  critical = critical_difference(len(methods), len(blocks))
  sorted_ranks = mean_ranks[order]
  told_apart = p is not None and p < LEVEL
  names = tuple(methods[index] for index in order)
  return Ranks(
    names,
    tuple(map(float, sorted_ranks)),
    len(blocks),
    tuple(targets),
    p,
    critical,
    tuple(names[slice(*ends)] for ends in _cliques(sorted_ranks, critical)) if told_apart else (names,),
  )


def critical_difference(methods: int, blocks: int) -> float:
  """Nemenyi's: the difference of two mean ranks that .05 of experiments without any difference pass."""
  from scipy import stats

  q = stats.studentized_range.ppf(1 - LEVEL, methods, np.inf) / 2**0.5
  return float(q * (methods * (methods + 1) / (6 * blocks)) ** 0.5)


def _cliques(mean_ranks: np.ndarray, critical: float) -> list[tuple[int, int]]:
  """First and past the last of each widest stretch whose ends lie no further apart than the critical difference."""
  found: list[tuple[int, int]] = []
  for first, rank in enumerate(mean_ranks):
    end = int(np.searchsorted(mean_ranks, rank + critical, side='right'))
    if end - first > 1 and (not found or end > found[-1][1]):
      found.append((first, end))
  return found


def svg(found: Ranks, name: str) -> str:
  """The critical-difference diagram. `name` begins every id within.

  Raises UserError where matplotlib is missing.
  """
  told = ', '.join(
    f'{method} {rank:.2f}' for method, rank in zip(found.methods, found.mean_ranks, strict=True)
  )
  cliques = '; '.join(', '.join(clique) for clique in found.cliques) or 'none'
  return vector.svg(
    lambda figure: _draw(figure, found),
    name,
    title='Mean ranks of methods',
    description=f'Mean ranks over {found.blocks} subjects of {", ".join(found.targets)}, 1 is best: {told}. '
    f'Critical difference {found.critical_difference:.2f}. Not told apart: {cliques}.',
    size=(6.0, 0.8 + 0.25 * len(found.cliques) + 0.3 * _rows(found)),
  )


def _rows(found: Ranks) -> int:
  """Lines of names below the scale: the better half left, the others right."""
  return (len(found.methods) + 1) // 2


def _draw(figure: Any, found: Ranks) -> None:
  k, rows, bars = len(found.methods), _rows(found), len(found.cliques)
  panel = figure.add_subplot()
  panel.set_xlim(0.5 - 0.3 * k, k + 0.5 + 0.3 * k)  # names stand beside the scale
  panel.set_ylim(-0.6 - 0.4 * bars - 0.5 * rows, 1.7)
  panel.axis('off')
  _draw_scale(panel, k, found.critical_difference)
  for index, (method, rank) in enumerate(zip(found.methods, found.mean_ranks, strict=True)):
    is_left = index < rows
    y = -0.4 - 0.4 * bars - 0.5 * (index if is_left else k - 1 - index)
    x = 0.7 if is_left else k + 0.3
    panel.plot([rank, rank, x], [0, y, y], color=vector.INK, linewidth=1)
    label = f'{method} {rank:.2f} ' if is_left else f' {rank:.2f} {method}'
    panel.text(x, y, label, va='center', ha='right' if is_left else 'left')
  place = dict(zip(found.methods, found.mean_ranks, strict=True))
  for number, clique in enumerate(found.cliques):
    y, ends = -0.35 - 0.4 * number, (place[clique[0]] - 0.03, place[clique[-1]] + 0.03)
    panel.plot(ends, (y, y), color=_BAR, linewidth=3.5, solid_capstyle='round')


def _draw_scale(panel: Any, methods: int, critical: float) -> None:
  """Ranks from 1, the best, and the critical difference above them, as far as it fits."""
  panel.plot([1, methods], [0, 0], color=vector.INK, linewidth=1)
  for rank in range(1, methods + 1):
    panel.plot([rank, rank], [0, 0.15], color=vector.INK, linewidth=1)
    panel.text(rank, 0.25, str(rank), color=vector.INK, ha='center', va='bottom')
  shown = min(critical, methods - 1)
  panel.plot([1, 1 + shown], [1, 1], color=vector.INK, linewidth=1.5, marker='|')
  wider = ', wider than the scale' if critical > shown else ''
  panel.text(1, 1.1, f'critical difference {critical:.2f}{wider}', color=vector.INK, ha='left', va='bottom')

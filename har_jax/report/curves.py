"""SVG elements drawn from the runs of an experiment or of a sweep. Needs no JAX."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from har_jax import records
from har_jax.report import figures, published, statistics

_COSTS = {'trained parameters': ('trained_parameters', 1), 'megabytes held': ('bytes', 2**20)}
_RELATIVE = 'training time ÷ first'


def means(scores: pd.DataFrame, name: str) -> str:
  """Method × target → one figure, of a height that fits the methods."""
  complete = scores.mean(axis=1, skipna=False).dropna()
  listed = ', '.join(f'{method} {mean:.3f}' for method, mean in complete.items())
  named = (name, f'Macro-F1, mean of {", ".join(scores)}: {listed}')
  return figures.render(figures.means, scores, named=named, size=(4.6, 1.5 + 0.28 * len(scores)))


def learning_curves(runs: pd.DataFrame, name: str) -> Iterator[str]:
  """One per target, of the methods that take steps."""
  for target, part in runs[runs['step'] > 0].groupby('target'):
    named = (f'{name}-{target}', f'Learning curves, {target}')
    yield figures.render(figures.learning_curves, part, target, named=named)


def risk_coverage(runs: pd.DataFrame, name: str) -> Iterator[str]:
  """One per target: the error rate among the most confident windows, for each tenth that is answered."""
  rows = [
    {'target': run.target, 'method': run.method, 'x': number / 10, 'risk': risk}
    for run in runs.itertuples()
    if run.result.selective is not None
    for number, risk in enumerate(run.result.selective.risk, start=1)
  ]
  for target, part in pd.DataFrame(rows).groupby('target') if rows else ():
    points = part.groupby(['method', 'x'], as_index=False)['risk'].agg(['mean', 'std']).fillna({'std': 0.0})
    points = points.assign(line=points['method'])
    named = (f'{name}-{target}', f'Error rate against coverage, {target}')
    yield figures.render(figures.sweep, points, target, 'fraction answered', 'error rate', named=named)


def confusion(runs: pd.DataFrame, name: str) -> Iterator[str]:
  """One per target and method, over all seeds."""
  for (target, method), results in runs.groupby(['target', 'method'], sort=False)['result']:
    classes = results.iloc[0].data.classes
    counts = pd.DataFrame(sum(np.array(result.test.confusion) for result in results), classes, classes)
    recall = np.diag(counts) / counts.sum(axis=1).clip(lower=1)
    listed = ', '.join(f'{label} {value:.2f}' for label, value in recall.items())
    title, side = f'{target}, {method}', 2.2 + 0.35 * len(classes)
    named = (f'{name}-{title}', f'Confusion matrix, {title}; recall: {listed}')
    yield figures.render(figures.confusion, counts, title, named=named, size=(side, side))


def costs(runs: pd.DataFrame, name: str) -> Iterator[str]:
  """One per cost. Training from scratch is left out: it costs what full fine-tuning does."""
  parts = runs[runs['method'] != 'scratch'].groupby(['target', 'method'])
  for label, (column, unit) in _COSTS.items():
    points = parts.agg(cost=(column, 'mean'), mean=('macro_f1', 'mean'), std=('macro_f1', 'std'))
    points = points.assign(cost=points['cost'] / unit).fillna(0).reset_index()
    yield figures.render(
      figures.pareto, points, label, named=(f'{name}-{label}', f'Macro-F1 against {label}')
    )


def rank_diagram(runs: pd.DataFrame, name: str) -> Iterator[str]:
  """One, or none where ranks need more methods or subjects."""
  if ranks := statistics.ranks(runs):
    yield figures.render(figures.rank_diagram, ranks, named=(name, 'Mean ranks of methods'))


def ranks(runs: pd.DataFrame, name: str) -> Iterator[str]:
  """Macro-F1 and relative training time over the rank, for each target."""
  ours, theirs = (
    part.assign(axis='rank', x=part['lora_rank'].astype(float)) for part in (runs, published.runs_of('VI'))
  )
  return _sweeps(ours, theirs, name, {'macro_f1': 'macro-F1', 'seconds': _RELATIVE})


def label_budgets(runs: pd.DataFrame, name: str) -> Iterator[str]:
  """Accuracy and macro-F1 over the fraction of labels, and over labels per class, for each target."""
  axes = {'': 'fraction of labels', '/class': 'labels per class'}
  ours, theirs = (
    part.assign(axis=parts[1].map(axes), x=parts[0].astype(float))
    for part in (runs, published.runs_of('VII'))
    for parts in [part['label_budget'].str.partition('/class')]
  )
  return _sweeps(ours, theirs, name, {'accuracy': 'accuracy', 'macro_f1': 'macro-F1'})


def _sweeps(runs: pd.DataFrame, theirs: pd.DataFrame, name: str, measures: dict[str, str]) -> Iterator[str]:
  """Figures, one for each target, axis and measure, of the methods with two values of x or more, if any."""
  theirs = theirs.assign(line=theirs['method'] + ', published', std=np.nan)
  runs = runs[runs.groupby(['target', 'axis', 'method'])['x'].transform('nunique') > 1]
  for (target, axis), part in runs.groupby(['target', 'axis']):
    is_shown = (theirs['target'] == published.SAME_RECORDINGS.get(target, target)) & (theirs['axis'] == axis)
    for column, y in measures.items():
      ours = part.groupby(['method', 'x'], as_index=False)[column].agg(['mean', 'std']).fillna({'std': 0.0})
      points = ours.assign(line=ours['method'])
      if column in theirs and is_shown.any():
        shown = theirs[is_shown].rename(columns={column: 'mean'})
        points = pd.concat([points, shown[[*points]]], ignore_index=True)
      if y == _RELATIVE:
        first = points.sort_values('x').groupby('line')['mean'].transform('first')
        points = points.assign(mean=points['mean'] / first, std=points['std'] / first)
      named = (f'{name}-{target}-{axis}-{column}', f'{y} over {axis}, {target}')
      yield figures.render(figures.sweep, points, target, axis, y, named=named)


def continual(card: records.Continual) -> str:
  """An SVG file: macro-F1 on each domain after each. card: of `har-jax continual`."""
  strategy, history = card.identity['strategy'], card.history
  named = f'matrix-{strategy}', f'Macro-F1 on each domain after training on each, {strategy}'
  names = [entry.domain for entry in history]
  scores = pd.DataFrame([entry.macro_f1 for entry in history], names, names, dtype=float)
  size = 2.2 + 0.42 * len(names)
  return figures.as_file(figures.render(figures.domains, scores, named=named, size=(size, size * 0.85)))

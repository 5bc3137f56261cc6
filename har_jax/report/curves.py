"""SVG elements drawn from the runs of an experiment or of a sweep. Needs no JAX."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from har_jax.report import figures, published, svg
from har_jax.report import ranks as mean_ranks
from har_jax.report.pictures import Picture

_COSTS = {'trained parameters': ('trained_parameters', 1), 'megabytes held': ('bytes', 2**20)}
_FRACTION = 'fraction of labels'
_RELATIVE = 'training time ÷ first'
_WINDOWS = 4  # reconstructions drawn of a target


def means(scores: pd.DataFrame, name: str) -> str:
  """Method × target → one figure, of a height that fits the methods."""
  listed = ', '.join(
    f'{method} {mean:.3f}' for method, mean in scores.mean(axis=1, skipna=False).dropna().items()
  )
  named = (name, f'Macro-F1, mean of {", ".join(scores)}: {listed}')
  return svg.render(figures.means, scores, named=named, size=(4.6, 1.5 + 0.28 * len(scores)))


def learning_curves(runs: pd.DataFrame, name: str) -> list[str]:
  """One per target, of the methods that take steps."""
  return [
    svg.render(
      figures.learning_curves, part, target, named=(f'{name}-{target}', f'Learning curves, {target}')
    )
    for target, part in runs[runs['step'] > 0].groupby('target')
  ]


def confusion(runs: pd.DataFrame, name: str) -> list[str]:
  """One per target and method, over all seeds."""
  drawings = []
  for (target, method), results in runs.groupby(['target', 'method'], sort=False)['result']:
    classes = results.iloc[0]['data']['classes']
    counts = pd.DataFrame(sum(np.array(each['test']['confusion']) for each in results), classes, classes)
    recall = np.diag(counts) / counts.sum(axis=1).clip(lower=1)
    listed = ', '.join(f'{label} {value:.2f}' for label, value in recall.items())
    title, side = f'{target}, {method}', 2.2 + 0.35 * len(classes)
    named = (f'{name}-{title}', f'Confusion matrix, {title}; recall: {listed}')
    drawings.append(svg.render(figures.confusion, counts, title, named=named, size=(side, side)))
  return drawings


def costs(runs: pd.DataFrame, name: str) -> list[str]:
  """One per cost. Training from scratch is left out: it costs what full fine-tuning does."""
  drawings = []
  for label, (column, unit) in _COSTS.items():
    points = (
      runs[runs['method'] != 'scratch']
      .assign(cost=runs[column] / unit)
      .groupby(['target', 'method'], as_index=False)
      .agg(cost=('cost', 'mean'), mean=('macro_f1', 'mean'), std=('macro_f1', 'std'))
      .fillna(0)
    )
    named = (f'{name}-{label}', f'Macro-F1 against {label}')
    drawings.append(svg.render(figures.pareto, points, label, named=named))
  return drawings


def rank_diagram(runs: pd.DataFrame, name: str) -> list[str]:
  """One, or none where ranks need more methods or subjects."""
  found = mean_ranks.ranks(runs)
  return [svg.render(figures.rank_diagram, found, named=(name, 'Mean ranks of methods'))] if found else []


def ranks(runs: pd.DataFrame, name: str) -> list[str]:
  """Macro-F1 and relative training time over the rank, for each target."""
  theirs = pd.DataFrame(
    [(target, 'lora', 'rank', rank, *row) for (target, rank), row in published.TABLE_VI.items()],
    columns=['target', 'method', 'axis', 'x', 'macro_f1', 'seconds'],
  )
  runs = runs.assign(axis='rank', x=runs['lora_rank'].astype(float))
  measures = {'macro_f1': 'macro-F1', 'seconds': _RELATIVE}
  return _sweeps(runs, theirs, name, measures)


def label_budgets(runs: pd.DataFrame, name: str) -> list[str]:
  """Accuracy and macro-F1 over the fraction of labels, and over labels per class, for each target."""
  theirs = pd.DataFrame(
    [(*key[:2], _FRACTION, float(key[2]), accuracy) for key, (accuracy,) in published.TABLE_VII.items()],
    columns=['target', 'method', 'axis', 'x', 'accuracy'],
  )
  budgets = runs['label_budget'].str.partition('/class')
  axis = budgets[1].map({'': _FRACTION, '/class': 'labels per class'})
  runs = runs.assign(axis=axis, x=budgets[0].astype(float))
  measures = {'accuracy': 'accuracy', 'macro_f1': 'macro-F1'}
  return _sweeps(runs, theirs, name, measures)


def _sweeps(runs: pd.DataFrame, theirs: pd.DataFrame, name: str, measures: Mapping[str, str]) -> list[str]:
  """For each target, axis and measure, a figure of the methods with two values of x or more, if any."""
  drawings = []
  for (target, axis), part in runs.groupby(['target', 'axis']):
    shown = theirs[(theirs['target'] == published.name_of(target)) & (theirs['axis'] == axis)]
    shown = shown.assign(line=shown['method'] + ', published', std=np.nan)
    several = part[part.groupby('method')['x'].transform('nunique') > 1]
    for column, y in measures.items() if len(several) else ():
      ours = (
        several.groupby(['method', 'x'], as_index=False)[column].agg(['mean', 'std']).fillna({'std': 0.0})
      )
      points = ours.assign(line=ours['method'])
      if column in shown and len(shown):
        points = pd.concat([points, shown.rename(columns={column: 'mean'})[list(points)]], ignore_index=True)
      if y == _RELATIVE:
        first = points.sort_values('x').groupby('line')['mean'].transform('first')
        points = points.assign(mean=points['mean'] / first, std=points['std'] / first)
      named = (f'{name}-{target}-{axis}-{column}', f'{y} over {axis}, {target}')
      drawings.append(svg.render(figures.sweep, points, target, axis, y, named=named))
  return drawings


def embeddings(picture: Picture, name: str) -> list[str]:
  """Test windows before and after adaptation."""
  labels, classes = np.array(picture['label']), picture['classes']
  drawings = []
  for when in ('before', 'after'):
    title = f'{when} adaptation by {picture["method"]}, {picture["split"]}-wise split'
    data, named = (np.array(picture[when], float), labels, classes, title), (f'{name}-{when}', title)
    drawings.append(svg.render(figures.embedding, *data, named=named, size=(4.4, 4.4)))
  return drawings


def reconstructions(picture: Picture, name: str) -> list[str]:
  """The first windows of a target."""
  drawings = []
  for number, window in enumerate(picture['windows'][:_WINDOWS]):
    title = f'{window["dataset"]}, {window["activity"]}'
    data, named = (window, picture['patch_size'], title), (f'{name}-{number}', f'Reconstruction, {title}')
    drawings.append(svg.render(figures.reconstruction, *data, named=named, size=(4.4, 5.6)))
  return drawings

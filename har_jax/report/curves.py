"""SVG elements drawn from the runs of an experiment or of a sweep. Needs no JAX; needs matplotlib."""

import numpy as np
import pandas as pd

from har_jax.report import figures, published, svg
from har_jax.report import ranks as mean_ranks
from har_jax.report.pictures import Picture

_COSTS = {'trained parameters': ('trained_parameters', 1), 'megabytes held': ('bytes', 2**20)}
_WINDOWS = 4  # reconstructions drawn of a target


def learning_curves(runs: pd.DataFrame, name: str) -> list[str]:
  """One a target."""
  return [
    svg.render(
      figures.learning_curves, part, target, named=(f'{name}-{target}', f'Learning curves, {target}')
    )
    for target, part in runs.groupby('target')
  ]


def confusion(runs: pd.DataFrame, name: str) -> list[str]:
  """One a target and method, of all seeds together."""
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
  """One a cost. Training from scratch is left out: it costs what full fine-tuning does."""
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


def ranks(runs: pd.DataFrame, name: str, *, with_published: bool) -> list[str]:
  """Macro-F1 and relative training time over the rank, for each target."""
  theirs = pd.DataFrame(
    [(target, 'lora', rank, *row) for (target, rank), row in published.TABLE_VI.items()],
    columns=['target', 'method', 'x', 'macro_f1', 'seconds'],
  )
  drawings = []
  for target, part in runs.assign(x=runs['lora_rank'].astype(float)).groupby('target'):
    shown = theirs[theirs['target'] == published.name_of(target)][: None if with_published else 0]
    drawings += _sweep(part, shown, name, 'rank', 'macro_f1', 'macro-F1')
    drawings += _sweep(part, shown, name, 'rank', 'seconds', _RELATIVE)
  return drawings


def label_budgets(runs: pd.DataFrame, name: str, *, with_published: bool) -> list[str]:
  """Accuracy and macro-F1 over the fraction of labels, and over labels per class, for each target."""
  theirs = pd.DataFrame(
    [(*key[:2], float(key[2]), accuracy) for key, (accuracy,) in published.TABLE_VII.items()],
    columns=['target', 'method', 'x', 'accuracy'],
  )
  budgets = runs['label_budget'].str.partition('/class')
  kind = budgets[1].map({'': 'fraction of labels', '/class': 'labels per class'})
  drawings = []
  for (target, x), part in runs.assign(x=budgets[0].astype(float), kind=kind).groupby(['target', 'kind']):
    is_shown = with_published and x == 'fraction of labels'
    shown = theirs[theirs['target'] == published.name_of(target)][: None if is_shown else 0]
    drawings += _sweep(part, shown, name, x, 'accuracy', 'accuracy')
    drawings += _sweep(part, shown, name, x, 'macro_f1', 'macro-F1')
  return drawings


_RELATIVE = 'training time ÷ first'


def _sweep(runs: pd.DataFrame, theirs: pd.DataFrame, name: str, x: str, column: str, y: str) -> list[str]:
  """A figure of the methods of a target with two values of x or more, if there are any."""
  ours = runs.groupby(['method', 'x'], as_index=False)[column].agg(['mean', 'std']).fillna({'std': 0.0})
  points = ours[ours.groupby('method')['x'].transform('size') > 1].assign(line=lambda found: found['method'])
  if points.empty:
    return []
  if column in theirs and len(theirs):
    theirs = theirs.assign(line=theirs['method'] + ', published', mean=theirs[column], std=np.nan)
    points = pd.concat([points, theirs[list(points)]], ignore_index=True)
  if y == _RELATIVE:
    first = points.sort_values('x').groupby('line')['mean'].transform('first')
    points = points.assign(mean=points['mean'] / first, std=points['std'] / first)
  target = runs['target'].iat[0]
  named = (f'{name}-{target}-{x}-{column}', f'{y} over {x}, {target}')
  return [svg.render(figures.sweep, points, target, x, y, named=named)]


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

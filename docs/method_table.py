"""Generate table and picture of docs/methods.md from results/runs.csv: python docs/method_table.py."""

import pathlib
import re
from typing import Any

import pandas as pd

from har_jax.report import frame, markdown, svg

_ROOT = pathlib.Path(__file__).parents[1]
PAGE, PICTURE = _ROOT / 'docs' / 'methods.md', _ROOT / 'docs' / 'methods.svg'
_BLOCK = re.compile(
  r'(<!-- generated: python docs/method_table.py -->\n).*?(<!-- end of generated -->)', re.DOTALL
)
_EXPERIMENT = 'methods'
_COLORS = {False: '#0072b2', True: '#d55e00'}  # of a method in float32, and over four bits


def measured() -> pd.DataFrame:
  """A row for each method: macro-F1 of each target and their mean, weights and bytes."""
  runs = frame.read_csv(_ROOT / 'results' / 'runs.csv')
  runs = runs[runs['experiment'] == _EXPERIMENT]
  scores = runs.pivot_table(
    index='method', columns='target', values='macro_f1', aggfunc='mean', observed=True
  )
  costs = runs.assign(
    held=runs['frozen_bytes'] + runs['trainable_bytes'] + runs['optimizer_bytes'],
  ).groupby('method', observed=True)
  table = scores.assign(
    mean=scores.mean(axis=1),
    trained=costs['trained_parameters'].mean(),
    adapter_kb=costs['trainable_bytes'].mean() / 1000,
    held_mb=costs['held'].mean() / 1e6,
  )
  return table.sort_values('mean', ascending=False)


def block() -> str:
  """What was measured on what, and the table."""
  runs = frame.read_csv(_ROOT / 'results' / 'runs.csv')
  runs = runs[runs['experiment'] == _EXPERIMENT]
  table = measured()
  targets = [name for name in table.columns if name in set(runs['target'])]
  (device,), (budget,) = (runs[name].unique() for name in ('device', 'label_budget'))
  steps = ' or '.join(map(str, sorted(runs['step'].unique())))
  seeds = ', '.join(map(str, sorted(runs['seed'].unique())))
  shown = table.assign(
    **{name: table[name].map('{:.3f}'.format) for name in [*targets, 'mean']},
    trained=table['trained'].map('{:,.0f}'.format),
    adapter_kb=table['adapter_kb'].map('{:,.0f}'.format),
    held_mb=table['held_mb'].map('{:.1f}'.format),
  ).reset_index()
  names = {'mean': 'mean', 'trained': 'trained weights', 'adapter_kb': 'trained, kB', 'held_mb': 'held, MB'}
  text = (
    f'Macro-F1 on unseen subjects: subject-wise split, label budget {budget}, {steps} steps, seed {seeds}, '
    f'{device}. '
    '“Held” are the frozen and trained weights with the optimizer’s state.'
  )
  return f'{text}\n\n{markdown.tabulated(shown.rename(columns=names))}'


def filled(page: str) -> str:
  return _BLOCK.sub(lambda found: f'{found[1]}\n{block()}\n\n{found[2]}', page)


def caption() -> str:
  """The picture's title for screen readers: all that it shows."""
  points = '; '.join(
    f'{name} {row["mean"]:.3f} with {row["held_mb"]:.1f} MB' for name, row in measured().iterrows()
  )
  return f'Mean macro-F1 against megabytes held in training: {points}'


def picture() -> str:
  return svg.file(svg.render(_draw, measured(), named=('methods', caption()), size=(6.4, 4.0)))


def _draw(figure: Any, table: pd.DataFrame) -> None:
  axes = figure.subplots()
  best = table['mean'].where(table['mean'] >= _best_so_far(table))
  for name, row in table.iterrows():
    is_packed = str(name).startswith('q')
    axes.plot(row['held_mb'], row['mean'], color=_COLORS[is_packed], marker='s' if is_packed else 'o')
    axes.annotate(name, (row['held_mb'], row['mean']), xytext=(4, 3), textcoords='offset points', fontsize=8)
  front = table.assign(best=best).dropna().sort_values('held_mb')
  axes.plot(front['held_mb'], front['mean'], color=svg.INK, linewidth=0.8, linestyle=':', zorder=0)
  axes.set_xlabel('megabytes held in training: weights and optimizer')
  axes.set_ylabel('macro-F1, mean of targets')


def _best_so_far(table: pd.DataFrame) -> pd.Series:
  """For each method, the best mean of those that hold no more than it."""
  ordered = table.sort_values('held_mb')
  return ordered['mean'].cummax().reindex(table.index)


if __name__ == '__main__':
  PAGE.write_text(filled(PAGE.read_text(encoding='utf-8')), encoding='utf-8')
  PICTURE.write_text(picture(), encoding='utf-8')

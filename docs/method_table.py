"""Generate table and picture of docs/methods.md from results/runs.csv: python docs/method_table.py."""

import functools
import pathlib
from typing import Any

import pandas as pd

from har_jax.report import frame, markdown, svg

_ROOT = pathlib.Path(__file__).parents[1]
PAGE, PICTURE = _ROOT / 'docs' / 'methods.md', _ROOT / 'docs' / 'methods.svg'
_EXPERIMENT = 'methods'
_BUDGETS = {'0.7': '70 % of the labels', '0.1': 'a tenth', '10/class': '10 per activity'}
_WITHOUT_ADAPTERS = ['ensemble', 'scratch', 'zero_shot', 'zero_shot_recording', 'forest', 'rocket']
_HELD = ['frozen_bytes', 'trainable_bytes', 'optimizer_bytes']
_COLORS = {False: '#0072b2', True: '#d55e00'}  # of a method in float32, and over four bits


@functools.cache
def _runs() -> pd.DataFrame:
  runs = frame.read_csv(_ROOT / 'results' / 'runs.csv')
  return runs[runs['experiment'] == _EXPERIMENT]


def measured() -> pd.DataFrame:
  """A row for each method, of the seed that all have: macro-F1 of each target, mean, weights, bytes."""
  runs = _runs().assign(held=lambda each: each[_HELD].sum(axis=1))
  runs = runs[runs['seed'] == runs['seed'].min()]
  scores = runs.pivot_table(index='method', columns='target', values='macro_f1', observed=True)
  costs = runs.groupby('method', observed=True)
  return scores.assign(
    mean=scores.mean(axis=1),
    trained=costs['trained_parameters'].mean(),
    trained_kb=costs['trainable_bytes'].mean() / 1000,
    held_mb=costs['held'].mean() / 1e6,
  ).sort_values('mean', ascending=False)


def of_seeds() -> pd.DataFrame:
  """A row for each method with several seeds: macro-F1 of each target and their mean, with the seeds' SD."""
  runs = _runs()
  runs = runs[runs.groupby(['method', 'target'], observed=True)['seed'].transform('nunique') > 1]
  by_seed = runs.pivot_table(index=['method', 'seed'], columns='target', values='macro_f1', observed=True)
  by_seed['mean'] = by_seed.mean(axis=1)
  spread = by_seed.groupby('method', observed=True).agg(['mean', 'std'])
  ordered = spread.sort_values(('mean', 'mean'), ascending=False)
  return pd.DataFrame(
    {name: [f'{mean:.3f} ± {std:.3f}' for mean, std in ordered[name].to_numpy()] for name in by_seed.columns},
    index=ordered.index,
  )


def by_budget() -> pd.DataFrame:
  """A row for each method of the experiment `recommended`: the targets' mean at each label budget."""
  runs = frame.read_csv(_ROOT / 'results' / 'runs.csv')
  own = runs[(runs['experiment'] == 'recommended') & ~runs['method'].isin(_WITHOUT_ADAPTERS)]
  runs = pd.concat([own, runs[runs['experiment'] == 'baselines']])
  runs = runs[(runs['split'] == 'subject') & runs['label_budget'].isin(_BUDGETS) & (runs['seed'] < 3)]
  scores = runs.pivot_table(
    index=['method', 'label_budget', 'seed'], columns='target', values='macro_f1', observed=True
  )
  seeds = scores.dropna().mean(axis=1).groupby(['method', 'label_budget'], observed=True)
  text = seeds.agg(lambda means: f'{means.mean():.3f} ± {means.std():.3f}').unstack()[list(_BUDGETS)]
  order = seeds.mean().unstack()[list(_BUDGETS)].mean(axis=1).sort_values(ascending=False)
  return text.loc[order.index].fillna(markdown.NONE).rename(columns=_BUDGETS).reset_index()


def block() -> str:
  """What was measured on what, and the tables."""
  runs, table = _runs(), measured()
  budget, device, steps, seeds = (
    joint.join(map(str, sorted(runs[name].unique())))
    for name, joint in (('label_budget', ', '), ('device', ' or '), ('step', ' or '), ('seed', ', '))
  )
  (pretraining,) = runs['supervised_pretraining_steps'].unique()
  forms = dict.fromkeys(table, '{:.3f}') | {
    'trained': '{:,.0f}',
    'trained_kb': '{:,.0f}',
    'held_mb': '{:.1f}',
  }
  shown = table.assign(**{name: table[name].map(form.format) for name, form in forms.items()}).reset_index()
  names = {'trained': 'trained weights', 'trained_kb': 'trained, kB', 'held_mb': 'held, MB'}
  text = (
    f'Macro-F1 on unseen subjects: subject-wise split, label budget {budget}, {steps} steps, {device}. '
    f'Supervised pretraining took {pretraining:,} steps. Four methods with seeds {seeds}, mean ± SD:'
  )
  all_text = 'All methods with seed 0. “Held” are the frozen and trained weights with the optimizer’s state.'
  budgets_text = (
    'The same four targets after longer supervised pretraining (`recommended.flags`), with 600 steps: means '
    'at three label budgets, mean ± SD of three seeds, with both baselines:'
  )
  tables = [
    markdown.tabulated(each) for each in (of_seeds().reset_index(), shown.rename(columns=names), by_budget())
  ]
  return '\n\n'.join([text, tables[0], all_text, tables[1], budgets_text, tables[2]])


def filled(page: str) -> str:
  return markdown.fill(page, 'python docs/method_table.py', block())


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
  for name, row in table.iterrows():
    is_packed = str(name).startswith('q')
    axes.plot(row['held_mb'], row['mean'], color=_COLORS[is_packed], marker='s' if is_packed else 'o')
    axes.annotate(name, (row['held_mb'], row['mean']), xytext=(4, 3), textcoords='offset points', fontsize=8)
  ordered = table.sort_values('held_mb')
  front = ordered[ordered['mean'] == ordered['mean'].cummax()]  # no method that holds less is better
  axes.plot(front['held_mb'], front['mean'], color=svg.INK, linewidth=0.8, linestyle=':', zorder=0)
  axes.set_xlabel('megabytes held in training: weights and optimizer')
  axes.set_ylabel('macro-F1, mean of targets')


if __name__ == '__main__':
  PAGE.write_text(filled(PAGE.read_text(encoding='utf-8')), encoding='utf-8')
  PICTURE.write_text(picture(), encoding='utf-8')

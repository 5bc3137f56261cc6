"""Generate tables and picture of docs/results/methods.md: python docs/studies/method_table.py."""

import functools
from typing import Any

import pandas as pd
import study

from har_jax.report import csv_table, figures, frame, markdown

_RUNS, PAGE = study.ROOT / 'results' / 'runs.csv', study.ROOT / 'docs' / 'results' / 'methods.md'
PICTURE = PAGE.with_suffix('.svg')
_COSTS, _AGAIN = _RUNS.with_name('method_costs.csv'), _RUNS.with_name('second_pretraining.csv')
_EXPERIMENT, _FEW = 'recommended', '10/class'
_BUDGETS = {'0.7': '70 % of the labels', '0.1': 'a tenth', _FEW: '10 per activity'}
_WITHOUT_ADAPTERS = ['ensemble', 'scratch', 'zero_shot', 'zero_shot_recording', 'forest', 'rocket']
_LAYERS = {  # lora_targets → the layers that have an adapter
  'embed,query,key,value,output,up,down': 'all',
  'query,key,value,output': 'attention',
  'up,down': 'feed-forward',
  'embed': 'stem',
}
_HELD = ['frozen_bytes', 'trainable_bytes', 'optimizer_bytes']
_STORES = {'float32': {'color': '#0072b2', 'marker': 'o'}, 'four bits': {'color': '#d55e00', 'marker': 's'}}
_APART = 0.002  # names of points that are nearer to the median, or below, would lie over one another


@functools.cache
def _table() -> pd.DataFrame:
  return frame.read_csv(_RUNS)


@functools.cache
def _runs() -> pd.DataFrame:
  """Runs of every method that starts from a pretrained encoder, with subject-wise splits."""
  runs = _table()
  is_own = (runs['experiment'] == _EXPERIMENT) & ~runs['method'].isin(_WITHOUT_ADAPTERS)
  runs = runs[is_own | (runs['experiment'] == 'baselines')]
  return runs[(runs['split'] == 'subject') & runs['label_budget'].isin(_BUDGETS) & (runs['seed'] < 3)]


@functools.cache
def _again() -> pd.DataFrame:
  """Runs that start from a second pretraining of each target. Their settings are the same."""
  return frame.read_csv(_AGAIN)


def _few() -> pd.DataFrame:
  runs = _runs()[lambda rows: (rows['experiment'] == _EXPERIMENT) & (rows['label_budget'] == _FEW)]
  return runs.assign(held=lambda rows: rows[_HELD].sum(axis=1))


def measured() -> pd.DataFrame:
  """A row for each method: macro-F1 of each target and their mean, the SD over seeds, weights, bytes."""
  by_seed = (
    _few().pivot_table(index=['method', 'seed'], columns='target', values='macro_f1', observed=True).dropna()
  )
  by_seed['mean'] = by_seed.mean(axis=1)
  costs = _few().groupby('method', observed=True)
  return (
    by_seed.groupby('method', observed=True)
    .mean()
    .assign(
      sd=by_seed['mean'].groupby('method', observed=True).std(),
      trained=costs['trained_parameters'].mean(),
      trained_kb=costs['trainable_bytes'].mean() / 1000,
      held_mb=costs['held'].mean() / 1e6,
    )
    .sort_values('mean', ascending=False)
  )


def _seeds(runs: pd.DataFrame, keys: list[str]) -> Any:
  """The targets' mean for each seed, grouped by the keys and the label budget."""
  index = [*keys, 'label_budget']
  scores = runs.pivot_table(index=[*index, 'seed'], columns='target', values='macro_f1', observed=True)
  return scores.dropna().mean(axis=1).groupby(index, observed=True)


def _means(seeds: Any) -> pd.DataFrame:
  """Mean and SD of the seeds: a row for each of their keys, a column for each label budget."""
  text = seeds.agg(lambda means: f'{means.mean():.3f} ± {means.std():.3f}').unstack()
  return text.reindex(columns=list(_BUDGETS))


def by_budget(runs: pd.DataFrame) -> pd.DataFrame:
  """A row for each method and baseline with more than one label budget."""
  seeds = _seeds(runs, ['method'])
  text = _means(seeds)
  text = text[text.notna().sum(axis=1) > 1]  # the table above has the others
  complete = seeds.mean().unstack().loc[text.index].dropna(axis=1)
  order = complete.mean(axis=1).sort_values(ascending=False)
  return text.loc[order.index].fillna(markdown.NONE).rename(columns=_BUDGETS).reset_index()


def by_layer() -> pd.DataFrame:
  """A row for each choice of layers that have an adapter, and for none: macro-F1 of each target."""
  runs = _table()
  is_own = runs['experiment'].isin(
    [_EXPERIMENT, *(f'ablations/adapters-{name}' for name in _LAYERS.values())]
  )
  is_few = (runs['split'] == 'subject') & (runs['label_budget'] == _FEW)
  runs = runs[is_own & is_few & runs['method'].isin(['lora', 'probe'])]
  runs = runs.assign(layers=runs['lora_targets'].map(_LAYERS).where(runs['method'] == 'lora', 'none'))
  scores = runs.pivot_table(index=['layers', 'seed'], columns='target', values='macro_f1')
  means = (
    scores.mean(axis=1).groupby('layers').agg(lambda column: f'{column.mean():.3f} ± {column.std():.3f}')
  )
  weights = runs.groupby('layers')['trained_parameters'].mean().map('{:,.0f}'.format)
  table = scores.groupby('layers').mean().map('{:.3f}'.format).assign(mean=means, trained=weights)
  order = [name for name in (*_LAYERS.values(), 'none') if name in table.index]
  return table.loc[order].rename(columns={'trained': 'trained weights'}).reset_index()


def by_size() -> pd.DataFrame:
  """A row for each rank of LoRA, in all layers or in the stem alone, and for methods with less to train."""
  runs = _again()[lambda rows: rows['method'].isin(['lora', 'norm', 'probe'])]
  is_lora = runs['method'] == 'lora'
  runs = runs.assign(
    layers=runs['lora_targets'].map(_LAYERS).where(is_lora, markdown.NONE),
    rank=runs['lora_rank'].astype('string').where(is_lora, markdown.NONE),
  )
  keys = ['method', 'layers', 'rank']
  trained = runs[runs['label_budget'] == _FEW].groupby(keys)['trained_parameters'].mean()
  table = _means(_seeds(runs, keys)).fillna(markdown.NONE).rename(columns=_BUDGETS)
  table = table.loc[trained.sort_values(ascending=False).index]
  return table.assign(**{'trained weights': trained.map('{:,.0f}'.format)}).reset_index()


def block() -> str:
  """What was measured on what, and the tables."""
  runs, table = _few(), measured()
  steps, device = (' or '.join(map(str, sorted(runs[name].unique()))) for name in ('step', 'device'))
  (pretraining,) = runs['supervised_pretraining_steps'].unique()
  forms = dict.fromkeys(table, '{:.3f}') | {
    'trained': '{:,.0f}',
    'trained_kb': '{:,.0f}',
    'held_mb': '{:.1f}',
  }
  shown = table.assign(**{name: table[name].map(form.format) for name, form in forms.items()})
  shown['mean'] = shown['mean'] + ' ± ' + shown.pop('sd')
  names = {'trained': 'trained weights', 'trained_kb': 'trained, kB', 'held_mb': 'held, MB'}
  text = (
    f'Macro-F1 on unseen subjects with ten labeled windows per activity: `recommended.flags`, subject-wise '
    f'split, {pretraining:,} steps of supervised pretraining, {steps} steps, mean of three seeds, {device}. '
    'The SD is over seeds. “Held” are the frozen and trained weights with the optimizer’s state.'
  )
  more = 'The same at three label budgets, mean of the targets ± SD of three seeds, with both baselines:'
  again = (
    'The other methods over four bits, from a second pretraining with the same settings and seeds '
    '(`results/second_pretraining.csv`). `lora` and `probe` show what that alone changes:'
  )
  layers = 'LoRA with ten labeled windows per activity, and adapters in some layers alone; none: `probe`.'
  sizes = (
    'From the second pretraining: lower ranks, adapters in the stem alone, and methods with less to train.'
  )
  lora_alone = _again()[lambda rows: (rows['method'] != 'lora') | rows['lora_rank'].eq(32)]
  return '\n\n'.join(
    [
      *(text, markdown.tabulated(shown.rename(columns=names).reset_index())),
      *(more, markdown.tabulated(by_budget(_runs()))),
      *(again, markdown.tabulated(by_budget(lora_alone))),
      *(layers, markdown.tabulated(by_layer())),
      *(sizes, markdown.tabulated(by_size())),
    ]
  )


def costs() -> pd.DataFrame:
  """`measured`, and the milliseconds of a training step from results/method_costs.csv."""
  return measured().join(csv_table.read(_COSTS).set_index('method')['step_ms'])


def caption() -> str:
  """The picture's title for screen readers: all that it shows."""
  points = '; '.join(
    f'{name} {row["mean"]:.3f} with {row["held_mb"]:.1f} MB and {row["step_ms"]:.0f} ms'
    for name, row in costs().iterrows()
  )
  return f'Mean macro-F1 against megabytes held in training, and against milliseconds of a step: {points}'


def picture() -> str:
  return figures.as_file(figures.render(_draw, costs(), named=('methods', caption()), size=(7.6, 3.8)))


def _draw(figure: Any, table: pd.DataFrame) -> None:
  left, right = figure.subplots(1, 2, sharey=True)
  left.set_ylabel('macro-F1, mean of targets')
  for axes, cost, label in (
    (left, 'held_mb', 'MB held in training: weights and optimizer'),
    (right, 'step_ms', 'ms of a training step'),
  ):
    ordered = table.sort_values([cost, 'mean'], ascending=[True, False])
    front = ordered[ordered['mean'] > ordered['mean'].cummax().shift(fill_value=0)]
    axes.plot(front[cost], front['mean'], color=figures.INK, linewidth=0.8, linestyle=':', zorder=0)
    is_packed = table.index.str.startswith('q')
    for points, store in ((table[~is_packed], 'float32'), (table[is_packed], 'four bits')):
      axes.scatter(points[cost], points['mean'], s=25, label=store, **_STORES[store])
    for name in [*table.index[table['mean'] > table['mean'].median() + _APART], front.index[0]]:
      place, above = (table.loc[name, cost], table.loc[name, 'mean']), -14 if name.startswith('q') else 5
      axes.annotate(name, place, xytext=(0, above), textcoords='offset points', fontsize=8, ha='center')
    axes.margins(x=0.1)
    axes.set_xlabel(label)
  right.legend(loc='center right')


if __name__ == '__main__':
  study.fill(PAGE, 'method_table', block())
  PICTURE.write_text(picture(), encoding='utf-8')

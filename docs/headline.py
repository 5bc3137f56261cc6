"""Generate the table and the picture of README.md from results/: python docs/headline.py."""

import functools
import pathlib
from typing import Any

import pandas as pd

from har_jax.report import csv_table, figures, frame, groups, markdown

_ROOT = pathlib.Path(__file__).parents[1]
_RUNS = _ROOT / 'results' / 'runs.csv'
PAGE, PICTURE = _ROOT / 'README.md', _ROOT / 'docs' / 'label_budget.svg'
_KEY = ['experiment', 'split', 'label_budget']
_COLUMNS = {
  ('recommended', 'subject', '0.7'): '70 % labeled',
  ('recommended', 'subject', '0.1'): '10 % labeled',
  ('recommended', 'subject', '10/class'): '10 windows per activity',
  ('recommended-self-training', 'subject', '10/class'): '10, self-training',
}
_NEW_DEVICES = {10: '10, new devices', 1: '1, new devices'}  # labeled windows per activity → its column
_METHODS = [
  'full',
  'lora',
  'qlora',
  'linear',
  'side',
  'scratch',
  'ensemble',
  'forest',
  'rocket',
  'zero_shot_recording',
]
_BUDGETS = {
  '10/class': '10 windows\nper activity',
  '0.1': '10 % of\nall windows',
  '0.7': '70 % of\nall windows',
}
# Color, marker: lora and scratch as in the report's figures.
_DRAWN = {
  'ensemble': ('#56b4e9', 'P'),
  'lora': ('#d55e00', 's'),
  'scratch': (figures.INK, 'D'),
  'forest': ('#009e73', '^'),
  'rocket': ('#cc79a7', 'v'),
}


@functools.cache
def _runs() -> pd.DataFrame:
  return frame.read_csv(_RUNS)


@functools.cache
def means() -> pd.DataFrame:
  """Macro-F1, mean of the targets and seeds: a row for each experiment, a column for each method."""
  parts = [part.assign(experiment=groups.experiment(part)) for part in groups.experiments(_runs())]
  runs = pd.concat(parts)  # each experiment with its baselines
  shown = runs[pd.MultiIndex.from_frame(runs[_KEY]).isin(list(_COLUMNS))]
  rows = pd.concat(
    markdown.mean_rows(part, [*_KEY, 'method'], {'macro-F1': ('macro_f1', '.3f')})
    for _, part in shown.groupby('experiment')  # each has its own targets
  )
  wide = rows.pivot(index=_KEY, columns='method', values='macro-F1')
  return wide.reindex(index=pd.MultiIndex.from_tuples(_COLUMNS, names=_KEY), columns=_METHODS)


def block() -> str:
  """The means as Markdown: a row for each method, a column for each label budget."""
  wide = means().fillna(markdown.NONE).T
  wide.columns = list(_COLUMNS.values())
  rows = csv_table.read(_ROOT / 'results' / 'unseen.csv')
  is_usual = rows.kind.str.lower().isin(_runs().target)
  unseen = rows[~is_usual].pivot_table('macro_f1', 'model', 'labels')
  for labels, column in _NEW_DEVICES.items():
    wide[column] = unseen[labels].map('{:.3f}'.format).reindex(wide.index, fill_value=markdown.NONE)
  return markdown.tabulated(wide.reset_index())


def by_budget() -> dict[str, dict[str, float]]:
  """Method → label budget → macro-F1 of the experiment `recommended`."""
  wide = means().sort_index().loc[('recommended', 'subject')]
  return {method: wide.loc[list(_BUDGETS), method].dropna().astype(float).to_dict() for method in _DRAWN}


def caption() -> str:
  """The picture's title for screen readers: all that it shows."""
  words = [
    f'{method} {", ".join(f"{score:.3f} with {budget}" for budget, score in scores.items())}'
    for method, scores in by_budget().items()
  ]
  return f'Macro-F1 on unseen subjects by label budget: {"; ".join(words)}'


def picture() -> str:
  """The picture as SVG."""
  return figures.as_file(
    figures.render(_draw, by_budget(), named=('label-budget', caption()), size=(6.0, 3.2))
  )


def _draw(figure: Any, scores: dict[str, dict[str, float]]) -> None:
  axes = figure.subplots()
  budgets = list(_BUDGETS)
  for method, (color, marker) in _DRAWN.items():
    x = [budgets.index(budget) for budget in scores[method]]
    axes.plot(x, list(scores[method].values()), color=color, marker=marker, label=method)
  axes.set_xticks(range(len(budgets)), list(_BUDGETS.values()))
  axes.set_xlabel('labels of the target')
  axes.set_ylabel('macro-F1, unseen subjects')
  figure.legend(loc='outside right center')


if __name__ == '__main__':
  page = markdown.fill(PAGE.read_text(encoding='utf-8'), 'python docs/headline.py', block())
  PAGE.write_text(page, encoding='utf-8')
  PICTURE.write_text(picture(), encoding='utf-8')

"""Fill the generated table of README.md from results/runs.csv: python docs/headline.py."""

import pathlib
import re

import pandas as pd

from har_jax.report import frame, groups, markdown

_ROOT = pathlib.Path(__file__).parents[1]
_BLOCK = re.compile(r'(<!-- generated: .*? -->\n).*?(<!-- end of generated -->)', re.DOTALL)
_KEY = ['experiment', 'split', 'label_budget']
_ROWS = [
  ('recommended', 'subject', '0.7'),
  ('recommended', 'subject', '0.1'),
  ('recommended', 'subject', '10/class'),
  ('recommended-self-training', 'subject', '10/class'),
  ('bundled-base', 'subject', '10/class'),
]
_METHODS = ['full', 'lora', 'qlora', 'scratch', 'ensemble', 'forest', 'rocket', 'zero_shot']


def table() -> str:
  """Macro-F1 as Markdown: a row for each experiment, a column for each method."""
  runs = frame.read_csv(_ROOT / 'results' / 'runs.csv')
  found = [part.assign(experiment=groups.experiment(part)) for part in groups.experiments(runs)]
  runs = pd.concat(found)  # each experiment with its baselines
  chosen = runs[pd.MultiIndex.from_frame(runs[_KEY]).isin(_ROWS)]
  means = pd.concat(
    markdown.mean_rows(part, [*_KEY, 'method'], {'macro-F1': ('macro_f1', '.3f')})
    for _, part in chosen.groupby('experiment')  # each has its own targets
  )
  wide = means.pivot(index=_KEY, columns='method', values='macro-F1')
  wide = wide.reindex(index=pd.MultiIndex.from_tuples(_ROWS, names=_KEY), columns=_METHODS)
  rows = wide.fillna(markdown.NONE).reset_index()
  return markdown.tabulated(rows.drop(columns='split'))


def filled(page: str) -> str:
  return _BLOCK.sub(lambda block: f'{block[1]}\n{table()}\n\n{block[2]}', page)


if __name__ == '__main__':
  readme = _ROOT / 'README.md'
  readme.write_text(filled(readme.read_text(encoding='utf-8')), encoding='utf-8')

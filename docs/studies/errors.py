"""Generate the tables of docs/results/errors.md from results/runs.csv: python docs/studies/errors.py."""

import json

import numpy as np
import pandas as pd
import study
from sklearn import metrics

from har_jax.report import frame, markdown, statistics

_, PAGE = study.places('errors')
_METHODS = ['lora', 'ensemble', 'rocket', 'forest']
_BUDGETS = {'0.7': '70 %', '0.1': 'a tenth', '10/class': '10 per activity'}
_ALIKE = ['sitting', 'standing']
_NAMED = 2  # confusions in a cell


def runs() -> pd.DataFrame:
  """Runs of the recommended recipe and both baselines that have a confusion matrix, one row per run."""
  table = frame.read_csv(study.ROOT / 'results' / 'runs.csv')
  table = table[table['experiment'].isin(['recommended', 'baselines']) & (table['split'] == 'subject')]
  table = table[table['method'].isin(_METHODS) & table['label_budget'].isin(_BUDGETS)]
  return table[table['confusion'] != '']


def matrix(text: str, merged: list[str] | None = None) -> pd.DataFrame:
  """Activity × predicted activity → windows. merged: activities that count as one."""
  counts = json.loads(text)
  table = pd.DataFrame(counts.values(), list(counts), list(counts))
  if merged is None:
    return table
  names = {name: ' or '.join(merged) for name in merged}
  return table.rename(names).rename(names, axis=1).groupby(level=0).sum().T.groupby(level=0).sum().T


def macro_f1(counts: pd.DataFrame) -> float:
  """Macro-F1 of a confusion matrix, of whose cells each is a labeled and predicted window of that weight."""
  labeled, predicted = np.indices(counts.shape).reshape(2, -1)
  return metrics.f1_score(labeled, predicted, average='macro', sample_weight=counts.to_numpy().ravel())


def confusions(part: pd.DataFrame) -> str:
  """The most frequent errors of a group of runs: 'sitting as standing 41 %', of an activity's windows."""
  total = sum(matrix(text) for text in part['confusion'])
  shares = (total.div(total.sum(axis=1), axis=0) * (1 - np.eye(len(total)))).stack()
  worst = shares[shares >= 0.01].nlargest(_NAMED)
  return '; '.join(
    f'{row} as {column} {share:.0%}'.replace('%', '\N{NO-BREAK SPACE}%')
    for (row, column), share in worst.items()
  )


def lowest(part: pd.DataFrame) -> str:
  """The test subject with the lowest macro-F1: 'subject 12, 0.61'."""
  points = statistics.by_subject(statistics.scores(part)).droplevel('target').iloc[:, 0] / 100
  return f'{points.idxmin()}: {points.min():.2f}'


def by_target() -> pd.DataFrame:
  """A row for each target, label budget and method: macro-F1, the lowest subject, what is confused."""
  rows = []
  for (target, budget, method), part in runs().groupby(['target', 'label_budget', 'method'], observed=True):
    scores = part['macro_f1']
    rows.append(
      {
        'target': target,
        'labels': budget,
        'method': method,
        'macro-F1': f'{scores.mean():.3f} ± {scores.std():.3f}',
        'lowest subject': lowest(part),
        'most frequent errors': confusions(part),
      }
    )
  table = pd.DataFrame(rows)
  place = {name: number for number, name in enumerate([*_BUDGETS, *_METHODS])}
  return table.sort_values(
    ['target', 'labels', 'method'], key=lambda column: column.map(lambda name: place.get(name, name))
  ).replace({'labels': _BUDGETS})


def merged() -> pd.DataFrame:
  """Method × label budget, on DSADS with sitting and standing as one activity: macro-F1."""
  table = runs()[lambda rows: rows['target'] == 'dsads']
  table = table.assign(score=[macro_f1(matrix(text, _ALIKE)) for text in table['confusion']])
  cells = (
    table.groupby(['method', 'label_budget'], observed=True)['score']
    .agg(lambda scores: f'{scores.mean():.3f} ± {scores.std():.3f}')
    .unstack(fill_value=markdown.NONE)
  )
  cells = cells.reindex(index=_METHODS, columns=list(_BUDGETS), fill_value=markdown.NONE)
  return cells.rename(columns=_BUDGETS)


def block() -> str:
  """What was measured on what, and both tables."""
  intro = (
    'Unseen subjects, `recommended.flags`, subject-wise split, three seeds, mean ± SD. “Lowest subject” is '
    'the mean over the seeds that test this subject. An error’s share is of the windows with that label.'
  )
  more = 'DSADS with sitting and standing as one activity:'
  tables = [markdown.tabulated(part) for part in (by_target(), merged().reset_index())]
  return '\n\n'.join([intro, tables[0], more, tables[1]])


if __name__ == '__main__':
  study.fill(PAGE, 'errors', block())

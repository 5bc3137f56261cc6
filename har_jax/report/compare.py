"""One table of two or more folders of results: what differs between them, and by how much. Needs no JAX."""

import string
from collections.abc import Mapping

import pandas as pd

from har_jax import results
from har_jax.report import groups
from har_jax.report.markdown import NONE, Section, spread_of

_WINDOWS = {'windows': 'windows of sources', 'target_windows': 'windows of targets'}
_CAPTION = 'Macro-F1, mean ± sample standard deviation over seeds. Differences in points are paired by seed.'


def sections(folders: Mapping[str, pd.DataFrame]) -> list[Section]:
  """The hyperparameters and windows that differ between folders, and the runs that several have.

  folders: name → runs. In the tables they are A, B and so on, so that rows stay short. What differs within a
  folder, such as the rank in a sweep, is a column of its own.
  """
  letters = dict(zip(folders, string.ascii_uppercase, strict=False))
  runs = pd.concat([frame.assign(folder=letters[name]) for name, frame in folders.items()], ignore_index=True)
  legend = [f'{letter}: {name}' for name, letter in letters.items()]
  names = list(letters.values())
  return [Section('Folders', '', notes=legend), _settings(runs, names), _figures(runs, names)]


def _settings(runs: pd.DataFrame, names: list[str]) -> Section:
  flags = [*results.HYPERPARAMETERS, *_WINDOWS]
  values = runs.groupby('folder')[flags].agg(_values).T[names]
  differing = values[values.nunique(axis=1) > 1].rename(_WINDOWS).rename_axis('differs').reset_index()
  note = [] if len(differing) else ['No hyperparameter differs, and the windows are the same.']
  return Section('What differs', '', differing, note)


def _values(column: pd.Series) -> str:
  return ', '.join(dict.fromkeys(map(str, column.dropna()))) or NONE


def _figures(runs: pd.DataFrame, names: list[str]) -> Section:
  swept = runs.groupby('folder')[[*results.HYPERPARAMETERS]].nunique().max() > 1
  by = ['target', 'method', *groups.differing(runs, swept.index[swept])]
  rows = []
  groups_of_runs = runs.sort_values(by).groupby(by, sort=False, dropna=False)
  for key, part in groups_of_runs:
    scores = part.pivot_table(index='seed', columns='folder', values='macro_f1', aggfunc='mean')
    if scores.shape[1] > 1:
      row = dict(zip(by, map(str, key), strict=True))
      row |= {name: spread_of('macro_f1', '.3f')(part[part['folder'] == name]) for name in names}
      for name in names[1:]:
        row |= _difference(scores, names[0], name)
      rows.append(row)
  left_out = len(groups_of_runs) - len(rows)
  notes = [f'{left_out} rows are left out: one folder has them alone.'] if left_out else []
  if runs.groupby('folder')['split'].agg(set).astype(str).nunique() > 1:
    notes.append(
      'The splits differ, so a seed tests on other people: a difference is not one of methods alone.'
    )
  return Section('Macro-F1', _CAPTION, pd.DataFrame(rows).replace({'<NA>': NONE, 'nan': NONE}), notes)


def _difference(scores: pd.DataFrame, first: str, name: str) -> dict[str, str]:
  """Cells of the difference in points, paired by seed."""
  pairs = scores.reindex(columns=[first, name]).dropna()
  points = 100 * (pairs[name] - pairs[first])
  return {
    f'{name} − {first}, points': spread_of('points', '+.1f')(points.to_frame('points')),
    f'seeds with {name} > {first}': f'{int((points > 0).sum())} of {len(points)}',
  }

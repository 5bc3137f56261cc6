"""One table of two or more folders of results: what differs between them, and by how much. Needs no JAX."""

import string
from collections.abc import Mapping

import pandas as pd

from har_jax import config
from har_jax.errors import UserError, counted
from har_jax.report import groups
from har_jax.report.markdown import NONE, POINTS, TEXTS, Cell, Section, positive_of, rows, spread_of

_WINDOWS = {'windows': 'windows of sources', 'target_windows': 'windows of targets'}


def sections(folders: Mapping[str, pd.DataFrame]) -> list[Section]:
  """The hyperparameters and windows that differ between folders, and the runs that several have.

  folders: name → runs; A, B and so on in the tables. What differs within a folder is a column of its own.
  """
  if len(folders) > len(string.ascii_uppercase):
    raise UserError(f'{len(folders)} folders; give at most {len(string.ascii_uppercase)}')
  letters = dict(zip(folders, string.ascii_uppercase, strict=False))
  runs = pd.concat([frame.assign(folder=letters[name]) for name, frame in folders.items()], ignore_index=True)
  legend = [f'{letter}: {name}' for name, letter in letters.items()]
  names = list(letters.values())
  return [Section('Folders', '', notes=legend), _settings(runs, names), _figures(runs, names)]


def _settings(runs: pd.DataFrame, names: list[str]) -> Section:
  flags = [*config.HYPERPARAMETERS, *_WINDOWS]
  # pandas 2 would make numbers of these texts where a column has numbers.
  settings = (
    runs.astype(dict.fromkeys(flags, object))
    .groupby('folder')[flags]
    .agg(lambda column: ', '.join(dict.fromkeys(map(str, column.dropna()))))
  )
  values = settings.replace('', NONE).T[names]
  differing = values[values.nunique(axis=1) > 1].rename(_WINDOWS).rename_axis('differs').reset_index()
  note = [] if len(differing) else ['No hyperparameter differs, and the windows are the same.']
  return Section('What differs', '', differing, note)


def _figures(runs: pd.DataFrame, names: list[str]) -> Section:
  swept = runs.groupby('folder')[[*config.HYPERPARAMETERS]].nunique().max() > 1
  by = ['target', 'method', *groups.differing(runs, swept.index[swept])]
  scores = runs.groupby([*by, 'seed', 'folder'], dropna=False)['macro_f1'].mean().unstack('folder')
  of_rows = scores.groupby(by, dropna=False)
  shared = scores[(of_rows.transform('count') > 0).sum(axis=1) > 1].reset_index()
  cells: dict[str, Cell] = {name: spread_of(name, '.3f') for name in names}
  for name in names[1:]:
    column = f'{name} − {names[0]}, points'
    shared[column] = 100 * (shared[name] - shared[names[0]])
    cells[column] = spread_of(column, POINTS)
    cells[f'seeds with {name} > {names[0]}'] = positive_of(column)
  table = rows(shared, by, cells)
  left_out = of_rows.ngroups - len(table)
  notes = [f'{counted(left_out, "row")} left out, which one folder has alone.'] if left_out else []
  if runs.groupby('folder')['split'].agg(set).astype(str).nunique() > 1:
    notes.append(TEXTS['other_splits'])
  return Section('Macro-F1', TEXTS['compared'], table, notes)

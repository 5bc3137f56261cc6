"""Runs as a pandas DataFrame, one row per run, from result files or the table of all runs. Needs no JAX."""

import pathlib
from collections.abc import Iterable
from typing import Any

import pandas as pd

from har_jax import config, records, results, storage
from har_jax.errors import UserError, shorten
from har_jax.report import csv_table
from har_jax.storage import Place

KEY = [*results.KEYS, *results.ADAPTERS]
PERSONAL_KEY = [*results.KEYS, 'subject', 'labels_per_class']
_METHODS = ('full', 'scratch', 'probe', 'lora', 'qlora')  # their order in tables; others follow by name

_KINDS = {bool: 'boolean', int: 'Int64', float: 'float'}  # missing where a method does not depend on it
_TYPES = dict.fromkeys(set(results.RUN_COLUMNS) - {*results.MEASURED, 'seed'}, 'str') | {
  flag: _KINDS.get(type(getattr(getattr(config.Experiment(), part), name)), 'str')
  for flag, (part, name) in config.HYPERPARAMETERS.items()
}
_TYPES[results.AURC] = 'float'


def load(folder: Place) -> pd.DataFrame:
  """Every result under a folder: results.RUN_COLUMNS, `bytes` (all that are held), `result` (its record).

  An experiment is named by its folder, seen from the parent of `folder`: 'paper/base' of runs/paper.
  Raises UserError as results.find does.
  """
  return from_rows(
    results.row(result, _experiment(folder, path)) | {'result': result}
    for path, result in results.find(folder).items()
  )


def _experiment(folder: Place, result: Place) -> str:
  # <experiment>/<target>/<method>/<split>/labels-<budget>/seed<k>.json
  return '/'.join(result.parts[max(len(folder.parts) - 1, 0) : -5]) or folder.name


def from_rows(rows: Iterable[dict[str, Any]]) -> pd.DataFrame:
  """Rows as results.row makes them, as a frame."""
  return _finished(pd.DataFrame(list(rows)))


def read_csv(path: Place) -> pd.DataFrame:
  """The table of all runs, with `bytes`. Rows older than a hyperparameter have its field's default.

  Raises UserError if the table is damaged, has a column that this version does not know, or lacks one.
  """
  frame = csv_table.read(path, _TYPES)
  if results.AURC not in frame:
    frame[results.AURC] = float('nan')
  gone = [
    name for name, off in records.REMOVED.items() if name in frame and (frame[name].dropna() == off).all()
  ]
  frame = frame.drop(columns=gone)
  newer = set(config.HYPERPARAMETERS) - set(frame)
  expected = set(results.RUN_COLUMNS) - newer
  if expected != set(frame):
    lacks, has = (', '.join(sorted(names)) for names in (expected - set(frame), set(frame) - expected))
    raise UserError(
      f'{path} is not a table of all runs of this version: columns missing: {shorten(lacks) or "none"}; '
      f'unknown: {shorten(has) or "none"}. Give one that `har-jax report --append_to` wrote'
    )
  for name in (*results.MEASURED, 'seed'):
    if len(frame) and not pd.api.types.is_numeric_dtype(frame[name]):
      raise UserError(f'{path} is damaged: its column {name} has a cell that is no number; restore it')
  for flag in newer:  # a run that is older than a field was made with its default
    part, name = config.HYPERPARAMETERS[flag]
    default = getattr(type(getattr(config.Experiment(), part)), name)
    defaults = pd.Series(results.flat(default), frame.index, _TYPES[flag])
    frame[flag] = defaults.where(_depends_on(frame, flag))
  return _finished(frame[list(results.RUN_COLUMNS)])


def _depends_on(frame: pd.DataFrame, flag: str) -> pd.Series:
  """Returns whether each row's method depends on a hyperparameter: adapters have a rank, networks a width."""
  if flag in results.SHARED:
    return pd.Series(True, frame.index)
  return frame['lora_rank' if flag in results.ADAPTERS else 'model_width'].notna()


def _finished(frame: pd.DataFrame) -> pd.DataFrame:
  text = [name for name, kind in _TYPES.items() if kind == 'str']
  is_known = frame[text].notna()
  frame = frame.astype(_TYPES)
  frame[text] = frame[text].where(is_known)  # pandas 2 makes 'nan' of what is missing
  frame = frame.fillna({'commit': '', 'subject_macro_f1': '', 'confusion': ''})
  # No stem is the empty text. In a CSV file it looks like a missing value, which a baseline has.
  frame['model_stem'] = frame['model_stem'].mask(frame['model_width'].notna(), frame['model_stem'].fillna(''))
  frame['bytes'] = frame[[name for name in results.MEASURED if name.endswith('_bytes')]].sum(axis=1)
  # Groups are cut out of the frame often; columns of plain NumPy types are cut together. Numbers that may be
  # missing stay nullable: as floats, ranks would read 32.0.
  return (
    frame.astype(dict.fromkeys(text, object)).sort_values(KEY, kind='stable').reset_index(drop=True).copy()
  )


def to_csv(frame: pd.DataFrame, path: Place) -> None:
  csv_table.write(frame[list(results.RUN_COLUMNS)], path)


def append(frame: pd.DataFrame, path: pathlib.Path, commit: str) -> None:
  """Adds runs to the table of all runs; a run that it holds already is replaced."""
  old = [read_csv(path)] if path.exists() else []
  to_csv(_replaced([*old, frame.assign(commit=commit)], KEY), path)


def append_personalization(folder: Place, path: pathlib.Path, commit: str) -> None:
  """Adds or replaces the subjects of every personalization under a folder. Raises UserError without one."""
  rows = []
  for file in results.files_below(folder, 'labels-*-per-class.json'):
    name = _experiment(folder, file.parents[1])  # seed<k>/personal/labels-<n>-per-class.json
    rows += results.personal_rows(storage.read_record(file, records.Personalization), name, commit)
  if not rows:
    raise UserError(f'no personalization under {folder}; har-jax lodo --phase=personalize makes them')
  types = {'label_budget': str, 'subject': str}
  old = [csv_table.read(path, types)] if path.exists() else []
  csv_table.write(_replaced([*old, pd.DataFrame(rows).astype(types)], PERSONAL_KEY).round(6), path)


def _replaced(frames: list[pd.DataFrame], key: list[str]) -> pd.DataFrame:
  """All rows, sorted; of those with the same key, the last."""
  return pd.concat(frames).drop_duplicates(key, keep='last').sort_values(key, kind='stable')


def methods(frame: pd.DataFrame) -> list[str]:
  """The methods of a frame in the order of tables."""
  names = set(frame['method'])
  return [name for name in _METHODS if name in names] + sorted(names.difference(_METHODS))

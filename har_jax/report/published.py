"""Figures as published: arXiv:2512.17983v1, Tables II to VII. Window-wise split 70/30, one run each."""

import importlib.resources
import io
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from har_jax.report import markdown
from har_jax.report.markdown import NONE, Cell, number

SOURCE = 'arXiv:2512.17983v1, Table II'
SPLIT = 'window'
RUN = ['target', 'method', 'label_budget']  # the key of Tables II, V and VII
Table = Mapping[tuple[str | int, ...], Sequence[float | int]]
# A published table, the columns of runs that make its key, heading → format of its figures.
Theirs = tuple[Table, Sequence[str], Mapping[str, str]]
_CSV = importlib.resources.files('har_jax.report').joinpath('published.csv').read_text('utf-8')
_RUNS = pd.read_csv(io.StringIO(_CSV), dtype={'label_budget': str, 'lora_rank': 'Int64'})
_FIRST = _RUNS.groupby(['table', 'target'])['seconds'].transform('first')  # of full fine-tuning
_RUNS['ratio'] = (_RUNS['seconds'] / _FIRST).where(_RUNS['method'] != 'full')


def runs_of(table: str) -> pd.DataFrame:
  """The runs of a table in columns that are named as ours; seconds are of 50 epochs on their CPU."""
  return _RUNS[_RUNS['table'] == table].dropna(axis=1, how='all')


def _table(table: str, key: list[str], columns: list[str]) -> Table:
  return runs_of(table).set_index(key)[columns].T.to_dict('list')


# (method,) → weights: trainable, total; with a head for nine classes.
_ADAPTED = (428_832, 2_636_105)
TABLE_III: Table = {('full',): (2_210_857, 2_210_857), ('lora',): _ADAPTED, ('qlora',): _ADAPTED}

# (method,) → megabytes: frozen, trainable, buffers. The unit is not named; in 2²⁰ bytes, Table III's
# 428,832 and 2,636,105 weights of four bytes are 1.64 and 10.06.
TABLE_IV: Table = {('lora',): (10.06, 1.64, 0.01), ('qlora',): (6.22, 1.64, 4.82)}

TABLE_II = _table('II', RUN, ['accuracy', 'macro_f1'])
TABLE_V = _table('II', RUN, ['seconds', 'ratio'])
TABLE_VI = _table('VI', ['target', 'lora_rank'], ['macro_f1', 'seconds'])
TABLE_VII = _table('VII', RUN, ['accuracy'])

# Our name of a target → theirs.
SAME_RECORDINGS = {'hapt': 'ucihar'}


def rows(
  runs: pd.DataFrame, by: Sequence[str], cells: Mapping[str, Cell], theirs: Theirs, remark: str
) -> tuple[pd.DataFrame, list[str]]:
  """`markdown.rows` with columns of published figures, and a note where there are any.

  remark: how they were measured. The note also says what hapt is compared with.
  """
  table, key, forms = theirs

  def column(index: int, form: str) -> Cell:
    def text(*values: Any) -> str:
      entry = table.get(tuple(SAME_RECORDINGS.get(value, value) for value in values))
      return number(entry[index], form) if entry else NONE

    return lambda groups: map(text, *(groups[name].first() for name in key))

  added = {f'published {name}': column(index, form) for index, (name, form) in enumerate(forms.items())}
  made = markdown.rows(runs, by, {**cells, **added})
  is_hapt = 'target' in made and 'hapt' in set(made['target'])
  hapt = ' hapt: published for UCI HAR v1, other windows of the same recordings.' if is_hapt else ''
  return made, [f'Published: {remark}.{hapt}'] if added.keys() & set(made) else []

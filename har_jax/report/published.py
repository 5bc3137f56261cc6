"""Figures as published: arXiv:2512.17983v1, Tables II to VII. Window-wise split 70/30, one run each."""

import functools
from collections.abc import Mapping, Sequence

import pandas as pd

from har_jax.report import markdown
from har_jax.report.markdown import NONE, Cell, number

SOURCE = 'arXiv:2512.17983v1, Table II'
SPLIT = 'window'
METHODS = ('full', 'lora', 'qlora')

RUN = ('target', 'method', 'label_budget')  # the key of Tables II, V and VII
Table = Mapping[tuple, Sequence[float | int]]

# Target → for each method accuracy, macro-F1, seconds of 50 epochs on their CPU.
_TARGETS = {
  'hhar': ((0.981, 0.980, 2772), (0.960, 0.958, 2505), (0.955, 0.952, 2598)),
  'realworld': ((0.907, 0.907, 5657), (0.859, 0.861, 5073), (0.860, 0.861, 5195)),
  'pamap2': ((0.853, 0.854, 1170), (0.829, 0.825, 1011), (0.829, 0.824, 1037)),
  'motionsense': ((0.961, 0.958, 1453), (0.956, 0.950, 1299), (0.955, 0.949, 1378)),
  'ucihar': ((0.968, 0.969, 927), (0.952, 0.953, 881), (0.953, 0.953, 875)),
}
_RUNS = {  # '0.7': of all windows
  (target, method, '0.7'): (*row, row[2] / rows[0][2] if method != 'full' else float('nan'))
  for target, rows in _TARGETS.items()
  for method, row in zip(METHODS, rows, strict=True)
}
# RUN → accuracy, macro-F1; and → seconds, ratio to full fine-tuning.
TABLE_II: Table = {key: row[:2] for key, row in _RUNS.items()}
TABLE_V: Table = {key: row[2:] for key, row in _RUNS.items()}

# (method,) → weights: trainable, total; with a head for nine classes.
_ADAPTED = (428_832, 2_636_105)
TABLE_III: Table = {('full',): (2_210_857, 2_210_857), ('lora',): _ADAPTED, ('qlora',): _ADAPTED}

# (method,) → megabytes: frozen, trainable, buffers. The unit is not named; in 2²⁰ bytes, Table III's 428,832
# and 2,636,105 weights of four bytes are 1.64 and 10.06.
TABLE_IV: Table = {('lora',): (10.06, 1.64, 0.01), ('qlora',): (6.22, 1.64, 4.82)}

# (target, rank of LoRA) → macro-F1, seconds.
TABLE_VI: Table = {
  ('ucihar', 8): (0.9352, 916),
  ('ucihar', 16): (0.9395, 934),
  ('ucihar', 20): (0.9434, 945),
  ('ucihar', 32): (0.9531, 971),
  ('ucihar', 48): (0.9602, 1015),
  ('ucihar', 64): (0.9649, 1049),
}

# Label budget → accuracy of full fine-tuning and of LoRA.
_BUDGETS = {
  '0.7': (0.9676, 0.9528),
  '0.6': (0.9651, 0.9508),
  '0.5': (0.9618, 0.9483),
  '0.4': (0.9543, 0.9416),
  '0.3': (0.9380, 0.9257),
}
# RUN → accuracy.
TABLE_VII: Table = {
  ('ucihar', method, budget): (row[index],)
  for index, method in enumerate(('full', 'lora'))
  for budget, row in _BUDGETS.items()
}

# Our name of a target → theirs.
SAME_RECORDINGS = {'hapt': 'ucihar'}


def rows(
  runs: pd.DataFrame,
  by: Sequence[str],
  cells: Mapping[str, Cell],
  theirs: tuple[Table, Sequence[str], Mapping[str, str]],
  remark: str,
) -> tuple[pd.DataFrame, list[str]]:
  """`markdown.rows` with columns of published figures, and a note where there are any.

  theirs: a published table, the columns of runs that make its key, heading → format of its figures.
  remark: how they were measured. The note also says what hapt is compared with.
  """
  table, key, forms = theirs

  def cell(index: int, form: str, part: pd.DataFrame) -> str:
    found = table.get(tuple(SAME_RECORDINGS.get(value, value) for value in part[[*key]].iloc[0]))
    return number(found[index], form) if found else NONE

  columns = enumerate(forms.items())
  added = {f'published {name}': functools.partial(cell, index, form) for index, (name, form) in columns}
  made = markdown.rows(runs, by, {**cells, **added})
  is_hapt = 'target' in made and 'hapt' in set(made['target'])
  hapt = ' hapt: published for UCI HAR v1, other windows of the same recordings.' if is_hapt else ''
  return made, [f'Published: {remark}.{hapt}'] if added.keys() & set(made) else []

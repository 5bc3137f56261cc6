"""Figures as published: arXiv:2512.17983v1, Tables II to VII.

Accuracy and macro-F1 as fractions of one. Window-wise split 70/30, one run each.
"""

import functools
from collections.abc import Mapping, Sequence

import pandas as pd

from har_jax.report.markdown import NONE, Cell, number

SOURCE = 'arXiv:2512.17983v1, Table II'
SPLIT = 'window'
_LABELS = '0.7'  # of all windows
_METHODS = ('full', 'lora', 'qlora')

Table = Mapping[tuple, Sequence[float | int]]

_SCORES = {
  'hhar': ((0.981, 0.980), (0.960, 0.958), (0.955, 0.952)),
  'realworld': ((0.907, 0.907), (0.859, 0.861), (0.860, 0.861)),
  'pamap2': ((0.853, 0.854), (0.829, 0.825), (0.829, 0.824)),
  'motionsense': ((0.961, 0.958), (0.956, 0.950), (0.955, 0.949)),
  'ucihar': ((0.968, 0.969), (0.952, 0.953), (0.953, 0.953)),
}
# (target, method, label budget) → accuracy, macro-F1.
TABLE_II: Table = {
  (target, method, _LABELS): scores
  for target, rows in _SCORES.items()
  for method, scores in zip(_METHODS, rows, strict=True)
}

# (method,) → weights: trainable, total; with a head for nine classes.
_ADAPTED = (428_832, 2_636_105)
TABLE_III: Table = {('full',): (2_210_857, 2_210_857), ('lora',): _ADAPTED, ('qlora',): _ADAPTED}

# (method,) → megabytes: frozen, trainable, buffers. The unit is not named; in 2²⁰ bytes, Table III's 428,832
# and 2,636,105 weights of four bytes are 1.64 and 10.06.
TABLE_IV: Table = {('lora',): (10.06, 1.64, 0.01), ('qlora',): (6.22, 1.64, 4.82)}

_SECONDS = {
  'hhar': (2772, 2505, 2598),
  'realworld': (5657, 5073, 5195),
  'pamap2': (1170, 1011, 1037),
  'motionsense': (1453, 1299, 1378),
  'ucihar': (927, 881, 875),
}
# (target, method, label budget) → seconds of 50 epochs, on their CPU; ratio to full fine-tuning.
TABLE_V: Table = {
  (target, method, _LABELS): (seconds, seconds / row[0] if method != 'full' else float('nan'))
  for target, row in _SECONDS.items()
  for method, seconds in zip(_METHODS, row, strict=True)
}

# (target, rank of LoRA) → macro-F1, seconds.
TABLE_VI: Table = {
  ('ucihar', 8): (0.9352, 916),
  ('ucihar', 16): (0.9395, 934),
  ('ucihar', 20): (0.9434, 945),
  ('ucihar', 32): (0.9531, 971),
  ('ucihar', 48): (0.9602, 1015),
  ('ucihar', 64): (0.9649, 1049),
}

_BUDGETS = ('0.7', '0.6', '0.5', '0.4', '0.3')
_ACCURACY = {
  'full': (0.9676, 0.9651, 0.9618, 0.9543, 0.9380),
  'lora': (0.9528, 0.9508, 0.9483, 0.9416, 0.9257),
}
# (target, method, label budget) → accuracy.
TABLE_VII: Table = {
  ('ucihar', method, budget): (accuracy,)
  for method, row in _ACCURACY.items()
  for budget, accuracy in zip(_BUDGETS, row, strict=True)
}

# Our name of a target → theirs.
SAME_RECORDINGS = {'hapt': 'ucihar'}


def name_of(target: str) -> str:
  """The target's name in the published tables."""
  return SAME_RECORDINGS.get(target, target)


def cells(table: Table, by: Sequence[str], forms: Mapping[str, str]) -> dict[str, Cell]:
  """Columns of published figures, one for each figure of an entry.

  by: columns of runs that make the key of `table`. forms: heading → format.
  """

  def cell(index: int, form: str, part: pd.DataFrame) -> str:
    values = [part[name].iat[0] for name in by]
    key = tuple(SAME_RECORDINGS.get(value, value) for value in values)
    return number(table[key][index], form) if key in table else NONE

  columns = enumerate(forms.items())
  return {f'published {name}': functools.partial(cell, index, form) for index, (name, form) in columns}


def notes(table: pd.DataFrame, remark: str) -> list[str]:
  """A note for a table with published figures: their source, and what hapt is compared with."""
  if not any('published' in name for name in table):
    return []
  is_hapt = 'target' in table and 'hapt' in set(table['target'])
  hapt = ' hapt: published for UCI HAR v1, other windows of the same recordings.' if is_hapt else ''
  return [f'Published: {remark}.{hapt}']

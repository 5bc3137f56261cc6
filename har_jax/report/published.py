"""Figures as published: arXiv:2512.17983v1, Tables II to VII.

Accuracy, macro-F1, precision and recall as fractions of one. Window-wise split 70/30, one run each.
"""

import pandas as pd

SOURCE = 'arXiv:2512.17983v1, Table II'
SPLIT = 'window'
LABELS = 0.7  # of all windows

# target → method → accuracy, macro-F1, precision, recall
TABLE_II: dict[str, dict[str, tuple[float, float, float, float]]] = {
  'hhar': {
    'full': (0.981, 0.980, 0.981, 0.981),
    'lora': (0.960, 0.958, 0.961, 0.960),
    'qlora': (0.955, 0.952, 0.956, 0.955),
  },
  'realworld': {
    'full': (0.907, 0.907, 0.917, 0.910),
    'lora': (0.859, 0.861, 0.875, 0.866),
    'qlora': (0.860, 0.861, 0.875, 0.866),
  },
  'pamap2': {
    'full': (0.853, 0.854, 0.867, 0.863),
    'lora': (0.829, 0.825, 0.855, 0.821),
    'qlora': (0.829, 0.824, 0.855, 0.821),
  },
  'motionsense': {
    'full': (0.961, 0.958, 0.960, 0.961),
    'lora': (0.956, 0.950, 0.953, 0.954),
    'qlora': (0.955, 0.949, 0.952, 0.953),
  },
  'ucihar': {
    'full': (0.968, 0.969, 0.970, 0.971),
    'lora': (0.952, 0.953, 0.955, 0.956),
    'qlora': (0.953, 0.953, 0.956, 0.956),
  },
}

# method → weights: trainable, total; with a head for nine classes.
TABLE_III: dict[str, tuple[int, int]] = {
  'full': (2_210_857, 2_210_857),
  'lora': (428_832, 2_636_105),
  'qlora': (428_832, 2_636_105),
}

# method → megabytes: frozen, trainable, buffers. The unit is not named; in 2²⁰ bytes, Table III's 428,832 and
# 2,636,105 weights of four bytes are 1.64 and 10.06.
TABLE_IV: dict[str, tuple[float, float, float]] = {'lora': (10.06, 1.64, 0.01), 'qlora': (6.22, 1.64, 4.82)}

# target → method → seconds of 50 epochs, on their CPU.
TABLE_V: dict[str, dict[str, float]] = {
  'hhar': {'full': 2772, 'lora': 2505, 'qlora': 2598},
  'realworld': {'full': 5657, 'lora': 5073, 'qlora': 5195},
  'pamap2': {'full': 1170, 'lora': 1011, 'qlora': 1037},
  'motionsense': {'full': 1453, 'lora': 1299, 'qlora': 1378},
  'ucihar': {'full': 927, 'lora': 881, 'qlora': 875},
}

SWEPT = 'ucihar'  # the target of Tables VI and VII

# rank of LoRA → macro-F1, seconds.
TABLE_VI: dict[int, tuple[float, float]] = {
  8: (0.9352, 916),
  16: (0.9395, 934),
  20: (0.9434, 945),
  32: (0.9531, 971),
  48: (0.9602, 1015),
  64: (0.9649, 1049),
}

# label budget → accuracy of full fine-tuning, of LoRA. Their printed ratio differs in the last digit.
TABLE_VII: dict[str, tuple[float, float]] = {
  '0.7': (0.9676, 0.9528),
  '0.6': (0.9651, 0.9508),
  '0.5': (0.9618, 0.9483),
  '0.4': (0.9543, 0.9416),
  '0.3': (0.9380, 0.9257),
}

# Our name of a target → theirs.
SAME_RECORDINGS = {'hapt': 'ucihar'}


def name_of(target: str) -> str:
  """The target's name in the published tables."""
  return SAME_RECORDINGS.get(target, target)


def notes(table: pd.DataFrame, remark: str) -> list[str]:
  """A note for a table with published figures: where they are from, and what hapt is compared with."""
  if not any('published' in name for name in table):
    return []
  is_hapt = 'target' in table and 'hapt' in set(table['target'])
  hapt = ' hapt: published for UCI HAR v1, other windows of the same recordings.' if is_hapt else ''
  return [f'Published: {remark}.{hapt}']

"""Figures as published: arXiv:2512.17983v1, Tables II and IV.

Accuracy, macro-F1, precision and recall as fractions of one. Split 70/30 by window; one figure each.
"""

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

# method → megabytes: frozen, trainable, buffers. Table IV.
TABLE_IV: dict[str, tuple[float, float, float]] = {'lora': (10.06, 1.64, 0.01), 'qlora': (6.22, 1.64, 4.82)}

# Ours → theirs, with what sets them apart.
LOOKALIKES = {
  'hapt': (
    'ucihar',
    "published for UCI HAR; HAPT holds the same recordings, but its windows are not UCI HAR v1's windows",
  )
}

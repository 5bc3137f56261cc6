"""The archives and recordings of the readers' own tests."""

import pathlib
import sys

for room in ('archives', 'recordings'):
  sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / room))

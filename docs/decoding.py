"""Compare ways to decode continuous recordings, and write results/decoding.csv.

python docs/decoding.py --archive_path=<HAPT's zip or folder>

Recordings: HAPT's, and made-up days of two synthetic corpora with few labels. Takes some minutes.
"""

import collections
import pathlib
import sys
from collections.abc import Iterator
from typing import Any

import pandas as pd
from absl import flags

from har_jax import config
from har_jax.archives import ARCHIVES
from har_jax.archives.source import Source
from har_jax.archives.synthetic import corpus_recordings
from har_jax.cli import command
from har_jax.errors import UserError
from har_jax.experiments import decoding
from har_jax.report import csv_table

FLAGS = flags.FlagValues()
_ARCHIVE_PATH = flags.DEFINE_string('archive_path', None, "HAPT's zip or extracted folder", flag_values=FLAGS)
_TABLE = flags.DEFINE_string('table', 'results/decoding.csv', 'the table', flag_values=FLAGS)
_SEEDS = (0, 1, 2)
_DAYS = {'synth_waist': 60.0, 'synth_wrist': 60.0}  # corpus → mean bout, s


def main() -> None:
  if _ARCHIVE_PATH.value is None:
    raise UserError("--archive_path= HAPT's zip or folder")
  csv_table.write(pd.DataFrame(_rows()).round(6), pathlib.Path(_TABLE.value))
  print(_TABLE.value)


def _rows() -> Iterator[dict[str, Any]]:
  hapt = ARCHIVES['hapt']
  recordings = list(hapt.read(Source(_ARCHIVE_PATH.value), hapt.positions[0], collections.Counter()))
  for seed in _SEEDS:
    for row in decoding.measure(recordings, config.Protocol(), seed):
      yield {'recordings': 'hapt', **row}
  for corpus, mean_bout_s in _DAYS.items():
    parts = list(corpus_recordings(corpus, seconds=240.0))
    for seed in _SEEDS:
      days = decoding.made_up_days(parts, mean_bout_s=mean_bout_s, length_s=1200.0, seed=seed)
      for row in decoding.measure(days, config.Protocol(label_budget='5/class'), seed):
        yield {'recordings': f'{corpus}, made-up days', **row}


if __name__ == '__main__':
  sys.exit(command.run(sys.modules[__name__], sys.argv[1:]))

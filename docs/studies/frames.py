"""Measure how often a recording's frame is judged rightly, and write results/frames.csv.

python docs/studies/frames.py --windows=<folder of har-jax prepare --position=all>

A model is trained on some people of an archive. The others are recorded as they are, and as other apps, in
other units and with the device worn otherwise. Takes some minutes.
"""

import collections
import pathlib
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from har_jax import files
from har_jax.cli import command
from har_jax.config import DEFAULT_WINDOWING
from har_jax.datasets import windows as store
from har_jax.errors import UserError
from har_jax.recognizer import frame_check
from har_jax.report import csv_table
from har_jax.signal import frames
from har_jax.signal.recording import STANDARD_GRAVITY_M_S2
from har_jax.signal.summary import SignalSummary, summarize

FLAGS, _define = command.new_flags()
_WINDOWS = _define('windows', 'windows')
_TABLE = _define('table', 'results/frames.csv', 'the table')
_ARCHIVES = ('hapt', 'motionsense', 'dsads', 'pdiot', 'weda_fall', 'sp_sw_har', 'wisdm')
_MOST_PEOPLE, _REPEATS, _MOST_WINDOWS = 10, 2, 1000
_TWO_MINUTES = 93  # windows, one every 1.28 s
# What turns a recording into the one of another app or device. None: other than an exchange of axes.
_RECORDED: dict[str, frames.Frame | None] = {
  'as it is': frames.AS_IS,
  'acceleration of the opposite sign': frames.FLIP,
  'upside down': frames.parse('-x,-y,z'),
  'all axes renamed': frames.parse('z,x,y'),
  'columns x and y swapped': frames.parse('y,x,z,y,x,z'),
  'axes of acceleration renamed': frames.parse('z,x,y,x,y,z'),
  'gyroscope of the opposite sign': frames.parse('x,y,z,-x,-y,-z'),
  'g taken for m/s²': None,
  'without gravity': None,
}


def main() -> None:
  csv_table.write(pd.DataFrame(_rows(pathlib.Path(_WINDOWS.value))), pathlib.Path(_TABLE.value))
  print(_TABLE.value)


def _rows(folder: pathlib.Path) -> Iterator[dict[str, Any]]:
  base = files.bundled_base()
  pooled = base.card.signals
  sources = {source.archive for source in base.card.sources}
  for archive in _ARCHIVES:
    windows = store.load(folder / archive)
    for index, position in enumerate(windows.meta.all_positions):
      where = windows.position == index
      trained = {'one person': 1, '70 % of the people': int(0.7 * len(np.unique(windows.subject[where])))}
      for name, people in trained.items():
        rng = np.random.default_rng(0)
        yield from _judged(
          windows, where, people, rng, {'archive': archive, 'position': position, 'training': name}
        )
      if archive not in sources and pooled is not None:
        identity = {'archive': archive, 'position': position, 'training': 'bundled base'}
        yield from _judged(windows, where, pooled, np.random.default_rng(0), identity)


def _judged(
  windows: store.Windows, where: np.ndarray, trained: Any, rng: np.random.Generator, identity: dict[str, Any]
) -> Iterator[dict[str, Any]]:
  """`trained`: a number of people, or the summary of a base."""
  people = np.unique(windows.subject[where])
  outcomes: dict[tuple[str, str], collections.Counter] = collections.defaultdict(collections.Counter)
  for _ in range(1 if isinstance(trained, SignalSummary) else _REPEATS):
    others, expected = people, trained
    if isinstance(trained, int):
      trained_people = rng.choice(people, trained, replace=False)
      training = np.flatnonzero(where & np.isin(windows.subject, trained_people))[:: max(trained // 4, 1)]
      names = np.array(windows.meta.activities)[windows.activity[training]]
      expected = summarize(windows.signals[training], names.tolist(), windows.meta.windowing.rate_hz)
      others = np.setdiff1d(people, trained_people)
    for person in rng.permutation(others)[:_MOST_PEOPLE]:
      mine = np.flatnonzero(where & (windows.subject == person))
      start = int(rng.integers(max(len(mine) - _TWO_MINUTES, 1)))
      for length, part in {'all': mine[:_MOST_WINDOWS], '2 min': mine[start : start + _TWO_MINUTES]}.items():
        for recorded in _RECORDED:
          outcomes[length, recorded][_outcome(expected, windows.signals[part], recorded)] += 1
  for (length, recorded), counts in outcomes.items():
    shares = {name: round(counts[name] / counts.total(), 3) for name in _OUTCOMES}
    yield {**identity, 'length': length, 'recorded': recorded, 'recordings': counts.total(), **shares}


_OUTCOMES = ('unchanged', 'undecided', 'warned', 'corrected', 'changed_otherwise', 'refused')


def _outcome(expected: SignalSummary, signals: np.ndarray, recorded: str) -> str:
  frame, factor = _RECORDED[recorded], 1.0
  if recorded == 'without gravity':
    mean = signals.mean(axis=1, keepdims=True)
    signals = signals - np.where(np.arange(6) < 3, mean, 0).astype(np.float32)
  elif frame is None:
    factor = STANDARD_GRAVITY_M_S2
    signals = signals / np.repeat([factor, 1.0], 3).astype(np.float32)
  else:
    signals = frame(signals)
  try:
    checked = frame_check.check(expected, signals, 'auto', DEFAULT_WINDOWING.rate_hz)
  except UserError:
    return 'refused'
  if checked.is_as_is:
    return 'warned' if checked.warnings else 'undecided' if checked.notes else 'unchanged'
  is_back = frame is None or (
    np.array_equal(checked.frame.acc @ frame.acc, np.eye(3))
    and np.array_equal(checked.frame.gyro @ frame.gyro, np.eye(3))
  )
  return (
    'corrected' if is_back and checked.acc_factor == factor and not checked.warnings else 'changed_otherwise'
  )


if __name__ == '__main__':
  sys.exit(command.run(sys.modules[__name__], sys.argv[1:]))

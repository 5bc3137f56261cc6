"""An export in its own runtime beside the recognizer it was made of.   w windows, y classes."""

import functools
import pathlib
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Int

from har_jax import runtime
from har_jax.bench import timing
from har_jax.config import CHANNELS, WINDOW_SAMPLES
from har_jax.data import windows as store
from har_jax.errors import UserError
from har_jax.export.exporter import Export
from har_jax.inference.recognizer import Recognizer
from har_jax.train import metrics

_MOST = 4000  # windows to compare on: slow runtimes take milliseconds for each
_REPEATS = 100
_STILL = np.zeros((1, WINDOW_SAMPLES, CHANNELS), np.float32)


def labeled(
  folder: str | pathlib.Path, classes: Sequence[Any], subjects: Collection[str] | None = None
) -> tuple[Float32[np.ndarray, 'w 128 6'], Int[np.ndarray, 'w']]:
  """Of a windows folder those that show one of `classes`, and each one's place among them; of `subjects` alone where given.

  At most 4000, evenly spread over them. Raises UserError where there is none.
  """
  windows = store.load(folder)
  names = windows.meta['activities']
  known = [list(map(str, classes)).index(name) if name in map(str, classes) else -1 for name in names]
  labels = np.array(known)[windows.activity]
  chosen = labels >= 0
  if subjects is not None:
    chosen &= np.isin(np.array(windows.meta['subjects'])[windows.subject], list(subjects))
  places = np.flatnonzero(chosen)
  if not len(places):
    raise UserError(
      f'{folder} has no window of the classes {", ".join(map(str, classes))}'
      + ('' if subjects is None else f' by the subjects {", ".join(sorted(subjects))}')
      + f'; it knows {", ".join(names)}'
    )
  if len(places) > _MOST:
    places = places[np.linspace(0, len(places) - 1, _MOST).astype(int)]
  return np.asarray(windows.signals[places]), labels[places]


def measure(
  recognizer: Recognizer,
  exports: Sequence[Export],
  windows: tuple[Float32[np.ndarray, 'w 128 6'], Int[np.ndarray, 'w']] | None = None,
) -> list[dict[str, Any]]:
  """A row for each export: size, seconds for one window and, with windows, how far it is from the recognizer.

  Each window is given alone, as a device gives them. Latencies are of calls from Python, taken in turn.
  """
  runs = [export.start() for export in exports]
  calls = {str(number): functools.partial(run, _STILL) for number, run in enumerate(runs)}
  seconds = timing.side_by_side(calls, repeats=_REPEATS)
  device = runtime.describe()['device']
  rows: list[dict[str, Any]] = []
  expected = None if windows is None else recognizer.predict_proba(windows[0])
  for number, (export, run) in enumerate(zip(exports, runs, strict=True)):
    row: dict[str, Any] = {
      'format': export.card['runtime'],
      'precision': export.card['precision'],
      'bytes': len(export.content),
      **_milliseconds(seconds[str(number)]),
      'device': device,
    }
    if windows is not None and expected is not None:
      given = np.concatenate([run(signal[None]) for signal in windows[0]])
      row |= against(expected, given, windows[1])
    rows.append(row)
  return rows


def _milliseconds(seconds: np.ndarray) -> dict[str, Any]:
  told = timing.summary(seconds, None)
  return {name: told[name] for name in ('ms', 'ms_quartiles', 'repeats')}


def against(
  expected: Float[np.ndarray, 'w y'], given: Float[np.ndarray, 'w y'], labels: Int[np.ndarray, 'w']
) -> dict[str, Any]:
  """What was lost between two runtimes' probabilities. A positive `macro_f1_lost` is a loss."""
  score, kept = (
    metrics.measure(labels, each.argmax(axis=1), each.shape[1])['macro_f1'] for each in (expected, given)
  )
  return {
    'windows': len(labels),
    'max_difference': float(np.abs(expected - given).max()),
    'other_answers': int((expected.argmax(axis=1) != given.argmax(axis=1)).sum()),
    'macro_f1_unexported': score,
    'macro_f1': kept,
    'macro_f1_lost': score - kept,
  }


def table(rows: Sequence[dict[str, Any]]) -> str:
  """In Markdown, an export a row."""
  from tabulate import tabulate

  cells = [
    {
      'format': row['format'],
      'weights': row['precision'],
      'size, kB': f'{row["bytes"] / 1000:.0f}',
      'one window, ms': f'{row["ms"]:.2f} ({row["ms_quartiles"][0]:.2f} to {row["ms_quartiles"][1]:.2f})',
    }
    | (
      {
        'largest |Δp|': f'{row["max_difference"]:.1e}',
        'other answers': f'{row["other_answers"]} of {row["windows"]}',
        'macro-F1': f'{row["macro_f1"]:.4f}',
        'macro-F1 lost': f'{row["macro_f1_lost"]:+.4f}',
      }
      if 'windows' in row
      else {}
    )
    for row in rows
  ]
  return tabulate(cells, headers='keys', tablefmt='pipe', disable_numparse=True)

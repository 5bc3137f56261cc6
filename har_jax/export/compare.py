"""Compares an export, in its runtime, with the recognizer that it was made from.

w windows, n samples, y classes.
"""

import functools
import pathlib
from collections.abc import Collection, Sequence
from typing import Any

import msgspec
import numpy as np
from jaxtyping import Float, Float32, Int

from har_jax import runtime
from har_jax.config import CHANNELS, Windowing
from har_jax.datasets import windows as store
from har_jax.errors import UserError
from har_jax.export import timing
from har_jax.export.exporter import Export
from har_jax.recognizer.recognizer import Recognizer
from har_jax.records import MeasuredExport
from har_jax.train import metrics

_MAX_WINDOWS = 4000  # slow runtimes take milliseconds for each
_REPEATS = 100


def labeled_windows(
  folder: str | pathlib.Path,
  classes: Sequence[Any],
  windowing: Windowing,
  subjects: Collection[str] | None = None,
) -> tuple[Float32[np.ndarray, 'w n 6'], Int[np.ndarray, 'w']]:
  """The windows of a folder whose activity is one of `classes`, and the index of their class.

  Only those of `subjects`, unless None. At most 4000, evenly spaced. Raises UserError if there is none, or
  if they are not of the model's length and rate.
  """
  windows = store.load(folder)
  store.check_windowing(pathlib.Path(folder).name, windows.meta, windowing)
  class_names = list(map(str, classes))
  labels = windows.labels(class_names)
  is_used = labels >= 0
  if subjects is not None:
    is_used &= np.isin(np.array(windows.meta.subjects)[windows.subject], list(subjects))
  indices = np.flatnonzero(is_used)
  if not len(indices):
    raise UserError(
      f'{folder} has no window of the classes {", ".join(class_names)}'
      + ('' if subjects is None else f' by the subjects {", ".join(sorted(subjects))}')
      + f'; it has {", ".join(windows.meta.activities)}'
    )
  if len(indices) > _MAX_WINDOWS:
    indices = indices[np.linspace(0, len(indices) - 1, _MAX_WINDOWS).astype(int)]
  return np.asarray(windows.signals[indices]), labels[indices]


def measure(
  recognizer: Recognizer,
  exports: Sequence[Export],
  windows: tuple[Float32[np.ndarray, 'w n 6'], Int[np.ndarray, 'w']] | None = None,
) -> list[MeasuredExport]:
  """Measures each export: size, latency and, with `windows`, the difference from the recognizer.

  Each call has one window, as on a device. Latencies are of calls from Python, interleaved over the exports.
  """
  runs = [export.start() for export in exports]
  blank = np.zeros((1, recognizer.windowing.samples, CHANNELS), np.float32)
  calls = {str(number): functools.partial(run, blank) for number, run in enumerate(runs)}
  seconds = timing.interleaved(calls, repeats=_REPEATS)
  device, rows = runtime.device(), []
  expected = None if windows is None else recognizer.predict_proba(windows[0])
  for number, (export, run) in enumerate(zip(exports, runs, strict=True)):
    row = MeasuredExport(
      format=export.card.runtime,
      precision=export.card.precision,
      bytes=len(export.content),
      **timing.summary(seconds[str(number)]),
      device=device,
    )
    if windows is not None and expected is not None:
      exported = np.concatenate([run(signal[None]) for signal in windows[0]])
      row = compare_probabilities(row, expected, exported, windows[1])
    rows.append(row)
  return rows


def compare_probabilities(
  row: MeasuredExport,
  expected: Float[np.ndarray, 'w y'],
  exported: Float[np.ndarray, 'w y'],
  labels: Int[np.ndarray, 'w'],
) -> MeasuredExport:
  """The row with the differences of probabilities after and before export."""
  before, after = (
    metrics.measure(labels, answers.argmax(axis=1), answers.shape[1]).macro_f1
    for answers in (expected, exported)
  )
  return msgspec.structs.replace(
    row,
    windows=len(labels),
    max_difference=float(np.abs(expected - exported).max()),
    changed_predictions=int((expected.argmax(axis=1) != exported.argmax(axis=1)).sum()),
    macro_f1_before=before,
    macro_f1=after,
    macro_f1_loss=before - after,
  )


def table(rows: Sequence[MeasuredExport]) -> str:
  """Markdown, a row per export."""
  from tabulate import tabulate

  cells = []
  for row in rows:
    low, high = row.ms_quartiles
    size, time = f'{row.bytes / 1000:.0f}', f'{row.ms:.2f} ({low:.2f} to {high:.2f})'
    cell = {'format': row.format, 'weights': row.precision, 'size, kB': size, 'one window, ms': time}
    if row.windows is not None:
      cell['largest |Δp|'] = f'{row.max_difference:.1e}'
      cell['changed predictions'] = f'{row.changed_predictions} of {row.windows}'
      cell |= {'macro-F1': f'{row.macro_f1:.4f}', 'macro-F1 loss': f'{row.macro_f1_loss:+.4f}'}
    cells.append(cell)
  return tabulate(cells, headers='keys', tablefmt='pipe', disable_numparse=True)

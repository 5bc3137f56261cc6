"""Measure what each method costs, write results/method_costs.csv, and fill its table.

python docs/studies/method_costs.py
python docs/studies/method_costs.py --nomeasure

The base is the bundled one, with the defaults of `adapt`. Takes ten minutes on an idle machine.
"""

import math
import statistics
import time
from typing import Any

import numpy as np
import study

from har_jax import files, methods
from har_jax.datasets.normalization import PHYSICAL
from har_jax.recognizer import fitting, parameters
from har_jax.recognizer.recognizer import Recognizer
from har_jax.report import csv_table, markdown
from har_jax.variables import resident

FLAGS, _define = study.new_flags()
TABLE, PAGE = study.places('method_costs')[0], study.places('methods')[1]
_CLASSES, _WINDOWS = 6, 60  # as with ten windows of each activity
_STEPS, _REPEATS = (16, 80), 3
_PREDICTED = 512  # windows
_SHOWN = {
  'training_mb': ('training, MB', '{:.1f}'),
  'step_ms': ('step, ms', '{:.1f}'),
  'prediction_mb': ('prediction, MB', '{:.1f}'),
  'window_ms': ('window, ms', '{:.2f}'),
  'adapter_kb': ('adapter, kB', '{:,.0f}'),
}


def _rows() -> list[dict[str, Any]]:
  """A row for each method. Its repeats are spread over the whole time, since a machine's speed changes."""
  rng = np.random.default_rng(0)
  signals = rng.normal(0, 3, (_WINDOWS, 128, 6)).astype(np.float32)
  labels = np.arange(_WINDOWS) % _CLASSES
  run_on = study.run_on()
  measured = {name: _Measured(name, signals, labels) for name in methods.METHODS if name != 'scratch'}
  for _ in range(_REPEATS):
    for method in measured.values():
      method.time()
    print('.', end='', flush=True)
  return [{'method': name} | method.costs() | run_on for name, method in measured.items()]


class _Measured:
  """The costs of one method."""

  def __init__(self, name: str, signals: np.ndarray, labels: np.ndarray):
    defaults = parameters.Parameters(files.bundled_base(), method=name)
    base, experiment = parameters.check(defaults)
    windows = {
      'signal': signals,
      'label': labels.astype(np.int32),
      'origin': np.zeros((len(labels), 2), np.float32),
    }
    parts = fitting.Parts(windows, windows, 'none', PHYSICAL)
    self._fit = fitting.fits(defaults, base, experiment, list(range(_CLASSES)), parts)(name)
    self._recognizer = Recognizer.load().adapt(signals, labels, method=name, max_steps=1)
    self._predicted = np.resize(signals, (_PREDICTED, 128, 6))
    self._step_s: list[float] = []
    self._window_s: list[float] = []
    self._fit.seconds(_STEPS[0])  # compiles
    self._recognizer.probabilities(self._predicted)

  def time(self) -> None:
    short, long = (self._fit.seconds(steps) for steps in _STEPS)
    self._step_s.append((long - short) / (_STEPS[1] - _STEPS[0]))
    begun_s = time.monotonic()
    self._recognizer.probabilities(self._predicted)
    self._window_s.append((time.monotonic() - begun_s) / _PREDICTED)

  def costs(self) -> dict[str, float]:
    takes_steps = self._fit.method.takes_steps
    return {
      'training_mb': round(self._fit.memory_bytes() / 1e6, 2),
      'step_ms': round(1e3 * statistics.median(self._step_s), 2) if takes_steps else math.nan,
      'prediction_mb': round(resident(self._recognizer.variables_) / 1e6, 2),
      'window_ms': round(1e3 * statistics.median(self._window_s), 3),
      'adapter_kb': round(self._fit.file_bytes() / 1e3, 1),
    }


def block() -> str:
  frame = csv_table.read(TABLE)
  shown = frame[['method']].assign(
    **{title: frame[name].map(form.format).replace('nan', '–') for name, (title, form) in _SHOWN.items()}
  )
  first = frame.iloc[0]
  machine = f'{first["cores"]} cores, {first["device"]}, {first["versions"]}, commit {first["commit"]}'
  text = (
    f'{machine}; the bundled base, steps of 32 windows. “Training” are the arrays of a step, with those '
    'that the compiler plans. “Prediction” are the weights. Times are medians of three.'
  )
  return f'{text}\n\n{markdown.tabulated(shown)}'


if __name__ == '__main__':
  study.run(__name__, lambda: study.write(TABLE, _rows()))

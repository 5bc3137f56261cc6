"""Classes, error bounds and windows of the tests of exports."""

import collections
import itertools
from typing import Any

import numpy as np

from har_jax import config, records, runtime
from har_jax.config import DEFAULT_WINDOWING
from har_jax.signal import cutting
from har_jax.signal.cutting import resample

CLASSES = ['walking', 'lying', 'sitting', 'Überquerung']  # not sorted: an export keeps the adapter's order
# Without the wide linear embedding, whose random adapters would multiply all rounding.
LORA = config.Lora(rank=4, alpha=8.0, targets=('query', 'key', 'value', 'output', 'up', 'down'))
FLOAT32 = config.Precision()
# What the command measures of an export.
MEASURED = records.MeasuredExport(
  format='onnx',
  precision='float32',
  bytes=1,
  ms=1.0,
  ms_quartiles=[0.5, 1.5],
  repeats=3,
  device=runtime.device(),
)
# Largest error of a probability. float32: order of summation. int8: weights, and activations in 255 steps.
BOUND = {'float32': 2e-5, 'int8': 0.12}


def cut_from(recordings: Any) -> np.ndarray:
  """About two dozen windows, evenly spaced, of the first three recordings."""
  dropped: collections.Counter = collections.Counter()
  cut = [
    window.signal
    for recording in itertools.islice(recordings, 3)
    for window in cutting.cut(
      recording, resample(recording, dropped, DEFAULT_WINDOWING), dropped, DEFAULT_WINDOWING, number=0
    )
  ]
  return np.stack(cut[:: max(1, len(cut) // 24)]).astype(np.float32)

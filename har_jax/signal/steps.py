"""Steps of walking and running, from how the length of acceleration repeats itself.

n samples.
"""

import functools
import math

import numpy as np
from jaxtyping import Float

from har_jax.signal.recording import Samples

_RATE_HZ = 50.0  # on which the signal is interpolated
_SLACK_SAMPLES = 1e-3  # rounding of times adds no sample
_BAND_HZ = (0.5, 5.0)  # from slower than a stride to the second harmonic of a quick step
_PART_S = 6.0  # a few strides of one pace
_REGULAR = 0.3  # correlation of a part with itself a stride later; less is no steady gait
_AS_HIGH = 0.85  # of the highest peak: two strides fit about as well as one


def count_steps(acc: Samples, stride_s: tuple[float, float]) -> tuple[float, float]:
  """Steps in a piece of steady gait, and the median of steps a minute: (0, NaN) if no stride is seen.

  stride_s: shortest and longest time of a stride, two steps.

  A stride is the first high peak of a part's autocorrelation. It is there at trunk, leg and wrist, where that
  of one step may be missing. The length of acceleration does not depend on how the device is turned.
  Source: Moe-Nilssen and Helbostad, J Biomech 37:121, 2004. docs/results/steps.md compares it with counts.
  """
  from scipy import signal

  duration_s = float(acc.time_s[-1] - acc.time_s[0])
  if duration_s < 2 * stride_s[0]:
    return 0.0, np.nan
  lengths = np.linalg.norm(acc.values.astype(np.float64), axis=1)
  samples = math.ceil(duration_s * _RATE_HZ - _SLACK_SAMPLES)
  even = np.interp(acc.time_s[0] + np.arange(samples) / _RATE_HZ, acc.time_s, lengths)
  steps, cadences = 0.0, []
  for part in np.array_split(signal.sosfiltfilt(_band(), even), max(round(duration_s / _PART_S), 1)):
    if (length_s := _find_stride_s(part - part.mean(), stride_s)) is not None:
      steps += 2 * len(part) / _RATE_HZ / length_s
      cadences.append(120 / length_s)
  return steps, float(np.median(cadences)) if cadences else np.nan


@functools.cache
def _band() -> Float[np.ndarray, 'k 6']:
  from scipy import signal

  return signal.butter(2, _BAND_HZ, 'band', fs=_RATE_HZ, output='sos')


def _find_stride_s(part: Float[np.ndarray, 'n'], stride_s: tuple[float, float]) -> float | None:
  """The lag, between samples by a parabola, at which the part fits itself."""
  first, last = (round(limit_s * _RATE_HZ) for limit_s in stride_s)
  last = min(last, 2 * len(part) // 3)  # a third must overlap
  # Of the part without its last samples, and without its first ones, by lag.
  products = np.correlate(part, part, 'full')[len(part) - 1 : len(part) + last + 1]
  head, tail = (np.cumsum(np.square(side))[::-1][: last + 2] for side in (part, part[::-1]))
  fits = products / np.maximum(np.sqrt(head * tail), 1e-9)
  lags = np.arange(first, last + 1)
  peaks = lags[(fits[lags] >= fits[lags - 1]) & (fits[lags] > fits[lags + 1])]
  if not len(peaks) or fits[peaks].max() < _REGULAR:
    return None
  lag = peaks[fits[peaks] >= _AS_HIGH * fits[peaks].max()][0]
  before, peak, after = fits[lag - 1 : lag + 2]
  return float(lag + (before - after) / (2 * (before - 2 * peak + after))) / _RATE_HZ

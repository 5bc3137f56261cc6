"""Values that are repeated until the next one comes, as by an app or by a merge of tables.   n rows."""

import numpy as np
from jaxtyping import Bool, Float

from har_jax.signal.recording import Samples

_BUSY = 0.95  # quantile of seconds, by their number of new values: at rest, a coarse sensor has few
# Of the rows that have new values then: half if each is there twice. A sensor as recorded has over 0.75.
_HELD = 0.65
_LONGEST_S = 0.15  # windows end at gaps of 0.2 s


def rates_hz(samples: Samples) -> tuple[float, float]:
  """Of the rows, and of those with new values, while the device moves."""
  second = np.floor(samples.time_s[1:])
  starts = np.flatnonzero(np.r_[True, np.diff(second) > 0])
  new = np.add.reduceat(_is_new(samples.values), starts, dtype=np.int64)
  rows = np.diff(np.r_[starts, len(second)])
  return float(np.quantile(rows, _BUSY)), float(np.quantile(new, _BUSY))


def repeats(samples: Samples) -> Bool[np.ndarray, 'n']:
  """Rows that repeat an earlier one, less than 0.15 s after it; none unless that is how the file was made."""
  rate_hz, new_hz = rates_hz(samples)
  if not 1 / _LONGEST_S < new_hz < _HELD * rate_hz:
    return np.zeros(len(samples.time_s), bool)
  is_new = np.r_[True, _is_new(samples.values)]
  since_s = samples.time_s - samples.time_s[is_new][np.cumsum(is_new) - 1]
  return ~is_new & (since_s < _LONGEST_S)


def _is_new(values: Float[np.ndarray, 'n 3']) -> Bool[np.ndarray, 'm']:
  return (np.diff(values, axis=0) != 0).any(axis=1)

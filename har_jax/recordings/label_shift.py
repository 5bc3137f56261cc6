"""Search for a shift in time by which labels fit the signal far better.   t seconds, f features, d shifts.

At each shift, a Gaussian of one covariance is fitted to each activity's seconds. Labels that fit make it much
narrower than that of all seconds.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from har_jax.signal.recording import STANDARD_GRAVITY_M_S2, Recording, Samples

_MOST_S = 60
_LEAST_S, _NEAR_S = 8, 5  # people are some seconds late: then the best shift is near 0
# In nats a second. Of 180 people's labels, none gains as much as published, or off by up to 6 s at random.
# Two thirds do if they are 15 to 50 s late.
_GAIN, _PEAK = 0.6, 0.3
_PEAK_S = 10
# Labeled seconds, and the fraction that must move to labeled ones, as others contradict no label. It is over
# 0.54 for late labels of the people of HAPT and MotionSense.
_FEWEST_S, _DENSE = 120, 0.5
_KEPT = 0.8  # of the labeled seconds, at each shift
_REPEATS, _SHORT = 2, 0.7  # each activity once: a shift by a whole label may be another order of activities
_NOISE = 0.02


def find(recordings: Sequence[Recording]) -> int | None:
  """Finds by how many seconds the labels are late; None: they fit as they are, or nobody knows."""
  names = sorted({span.activity for recording in recordings for span in recording.spans})
  if len(names) < 2:
    return None
  parts = [_describe(recording, names) for recording in recordings]
  return _late_s(*map(np.concatenate, zip(*parts, strict=True)))


def _late_s(features: Float[np.ndarray, 't f'], labels: Int[np.ndarray, 't']) -> int | None:
  labels = np.where(np.isnan(features).any(axis=1), -1, labels)
  labeled = np.flatnonzero(labels >= 0)
  if len(labeled) < _FEWEST_S:
    return None
  starts = np.flatnonzero(np.diff(labels[labeled], prepend=-1))
  most_s = _MOST_S
  if len(starts) < _REPEATS * len(np.unique(labels[labeled])):
    most_s = min(most_s, int(_SHORT * np.median(np.diff(np.r_[starts, len(labeled)]))))
  shifts = np.arange(-_MOST_S, _MOST_S + 1)
  fits = np.full(len(shifts), np.nan)
  for index in np.flatnonzero(abs(shifts) <= most_s):
    fits[index] = _fit(features, labels, labeled, int(shifts[index]))
  usual = _MOST_S
  if np.isnan(fits[usual]):
    return None
  best = int(np.nanargmax(fits))
  around = [fits[shift] for shift in (best - _PEAK_S, best + _PEAK_S) if 0 <= shift < len(fits)]
  around = [fit for fit in around if not np.isnan(fit)]
  near = fits[usual - _PEAK_S : usual + _PEAK_S + 1]
  moved = labeled - shifts[best]
  moved = moved[(moved >= 0) & (moved < len(labels))]
  if (
    fits[best] - fits[usual] < _GAIN
    or not around
    or fits[best] - max(around) < _PEAK
    or abs(shifts[best]) < _LEAST_S
    or abs(int(np.nanargmax(near)) - _PEAK_S) <= _NEAR_S
    or (labels[moved] >= 0).mean() < _DENSE
  ):
    return None
  return int(shifts[best])


def _fit(
  features: Float[np.ndarray, 't f'], labels: Int[np.ndarray, 't'], labeled: Int[np.ndarray, 'm'], late_s: int
) -> float:
  """Narrowing of the features within activities, in nats a second; NaN where too few labels are left."""
  moved = labeled - late_s
  inside = (moved >= 0) & (moved < len(features))
  moved, codes = moved[inside], labels[labeled[inside]]
  complete = ~np.isnan(features[moved]).any(axis=1)
  moved, codes = moved[complete], codes[complete]
  classes = np.unique(codes)
  if len(codes) < _KEPT * len(labeled) or len(classes) < max(2, len(np.unique(labels[labeled]))):
    return np.nan
  values = features[moved]
  deviations = values - values.mean(axis=0)
  within = values.copy()
  for code in classes:
    within[codes == code] -= values[codes == code].mean(axis=0)
  noise = _NOISE * np.eye(values.shape[1])
  wide, narrow = (
    float(np.linalg.slogdet(rows.T @ rows / len(rows) + noise)[1]) for rows in (deviations, within)
  )
  return (wide - narrow) / 2


def _describe(
  recording: Recording, names: Sequence[str]
) -> tuple[Float[np.ndarray, 't f'], Int[np.ndarray, 't']]:
  """Features of each second, and the number of its activity, -1 if it is not all of one; and a pause.

  The features are the mean acceleration, and how much each sensor moves; NaN without samples.
  """
  count = int(min(recording.acc.time_s[-1], recording.gyro.time_s[-1]))
  (mean, acc_std), (_, gyro_std) = (_moments(part, count) for part in (recording.acc, recording.gyro))
  features = np.c_[mean / STANDARD_GRAVITY_M_S2, np.log(acc_std + 0.1), np.log(gyro_std + 0.05)]
  labels = np.full(count + _MOST_S, -1)
  for span in recording.spans:
    labels[int(np.ceil(span.start_s)) : min(int(span.stop_s), count)] = names.index(span.activity)
  # Nothing is shifted from one recording into another.
  return np.pad(features, ((0, _MOST_S), (0, 0)), constant_values=np.nan), labels


def _moments(samples: Samples, count: int) -> tuple[Float[np.ndarray, 't 3'], Float[np.ndarray, 't']]:
  """Mean, and standard deviation over all axes, in each second."""
  second = samples.time_s.astype(int)
  values, second = samples.values[second < count].astype(np.float64), second[second < count]
  counts = np.bincount(second, minlength=count).astype(np.float64)
  counts[counts == 0] = np.nan
  mean, square = (
    np.stack([np.bincount(second, axis, minlength=count) / counts for axis in power.T], axis=1)
    for power in (values, values**2)
  )
  return mean, np.sqrt((square - mean**2).clip(0).sum(axis=1))

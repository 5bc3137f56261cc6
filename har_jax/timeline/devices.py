"""Two devices that one person wears at once: their clocks aligned, their windows answered together.

w windows, t and u half seconds, s shifts.
"""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from har_jax.errors import UserError
from har_jax.recordings import Reading
from har_jax.signal import still
from har_jax.timeline.bouts import Clock
from har_jax.timeline.predictions import Predictions

_STEP_S = 0.5
_MOST_OFF_S = 30.0  # two devices' clocks
_LONGEST_S = 31 * 86_400.0  # of a recording: a date that is wrong would fill memory with half seconds
_LEAST_PART = 0.5  # of the shorter recording, in which both run
# Standard deviations of the correlation of what is not of one person, if a movement lasts so many seconds.
_BY_CHANCE, _LASTS_S = 4.0, 4.0
_ALONE_S, _CLEARER = 10.0, 0.1  # no shift farther away comes as near
_TREND_S = 10.0  # of movement that lasts, whose shift is seen within a minute only
_TINY = 1e-9


def in_order(predictions: Predictions, classes: Sequence[str]) -> Predictions:
  """Predictions with another adapter's order of classes. Raises UserError if these are other classes."""
  if set(classes) != set(predictions.classes):
    names, other = (', '.join(sorted(names)) for names in (classes, predictions.classes))
    raise UserError(
      f"the first device's adapter answers {names}, the second one's {other}: "
      'adapt both to the same activities'
    )
  order = [predictions.classes.index(name) for name in classes]
  probabilities = predictions.probabilities[:, order]
  return dataclasses.replace(predictions, classes=tuple(classes), probabilities=probabilities, sets=None)


def find_offset(first: Reading, second: Reading) -> tuple[float, str]:
  """Seconds on the first one's clock at which the second one starts, and a sentence on how that was found.

  Both move at the same moments, so that the shift counts at which their movement correlates most: near what
  the clocks say, or anywhere without clocks.
  Raises UserError if several files are one device's, one lasts over a month, or without clocks no shift
  stands out.
  """
  if any(len(set(reading.files)) > 1 for reading in (first, second)):
    raise UserError('two devices need one file each: give a recording of the second one alone')
  longest_s = max(float(one.offsets_s[-1] + one.recordings[-1].acc.time_s[-1]) for one in (first, second))
  if longest_s > _LONGEST_S:
    raise UserError(
      f'two devices are aligned over {_LONGEST_S / 86_400:.0f} days at most, and a file spans '
      f'{longest_s / 86_400:.0f}: are its dates right?'
    )
  starts = [Clock.from_reading(reading).start for reading in (first, second)]
  by_clock_s = None
  if all(starts) and len({start.tzinfo is None for start in starts if start}) == 1:
    by_clock_s = (starts[1] - starts[0]).total_seconds()  # type: ignore[operator]  # neither is None
  both = _movement(first), _movement(second)
  for one, other in (both, tuple(map(_without_trend, both))):
    shifts_s, fits, deviations = _correlate(one, other)
    near = np.ones(len(fits), bool) if by_clock_s is None else abs(shifts_s - by_clock_s) <= _MOST_OFF_S
    best = int(np.where(near, fits, -1.0).argmax()) if near.any() else 0
    others = fits[near & (abs(shifts_s - shifts_s[best]) > _ALONE_S)]
    if near.any() and deviations[best] > _BY_CHANCE and fits[best] > others.max(initial=0.0) + _CLEARER:
      offset_s = float(shifts_s[best])
      clocks = '' if by_clock_s is None else f', {offset_s - by_clock_s:+.1f} s from what the clocks say'
      seen = f'as their movement shows{clocks}'
      return offset_s, f'The second device starts {offset_s:.1f} s after the first, {seen}.'
  if by_clock_s is None:
    raise UserError(
      'the movement of both devices does not show how their times belong together: record them with '
      'clocks, or for longer, and move'
    )
  said_s = round(by_clock_s, 1) + 0.0  # no -0.0
  return by_clock_s, f'The second device starts {said_s:.1f} s after the first, by their clocks alone.'


def combine(
  first: Predictions, second: Predictions, readings: tuple[Reading, Reading], offset_s: float
) -> tuple[Predictions, int]:
  """The first one's predictions, where there is one of the second at the same time with it; and their count.

  A window's probabilities are the mean of both devices' log-probabilities, normalized; docs/results has
  a comparison with other ways. There are no sets: they were calibrated for one device.
  """
  from scipy import special

  starts_s, others_s = (
    np.array(reading.offsets_s)[one.recording] + one.start_s
    for one, reading in zip((first, second), readings, strict=True)
  )
  others_s = others_s + offset_s
  nearest = np.searchsorted((others_s[1:] + others_s[:-1]) / 2, starts_s)
  is_near = abs(others_s[nearest] - starts_s) <= first.windowing.step_s / 2 + _TINY
  logs = np.log(np.maximum(first.probabilities, _TINY, dtype=np.float64))
  other = np.log(np.maximum(second.probabilities[nearest], _TINY, dtype=np.float64))
  together = special.softmax((logs + other) / 2, axis=1)
  joined = np.where(is_near[:, None], together, first.probabilities).astype(np.float32)
  still = first.still & (second.still[nearest] | ~is_near)
  return dataclasses.replace(first, probabilities=joined, still=still, sets=None), int(is_near.sum())


def _movement(reading: Reading) -> Float[np.ndarray, 't']:
  """Logarithm of the deviation of acceleration's length in each half second of a file; NaN in gaps."""
  starts_s = zip(reading.offsets_s, reading.recordings, strict=True)
  times_s = np.concatenate([start_s + part.acc.time_s for start_s, part in starts_s])
  lengths = np.concatenate([np.linalg.norm(part.acc.values, axis=1) for part in reading.recordings])
  _, deviations = still.moments(times_s, lengths[:, None], _STEP_S)
  counts = np.bincount((times_s / _STEP_S).astype(int))
  return np.where(counts > 2, np.log(deviations + 0.05), np.nan)


def _without_trend(movement: Float[np.ndarray, 't']) -> Float[np.ndarray, 't']:
  """Movement less its running mean."""
  from scipy import ndimage

  size = round(_TREND_S / _STEP_S)
  parts = np.nan_to_num(movement), np.isfinite(movement).astype(float)
  sums, counts = (ndimage.uniform_filter1d(part, size) for part in parts)
  return movement - sums / np.maximum(counts, _TINY)


def _correlate(
  first: Float[np.ndarray, 't'], second: Float[np.ndarray, 'u']
) -> tuple[Float[np.ndarray, 's'], Float[np.ndarray, 's'], Float[np.ndarray, 's']]:
  """Shifts in seconds, the correlation over what overlaps, or -1 for too little, and its deviations."""
  from scipy import signal

  present = [np.isfinite(series).astype(float) for series in (first, second)]
  values = [np.nan_to_num(series - np.nanmean(series)) for series in (first, second)]
  products = functools.partial(signal.correlate, method='fft')
  overlap = products(*present)
  squares = products(values[0] ** 2, present[1]), products(present[0], values[1] ** 2)
  size = np.sqrt(squares[0].clip(0) * squares[1].clip(0))  # 0 may be rounded to less
  least = _LEAST_PART * min(len(first), len(second))
  fits = np.where(overlap >= least, products(*values) / np.maximum(size, 1e-9), -1.0)
  deviations = fits * np.sqrt(overlap.clip(0) * _STEP_S / _LASTS_S)
  return signal.correlation_lags(len(first), len(second)) * _STEP_S, fits, deviations

"""Times that run back: a counter that wrapped, a clock set back, a new recording, or rows out of order.

n rows, s samples.
"""

import numpy as np
from jaxtyping import Bool, Float, Float32, Int

from har_jax.recordings.infer import Findings

_DAY = (60.0, 3600.0, 43_200.0, 86_400.0)  # also the hour that clocks are set back in autumn
_MODULI = (*(2.0**bits for bits in (16, 24, 32)), *(1e3 * seconds for seconds in _DAY), *_DAY)
_GOES_ON = 20.0  # usual steps, within which a wrapped clock goes on
_SHORT_RUN = 128  # rows: where runs between falls are shorter, rows are out of order
_MIXED = 8  # changes from one run to another, in order of time, for each run
_ROUGH = 1.5  # times the usual change from one sample to the next, where two recordings are mixed
_SET_BACK_S, _PAUSE_S = 5.0, 2.0  # a longer fall is a new start, put so long after the last sample


def falls(values: Float[np.ndarray, 's']) -> Int[np.ndarray, 'f']:
  """Indices of samples before which the time falls; none where rows are just out of order."""
  starts = np.flatnonzero(np.diff(values) < 0) + 1
  return starts if len(starts) * _SHORT_RUN <= len(values) else starts[:0]


def unwrap(values: Float[np.ndarray, 'n'], findings: Findings) -> Float[np.ndarray, 'n']:
  """Times in any unit, NaN if missing, that go on where a counter began again: at 2^16, 2^32, an hour, …"""
  rows = np.flatnonzero(np.isfinite(values))
  present = values[rows]
  fell = falls(present)
  if not len(fell):
    return values
  steps = np.diff(present)
  near = _GOES_ON * float(np.quantile(steps[steps > 0], 0.95)) if (steps > 0).any() else 0.0
  drops = present[fell] - present[fell - 1]
  for modulus in _MODULI:
    wrapped = (drops + modulus > 0) & (drops + modulus <= near)
    if near < modulus / 10 and wrapped.any():
      turns = np.zeros(len(values))
      turns[rows[fell[wrapped]]] = modulus
      times = 'once' if wrapped.sum() == 1 else f'{int(wrapped.sum())} times'
      findings.note(f'The clock began again {times} after {modulus:.10g}: it was continued.')
      return values + np.cumsum(turns)
  return values


def continue_restarts(
  time_s: Float[np.ndarray, 'n'],
  sampled: Bool[np.ndarray, 'n'],
  values: Float32[np.ndarray, 'n 3'],
  findings: Findings,
) -> Float[np.ndarray, 'n']:
  """Seconds that go on where the clock was set back, or a new recording began, into times that are taken.

  Sorted by time, two recordings would be mixed, sample by sample. Rows that were sent twice or out of order
  are left for sorting. `values` are of the sensor of the `sampled` rows.
  """
  rows = np.flatnonzero(sampled & ~np.isnan(time_s))
  present_s = time_s[rows]
  fell = falls(present_s)
  if not len(fell):
    return time_s
  run = np.zeros(len(present_s), np.int32)
  run[fell] = 1
  run = np.cumsum(run)
  order = np.argsort(present_s, kind='stable')
  changes = np.flatnonzero(np.diff(run[order]) != 0)
  within = np.flatnonzero(np.diff(run) == 0)
  rough, usual = (
    float(np.abs(values[rows[after]] - values[rows[before]]).mean()) if len(before) else 0.0
    for before, after in ((order[changes], order[changes + 1]), (within, within + 1))
  )
  step_s = float(np.median(np.diff(present_s)[np.diff(present_s) > 0]))
  times = 'once' if len(fell) == 1 else f'{len(fell)} times'
  drops_s = present_s[fell - 1] - present_s[fell]
  longest_s = float(drops_s.max())
  if len(changes) <= _MIXED * (len(fell) + 1):
    # Parts that follow one another without a gap were only written in another order.
    gaps_s = present_s[order[changes + 1]] - present_s[order[changes]]
    if longest_s > _SET_BACK_S and (gaps_s > max(_PAUSE_S, 4 * step_s)).any():
      findings.warn(
        f'Time ran back {times}, by up to {longest_s:.1f} s, into times that were free: parts of the file '
        'were exchanged, to be in order of time. If a part is of another day, write dates with the times.'
      )
    return time_s
  # Rows that were sent twice, or in two parts, make one smooth signal when they are sorted.
  if rough < _ROUGH * usual:
    return time_s
  ends_s = np.maximum.reduceat(present_s, np.r_[0, fell])[:-1]
  pauses_s = np.where(drops_s <= _SET_BACK_S, step_s, max(_PAUSE_S, 4 * step_s))
  moved = np.zeros(len(time_s))
  moved[rows[fell]] = ends_s + pauses_s - present_s[fell]  # each start follows the end before it
  findings.warn(
    f'Time ran back {times}, by up to {longest_s:.1f} s, into times that were taken: the clock was set back, '
    'or a new recording began. What follows was put after it, at later times than the file says.'
  )
  return time_s + np.cumsum(moved)

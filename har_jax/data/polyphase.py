"""A change of the sampling rate by a polyphase filter, in NumPy: SciPy's signal package imports slowly.

n samples before, m after, c columns. p phases, which are the places of new samples between old ones; t taps
of each. r rounds of all phases.
"""

import functools
import math

import numpy as np
from jaxtyping import Float, Int

_ZERO_CROSSINGS = 10  # of the sinc, on each side
_BETA = 5.0  # of the Kaiser window
_BLOCK = 1 << 13  # new samples: what they need stays in a processor's cache


def resample(signal: Float[np.ndarray, 'n c'], to_hz: int, from_hz: int) -> Float[np.ndarray, 'm c']:
  """The signal at another rate, low-passed below both Nyquist frequencies, without delay.

  Before its first and after its last sample, the signal goes on along the line through both.
  The numbers are those of `scipy.signal.resample_poly(padtype='line')`, bit for bit.
  """
  common = math.gcd(to_hz, from_hz)
  up, down = to_hz // common, from_hz // common
  count = -(-len(signal) * up // down)
  rounds = -(-count // up)  # of all phases, each `down` samples on
  first, taps = _phases(up, down)
  longer = _extended(signal, -int(first.min()), rounds * down + len(taps))
  first = first - first.min()
  found = np.zeros((signal.shape[1], rounds, up))
  block = max(_BLOCK // up, 1)
  for begin in range(0, rounds, block):
    for column, out in zip(longer[:, down * begin :], found[:, begin : begin + block], strict=True):
      for tap, weight in enumerate(taps):  # oldest sample first
        out += _needed(column[tap:], first, down, len(out)) * weight
  return np.ascontiguousarray(found.reshape(len(found), -1)[:, :count].T)


def _needed(
  column: Float[np.ndarray, '_'], first: Int[np.ndarray, 'p'], down: int, rounds: int
) -> Float[np.ndarray, 'r p']:
  """The sample that each phase needs in each round."""
  if len(first) == 1:  # a view instead of a copy
    return column[first[0] :: down][:rounds, None]
  return column.take(first + down * np.arange(rounds)[:, None])


@functools.lru_cache(maxsize=8)
def _phases(up: int, down: int) -> tuple[Int[np.ndarray, 'p'], Float[np.ndarray, 't p']]:
  """The first sample that counts for each phase, and the weights from it on."""
  from scipy import special

  reach = _ZERO_CROSSINGS * max(up, down)  # at `up` times the old rate
  place = np.arange(-reach, reach + 1.0)
  window = special.i0(_BETA * np.sqrt(1 - (place / reach) ** 2)) / special.i0(_BETA)
  cutoff = 1 / max(up, down)
  lowpass = cutoff * np.sinc(cutoff * place) * window
  lowpass = np.concatenate([lowpass / lowpass.sum() * up, np.zeros(2 * up)])
  center = down * np.arange(up)
  first = -((reach - center) // up)
  index = center + reach - up * (first + np.arange(2 * reach // up + 1)[:, None])
  return first, np.where(index < 0, 0, lowpass[index])


def _extended(signal: Float[np.ndarray, 'n c'], before: int, after: int) -> Float[np.ndarray, 'c _']:
  slope = (signal[-1:] - signal[:1]) / max(len(signal) - 1, 1)
  start = signal[:1] + np.arange(-before, 0)[:, None] * slope
  end = signal[-1:] + np.arange(1, after + 1)[:, None] * slope
  return np.ascontiguousarray(np.concatenate([start, signal, end]).T)

"""Check of a recording's time: are movements as quick as people's, for their strength?

w windows, n samples, f frequencies, c channels, q quantities.
People's limbs have a size: at a given strength of a movement, its frequency says how far it goes. So a wrong
rate gives movements of giants or dwarfs. Two quadratic functions of a window's spectra tell how much likelier
it is that time runs at twice or at half its speed. docs/studies/pace.py fits them to public archives.
"""

import functools
import json
import pathlib
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from har_jax.signal import Windowing

WINDOWING = Windowing(samples=256, rate_hz=50)  # a usual rate, so that few recordings must be resampled
_BAND_HZ = (0.3, 9.0)  # from slow strides to what a filter of 20 Hz lets through
_MOVING_M_S2, _MOVING_RAD_S = 0.7, 0.2
FEWEST_WINDOWS = 8
_FAST, _SLOW = 2.2, 0.5  # mean log odds that are believed
_USUAL = 3.5  # deviations from the mean: the functions are not fitted to what lies beyond, 1 % of windows
_TINY = 1e-13
_MODEL = pathlib.Path(__file__).with_name('pace.json')


class Odds(NamedTuple):
  """Mean log odds of a window that time runs at twice, and at half its speed; and the windows that move."""

  fast: float
  slow: float
  windows: int

  @property
  def factor(self) -> float | None:
    """Speed of time, 2 or 0.5; None if it is right, or nobody knows."""
    if self.windows < FEWEST_WINDOWS:
      return None
    return 2.0 if self.fast > max(_FAST, self.slow) else 0.5 if self.slow > _SLOW else None


def check(signals: Float[np.ndarray, 'w n 6']) -> Odds:
  """Odds of windows of `WINDOWING`."""
  model = _load()
  described = (describe(signals[is_moving(signals)]) - model['mean']) / model['deviation']
  described = described[(np.abs(described) < _USUAL).all(axis=1)]
  if not len(described):
    return Odds(0.0, 0.0, 0)
  terms = quadratic(described).mean(axis=0)
  return Odds(float(terms @ model['fast']), float(terms @ model['slow']), len(described))


def is_moving(signals: Float[np.ndarray, 'w n 6']) -> Bool[np.ndarray, 'w']:
  lengths, turns = (np.linalg.norm(part, axis=2) for part in (signals[..., :3], signals[..., 3:]))
  return (lengths.std(axis=1) > _MOVING_M_S2) & (turns.mean(axis=1) > _MOVING_RAD_S)


def describe(signals: Float[np.ndarray, 'w n 6']) -> Float[np.ndarray, 'w q']:
  """Logarithms of strength and frequencies, and entropy, of three spectra.

  They are those of the length of acceleration, of acceleration, and of angular velocity.
  """
  values = np.concatenate([np.linalg.norm(signals[..., :3], axis=2, keepdims=True), signals], axis=2)
  values = (values - values.mean(axis=1, keepdims=True)) * np.hanning(values.shape[1])[:, None]
  frequencies_hz = np.fft.rfftfreq(values.shape[1], 1 / WINDOWING.rate_hz)
  band = (frequencies_hz > _BAND_HZ[0]) & (frequencies_hz < _BAND_HZ[1])
  powers = np.square(np.abs(np.fft.rfft(values, axis=1, norm='forward')[:, band]))
  parts = (powers[..., 0], powers[..., 1:4].sum(axis=2), powers[..., 4:].sum(axis=2))
  return np.concatenate([_describe_spectrum(part + _TINY, frequencies_hz[band]) for part in parts], axis=1)


def _describe_spectrum(
  power: Float[np.ndarray, 'w f'], frequencies_hz: Float[np.ndarray, 'f']
) -> Float[np.ndarray, 'w 5']:
  total = power.sum(axis=1)
  shares = power / total[:, None]
  return np.stack(
    [
      np.log(total) / 2,
      np.log(shares @ frequencies_hz),
      np.log(shares @ frequencies_hz**2) / 2,
      np.log(frequencies_hz[power.argmax(axis=1)]),
      -(shares * np.log(shares)).sum(axis=1),
    ],
    axis=1,
  )


def quadratic(values: Float[np.ndarray, 'w q']) -> Float[np.ndarray, 'w terms']:
  """One, the quantities, and their products."""
  first, second = np.triu_indices(values.shape[1])
  return np.concatenate([np.ones((len(values), 1)), values, values[:, first] * values[:, second]], axis=1)


@functools.cache
def _load() -> dict[str, Float[np.ndarray, '_k']]:
  return {name: np.array(numbers) for name, numbers in json.loads(_MODEL.read_text()).items()}

"""Statistics of a window, as classical activity recognition computes them.

Written for NumPy and for JAX alike: the baselines and the model share one definition.
w windows, n samples, c channels, s spectral bins, d bands, f statistics.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

# Finer at low frequencies: steps are at 1 to 3 Hz, and their harmonics below 10.
_BAND_EDGES_HZ = (0.3, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 7.0, 10.0, 15.0, 25.1)
QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)
POWER_EPS = 1e-6  # (m/s²)² or (rad/s)²: below the noise of a phone's sensors
# m/s² or rad/s, above rounding in float32 and far below noise: a channel that varies less is constant, and
# is not above its mean with less.
LEAST_DEVIATION, LEAST_EXCESS = 1e-4, 1e-5
LEAST_POWER = LEAST_DEVIATION**2
_CHUNK = 256  # windows at a time: bounds memory, and a processor's cache holds most of it

CHANNELS = ('acc x', 'acc y', 'acc z', 'gyro x', 'gyro y', 'gyro z', 'acc norm', 'gyro norm')
_BANDS = [f'log power {low:g}-{high:g} Hz' for low, high in itertools.pairwise(_BAND_EDGES_HZ)]
_OF_CHANNEL = [
  *('mean', 'standard deviation', 'minimum', 'lower quartile', 'median', 'upper quartile', 'maximum'),
  *('mean absolute difference', 'zero crossings', 'peak frequency', *_BANDS),
]


def names(channels: Sequence[str]) -> list[str]:
  """Names of the columns of `statistics`."""
  pairs = itertools.combinations(channels, 2)
  return [f'{name}, {channel}' for name in _OF_CHANNEL for channel in channels] + [
    f'correlation, {first} and {second}' for first, second in pairs
  ]


NAMES = names(CHANNELS)


def window_statistics(windows: Float[np.ndarray, 'w n 6'], rate_hz: int) -> Float[np.ndarray, 'w f']:
  """The statistics NAMES of windows in m/s² and rad/s."""
  return in_chunks(windows, lambda chunk: statistics(with_norms(np.asarray(chunk, np.float64)), rate_hz))


def in_chunks(
  windows: Float[np.ndarray, 'w n 6'], statistics_of: Callable[[np.ndarray], Float[np.ndarray, 'w f']]
) -> Float[np.ndarray, 'w f']:
  """A function of windows, for some at a time."""
  starts = range(0, max(len(windows), 1), _CHUNK)
  return np.concatenate([statistics_of(windows[start : start + _CHUNK]) for start in starts])


def with_norms(windows: Float[Any, 'w n 6'], xp: Any = np) -> Float[Any, 'w n 8']:
  """The windows and, as two more channels, the length of each sensor's vector."""
  acc, gyro = (
    xp.sqrt(xp.sum(xp.square(part), axis=-1, keepdims=True)) for part in xp.split(windows, 2, axis=-1)
  )
  return xp.concatenate([windows, acc, gyro], axis=-1)


def _sort(signals: Float[np.ndarray, 'w n c']) -> Float[np.ndarray, 'w n c']:
  return np.sort(signals, axis=1)


def statistics(
  signals: Float[Any, 'w n c'], rate_hz: int, xp: Any = np, sort: Callable[[Any], Any] = _sort
) -> Float[Any, 'w f']:
  """Statistics of each channel, and the correlations of all pairs.

  Zero crossings are of the signal minus its mean. A correlation with a constant channel is 0.
  xp: the library of the arrays, `numpy` or `jax.numpy`. sort: sorts each channel's samples in that library.
  """
  samples, channels = signals.shape[1:]
  means = xp.mean(signals, axis=1)
  centered = signals - means[:, None]
  deviations = xp.sqrt(xp.mean(xp.square(centered), axis=1))
  # The power at each frequency, by matrix products, which every runtime has; windows are short.
  basis = fourier_basis(samples).astype(centered.dtype)
  power = sum(xp.square(part.T @ centered) for part in basis) / samples**2
  frequencies_hz, bands = spectral_bins(samples, rate_hz)
  is_above = centered > LEAST_EXCESS
  scaled = centered / xp.where(deviations > LEAST_DEVIATION, deviations, np.inf)[:, None]
  correlations = xp.swapaxes(scaled, 1, 2) @ scaled / samples
  columns = [
    means,
    deviations,
    *quantiles(sort(signals)),
    xp.mean(xp.abs(signals[:, 1:] - signals[:, :-1]), axis=1),
    xp.sum(is_above[:, 1:] != is_above[:, :-1], axis=1),
    xp.asarray(frequencies_hz)[xp.argmax(xp.where(power > LEAST_POWER, power, 0.0), axis=1)],
    *xp.moveaxis(xp.log(bands.T @ power + POWER_EPS), 1, 0),
    correlations[(slice(None), *np.triu_indices(channels, k=1))],
  ]
  return xp.concatenate(columns, axis=1)


def quantiles(ascending: Float[Any, 'w n c']) -> list[Float[Any, 'w c']]:
  """QUANTILES of sorted samples, with linear interpolation."""
  places = [(ascending.shape[1] - 1) * quantile for quantile in QUANTILES]
  below, weights = [int(place) for place in places], [place % 1 for place in places]
  above = [min(index + 1, ascending.shape[1] - 1) for index in below]
  return [
    ascending[:, low] * (1 - weight) + ascending[:, high] * weight
    for low, high, weight in zip(below, above, weights, strict=True)
  ]


def fourier_basis(samples: int) -> Float[np.ndarray, '2 n s']:
  """Real and imaginary parts of the discrete Fourier basis."""
  basis = np.fft.rfft(np.eye(samples), axis=1)
  return np.stack([basis.real, basis.imag])


def spectral_bins(samples: int, rate_hz: int) -> tuple[Float[np.ndarray, 's'], Float[np.ndarray, 's d']]:
  """Frequencies in Hz, and which of them each band sums; none for short windows or above half of the rate."""
  frequencies_hz = np.fft.rfftfreq(samples, 1 / rate_hz).astype(np.float32)
  edges = np.array(_BAND_EDGES_HZ)
  is_in_band = (frequencies_hz[:, None] >= edges[:-1]) & (frequencies_hz[:, None] < edges[1:])
  return frequencies_hz, is_in_band.astype(np.float32)

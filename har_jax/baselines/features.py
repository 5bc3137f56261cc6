"""Statistics of a window, as classical activity recognition computes them.

w windows, n samples, c channels, s spectral bins, e edges, d bands, f features.
"""

import itertools
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float, Int

# Finer at low frequencies: steps are at 1 to 3 Hz, and their harmonics below 10.
_BAND_EDGES_HZ = (0.3, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 7.0, 10.0, 15.0, 25.1)
_POWER_EPS = 1e-6  # (m/s²)² or (rad/s)²: below the noise of a phone's sensors
_CHUNK = 2048  # windows at a time: bounds the memory of the spectra

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


def window_features(windows: Float[np.ndarray, 'w n 6'], rate_hz: int) -> Float[np.ndarray, 'w f']:
  """The features NAMES of windows in m/s² and rad/s."""
  return in_chunks(windows, lambda chunk: statistics(_with_norms(chunk), rate_hz))


def in_chunks(
  windows: Float[np.ndarray, 'w n 6'], features_of: Callable[[np.ndarray], Float[np.ndarray, 'w f']]
) -> Float[np.ndarray, 'w f']:
  """A function of windows, for some at a time."""
  starts = range(0, max(len(windows), 1), _CHUNK)
  return np.concatenate([features_of(windows[start : start + _CHUNK]) for start in starts])


def _with_norms(windows: Float[np.ndarray, 'w n 6']) -> Float[np.ndarray, 'w n 8']:
  triads = np.asarray(windows, np.float64).reshape(*windows.shape[:2], 2, 3)
  return np.concatenate([triads.reshape(windows.shape), np.linalg.norm(triads, axis=-1)], axis=-1)


def statistics(signals: Float[np.ndarray, 'w n c'], rate_hz: int) -> Float[np.ndarray, 'w f']:
  """Statistics of each channel, and the correlations of all pairs.

  Zero crossings are of the signal minus its mean. A correlation with a constant channel is 0.
  """
  means, deviations = signals.mean(axis=1), signals.std(axis=1)
  centered = signals - means[:, None]
  power = np.square(np.abs(np.fft.rfft(centered, axis=1))) / signals.shape[1] ** 2
  frequencies_hz = np.fft.rfftfreq(signals.shape[1], 1 / rate_hz)
  bands = _sum_bands(power, np.searchsorted(frequencies_hz, _BAND_EDGES_HZ))
  positive = centered > 0
  scale = np.where(deviations > 1e-9, deviations, np.inf)
  correlations = np.einsum('wnc,wnd->wcd', centered / scale[:, None], centered / scale[:, None])
  columns = [
    means,
    deviations,
    *np.quantile(signals, [0, 0.25, 0.5, 0.75, 1], axis=1),
    np.abs(np.diff(signals, axis=1)).mean(axis=1),
    (positive[:, 1:] != positive[:, :-1]).sum(axis=1),
    frequencies_hz[power.argmax(axis=1)],
    *np.log(bands + _POWER_EPS).transpose(1, 0, 2),
    correlations[:, *np.triu_indices(signals.shape[2], k=1)] / signals.shape[1],
  ]
  return np.concatenate(columns, axis=1)


def _sum_bands(power: Float[np.ndarray, 'w s c'], edges: Int[np.ndarray, 'e']) -> Float[np.ndarray, 'w d c']:
  """Power between consecutive edges. 0 in a band without a bin: short windows, or above half of the rate."""
  bands = np.zeros((len(power), len(edges) - 1, power.shape[2]))
  has_bins = edges[:-1] < edges[1:]
  bands[:, has_bins] = np.add.reduceat(power[:, : edges[-1]], edges[:-1][has_bins], axis=1)
  return bands

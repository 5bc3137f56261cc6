"""Statistics of a window, as classical activity recognition computes them.

w windows, n samples, c channels, s spectral bins, f features.
"""

import itertools

import numpy as np
from jaxtyping import Float

from har_jax.data.recording import RATE_HZ

# Finer at low frequencies: steps are at 1 to 3 Hz, and their harmonics below 10.
_BAND_EDGES_HZ = (0.3, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 7.0, 10.0, 15.0, 25.1)
_POWER_EPS = 1e-6  # (m/s²)² or (rad/s)²: below the noise of a phone's sensors
_CHUNK = 2048  # windows at a time: bounds the memory of the spectra

CHANNELS = ('acc x', 'acc y', 'acc z', 'gyro x', 'gyro y', 'gyro z', 'acc norm', 'gyro norm')
_PAIRS = np.triu_indices(len(CHANNELS), k=1)
_BANDS = [f'log power {low:g}-{high:g} Hz' for low, high in itertools.pairwise(_BAND_EDGES_HZ)]
_OF_CHANNEL = [
  *('mean', 'standard deviation', 'minimum', 'lower quartile', 'median', 'upper quartile', 'maximum'),
  *('mean absolute difference', 'zero crossings', 'peak frequency', *_BANDS),
]
NAMES = [f'{name}, {channel}' for name in _OF_CHANNEL for channel in CHANNELS]
NAMES += [f'correlation, {CHANNELS[a]} and {CHANNELS[b]}' for a, b in zip(*_PAIRS, strict=True)]


def window_features(windows: Float[np.ndarray, 'w n 6']) -> Float[np.ndarray, 'w f']:
  """The features NAMES of windows in m/s² and rad/s. Zero crossings are of the signal less its mean.

  A correlation with a constant channel is 0.
  """
  parts = [_features(windows[first : first + _CHUNK]) for first in range(0, len(windows), _CHUNK)]
  return np.concatenate(parts) if parts else np.empty((0, len(NAMES)))


def _features(windows: Float[np.ndarray, 'w n 6']) -> Float[np.ndarray, 'w f']:
  triads = np.asarray(windows, np.float64).reshape(*windows.shape[:2], 2, 3)
  signals = np.concatenate([triads.reshape(windows.shape), np.linalg.norm(triads, axis=-1)], axis=-1)
  means, deviations = signals.mean(axis=1), signals.std(axis=1)
  centered = signals - means[:, None]
  power = np.square(np.abs(np.fft.rfft(centered, axis=1))) / signals.shape[1] ** 2
  frequencies_hz = np.fft.rfftfreq(signals.shape[1], 1 / RATE_HZ)
  first, *bounds = np.searchsorted(frequencies_hz, _BAND_EDGES_HZ)
  bands = np.add.reduceat(power[:, : bounds[-1]], [first, *bounds[:-1]], axis=1)
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
    correlations[:, *_PAIRS] / signals.shape[1],
  ]
  return np.concatenate(columns, axis=1)

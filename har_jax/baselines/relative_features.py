"""Features of windows relative to the walking in the same recording.

The difference between two activities transfers to other people and devices better than the activities do.

w windows, m of them walking, n samples, s statistics, f features.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from har_jax.signal.recording import STANDARD_GRAVITY_M_S2
from har_jax.signal.statistics import in_chunks, names, statistics

CHANNELS = ('acc norm', 'acc along', 'acc across', 'gyro norm', 'gyro along', 'gyro across')
FEWEST_WALKING = 5  # windows, to compare others with
_MOVING_M_S2 = 0.5  # standard deviation of the length of acceleration: the device moves
_PART = 4096  # windows at a time
_FLOOR = 1e-2  # m/s² or rad/s: below the noise of a phone's sensors
_OF_SCALE = [
  f'{name}, {channel}' for name in ('standard deviation', 'mean absolute difference') for channel in CHANNELS
]
_SCALES = [names(CHANNELS).index(name) for name in _OF_SCALE]
_STATISTICS = [*names(CHANNELS), *(f'log {name}' for name in _OF_SCALE)]
NAMES = [*_STATISTICS, 'angle of gravity to that of walking, degrees']
OF_GYRO = np.array(['gyro' in name for name in NAMES])


class Described(NamedTuple):
  """Windows of one recording. They need less memory than the signals."""

  statistics: Float[np.ndarray, 'w s']
  gravity: Float[np.ndarray, 'w 3']  # mean acceleration, m/s²
  moves: Bool[np.ndarray, 'w']

  def only(self, windows: Bool[np.ndarray, 'w']) -> 'Described':
    """Selects some of the windows."""
    return self if windows.all() else Described(*(values[windows] for values in self))

  def relative_to(self, walking: Bool[np.ndarray, 'w']) -> Float[np.ndarray, 'w f'] | None:
    """The features NAMES; None if too few moving windows are walking, or gravity turns between them.

    The mean of the walking windows is subtracted. Without a gyroscope, its columns are 0.
    """
    reference = self._reference(walking)
    return None if reference is None else self._less(*reference)

  def parts_relative_to(self, walking: Bool[np.ndarray, 'w']) -> Iterator[Float[np.ndarray, '_w f']]:
    """Yields the features some windows at a time, since those of a day are large; nothing for None."""
    reference = self._reference(walking)
    if reference is not None:
      for start in range(0, len(walking), _PART):
        yield Described(*(values[start : start + _PART] for values in self))._less(*reference)

  def _reference(
    self, walking: Bool[np.ndarray, 'w']
  ) -> tuple[Float[np.ndarray, 's'], Float[np.ndarray, '3']] | None:
    """Mean statistics, and the direction of gravity."""
    walking = walking & self.moves
    upright = _direction(self.gravity[walking])
    return None if upright is None else (self.statistics[walking].mean(axis=0, dtype=np.float64), upright)

  def _less(self, mean: Float[np.ndarray, 's'], upright: Float[np.ndarray, '3']) -> Float[np.ndarray, 'w f']:
    lengths = np.maximum(np.linalg.norm(self.gravity, axis=1), _FLOOR)
    angle = np.degrees(np.arccos(np.clip(self.gravity @ upright / lengths, -1, 1)))
    features = np.empty((len(angle), len(NAMES)), np.float32)
    np.subtract(self.statistics, mean, out=features[:, :-1], casting='same_kind')  # no copy in float64
    features[:, -1] = angle
    return features


def _direction(gravity: Float[np.ndarray, 'm 3']) -> Float[np.ndarray, '3'] | None:
  """Unit vector of the mean; None if there are too few, or they have no direction in common."""
  if len(gravity) < FEWEST_WALKING:
    return None
  mean = gravity.mean(axis=0)
  length = np.linalg.norm(mean)
  return mean / length if length > STANDARD_GRAVITY_M_S2 / 2 else None


def allocate(windows: int) -> Described:
  """Descriptions to be filled in. Those of a day, joined at its end, would be in memory twice."""
  statistics_of = np.empty((windows, len(_STATISTICS)), np.float32)
  return Described(statistics_of, np.empty((windows, 3)), np.empty(windows, bool))


def describe(signals: Float[np.ndarray, 'w n 6'], rate_hz: int) -> Described:
  """Describes windows in m/s² and rad/s by what does not depend on how the device is turned, and gravity.

  Statistics of each sensor's length, and of its parts along and across gravity, the window's mean
  acceleration.
  """
  of_windows = in_chunks(signals, lambda chunk: _statistics(_relative_to_gravity(chunk), rate_hz))
  gravity = signals[..., :3].mean(axis=1, dtype=np.float64)
  moves = np.linalg.norm(signals[..., :3], axis=-1).std(axis=1) > _MOVING_M_S2
  return Described(of_windows.astype(np.float32), gravity, moves)


def _statistics(signals: Float[np.ndarray, 'w n 6'], rate_hz: int) -> Float[np.ndarray, 'w s']:
  found = statistics(signals, rate_hz)
  return np.concatenate([found, np.log(found[:, _SCALES] + _FLOOR)], axis=1)


def _relative_to_gravity(signals: Float[np.ndarray, 'w n 6']) -> Float[np.ndarray, 'w n 6']:
  """CHANNELS. Gravity is the mean acceleration of the window."""
  triads = np.asarray(signals, np.float64).reshape(*signals.shape[:2], 2, 3)
  gravity = triads[:, :, 0].mean(axis=1)
  gravity /= np.maximum(np.linalg.norm(gravity, axis=1, keepdims=True), _FLOOR)
  length = np.linalg.norm(triads, axis=-1)
  along = np.einsum('wnsc,wc->wns', triads, gravity)
  across = np.sqrt(np.maximum(length**2 - along**2, 0))
  return np.stack([length, along, across], axis=-1).reshape(signals.shape)

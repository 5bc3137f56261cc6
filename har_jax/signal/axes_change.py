"""Change of axes from one sample to the next, as when an app turns them with the screen.

n samples, b boundaries between samples, k of them, c candidates.
Both sensors then go on over the boundary in other axes, and not in their own. Gravity before and after, each
rotated to the boundary by the gyroscope, tells the same axes. A swing or a blow may look so, too, but hardly
twice as clearly as all others of the recording.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from har_jax.signal import frames, segments
from har_jax.signal.gyro_agreement import rotations
from har_jax.signal.recording import STANDARD_GRAVITY_M_S2, Recording, Samples

_NOISE = (0.05, 0.1)  # least that a sample deviates from the line through those before it: g, rad/s
_LEAST_JUMP_G, _LEAST_RATIO = 0.3, 2.0  # of acceleration; to those of the second before and after
_GRAVITY_S, _LEAST_S, _GAP_S = 1.5, 1.2, 0.2  # on each side; at least; between its samples
# Gain over the own axes, change of gravity that other axes explain, in g, and what they leave of it. They
# were chosen on every other person as recorded, and on 61 people with faults who have no part in
# docs/results/checks.md. Of the other half as recorded, none has as much.
_GAIN, _EXPLAINED_G, _LEFT = 10.0, 0.3, 0.5
_AGAIN, _APART_S, _MOST = 0.6, 0.3, 400  # of both, elsewhere; moments that are looked at
_PIECE_S = 600.0  # a day at once would take gigabytes
_FEWEST_SAMPLES = 100
_STUDENT = 3.0  # degrees of freedom: three axes


class Change(NamedTuple):
  """A change of axes in a recording. gain: log-likelihood over no change; explained_g: of gravity."""

  recording: int
  time_s: float
  gain: float
  explained_g: float
  is_clear: bool


def find(recordings: Sequence[Recording]) -> Change | None:
  """The one clear change of all recordings; None if there is none, or another is half as clear."""
  changes = [
    change._replace(time_s=start_s + change.time_s)
    for number, recording in enumerate(recordings)
    for start_s in np.arange(0.0, recording.acc.time_s[-1], _PIECE_S).tolist()
    for change in _changes(number, segments.extract(recording, start_s, start_s + _PIECE_S + 2 * _GRAVITY_S))
  ]
  best = max((change for change in changes if change.is_clear), key=lambda one: one.explained_g, default=None)
  if best is None:
    return None
  is_again = any(
    change.explained_g > best.explained_g / 2
    for change in changes
    if change.recording != best.recording or abs(change.time_s - best.time_s) > _APART_S
  )
  return None if is_again else best


class _Boundaries(NamedTuple):
  """Values at the middle between two samples, from those before and from those after."""

  time_s: Float[np.ndarray, 'b']
  before: Float[np.ndarray, 'b 3']
  after: Float[np.ndarray, 'b 3']
  noise: Float[np.ndarray, 'b']
  is_even: Bool[np.ndarray, 'b']

  def misfits(
    self, index: Int[np.ndarray, '*k'], axes: Float[np.ndarray, 'c 3 3']
  ) -> Float[np.ndarray, '*k c']:
    """Negative log-likelihood of what comes after in each of the axes, by Student's distribution."""
    turned = np.einsum('cij,...i->...cj', axes, self.after[index])
    distances = (
      np.linalg.norm(self.before[index][..., None, :] - turned, axis=-1) / self.noise[index][..., None]
    )
    return _STUDENT * np.log1p(np.square(distances) / _STUDENT)


def _boundaries(samples: Samples, scale: float, least_noise: float) -> _Boundaries:
  time_s, values = samples.time_s, samples.values / scale
  before = 1.5 * values[1:-2] - 0.5 * values[:-3]
  after = 1.5 * values[2:-1] - 0.5 * values[3:]
  steps = np.diff(time_s)
  is_even = np.abs(steps / np.median(steps) - 1) < 0.8
  beside = np.ones(2 * round(1 / np.median(steps)) + 1)
  middle = len(beside) // 2
  beside[middle - 3 : middle + 4] = 0  # the change itself is no noise
  squares, counts = (
    np.convolve(part, beside)[middle : middle + len(before)]
    for part in (np.square(after - before).sum(axis=1), np.ones(len(before)))
  )
  noise = np.sqrt(squares / np.maximum(counts, 1) + least_noise**2)
  middles = (time_s[1:-2] + time_s[2:-1]) / 2
  return _Boundaries(middles, before, after, noise, is_even[:-2] & is_even[1:-1] & is_even[2:])


def _changes(number: int, recording: Recording) -> Iterator[Change]:
  if min(len(recording.acc.time_s), len(recording.gyro.time_s)) < _FEWEST_SAMPLES:
    return
  acc = _boundaries(recording.acc, STANDARD_GRAVITY_M_S2, _NOISE[0])
  gyro = _boundaries(recording.gyro, 1.0, _NOISE[1])
  jumps_g = np.linalg.norm(acc.after - acc.before, axis=1)
  (index,) = np.nonzero(acc.is_even & (jumps_g > np.maximum(_LEAST_JUMP_G, _LEAST_RATIO * acc.noise)))
  near = np.clip(np.searchsorted(gyro.time_s, acc.time_s[index]), 1, len(gyro.time_s) - 2)
  near = near[:, None] + np.arange(-1, 2)  # sensors may have times of their own
  misfits = acc.misfits(index, _ACC)[:, None] + gyro.misfits(near, _GYRO)
  gains = np.where(gyro.is_even[near][..., None], misfits[..., :1] - misfits, 0.0).max(axis=1)
  likely = np.argwhere(gains > _AGAIN * _GAIN)
  for row, candidate in likely[np.argsort(-gains[tuple(likely.T)])[:_MOST]].tolist():
    time_s, gain = float(acc.time_s[index[row]]), float(gains[row, candidate])
    before, after = (_gravity_g(recording, time_s, sign) for sign in (-1, 1))
    if before is not None and after is not None:
      change_g = float(np.linalg.norm(before - after))
      left_g = float(np.linalg.norm(before - after @ _ACC[candidate]))
      is_clear = gain > _GAIN and change_g - left_g > _EXPLAINED_G and left_g < _LEFT * change_g
      yield Change(number, time_s, gain, change_g - left_g, is_clear)


def _gravity_g(recording: Recording, boundary_s: float, sign: int) -> Float[np.ndarray, '3'] | None:
  """Mean acceleration before (sign -1) or after a boundary, in the device's axes there; None if unknown."""
  (acc_lags_s, acc), (gyro_lags_s, gyro) = (
    _beside(samples, boundary_s, sign) for samples in (recording.acc, recording.gyro)
  )
  if any(
    lags_s[-1:].sum() < _LEAST_S or np.diff(lags_s).max() > _GAP_S for lags_s in (acc_lags_s, gyro_lags_s)
  ):
    return None
  rates = np.stack([np.interp(acc_lags_s, gyro_lags_s, axis) for axis in gyro.T], axis=1)
  rates = (rates + np.concatenate([rates[:1], rates[:-1]])) / 2
  turns = rotations(sign * rates * np.diff(acc_lags_s, prepend=0.0)[:, None])
  to_boundary = np.stack(list(itertools.accumulate(turns, np.matmul)))
  return np.einsum('nij,nj->i', to_boundary, acc) / len(acc) / STANDARD_GRAVITY_M_S2


def _beside(
  samples: Samples, boundary_s: float, sign: int
) -> tuple[Float[np.ndarray, 'n'], Float[np.ndarray, 'n 3']]:
  """Samples of the seconds on one side, the nearest first, and their seconds from the boundary."""
  first, last = np.searchsorted(samples.time_s, sorted([boundary_s, boundary_s + sign * _GRAVITY_S]))
  part = slice(first, last)
  return np.abs(samples.time_s[part] - boundary_s)[::sign], samples.values[part][::sign].astype(np.float64)


def _candidates() -> tuple[Float[np.ndarray, 'c 3 3'], Float[np.ndarray, 'c 3 3']]:
  """Axes of acceleration and gyroscope: as they are, rotated alike, and opposite signs of acceleration."""
  turned = frames.signed_permutations()
  turned = turned[np.linalg.det(turned) > 0]
  turned = turned[np.argsort(-np.trace(turned, axis1=1, axis2=2), kind='stable')]  # the identity is first
  return np.concatenate([turned, -np.eye(3)[None]]), np.concatenate([turned, np.eye(3)[None]])


_ACC, _GYRO = _candidates()

"""Change of axes within a recording, as when an app turns them with the screen.

n samples, b boundaries between samples, k of them, c candidates, m moments.
Two things tell that axes change. The movement of some seconds has the same covariance before and after in
other axes, and not in its own. And a device that hardly moves goes on from one sample to the next in other
axes alone. A swing or a blow may seem to do so, but hardly twice as clearly as all others. Gravity before and
after, each rotated to the moment by the gyroscope, must tell the same axes.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from har_jax.signal import frames, segments
from har_jax.signal.recording import STANDARD_GRAVITY_M_S2, Recording, Samples

_NOISE = (0.05, 0.1)  # least that a sample deviates from the line through those before it: g, rad/s
_LEAST_JUMP_G, _LEAST_RATIO = 0.3, 2.0  # of acceleration; to those of the second before and after
_CHANGE = 3  # boundaries on either side that a change reaches
_GRAVITY_S, _LEAST_S, _GAP_S = 1.5, 1.2, 0.2  # on each side; at least; between its samples
# Gain over the own axes, change of gravity that other axes explain, in g, and what they leave of it. They
# were chosen on every other person as recorded, and on 61 people with faults who have no part in
# docs/results/checks.md. Of the other half as recorded, none has as much.
_GAIN, _EXPLAINED_G, _LEFT = 10.0, 0.3, 0.5
_AGAIN, _APART_S, _MOST = 0.6, 1.0, 400  # of the gain, elsewhere; moments that are looked at
_STEP_S, _MOTION_S, _EVERY = 0.04, 5.0, 6  # of movement: samples, and on each side of each sixth one
_GYRO_SCALE = 3.0  # rad/s that count as 1 g
# Divergence of the movement before and after, as normal distributions without their means: with the own axes
# at least; with others at most, also as a part of the former.
_OTHER_MOTION, _SAME_MOTION, _MOTION_LEFT = 1.5, 0.5, 0.25
_PIECE_S = 600.0  # a day at once would take gigabytes
_FEWEST_SAMPLES = 100
_STUDENT = 3.0  # degrees of freedom: three axes
# Axes of acceleration and gyroscope: as they are, rotated alike, and opposite signs of acceleration.
_ACC, _GYRO = (np.concatenate([frames.ROTATIONS, sign * np.eye(3)[None]]) for sign in (-1, 1))


class Change(NamedTuple):
  """A change of axes in a recording. explained_g: change of gravity that other axes explain."""

  time_s: float
  explained_g: float
  is_clear: bool


def find(recordings: Sequence[Recording]) -> tuple[int, float] | None:
  """Number of the recording in which axes change most clearly, and when; None if they do not.

  What only samples tell counts if nothing else tells half as much.
  """
  for find_changes in (_changes_of_motion, _changes_of_samples):
    changes = [
      (number, start_s + change.time_s, change)
      for number, start_s, part in _pieces(recordings)
      for change in find_changes(part)
    ]
    clear = [entry for entry in changes if entry[2].is_clear]
    if not clear:
      continue
    recording, time_s, best = max(clear, key=lambda entry: entry[2].explained_g)
    is_again = find_changes is _changes_of_samples and any(
      other.explained_g > best.explained_g / 2
      for number, other_s, other in changes
      if number != recording or abs(other_s - time_s) > _APART_S
    )
    return None if is_again else (recording, time_s)
  return None


def _pieces(recordings: Sequence[Recording]) -> Iterator[tuple[int, float, Recording]]:
  """Number of the recording, start, and samples of each piece: one at a time, as each has its own times."""
  for number, recording in enumerate(recordings):
    for start_s in np.arange(0.0, recording.acc.time_s[-1], _PIECE_S).tolist():
      part = segments.extract(recording, start_s, start_s + _PIECE_S + 2 * _MOTION_S)
      if min(len(part.acc.time_s), len(part.gyro.time_s)) > _FEWEST_SAMPLES:
        yield number, start_s, part


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
    rotated = self.after[index] @ np.concatenate(axes, axis=1)  # one product: thrice as fast as one for each
    squares = np.square(self.before[index][..., None, :] - rotated.reshape(*index.shape, len(axes), 3))
    noise = self.noise[index][..., None]
    return _STUDENT * np.log1p(squares.sum(axis=-1) / (np.square(noise) * _STUDENT))


def _boundaries(samples: Samples, scale: float, least_noise: float) -> _Boundaries:
  time_s, values = samples.time_s, samples.values / scale
  before = 1.5 * values[1:-2] - 0.5 * values[:-3]
  after = 1.5 * values[2:-1] - 0.5 * values[3:]
  steps = np.diff(time_s)
  is_even = np.abs(steps / np.median(steps) - 1) < 0.8
  second = max(round(1 / np.median(steps)), _CHANGE)
  squares, counts = (
    _sums_around(part, second) - _sums_around(part, _CHANGE)  # the change itself is no noise
    for part in (np.square(after - before).sum(axis=1), np.ones(len(before)))
  )
  noise = np.sqrt(squares / np.maximum(counts, 1) + least_noise**2)
  middles = (time_s[1:-2] + time_s[2:-1]) / 2
  return _Boundaries(middles, before, after, noise, is_even[:-2] & is_even[1:-1] & is_even[2:])


def _sums_around(values: Float[np.ndarray, 'b'], reach: int) -> Float[np.ndarray, 'b']:
  """The sum of each value and up to `reach` on either side."""
  sums = np.concatenate([np.zeros(reach + 1), np.cumsum(values)])
  sums = np.concatenate([sums, np.full(reach, sums[-1])])
  return sums[2 * reach + 1 :] - sums[: -2 * reach - 1]


def _changes_of_samples(recording: Recording) -> Iterator[Change]:
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
    is_likely = bool(gains[row, candidate] > _GAIN)
    yield from _with_gravity(recording, float(acc.time_s[index[row]]), candidate, is_likely=is_likely)


def _changes_of_motion(recording: Recording) -> Iterator[Change]:
  """The moment at which the movement of some seconds most likely goes on in other axes."""
  time_s = np.arange(0.0, min(recording.acc.time_s[-1], recording.gyro.time_s[-1]), _STEP_S)
  motion = np.stack(
    [
      np.interp(time_s, samples.time_s, axis) / scale
      for samples, scale in ((recording.acc, STANDARD_GRAVITY_M_S2), (recording.gyro, _GYRO_SCALE))
      for axis in samples.values.T
    ],
    axis=1,
  )
  size = round(_MOTION_S / _STEP_S)
  middles = np.arange(size, len(time_s) - size, _EVERY)
  covariances = _covariances(motion, np.stack([middles - size, middles]), size)
  before, after = np.stack([covariances, np.linalg.inv(covariances)], axis=2)
  own = _divergence(before, after)
  (moments,) = np.nonzero(own > _OTHER_MOTION)
  if not len(moments):
    return
  turns = np.zeros((len(_ACC), 6, 6))
  turns[:, :3, :3], turns[:, 3:, 3:] = _ACC, _GYRO
  others = np.stack([_divergence(before[moments], turn.T @ after[moments] @ turn) for turn in turns])
  candidate, best = map(int, np.unravel_index(others.argmin(), others.shape))
  if others[candidate, best] < min(_SAME_MOTION, _MOTION_LEFT * own[moments[best]]):
    moment_s = float(time_s[middles[moments[best]]])
    yield from _with_gravity(recording, moment_s, candidate, is_likely=True)


def _divergence(
  one: Float[np.ndarray, 'm 2 6 6'], other: Float[np.ndarray, 'm 2 6 6']
) -> Float[np.ndarray, 'm']:
  """Kullback and Leibler's divergence of normal distributions, mean of both ways.

  They have these covariances, each with its inverse, which turns as the covariance does.
  """
  return np.einsum('mkij,mkij->m', one, other[:, ::-1]) / 4 - one.shape[-1] / 2


def _covariances(
  motion: Float[np.ndarray, 'n 6'], first: Int[np.ndarray, '*m'], size: int
) -> Float[np.ndarray, '*m 6 6']:
  """Covariances of `size` samples each, from a `first` on."""
  products = np.concatenate([np.ones((len(motion), 1)), motion], axis=1)
  sums = np.zeros((len(motion) + 1, 7, 7))
  np.cumsum(np.einsum('ni,nj->nij', products, products), axis=0, out=sums[1:])
  means = (sums[first + size] - sums[first]) / size
  center = means[..., :1, 1:]
  return means[..., 1:, 1:] - np.swapaxes(center, -1, -2) * center + _NOISE[0] ** 2 * np.eye(6)


def _with_gravity(
  recording: Recording, time_s: float, candidate: int, *, is_likely: bool
) -> Iterator[Change]:
  """The change if gravity is known on both sides, and how much of its change other axes explain."""
  before, after = (_gravity_g(recording, time_s, sign) for sign in (-1, 1))
  if before is not None and after is not None:
    change_g = float(np.linalg.norm(before - after))
    left_g = float(np.linalg.norm(before - after @ _ACC[candidate]))
    is_clear = is_likely and change_g - left_g > _EXPLAINED_G and left_g < _LEFT * change_g
    yield Change(time_s, change_g - left_g, is_clear)


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
  turns = frames.rotation_matrices(sign * rates * np.diff(acc_lags_s, prepend=0.0)[:, None])
  total = np.zeros(3)
  for turn, vector in zip(turns[::-1], acc[::-1], strict=True):  # the farthest first, each turned once more
    total = turn @ (vector + total)
  return total / len(acc) / STANDARD_GRAVITY_M_S2


def _beside(
  samples: Samples, boundary_s: float, sign: int
) -> tuple[Float[np.ndarray, 'n'], Float[np.ndarray, 'n 3']]:
  """Samples of the seconds on one side, the nearest first, and their seconds from the boundary."""
  first, last = np.searchsorted(samples.time_s, sorted([boundary_s, boundary_s + sign * _GRAVITY_S]))
  part = slice(first, last)
  return np.abs(samples.time_s[part] - boundary_s)[::sign], samples.values[part][::sign].astype(np.float64)

"""Agreement of gravity's rotation with the gyroscope: d(acceleration)/dt = acceleration × angular velocity.

w windows, n samples, c candidates, t blocks of a window.
In the frame at a window's start, gravity is constant. So the gyroscope is integrated over the window, and
acceleration is rotated back by it. Then both halves of the window must have the same mean: the body's own
acceleration averages out over a stride. The relation is linear in acceleration, so its sign does not matter.
A wrong sampling rate and a wrong scale of the gyroscope change the angle by a factor, which the fit tells.
"""

import itertools
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from har_jax.signal import frames
from har_jax.signal.recording import STANDARD_GRAVITY_M_S2

_BLOCK_S = 0.08  # at 12.5 Hz the integral of a swing is still exact to a few degrees
_MOST_WINDOWS, _FEWEST_WINDOWS = 100, 8
_LEAST_CHANGE = 0.1  # g between the means of a window's halves: a rotation of some six degrees
_LARGEST_TURN = 1.5  # rad between the halves: beyond, every turn tells as much
_CALM_G = 0.15  # standard deviation of the length of acceleration: above, the body's own hides gravity
_LARGEST = 0.5  # g²: caps a window with an impact
# results/frames.csv: the largest ratio for the true frame is 1.3.
_RATIO = 1.5
# Of the change, what rotating back may leave at most: a gyroscope out of step explains nothing.
_MAX_REMAINING = 0.5
# A part with few windows may disagree by a ratio of 2 by chance; a negated gyroscope has over 4.
_PARTS, _SURE_RATIO = 4, 4.0
_SCALES = (1.0, 1.7)  # that of PDIoT's Respeck
_BY_CHANCE = 4.0  # standard deviations
# Factors on the angle. Of 207 people and positions of seven archives as recorded, none is so much better
# explained by another factor than 1. Read at twice or half the rate, over half of them are.
_FACTORS = np.exp2(np.arange(-12, 13) / 4)
_FACTOR_RATIO, _FACTOR_REMAINING, _LEAST_FACTOR = 2.0, 0.3, 1.15


class _Blocks(NamedTuple):
  """Windows as means of blocks: sensors in g and rad/s, and the seconds of a block.

  change: of acceleration between the halves, in g. calm: near 1 if the body's own acceleration is small.
  """

  acc: Float[np.ndarray, 'w t 3']
  gyro: Float[np.ndarray, 'w t 3']
  change: Float[np.ndarray, 'w']
  calm: Float[np.ndarray, 'w']
  step_s: float

  def only(self, windows: Int[np.ndarray, 'k']) -> '_Blocks':
    acc, gyro, change, calm, step_s = self
    return _Blocks(acc[windows], gyro[windows], change[windows], calm[windows], step_s)


class Agreement(NamedTuple):
  """`gyro`: what makes the gyroscope agree with acceleration; None: it does as it is, or nobody knows.

  `is_known`: the device rotates enough to tell whether they agree. `is_unique`: no other matrix is as good.
  """

  gyro: Float[np.ndarray, '3 3'] | None
  is_known: bool
  is_unique: bool


UNKNOWN = Agreement(None, False, False)


def check(
  signals: Float[np.ndarray, 'w n 6'],
  rate_hz: int,
  expected: Float[np.ndarray, '3 3'] | None = None,
  *,
  ratio: float = _RATIO,
) -> Agreement:
  """Compares all signed permutations of the gyroscope's axes on the calm windows that rotate most.

  First on those in which gravity moves. If they do not tell, also on those in which only the gyroscope
  rotates: with wrong axes, a turn about the vertical would move gravity. Last, with a larger gyroscope: one
  that reports too little explains little of gravity's rotation, whatever its axes.
  `expected`: the one to compare with the others; by default the identity. `ratio`: of misfits that tell.
  """
  blocks = _blocks(signals, rate_hz)
  turn = _between_halves(np.cumsum(blocks.gyro, axis=1) * blocks.step_s)
  expected = np.eye(3) if expected is None else expected
  sizes = blocks.change, np.maximum(blocks.change, np.minimum(turn, _LARGEST_TURN))
  agreements = []
  for scale, size in itertools.product(_SCALES, sizes):
    scaled = blocks._replace(gyro=scale * blocks.gyro)
    agreement = _compare(scaled.only(_largest(blocks.calm * size)), expected, ratio)
    if agreement.is_unique or (agreement.is_known and agreement.gyro is None):
      return agreement
    agreements.append(agreement)
  return agreements[0]


def changes(
  signals: Float[np.ndarray, 'w n 6'], rate_hz: int, expected: Float[np.ndarray, '3 3'] | None = None
) -> bool:
  """Returns whether the gyroscope agrees in one quarter of windows in order of time, and not in another.

  `expected`: as in `check`.
  """
  parts = np.array_split(signals, _PARTS)
  agrees = any(
    one.is_known and one.gyro is None for one in (check(part, rate_hz, expected) for part in parts)
  )
  sure = (check(part, rate_hz, expected, ratio=_SURE_RATIO) for part in parts)
  return agrees and any(one.gyro is not None and one.is_unique for one in sure)


def factor(
  signals: Float[np.ndarray, 'w n 6'], rate_hz: int, expected: Float[np.ndarray, '3 3'] | None = None
) -> float | None:
  """Factor by which gravity turns faster than the gyroscope reports; None if it agrees or is unknown.

  `expected`: as in `check`. A recording at 50 Hz that was read as one at 100 Hz gives 2.
  """
  blocks = _blocks(signals, rate_hz)
  blocks = blocks.only(_largest(blocks.change * blocks.calm))
  gyro = blocks.gyro if expected is None else blocks.gyro @ expected.T
  if len(gyro) < _FEWEST_WINDOWS or not gyro.any():
    return None
  identity = np.eye(3)[None]
  misfits = np.array([_misfits(blocks._replace(gyro=ratio * gyro), identity)[0] for ratio in _FACTORS])
  mean = misfits.mean(axis=1)
  best, usual = int(mean.argmin()), int(np.flatnonzero(_FACTORS == 1)[0])
  explains = mean[best] < _FACTOR_REMAINING * np.minimum(np.square(blocks.change), _LARGEST).mean()
  gain = misfits[usual] - misfits[best]
  if best > usual:
    # A small turn tells as much as a large one. Not for slower turns than measured: a leg's own acceleration,
    # as in cycling, makes gravity seem to turn less.
    gain = gain / np.maximum(misfits[usual] + misfits[best], 1e-9)
  is_better = mean[usual] > _FACTOR_RATIO * mean[best] and _deviates(gain)
  if not (explains and is_better and 0 < best < len(_FACTORS) - 1):
    return None
  # The vertex of a parabola through the best factor and those next to it.
  before, least, after = mean[best - 1 : best + 2]
  vertex = (before - after) / (2 * (before - 2 * least + after))
  ratio = float(_FACTORS[best] * (_FACTORS[1] / _FACTORS[0]) ** vertex)
  return ratio if max(ratio, 1 / ratio) > _LEAST_FACTOR else None


def _blocks(signals: Float[np.ndarray, 'w n 6'], rate_hz: int) -> _Blocks:
  """Means of blocks. Samples that fill no pair of blocks are left out."""
  samples = signals.shape[1]
  size = min(max(round(_BLOCK_S * rate_hz), 1), samples // 2)
  whole = signals[:, : samples // (2 * size) * 2 * size]
  blocks = whole.reshape(len(whole), -1, size, 6).mean(axis=2, dtype=np.float64)
  acc, gyro = blocks[..., :3] / STANDARD_GRAVITY_M_S2, blocks[..., 3:]
  calm = 1 / np.hypot(1, np.linalg.norm(acc, axis=2).std(axis=1) / _CALM_G)
  return _Blocks(acc, gyro, _between_halves(acc), calm, size / rate_hz)


def _largest(size: Float[np.ndarray, 'w']) -> Int[np.ndarray, 'k']:
  indices = np.argsort(-size, kind='stable')[:_MOST_WINDOWS]
  return indices[size[indices] > _LEAST_CHANGE]


def _between_halves(values: Float[np.ndarray, 'w t 3']) -> Float[np.ndarray, 'w']:
  halves = values.reshape(len(values), 2, -1, 3).mean(axis=2)
  return np.linalg.norm(halves[:, 1] - halves[:, 0], axis=1)


def _compare(blocks: _Blocks, expected: Float[np.ndarray, '3 3'], ratio: float) -> Agreement:
  if len(blocks.acc) < _FEWEST_WINDOWS or not blocks.gyro.any():
    return UNKNOWN
  candidates = frames.signed_permutations()
  misfits = _misfits(blocks, candidates)
  mean = misfits.mean(axis=1)
  order = np.argsort(mean)
  best, second = order[:2]
  (usual,) = np.flatnonzero((candidates == expected).all(axis=(1, 2)))
  gain = misfits[usual] - misfits[best]
  explains = mean[best] < _MAX_REMAINING * np.minimum(np.square(blocks.change), _LARGEST).mean()
  if not (explains and mean[usual] > ratio * mean[best] and _deviates(gain)):
    other = order[order != usual][0]
    return Agreement(None, bool(explains and mean[other] > ratio * mean[usual]), False)
  return Agreement(candidates[best], True, bool(mean[second] > ratio * mean[best]))


def _deviates(gain: Float[np.ndarray, 'w']) -> bool:
  return bool(gain.mean() > _BY_CHANCE * gain.std() / len(gain) ** 0.5)


def _misfits(blocks: _Blocks, candidates: Float[np.ndarray, 'c 3 3']) -> Float[np.ndarray, 'c w']:
  """Squared distance, in g², of the means of both halves, each block rotated back to the window's start.

  A rotation R of angular velocity rotates back by R B Rᵀ where the sensor rotates back by B. So two
  integrals do for all candidates: of the gyroscope, and of its opposite for mirror images.
  """
  signs = np.linalg.det(candidates).round()
  misfits = np.empty((len(candidates), len(blocks.acc)))
  for sign in np.unique(signs):
    back = _rotations_to_start(sign * blocks.gyro, blocks.step_s)
    products = np.einsum('wtij,wtk->wtijk', back, blocks.acc)
    products = products.reshape(len(products), 2, -1, 3, 3, 3).mean(axis=2)
    rotations = sign * candidates[signs == sign]
    distances = np.einsum('wijk,ckj->cwi', products[:, 1] - products[:, 0], rotations)
    misfits[signs == sign] = np.square(distances).sum(axis=2)
  return np.minimum(misfits, _LARGEST)


def _rotations_to_start(gyro: Float[np.ndarray, 'w t 3'], step_s: float) -> Float[np.ndarray, 'w t 3 3']:
  """Rotations from each block's frame to the frame at the window's start."""
  steps = rotations((gyro[:, 1:] + gyro[:, :-1]) / 2 * step_s)
  back = np.broadcast_to(np.eye(3), (*gyro.shape[:2], 3, 3)).copy()
  for block in range(1, gyro.shape[1]):
    back[:, block] = back[:, block - 1] @ steps[:, block - 1]
  return back


def rotations(angles: Float[np.ndarray, '... 3']) -> Float[np.ndarray, '... 3 3']:
  """Rotation matrices of rotation vectors, in radians: Rodrigues' formula."""
  length = np.maximum(np.linalg.norm(angles, axis=-1), 1e-9)[..., None, None]
  cross = np.cross(np.eye(3), angles[..., None, :] / length)  # row i: unit vector i × axis
  return np.eye(3) + np.sin(length) * cross + (1 - np.cos(length)) * (cross @ cross)

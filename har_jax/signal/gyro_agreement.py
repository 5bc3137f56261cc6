"""Agreement of gravity's rotation with the gyroscope: d(acceleration)/dt = acceleration × angular velocity.

w windows, n samples, c candidates, f factors, g gyroscopes, l lags, s and t blocks of a window.
In the frame at a window's start, gravity is constant. So the gyroscope is integrated over the window, and
acceleration is rotated back by it. Then both halves of the window must have the same mean: the body's own
acceleration averages out over a stride. What remains is the misfit of a window, and its logarithm tells how
likely a hypothesis is: other axes or signs, another scale, another time of the gyroscope. Windows that no
hypothesis explains then hardly count. The relation is linear in acceleration, so its sign does not matter.

A delay is seen within swings, in which a limb's own acceleration is as large as gravity. It comes from the
device's distance to the joint, its lever arm r: angular acceleration × r + angular velocity × (angular
velocity × r). One arm is fitted to all windows, and what gravity and arm leave is the misfit.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from har_jax.signal import frames
from har_jax.signal.frames import ROTATIONS
from har_jax.signal.recording import STANDARD_GRAVITY_M_S2

_BLOCK_S = 0.08  # at 12.5 Hz the integral of a swing is still exact to a few degrees
_LEAST_S = 2.0  # of a window: a half holds a stride, over which the body's own acceleration averages out
_MOST_WINDOWS, _FEWEST_WINDOWS = 200, 8
_LEAST_CHANGE = 0.1  # g between the means of a window's halves: a rotation of some six degrees
_LARGEST_TURN = 1.5  # rad between the halves: beyond, every turn tells as much
_CALM_G = 0.15  # standard deviation of the length of acceleration: above, the body's own hides gravity
# Deviation of a misfit, in g: with no body acceleration, and for each g of its deviation.
_NOISE_G, _OF_BODY = 0.05, 0.3
# Gains are mean log-likelihoods of a window over that of the gyroscope as it is. docs/results/checks.md has
# what they find. Of 379 people and positions of nine archives as recorded, other axes gain over 0.35 for two
# (PDIoT's chest, a leg of DSADS); a larger gyroscope 0.35 at most; a smaller one up to 0.8, for legs that
# cycle, whose own acceleration makes gravity seem to turn less, but 0.4 over no gyroscope; another time 0.1.
_AXES_GAIN, _UNIQUE_GAIN = 0.5, 0.3
_LARGER_GAIN, _SMALLER_GAIN, _OVER_NONE, _LEAST_FACTOR = 0.3, 0.6, 0.5, 1.2
# In swings, other axes gain at most 0.24 for DSADS's arms and legs as recorded. A change of axes is not
# sought: as recorded, it gains as much as with a fault.
_LATE_GAIN, _LEAST_LATE_S, _SWING_GAIN = 0.1, 0.2, 0.28
# Windows in which a delay shows: mean rad/s, and deviation of acceleration's length. In a run, half a stride
# of delay seems to fit, since the other leg does the same then.
_TURNING, _MOST_BODY_G = 0.3, 0.4
_FLOOR_G2, _FITTED_G2, _FITS = 5e-4, 3e-3, 3  # noise of a misfit, and of weights; fits of the lever arm
_SMALL_SCALE = 1.7  # PDIoT's Respeck reports half
_PART_GAIN = 0.35  # before and after a change, for either
_BY_CHANCE, _SURELY = 3.0, 4.0  # standard errors of a mean gain; the latter of swings
_FACTORS = np.exp2(np.arange(-12, 13) / 4)
_MOST_LAG = 6  # blocks: half a second
_CANDIDATES = np.concatenate([ROTATIONS, -ROTATIONS])
_SENSES = np.array([1.0, -1.0])[:, None, None, None]


class _Blocks(NamedTuple):
  """Windows as means of blocks: sensors in g and rad/s, and the seconds of a block.

  change: of acceleration between the halves, in g. body: deviation of the length of acceleration, in g.
  """

  acc: Float[np.ndarray, 'w t 3']
  gyro: Float[np.ndarray, 'w t 3']
  change: Float[np.ndarray, 'w']
  body: Float[np.ndarray, 'w']
  step_s: float

  def only(self, windows: Int[np.ndarray, 'k']) -> '_Blocks':
    acc, gyro, change, body, step_s = self
    return _Blocks(acc[windows], gyro[windows], change[windows], body[windows], step_s)


class Agreement(NamedTuple):
  """`gyro`: what makes the gyroscope agree with acceleration; None: it does as it is, or nobody knows.

  `is_known`: the device rotates enough to tell whether they agree. `is_unique`: no other matrix is as good.
  `factor`: by which gravity turns faster than the gyroscope reports, as of a wrong rate or scale; a recording
  at 50 Hz that was read as one at 100 Hz has 2. `late_s`: seconds by which the gyroscope is behind.
  `changes`: it agrees in one part of the windows, in order of time, and with other axes in another.
  At most one of `gyro`, `factor`, `late_s` and `changes` is set: that which explains most.
  """

  gyro: Float[np.ndarray, '3 3'] | None = None
  is_known: bool = False
  is_unique: bool = False
  factor: float | None = None
  late_s: float | None = None
  changes: bool = False


def check(
  signals: Float[np.ndarray, 'w n 6'], rate_hz: int, expected: Float[np.ndarray, '3 3'] | None = None
) -> Agreement:
  """Compares the gyroscope, on the windows that rotate most, with other axes, scales and times of it.

  Where gravity moves in few windows, also on those in which only the gyroscope rotates, for the axes: with
  wrong ones, a turn about the vertical would move gravity. Windows of less than two seconds tell nothing.
  `expected`: the matrix that makes the gyroscope agree as it is in training; by default the identity.
  """
  expected = np.eye(3) if expected is None else expected
  if signals.shape[1] < _LEAST_S * rate_hz:
    return Agreement()
  blocks = _blocks(signals, rate_hz)
  turns = np.linalg.norm(blocks.gyro, axis=2).mean(axis=1)
  swings = blocks.only(_largest(np.where(blocks.body < _MOST_BODY_G, turns, 0.0), _TURNING))
  calm = 1 / np.hypot(1, blocks.body / _CALM_G)
  windows = _largest(blocks.change * calm)
  if len(windows) < _FEWEST_WINDOWS:
    windows = _largest(blocks.change * calm, _LEAST_CHANGE / 2)
  if is_moving := len(windows) >= _FEWEST_WINDOWS:
    blocks = blocks.only(windows)
  else:
    turn = _between_halves(np.cumsum(blocks.gyro, axis=1) * blocks.step_s)
    blocks = blocks.only(_largest(np.maximum(blocks.change, np.minimum(turn, _LARGEST_TURN)) * calm))
  (usual,) = np.flatnonzero((expected == _CANDIDATES).all(axis=(1, 2)))
  if len(blocks.acc) < _FEWEST_WINDOWS or not blocks.gyro.any():
    agreement, factor, is_moving = Agreement(), None, False
  else:
    logs = _log_misfits(blocks)
    gains = logs[usual] - logs
    agreement = _compare_axes(gains)
    if agreement.gyro is not None and not agreement.is_unique:
      # One that reports too little explains little of gravity's rotation, whatever its axes.
      logs = _log_misfits(blocks._replace(gyro=_SMALL_SCALE * blocks.gyro))
      larger = _compare_axes(logs[usual] - logs)
      agreement = larger if larger.is_unique else agreement
    factor_gain, factor = 0.0, None
  if is_moving:
    if _find_change(gains):
      return Agreement(changes=True)
    factor_gain, factor = _find_factor(blocks._replace(gyro=blocks.gyro @ expected.T))
  if not agreement.is_known:
    agreement = _compare_axes_in_swings(swings, int(usual))
  others = [factor * expected] if factor else []
  others += [] if agreement.gyro is None else [agreement.gyro]
  if (late_s := _find_delay(swings, expected, others)) is not None:
    return Agreement(late_s=late_s)
  if factor is None or (agreement.gyro is not None and gains.mean(axis=1).max() > factor_gain):
    return agreement
  return Agreement(factor=factor)


def _compare_axes_in_swings(swings: _Blocks, usual: int) -> Agreement:
  """Other axes that fit swings better, which are not unique."""
  if len(swings.acc) < _FEWEST_WINDOWS:
    return Agreement()
  logs = _log_swing_misfits(swings.acc, _SENSES * swings.gyro, swings.step_s, ROTATIONS)
  logs = logs.reshape(len(_CANDIDATES), -1)
  gains = logs[usual] - logs
  best = int(gains.mean(axis=1).argmax())
  return Agreement(_CANDIDATES[best], True) if _exceeds(gains[best], _SWING_GAIN, _SURELY) else Agreement()


def _blocks(signals: Float[np.ndarray, 'w n 6'], rate_hz: int) -> _Blocks:
  """Means of blocks. Samples that fill no pair of blocks are left out."""
  samples = signals.shape[1]
  size = max(round(_BLOCK_S * rate_hz), 1)
  whole = signals[:, : samples // (2 * size) * 2 * size]
  blocks = whole.reshape(len(whole), -1, size, 6).mean(axis=2, dtype=np.float64)
  acc, gyro = blocks[..., :3] / STANDARD_GRAVITY_M_S2, blocks[..., 3:]
  return _Blocks(acc, gyro, _between_halves(acc), np.linalg.norm(acc, axis=2).std(axis=1), size / rate_hz)


def _largest(size: Float[np.ndarray, 'w'], least: float = _LEAST_CHANGE) -> Int[np.ndarray, 'k']:
  """Indices, in order of time."""
  indices = np.sort(np.argsort(-size, kind='stable')[:_MOST_WINDOWS])
  return indices[size[indices] > least]


def _between_halves(values: Float[np.ndarray, 'w t 3']) -> Float[np.ndarray, 'w']:
  halves = values.reshape(len(values), 2, -1, 3).mean(axis=2)
  return np.linalg.norm(halves[:, 1] - halves[:, 0], axis=1)


def _exceeds(gains: Float[np.ndarray, 'w'], least: float, errors: float = _BY_CHANCE) -> bool:
  mean = gains.mean()
  return bool(mean > least and mean > errors * gains.std() / len(gains) ** 0.5)


def _compare_axes(gains: Float[np.ndarray, 'c w']) -> Agreement:
  best, second = np.argsort(-gains.mean(axis=1))[:2]
  if _exceeds(gains[best], _AXES_GAIN):
    is_unique = bool((gains[best] - gains[second]).mean() > _UNIQUE_GAIN)
    return Agreement(_CANDIDATES[best], True, is_unique)
  is_known = _exceeds(-gains[second], _UNIQUE_GAIN)  # never where another one is the best
  return Agreement(is_known=is_known)


def _find_change(gains: Float[np.ndarray, 'c w']) -> bool:
  """Returns whether other axes fit better up to some window, and the usual ones after it, or the reverse."""
  before = gains.cumsum(axis=1)
  contrast = np.abs(2 * before - before[:, -1:])[:, _FEWEST_WINDOWS - 1 : -_FEWEST_WINDOWS]
  if not contrast.size:
    return False
  candidate, window = np.unravel_index(contrast.argmax(), contrast.shape)
  parts = np.split(gains[candidate], [window + _FEWEST_WINDOWS])
  worse, better = sorted(parts, key=np.mean)
  return _exceeds(-worse, _PART_GAIN) and _exceeds(better, _PART_GAIN)


def _find_factor(blocks: _Blocks) -> tuple[float, float | None]:
  """Mean gain, and by how much faster gravity turns; 0 and None if it turns as the gyroscope says."""
  logs = _log_factor_misfits(blocks)
  mean, usual = logs.mean(axis=1), len(_FACTORS) // 2
  best = int(mean.argmin())
  is_better = _exceeds(logs[usual] - logs[best], _LARGER_GAIN if best > usual else _SMALLER_GAIN)
  # The smallest factor stands for no gyroscope: cycling makes gravity seem to turn less.
  if not is_better or best == len(_FACTORS) - 1 or mean[0] - mean[best] < _OVER_NONE:
    return 0.0, None
  # The vertex of a parabola through the best factor and those next to it.
  before, least, after = mean[best - 1 : best + 2]
  vertex = (before - after) / (2 * (before - 2 * least + after))
  ratio = float(_FACTORS[best] * (_FACTORS[1] / _FACTORS[0]) ** vertex)
  return (float(mean[usual] - least), ratio) if max(ratio, 1 / ratio) > _LEAST_FACTOR else (0.0, None)


def _find_delay(
  blocks: _Blocks, expected: Float[np.ndarray, '3 3'], others: Sequence[Float[np.ndarray, '3 3']]
) -> float | None:
  """Seconds by which the gyroscope is behind; None if it is in time, or another matrix explains more.

  blocks: of swings.
  """
  acc, gyro = blocks.acc[:, _MOST_LAG:-_MOST_LAG], blocks.gyro @ expected.T
  if acc.shape[1] < 2 or len(acc) < _FEWEST_WINDOWS:
    return None
  logs = _log_swing_misfits(acc, gyro[None], blocks.step_s, np.eye(3)[None])[:, 0, 0]
  best = int(logs.mean(axis=1).argmin())
  late_s = (best - _MOST_LAG) * blocks.step_s
  is_edge = best in (0, 2 * _MOST_LAG)  # and no minimum
  gains = logs[_MOST_LAG] - logs[best]
  if is_edge or abs(late_s) < _LEAST_LATE_S or not _exceeds(gains, _LATE_GAIN, _SURELY):
    return None
  in_time = (blocks.gyro[None, :, _MOST_LAG:-_MOST_LAG] @ other.T for other in others)
  of_others = (_log_swing_misfits(acc, gyro, blocks.step_s, np.eye(3)[None]) for gyro in in_time)
  return None if any(misfits.mean() < logs[best].mean() for misfits in of_others) else late_s


def _log_swing_misfits(
  acc: Float[np.ndarray, 'w t 3'],
  gyro: Float[np.ndarray, 'g w s 3'],
  step_s: float,
  turns: Float[np.ndarray, 'c 3 3'],
) -> Float[np.ndarray, 'l g c w']:
  """Log of the mean square, in g², that constant gravity and one lever arm for all windows leave.

  gyro: of as many blocks, or of more: then it begins at each lag that leaves none of `acc` without it.
  turns: of acceleration, as in `_log_misfits`.
  """
  count = acc.shape[1]
  spin = frames.cross(gyro)
  # A window may be rotated to any of its moments, so one integral does for all lags.
  gyro, pulls, from_start = (
    np.moveaxis(np.lib.stride_tricks.sliding_window_view(part, count, axis=2), (2, -1), (0, 3))
    for part in (gyro, spin @ spin, _rotations_from_start(gyro, step_s))
  )
  arms = frames.cross(np.gradient(gyro, step_s, axis=3)) + pulls
  # Products of deviations from a window's mean follow from means, which need no rotation for each turn.
  flat, into = (part.reshape(*part.shape[:3], -1, 3) for part in (arms, from_start))
  mean = flat.swapaxes(3, 4) @ into / count
  products = flat.swapaxes(3, 4) @ flat / count - mean @ mean.swapaxes(3, 4)
  gravity = _turned_mean(from_start, acc, turns)
  along = np.moveaxis(_turned_mean(arms, acc, turns) - mean @ gravity, -1, 2)
  squares = np.square(acc).sum(axis=(1, 2)) / count - np.square(gravity).sum(axis=3).swapaxes(2, 3)
  left, products = squares, products.reshape(*products.shape[:2], 1, -1, 9)
  for _ in range(_FITS):  # of the best arm: windows count by what is left in them
    weights = 1 / (left + _FITTED_G2)[..., None, :]
    total = (weights @ products).reshape(*left.shape[:3], 3, 3)
    ridge = (1e-3 * np.trace(total, axis1=3, axis2=4) + 1e-9)[..., None, None] * np.eye(3)
    arm = np.linalg.solve(total + ridge, (weights @ along).swapaxes(3, 4))
    of_arm = products @ (arm @ arm.swapaxes(3, 4)).reshape(*left.shape[:3], 9, 1)
    left = np.maximum(squares + (of_arm - 2 * along @ arm)[..., 0], 0)
  return np.log(left + _FLOOR_G2)


def _log_misfits(blocks: _Blocks) -> Float[np.ndarray, 'c w']:
  """Log of the squared distance, in g², of the means of both halves, each block rotated back to the start.

  A rotation R of angular velocity rotates back by R B Rᵀ where the sensor rotates back by B. So two
  integrals do for all candidates: of the gyroscope, and of its opposite for mirror images.
  """
  from_start = _rotations_from_start(_SENSES * blocks.gyro, blocks.step_s)
  apart = _turned_mean(from_start, _halves(blocks.acc), ROTATIONS)
  return _log_lengths(apart, blocks.body).reshape(len(_CANDIDATES), -1)


def _log_factor_misfits(blocks: _Blocks) -> Float[np.ndarray, 'f w']:
  """The logs of `_log_misfits` for multiples of the gyroscope, which rotate about the same axes."""
  angles, crosses = frames.angles_and_crosses(_steps(blocks.gyro, blocks.step_s))
  sines, cosines = (function(angles[..., 0] * _FACTORS)[..., None, :] for function in (np.sin, np.cos))
  halves = _halves(blocks.acc)[..., None]
  apart = halves[:, -1] + np.zeros(len(_FACTORS))
  for block in reversed(range(angles.shape[1])):  # the sum from this block on, in its frame
    across = crosses[:, block] @ apart
    apart = apart + sines[:, block] * across + (1 - cosines[:, block]) * (crosses[:, block] @ across)
    apart += halves[:, block]
  return _log_lengths(apart / halves.shape[1], blocks.body)


def _halves(acc: Float[np.ndarray, 'w t 3']) -> Float[np.ndarray, 'w t 3']:
  """Blocks whose mean is the second half's mean less that of the first."""
  return np.repeat([-2.0, 2.0], acc.shape[1] // 2)[:, None] * acc


def _log_lengths(
  apart: Float[np.ndarray, '*g w 3 c'], body: Float[np.ndarray, 'w']
) -> Float[np.ndarray, '*g c w']:
  squares = np.square(apart).sum(axis=-2).swapaxes(-1, -2)
  return np.log(squares + np.square(_NOISE_G) + np.square(_OF_BODY * body))


def _turned_mean(
  matrices: Float[np.ndarray, '*g w t 3 3'],
  acc: Float[np.ndarray, 'w t 3'],
  turns: Float[np.ndarray, 'c 3 3'],
) -> Float[np.ndarray, '*g w 3 c']:
  """Means over blocks of a transposed matrix times each turn of acceleration, which is acc @ turn."""
  means = matrices.reshape(*matrices.shape[:-2], 9).swapaxes(-1, -2) @ acc / acc.shape[1]
  means = means.reshape(*means.shape[:-2], 3, 3, 3).swapaxes(-3, -2)
  return means.reshape(*means.shape[:-2], 9) @ turns.swapaxes(1, 2).reshape(-1, 9).T


def _rotations_from_start(
  gyro: Float[np.ndarray, 'g w t 3'], step_s: float
) -> Float[np.ndarray, 'g w t 3 3']:
  """Rotations from the frame at the window's start to each block's frame."""
  steps = frames.rotation_matrices(-_steps(gyro, step_s))
  matrices = np.broadcast_to(np.eye(3), (*gyro.shape, 3)).copy()
  for block in range(steps.shape[2]):
    matrices[:, :, block + 1] = steps[:, :, block] @ matrices[:, :, block]
  return matrices


def _steps(gyro: Float[np.ndarray, '*g t 3'], step_s: float) -> Float[np.ndarray, '*g s 3']:
  """Rotation vectors from each block to the next."""
  return (gyro[..., 1:, :] + gyro[..., :-1, :]) / 2 * step_s

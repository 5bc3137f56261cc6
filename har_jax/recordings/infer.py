"""What the numbers of a recording tell: the units of its sensors.

n samples, m moments.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from har_jax.errors import UserError
from har_jax.recordings import units
from har_jax.signal.recording import STANDARD_GRAVITY_M_S2, Samples

LINEAR = 0.5  # acceleration whose mean is shorter than this fraction of its median length lacks gravity
_BY_GRAVITY = ('m/s2', 'g', 'mg')  # cm/s2 is too near to mg
# A unit fits if gravity is within this factor: the median of a run is 1.2 g. Of 2,251 clips of Respeck and
# LIARA three are farther off, up to 1.6. While a wrist turns, the median is within 1.01, the mean half of it.
_NEAR, _POSSIBLE, _SURELY_NEAR, _TURNED = 1.35, 1.7, 1.03, 0.3
# 20 rad/s are 1,100 degrees a second: only turns of a wrist are as fast for a twentieth of the time. Most
# gyroscopes on people measure up to 2,000.
_FAST_RAD_S, _FASTEST_RAD_S = 20.0, math.radians(2000)
_STRETCH, _STRETCHES = 128, 1000
_MAX_SAMPLES = 200_000  # for statistics, evenly over the recording
MOMENT_S = 0.25
# The slope of 130 recordings of MotionSense, HAPT, WISDM and DSADS that correlate by over 0.3 is 0.17 to 1.32
# for rad/s. It is below 1 where motion hides gravity. For deg/s it is a 57th of that.
_SLOPES = (0.12, 1.5)
_CORRELATION = 0.3
# For a lag, the best of many. In a walk others fit nearly as well: at wrong lags of PDIoT's clips, the second
# best leaves up to 1.4 times as much of the variance. At right ones it leaves at least 1.6 times as much.
_SURE_CORRELATION, _ALONE = 0.5, 1.5
# In 5,488 recordings of nine archives acceleration changes at least 0.62 times as much as gravity would by
# the gyroscope, less its median. If that is in deg/s, it is a 57th at rest. Slower turns are noise and drift.
_LEAST_CHANGE, _DRIFT_RAD_S = 0.15, 0.08
_MOST_LAGS, _MOST_S = 40, 600  # 10 s both ways, on the first ten minutes
_FEW_MOMENTS = 100
_BY_CHANCE = 5.0  # standard deviations of the correlation of noise

# Scaled axis by axis, as for a network: mean and deviation are within this of 0 and 1.
_SCALED = 0.01
_MANY = 20  # different values of an axis: fewer, such as -1, 0 and 1, are those of a coarse sensor

Tell = Callable[[Literal['note', 'warning'], str], None]
_Moments = tuple[Int[np.ndarray, '_m'], Float[np.ndarray, '_m 3']]  # their numbers, and the mean in each


@dataclasses.dataclass
class Findings:
  """Sentences for the user: what was inferred, and what is doubtful. `tell` is called with each new one."""

  notes: list[str] = dataclasses.field(default_factory=list)
  warnings: list[str] = dataclasses.field(default_factory=list)
  tell: Tell | None = None

  def note(self, *sentences: str) -> None:
    self._add('note', self.notes, sentences)

  def warn(self, *sentences: str) -> None:
    self._add('warning', self.warnings, sentences)

  def _add(self, kind: Literal['note', 'warning'], said: list[str], sentences: Sequence[str]) -> None:
    for sentence in sentences:
      said.append(sentence)
      if self.tell is not None:
        self.tell(kind, sentence)


def lengths(values: Float[np.ndarray, 'n 3']) -> Float[np.ndarray, 'm']:
  """Lengths of all vectors of a short recording, of evenly spaced ones of a long one."""
  return np.linalg.norm(values[:: max(len(values) // _MAX_SAMPLES, 1)].astype(np.float64), axis=1)


def steady_length(acc: Float[np.ndarray, 'n 3']) -> float:
  """The median length of the mean acceleration over some seconds: gravity, if it was recorded."""
  count = max(len(acc) // _STRETCH, 1)
  starts = _STRETCH * np.linspace(0, count - 1, min(count, _STRETCHES)).astype(int)
  means = [acc[start : start + _STRETCH].mean(axis=0, dtype=np.float64) for start in starts]
  return float(np.median(np.linalg.norm(means, axis=1)))


def seem_swapped(acc: Float[np.ndarray, 'n 3'], gyro: Float[np.ndarray, 'm 3']) -> bool:
  """Returns whether gravity is in the angular velocity, and not in the acceleration."""
  if len(gyro) < 2:
    return False
  in_gyro = all(map(_unit_near_gravity, (float(np.median(lengths(gyro))), steady_length(gyro))))
  median, steady = float(np.median(lengths(acc))), steady_length(acc)
  return in_gyro and not (_is_turned(median, steady) or _unit_near_gravity(steady))


def _is_turned(median: float, steady: float) -> bool:
  """Returns whether gravity is in acceleration, though the device turns so fast that its mean is short."""
  return bool(_unit_near_gravity(median, _SURELY_NEAR)) and steady > _TURNED * median


def acc_unit(acc: Float[np.ndarray, 'n 3'], named: str, requested: str, findings: Findings) -> str:
  """The requested unit, else the one in the column's name, else the one in which gravity is near 9.81.

  Raises UserError if gravity has another length in all units, or values were scaled, unless a unit is
  requested.
  """
  if not requested:
    _check_measured('accelerometer', acc)
  median, steady = float(np.median(lengths(acc))), steady_length(acc)
  unit, reason = 'm/s2', 'by assumption'
  if requested:
    unit, reason = requested, 'as requested'
  elif named:
    unit, reason = named, 'as its name says'
  elif steady < LINEAR * median and not _is_turned(median, steady):
    findings.warn(
      f'Acceleration seems to lack gravity: its median length is {median:.4g}, that of its mean {steady:.4g}.'
      ' So its unit is a guess, m/s2; name it with acc_unit.'
    )
  # In a run the median length is far above gravity, but the mean is near it.
  elif near := _unit_near_gravity(steady) or _unit_near_gravity(median, _POSSIBLE):
    unit, reason = near, f'as gravity is {STANDARD_GRAVITY_M_S2 / units.ACC[near]:.4g}'
  else:
    raise UserError(
      f'acceleration is in no known unit: its median length is {median:.4g}, and gravity would make it about '
      '1 (g), 9.81 (m/s2) or 1000 (mg). Is it of an accelerometer? Convert raw counts, or give acc_unit'
    )
  findings.note(
    f'Acceleration is in {unit}, {reason} (median length {median:.4g}, of the mean {steady:.4g}).'
  )
  return unit


def _check_measured(word: str, values: Float[np.ndarray, 'n 3']) -> None:
  """Raises UserError if each axis has mean 0 and deviation 1, or ends at 0 or -1 and at 1."""
  some = values[:: max(len(values) // _MAX_SAMPLES, 1)].astype(np.float64)
  low, high = (np.array([extreme(axis) for axis in values.T]) for extreme in (np.min, np.max))
  if (np.abs(np.r_[some.mean(axis=0), some.std(axis=0) - 1]) < _SCALED).all():
    seen = 'mean 0 and standard deviation 1'
  elif (high == 1).all() and ((low == 0).all() or (low == -1).all()):
    seen = f'minimum {low[0]:g} and maximum 1'
  else:
    return
  if min(len(np.unique(axis)) for axis in some.T) > _MANY:
    raise UserError(
      f'each axis of the {word} has {seen}: the values were scaled, which loses gravity and the unit; give '
      'them as measured'
    )


def _unit_near_gravity(length: float, factor: float = _NEAR) -> str:
  length = max(length, 1e-12)
  logs = {unit: abs(math.log(length * units.ACC[unit] / STANDARD_GRAVITY_M_S2)) for unit in _BY_GRAVITY}
  unit = min(logs, key=lambda unit: logs[unit])
  return unit if logs[unit] <= math.log(factor) else ''


def gyro_unit(acc: Samples, gyro: Samples, named: str, requested: str, findings: Findings) -> str:
  """The requested unit, else the one in which gravity turns with it, else that of its name, else by speed.

  `acc` is in any unit. Raises UserError if nobody turns as fast in degrees, or values were scaled, unless a
  unit is requested.
  """
  if not requested:
    _check_measured('gyroscope', gyro.values)
  fast = float(np.quantile(lengths(gyro.values), 0.95))
  unit, reason = 'rad/s', 'by assumption'
  if requested:
    unit, reason = requested, 'as requested'
  elif by_gravity := _unit_by_gravity(acc, gyro):
    unit, reason = by_gravity, 'as gravity shows'
  elif named and not (named == 'rad/s' and _FAST_RAD_S < fast <= _FASTEST_RAD_S / units.GYRO['deg/s']):
    unit, reason = named, 'as its name says'
  elif fast * units.GYRO['deg/s'] > _FASTEST_RAD_S:
    raise UserError(
      f'angular velocity is in no known unit: a twentieth of it is over {fast:.4g}, and gyroscopes measure '
      'up to 2,000 deg/s. Convert raw counts, or give gyro_unit'
    )
  elif fast > _FAST_RAD_S:
    unit, reason = 'deg/s', f'as nobody turns at {fast:.4g} rad/s for a twentieth of the time'
    if not named and (fast < _FASTEST_RAD_S or fast * units.GYRO['deg/s'] > _FAST_RAD_S):
      findings.warn(
        'The unit of angular velocity is a guess, deg/s: only a wrist turns as fast'
        f'{" in rad/s" * (fast < _FASTEST_RAD_S)}. Name it with gyro_unit.'
      )
  else:
    findings.warn(
      f'The unit of angular velocity is a guess, rad/s: 95 % of it is below {fast:.4g}, as it would be for a '
      'calm recording in deg/s. Name it with gyro_unit.'
    )
  if named and not requested and named != unit:
    findings.warn(
      f'The name of angular velocity says {named}, but it was read in {unit}, {reason}. Name it with '
      'gyro_unit.'
    )
  findings.note(f'Angular velocity is in {unit}, {reason} (95 % of it is below {fast:.4g}).')
  return unit


def evident_gyro_unit(acc: Samples, gyro: Samples) -> str:
  """The unit in which gravity turns with it, else deg/s if nobody turns as fast in rad/s; '' if unknown."""
  is_fast = np.quantile(lengths(gyro.values), 0.95) > _FAST_RAD_S
  return _unit_by_gravity(acc, gyro) or 'deg/s' * bool(is_fast)


def _unit_by_gravity(acc: Samples, gyro: Samples) -> str:
  """A unit, or empty if the device hardly turns, or the sensors are not on one device.

  In the device's axes, gravity at rest in the world obeys d(acc)/dt = acc × gyro. Means of a quarter second
  stand for both; the slope of one side on the other tells the unit. Steps tell it, too, which do not
  tell the axes (`gyro_agreement`): the body's own acceleration changes the slope, but not by a factor of 57.
  """
  gravity, turns = means(acc), means(gyro)
  for sign in (1, -1):
    slope, _ = _slope(gravity, (turns[0], sign * turns[1]))
    for unit, rad_s in units.GYRO.items():
      if _SLOPES[0] < slope / rad_s < _SLOPES[1]:
        return unit
  return 'deg/s' * _is_still_for(gravity, turns)


def _is_still_for(acc: _Moments, gyro: _Moments) -> bool:
  """Returns whether acceleration changes far less than gravity would by the gyroscope in rad/s."""
  index, gravity, turns = in_both(acc, gyro)
  adjacent = np.diff(index) == 1
  length = np.median(np.linalg.norm(gravity, axis=1)) if adjacent.any() else 0.0
  if not length:
    return False
  angles = np.linalg.norm(np.cross(gravity, turns - np.median(turns, axis=0)), axis=1) * MOMENT_S / length
  predicted = np.minimum((angles[1:] + angles[:-1]) / 2, 1)[adjacent]  # a turn by more may end anywhere
  measured = np.linalg.norm(np.diff(gravity, axis=0), axis=1)[adjacent] / length
  of_both = [float(np.sqrt(np.square(part).mean())) for part in (measured, predicted)]
  return of_both[1] > _DRIFT_RAD_S * MOMENT_S and of_both[0] < _LEAST_CHANGE * of_both[1]


def lag_s(acc: Samples, gyro: Samples) -> float:
  """Seconds by which the gyroscope's clock is ahead, if gravity turns with it at another time only; else 0.

  Each file of a sensor may count from its own start. `gyro_agreement` sees shorter delays, of steps too.
  """
  stops = (int(np.searchsorted(part.time_s, part.time_s[0] + _MOST_S)) for part in (acc, gyro))
  gravity, turns = (
    means(Samples(part.time_s[:stop], part.values[:stop]))
    for part, stop in zip((acc, gyro), stops, strict=True)
  )
  if len(turns[0]) <= _FEW_MOMENTS:
    return 0.0
  # Of the opposite sign, a swing is as alike half a stride later.
  if any(_slope(gravity, (turns[0], sign * turns[1]))[1] for sign in (1, -1)):
    return 0.0
  lags = range(-_MOST_LAGS, _MOST_LAGS + 1)
  fits = np.array([_slope(gravity, (turns[0] - lag, turns[1]))[1] for lag in lags])
  best = int(fits.argmax())
  second = np.delete(fits, slice(max(best - 1, 0), best + 2)).max()
  is_alone = 1 - second**2 > _ALONE * (1 - fits[best] ** 2)
  return lags[best] * MOMENT_S if is_alone and fits[best] > _SURE_CORRELATION else 0.0


def _slope(acc: _Moments, gyro: _Moments) -> tuple[float, float]:
  """Slope and correlation of what gravity does on what the gyroscope says; zeros if that may be chance."""
  index, gravity, turns = in_both(acc, gyro)
  adjacent = index[2:] - index[:-2] == 2
  measured = ((gravity[2:] - gravity[:-2]) / (2 * MOMENT_S))[adjacent]
  predicted = np.cross(gravity, turns)[1:-1][adjacent]
  product, square = float((measured * predicted).sum()), float((predicted * predicted).sum())
  if not square or product <= 0:
    return 0.0, 0.0
  correlation = product / math.sqrt(square * float((measured * measured).sum()))
  if correlation < max(_CORRELATION, _BY_CHANCE / math.sqrt(predicted.size)):
    return 0.0, 0.0
  return product / square, correlation


def in_both(acc: _Moments, gyro: _Moments) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Moments that both have: their numbers, and the means of both."""
  index, in_acc, in_gyro = np.intersect1d(acc[0], gyro[0], assume_unique=True, return_indices=True)
  return index, acc[1][in_acc], gyro[1][in_gyro]


def means(samples: Samples) -> _Moments:
  """Quarter seconds that hold samples, and the mean of each."""
  moments = samples.time_s / MOMENT_S
  np.floor(moments, out=moments)
  starts = np.flatnonzero(np.r_[True, moments[1:] > moments[:-1]])
  # Axis by axis: NumPy copies what it sums in float64.
  sums = np.stack([np.add.reduceat(axis, starts, dtype=np.float64) for axis in samples.values.T], axis=1)
  return moments[starts].astype(np.int64), sums / np.diff(np.r_[starts, len(moments)])[:, None]

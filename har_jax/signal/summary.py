"""Summary of the windows that a model was trained on, in physical units: an entry of its card.

w windows, n samples, m vectors.
"""

import dataclasses
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from jaxtyping import Float
from msgspec import Meta

from har_jax.signal import frames, gyro_agreement
from har_jax.signal.recording import STANDARD_GRAVITY_M_S2

HAS_GRAVITY_G = 0.5  # the mean of a window is longer with gravity: 0.9 to 1.1 g
_PERSON_G = 0.25  # spread from one person to another, about 15 degrees: added to that of the training windows
_OUTLIERS = 0.02  # fraction of windows whose mean is anywhere in the unit ball
_LOG_UNIT_BALL = float(np.log(4 / 3 * np.pi))
_UPPER = np.triu_indices(3)
_MAX_WINDOWS = 2000  # for the gyroscope, evenly over the training windows
_Number = Annotated[float, Meta(ge=-1e30, le=1e30)]  # neither NaN nor infinite


@dataclasses.dataclass(frozen=True)
class Gravity:
  """Distribution of the mean acceleration of an activity's windows, at one position of the device. In g."""

  activity: str
  position: str
  windows: Annotated[int, Meta(ge=1)]
  mean: Annotated[tuple[_Number, ...], Meta(min_length=3, max_length=3)]  # x y z
  covariance: Annotated[tuple[_Number, ...], Meta(min_length=6, max_length=6)]  # xx xy xz yy yz zz

  def __post_init__(self) -> None:
    if np.linalg.eigvalsh(_symmetric(self.covariance)).min() < -0.01:
      raise ValueError('a covariance is not positive')


@dataclasses.dataclass(frozen=True)
class SignalSummary:
  """What windows looked like.

  `length_g`: median length of the windows' means.
  `gyro_axes`: how the gyroscope's axes agree with acceleration's (`gyro_agreement.check`); '' if unknown.
  `rates_hz`: of the accelerometer and the gyroscope as recorded, if known.
  """

  gravity: Annotated[tuple[Gravity, ...], Meta(min_length=1)]
  length_g: _Number
  has_gyro: bool
  gyro_axes: str
  rates_hz: tuple[_Number, ...] = ()

  def __post_init__(self) -> None:
    _ = self.gyro_matrix  # raises UserError

  @property
  def has_gravity(self) -> bool:
    return self.length_g > HAS_GRAVITY_G

  @property
  def positions(self) -> int:
    return len({entry.position for entry in self.gravity})

  @property
  def gyro_matrix(self) -> Float[np.ndarray, '3 3']:
    """The matrix of `gyro_axes`; the identity if it is not known, as physics has it."""
    return frames.parse(self.gyro_axes or 'as_is').acc

  def log_likelihood(self, means_g: Float[np.ndarray, '... 3']) -> Float[np.ndarray, '...']:
    """Log density of windows' mean accelerations: a Gaussian per activity and position, and a few anywhere.

    A component's weight is half its fraction of the training windows and half an equal part: other people do
    other things for longer.
    """
    total = sum(entry.windows for entry in self.gravity)
    logs = [np.full(means_g.shape[:-1], np.log(_OUTLIERS) - _LOG_UNIT_BALL)]
    for entry in self.gravity:
      covariance = _symmetric(entry.covariance) + _PERSON_G**2 * np.eye(3)
      deviation = means_g - np.array(entry.mean)
      distance = (deviation @ np.linalg.inv(covariance) * deviation).sum(axis=-1)
      weight = (1 - _OUTLIERS) * (entry.windows / total + 1 / len(self.gravity)) / 2
      scale = np.linalg.slogdet(2 * np.pi * covariance)[1]
      logs.append(np.log(weight) - (distance + scale) / 2)
    return np.logaddexp.reduce(logs, axis=0)


def _symmetric(upper: Sequence[float]) -> Float[np.ndarray, '3 3']:
  matrix = np.zeros((3, 3))
  matrix[_UPPER] = upper
  return matrix + np.triu(matrix, 1).T


def summarize(
  signals: Float[np.ndarray, 'w n 6'],
  activities: Sequence[Any],
  rate_hz: int,
  positions: Sequence[str] | None = None,
) -> SignalSummary:
  """Summarizes windows in m/s² and rad/s, by activity, and by position if there are several."""
  names = np.array([str(activity) for activity in activities])
  worn_at = np.full(len(names), '') if positions is None else np.array(positions)
  means = signals[..., :3].mean(axis=1, dtype=np.float64) / STANDARD_GRAVITY_M_S2
  gravity = []
  for position, activity in sorted(set(zip(worn_at.tolist(), names.tolist(), strict=True))):
    of_both = means[(worn_at == position) & (names == activity)]
    covariance = np.cov(of_both.T) if len(of_both) > 3 else np.zeros((3, 3))
    gravity.append(
      Gravity(activity, position, len(of_both), _rounded(of_both.mean(axis=0)), _rounded(covariance[_UPPER]))
    )
  return summarize_means(gravity, signals, means, rate_hz)


def summarize_means(
  gravity: Sequence[Gravity],
  signals: Float[np.ndarray, 'w n 6'],
  means: Float[np.ndarray, 'm 3'],
  rate_hz: int,
) -> SignalSummary:
  """Summarizes windows by their gravity, and the means in g of these windows or of more."""
  return SignalSummary(
    tuple(gravity),
    round(float(np.median(np.linalg.norm(means, axis=1))), 3),
    bool(signals[..., 3:].any()),
    _gyro_axes(gyro_agreement.check(draw_evenly(signals), rate_hz)),
  )


def _gyro_axes(agreement: gyro_agreement.Agreement) -> str:
  if agreement.gyro is None:
    return 'x,y,z' if agreement.is_known else ''
  return str(frames.derive_frame(agreement.gyro)) if agreement.is_unique else ''


def _rounded(values: np.ndarray) -> tuple[float, ...]:
  return tuple(np.round(values, 3).tolist())


def draw_evenly(signals: Float[np.ndarray, 'w n 6']) -> Float[np.ndarray, '_some n 6']:
  """Windows for the gyroscope: evenly over all."""
  return signals[:: max(len(signals) // _MAX_WINDOWS, 1)]

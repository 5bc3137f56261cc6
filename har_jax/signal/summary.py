"""What the windows that a model was trained on looked like: an entry of its card.   m vectors."""

import dataclasses
from collections.abc import Sequence
from typing import Annotated

import numpy as np
from jaxtyping import Float
from msgspec import Meta

from har_jax.signal import frames

HAS_GRAVITY_G = 0.5  # the mean of a window is longer with gravity: 0.9 to 1.1 g
_PERSON_G = 0.25  # spread from one person to another, about 15 degrees: added to that of the training windows
_OUTLIERS = 0.02  # fraction of windows whose mean is anywhere in the unit ball
_LOG_UNIT_BALL = float(np.log(4 / 3 * np.pi))
_UPPER = np.triu_indices(3)
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

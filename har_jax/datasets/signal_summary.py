"""What the windows that a model was trained on looked like, in physical units: an entry of its card.

w windows, k components, n samples, m vectors.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from jaxtyping import Bool, Float
from msgspec import Meta

from har_jax import records
from har_jax.datasets.datasets import Datasets
from har_jax.records import Number
from har_jax.signal import frames, gyro_agreement
from har_jax.signal.recording import STANDARD_GRAVITY_M_S2

# Source: van Hees et al., PLoS ONE 8(4):e61691, 2013: a device is still if two of three axes deviate by less.
_STILL_M_S2, _STILL_AXES = 0.013 * STANDARD_GRAVITY_M_S2, 2
HAS_GRAVITY_G = 0.5  # the mean of a window is longer with gravity: 0.9 to 1.1 g
_PERSON_G = 0.25  # spread from one person to another, about 15 degrees: added to that of the training windows
_OUTLIERS = 0.02  # fraction of windows whose mean is anywhere in the unit ball
_LOG_UNIT_BALL = float(np.log(4 / 3 * np.pi))
_UPPER = np.triu_indices(3)
_MAX_WINDOWS = 2000  # for the gyroscope, evenly over the training windows


@dataclasses.dataclass(frozen=True)
class Gravity:
  """Distribution of the mean acceleration of an activity's windows, at one position of the device. In g."""

  activity: str
  position: str
  windows: Annotated[int, Meta(ge=1)]
  mean: Annotated[tuple[Number, ...], Meta(min_length=3, max_length=3)]  # x y z
  covariance: Annotated[tuple[Number, ...], Meta(min_length=6, max_length=6)]  # xx xy xz yy yz zz

  def __post_init__(self):
    if np.linalg.eigvalsh(_symmetric(self.covariance)).min() < -0.01:
      raise ValueError('a covariance is not positive')


@dataclasses.dataclass(frozen=True)
class SignalSummary:
  """What windows looked like.

  `length_g`: median length of the windows' means. `at_rest_g`: of the windows without movement, if any.

  `gyro_axes`: how the gyroscope's axes agree with acceleration's (`gyro_agreement.check`); '' if unknown.
  `rates_hz`: of the accelerometer and the gyroscope as recorded, if known.
  """

  gravity: Annotated[tuple[Gravity, ...], Meta(min_length=1)]
  length_g: Number
  at_rest_g: Number | None
  has_gyro: bool
  gyro_axes: str
  rates_hz: tuple[Number, ...] = ()

  def __post_init__(self):
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
  return _summary(gravity, signals, means, rate_hz)


def summarize_sources(
  datasets: Datasets, sources: Sequence[str], names: Mapping[str, str]
) -> SignalSummary | None:
  """Summarizes all positions of prepared sources; only of activities in `names`, under their names there.

  None if the sources have none of them.
  """
  gravity: list[Gravity] = []
  samples, all_means, rate_hz = [], [], 0
  for source in sources:
    windows = datasets[source].windows
    activities = np.array(windows.meta.activities)[windows.activity]
    positions = np.array([f'{source}, {position}' for position in windows.meta.all_positions])[
      windows.position
    ]
    indices = np.flatnonzero(np.isin(activities, list(names)))
    if not len(indices):
      continue
    signals = windows.signals[indices]
    rate_hz = windows.windowing.rate_hz
    known_names = [names[activity] for activity in activities[indices]]
    summary = summarize(signals, known_names, rate_hz, positions[indices].tolist())
    gravity += summary.gravity
    samples.append(_evenly(signals))
    all_means.append(signals[..., :3].mean(axis=1, dtype=np.float64) / STANDARD_GRAVITY_M_S2)
  if not gravity:
    return None
  return _summary(gravity, np.concatenate(samples), np.concatenate(all_means), rate_hz)


def _summary(
  gravity: list[Gravity],
  signals: Float[np.ndarray, 'w n 6'],
  means: Float[np.ndarray, 'm 3'],
  rate_hz: int,
) -> SignalSummary:
  still = signals[is_still(signals)][..., :3]
  return SignalSummary(
    tuple(gravity),
    round(float(np.median(np.linalg.norm(means, axis=1))), 3),
    round(float(np.median(np.linalg.norm(still, axis=-1))) / STANDARD_GRAVITY_M_S2, 3)
    if len(still)
    else None,
    bool(signals[..., 3:].any()),
    _gyro_axes(gyro_agreement.check(_evenly(signals), rate_hz)),
  )


def _gyro_axes(agreement: gyro_agreement.Agreement) -> str:
  if agreement.gyro is None:
    return 'x,y,z' if agreement.is_known else ''
  return str(frames.derive_frame(agreement.gyro)) if agreement.is_unique else ''


def is_still(signals: Float[np.ndarray, 'w n 6']) -> Bool[np.ndarray, 'w']:
  """Windows in which the device does not move."""
  return (signals[..., :3].std(axis=1) < _STILL_M_S2).sum(axis=1) >= _STILL_AXES


def to_json(summary: SignalSummary | None) -> dict[str, Any] | None:
  return None if summary is None else dataclasses.asdict(summary)


def from_json(entry: Any, path: object = 'the card') -> SignalSummary | None:
  """Reads the summary in the card of this path; None: a run of an experiment does not keep one.

  Raises UserError if it is not what `to_json` gave.
  """
  if entry is None:
    return None
  where = f'{path}, its summary of the training signals'
  return records.check(entry, SignalSummary, where, to_do='write the adapter or base again')


def _symmetric(upper: Sequence[float]) -> Float[np.ndarray, '3 3']:
  matrix = np.zeros((3, 3))
  matrix[_UPPER] = upper
  return matrix + np.triu(matrix, 1).T


def _rounded(values: np.ndarray) -> tuple[float, ...]:
  return tuple(np.round(values, 3).tolist())


def _evenly(signals: Float[np.ndarray, 'w n 6']) -> Float[np.ndarray, 'w n 6']:
  return signals[:: max(len(signals) // _MAX_WINDOWS, 1)]

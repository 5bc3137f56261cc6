"""Summaries of the windows that a model is trained on, in physical units.

w windows, k components, n samples, m vectors.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from har_jax.datasets.datasets import Datasets
from har_jax.signal import frames, gyro_agreement
from har_jax.signal.recording import STANDARD_GRAVITY_M_S2
from har_jax.signal.summary import Gravity, SignalSummary

_UPPER = np.triu_indices(3)
_MAX_WINDOWS = 2000  # for the gyroscope, evenly over the training windows


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
  return SignalSummary(
    tuple(gravity),
    round(float(np.median(np.linalg.norm(means, axis=1))), 3),
    bool(signals[..., 3:].any()),
    _gyro_axes(gyro_agreement.check(_evenly(signals), rate_hz)),
  )


def _gyro_axes(agreement: gyro_agreement.Agreement) -> str:
  if agreement.gyro is None:
    return 'x,y,z' if agreement.is_known else ''
  return str(frames.derive_frame(agreement.gyro)) if agreement.is_unique else ''


def _rounded(values: np.ndarray) -> tuple[float, ...]:
  return tuple(np.round(values, 3).tolist())


def _evenly(signals: Float[np.ndarray, 'w n 6']) -> Float[np.ndarray, '_some n 6']:
  return signals[:: max(len(signals) // _MAX_WINDOWS, 1)]

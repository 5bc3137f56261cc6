"""Alignment: rotates a recording so that gravity points in a given direction while its subject walks.

A device sits at another angle on each subject, in a pocket even upside down. Gait shows the angle without
any label: then the body is upright. The angle about the vertical stays as it is.

w windows, n samples, m vectors.
Sources: Mizell, ISWC 2003 (gravity as the vertical of an accelerometer); Straczkiewicz et al., npj Digital
Medicine 6:29, 2023 (walking seen by amplitude and step frequency).
"""

import numpy as np
from jaxtyping import Bool, Float, Int

from har_jax.data.recording import RATE_HZ, STANDARD_GRAVITY_M_S2

FEWEST_WINDOWS = 5  # of gait, to see a direction
_LEAST_STD_M_S2 = 0.08 * STANDARD_GRAVITY_M_S2
# Steps and strides repeat within these times, and their autocorrelation is at least so much.
_PERIOD_S = (0.36, 1.1)
_LEAST_CORRELATION = 0.5
_NEARLY_OPPOSITE = -0.9  # cosine
_CHUNK = 2048  # windows at a time: bounds the memory of the spectra


def is_gait(signals: Float[np.ndarray, 'w n 6']) -> Bool[np.ndarray, 'w']:
  """Windows in m/s² of walking, running and other steps: the length of acceleration varies in a rhythm."""
  parts = [_is_gait(signals[start : start + _CHUNK]) for start in range(0, len(signals), _CHUNK)]
  return np.concatenate([np.zeros(0, bool), *parts])


def _is_gait(signals: Float[np.ndarray, 'w n 6']) -> Bool[np.ndarray, 'w']:
  samples = signals.shape[1]
  lengths = np.linalg.norm(signals[..., :3].astype(np.float64), axis=-1)
  centered = lengths - lengths.mean(axis=1, keepdims=True)
  power = np.square(np.abs(np.fft.rfft(centered, 2 * samples, axis=1)))
  covariance = np.fft.irfft(power, axis=1)[:, :samples] / np.arange(samples, 0, -1)
  first, last = (round(period * RATE_HZ) for period in _PERIOD_S)
  repeats = covariance[:, first:last].max(axis=1) > _LEAST_CORRELATION * covariance[:, 0]
  return repeats & (lengths.std(axis=1) > _LEAST_STD_M_S2)


def gait_gravity(signals: Float[np.ndarray, 'w n 6']) -> Float[np.ndarray, '3'] | None:
  """`direction` of the gait windows of one subject or recording, in m/s²."""
  return direction(signals[is_gait(signals), :, :3].mean(axis=1, dtype=np.float64))


def direction(gravity: Float[np.ndarray, 'w 3']) -> Float[np.ndarray, '3'] | None:
  """Unit vector of windows' mean accelerations in m/s²; None if they are too few, or have none in common."""
  if len(gravity) < FEWEST_WINDOWS:
    return None
  mean = gravity.mean(axis=0)
  length = np.linalg.norm(mean)
  return mean / length if length > STANDARD_GRAVITY_M_S2 / 2 else None


def most_central(directions: Float[np.ndarray, 'm 3']) -> Float[np.ndarray, '3']:
  """The direction that is closest to the others, by the mean cosine. A mean could be one that nobody has."""
  return directions[(directions @ directions.T).sum(axis=1).argmax()]


def rotation(start: Float[np.ndarray, '3'], onto: Float[np.ndarray, '3']) -> Float[np.ndarray, '3 3']:
  """The smallest rotation of one unit vector onto another.

  If they are nearly opposite, a half turn comes first, about the device's z axis where that is possible: a
  phone in a pocket is upside down, and seldom back to front.
  """
  cosine = float(start @ onto)
  if cosine < _NEARLY_OPPOSITE:
    across = np.eye(3)[2 if abs(start[2]) < 0.5 else np.abs(start).argmin()]
    axis = across - (across @ start) * start
    half_turn = 2 * np.outer(axis, axis) / (axis @ axis) - np.eye(3)
    return rotation(half_turn @ start, onto) @ half_turn
  x, y, z = np.cross(start, onto)
  cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
  return np.eye(3) + cross + cross @ cross / (1 + cosine)


def rotate(signals: Float[np.ndarray, 'w n 6'], turn: Float[np.ndarray, '3 3']) -> Float[np.ndarray, 'w n 6']:
  """Both sensors of all windows."""
  triads = signals.reshape(*signals.shape[:2], 2, 3)
  return (triads @ turn.T.astype(signals.dtype)).reshape(signals.shape)


def align(
  signals: Float[np.ndarray, 'w n 6'], subjects: Int[np.ndarray, 'w'], *, fitted_on: Int[np.ndarray, 'p']
) -> Float[np.ndarray, 'w n 6']:
  """Each subject's windows, onto the most central direction of the subjects of the windows `fitted_on`.

  A subject with too little gait stays as it is; so do all where none of `fitted_on` has enough.
  """
  of_subject = {subject: gait_gravity(signals[subjects == subject]) for subject in np.unique(subjects)}
  fitted = [of_subject[subject] for subject in np.unique(subjects[fitted_on])]
  known = [direction for direction in fitted if direction is not None]
  aligned = np.array(signals)
  for subject, start in of_subject.items() if known else ():
    if start is not None:
      own = subjects == subject
      aligned[own] = rotate(aligned[own], rotation(start, most_central(np.array(known))))
  return aligned

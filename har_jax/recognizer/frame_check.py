"""Check of a new recording's frame and units against the training windows.

w windows, n samples, c candidates.

What is certain is corrected. The rest is a warning, or an error where answers are worthless. Axes and signs
are seen in two ways:
- Gravity rotates as the gyroscope says only if both sensors have the same axes. Acceleration of the opposite
  sign on all axes obeys this, too.
- Gravity points where it did in training only if the device is worn as it was there. So nothing is changed by
  it for a model of many positions, such as the bundled base.
Opposite gravity has two causes: an app's sign, and a device worn upside down. Negated, the former is as
in training, and the latter its mirror image, left for right.
"""

import dataclasses
import warnings
from collections.abc import Iterable, Iterator

import numpy as np
from jaxtyping import Bool, Float

from har_jax.config import CHANNELS
from har_jax.errors import UserError
from har_jax.recordings import infer, units
from har_jax.signal import frames, gyro_agreement
from har_jax.signal.frames import Frame
from har_jax.signal.recording import STANDARD_GRAVITY_M_S2, Samples
from har_jax.signal.summary import HAS_GRAVITY_G, SignalSummary

FEWEST_WINDOWS = 20
# Log-likelihood per window by which gravity must fit another frame better. They are measured in
# results/frames.csv: hardly a person is over them as recorded, and nearly all with the opposite sign.
_OPPOSITE, _ELSEWHERE = 1.0, 2.0
# More for a model of many positions: of 23 people of sp-sw-har, half carry the phone upside down.
_OF_MANY_POSITIONS = 0.5
# A common cause may fit by so much less than the best one and still be the likely one.
_TIE = 0.6
_MOVING_G = 0.05  # standard deviation of a window's acceleration: someone wears the device
_FEWEST_MOVING = 10
_MOST_COMPARED = 500  # windows, evenly
_FACTORS = {STANDARD_GRAVITY_M_S2: ('g', 'm/s²'), 1 / STANDARD_GRAVITY_M_S2: ('m/s²', 'g')}
_NEAR_G = (0.8, 1.25)
_DISAGREE = (
  'Gravity does not rotate as the gyroscope says: one sensor has other axes or signs than the other.'
)
_CHANGES = (
  'Gravity rotates as the gyroscope says in one part of the recording, and not in another: axes or signs of '
  'a sensor change. Cut the recording where they do.'
)
_IS_OPPOSITE = (
  'Gravity points opposite to the training windows: apps differ in the sign of acceleration, as on iOS and '
  'Android, or the device is worn upside down.'
)
_IS_ELSEWHERE = (
  'Gravity points elsewhere than in the training windows, so answers may be wrong: the device is worn '
  'otherwise or upside down, or axes are swapped.'
)
IS_UNDECIDED = (
  'Gravity does not show whether the signs of acceleration are right: the model was trained on devices worn '
  'in many ways. If answers look wrong, try frame=flip.'
)


@dataclasses.dataclass
class Finding:
  """Corrections of a recording, in this order, and sentences: what was corrected, and what is doubtful."""

  acc_factor: float = 1.0
  frame: Frame = frames.AS_IS
  notes: list[str] = dataclasses.field(default_factory=list)
  warnings: list[str] = dataclasses.field(default_factory=list)

  def __call__(self, signals: Float[np.ndarray, '... 6']) -> Float[np.ndarray, '... 6']:
    factors = np.repeat([self.acc_factor, 1.0], 3).astype(signals.dtype)
    return signals if self.is_as_is else self.frame(signals * factors)

  @property
  def is_as_is(self) -> bool:
    return self.acc_factor == 1.0 and str(self.frame) == str(frames.AS_IS)


class FrameWarning(UserWarning):
  """Windows are not in the frame or units of the training windows."""


def warn(sentences: Iterable[str]) -> None:
  """Warns where a user called the caller's caller."""
  for sentence in sentences:
    warnings.warn(sentence, FrameWarning, stacklevel=4)


def unit_warnings(signals: Float[np.ndarray, 'w n 6'], rate_hz: int) -> list[str]:
  """Sentences on acceleration that is not in m/s², and angular velocity that is not in rad/s."""
  if len(signals) < FEWEST_WINDOWS:
    return []
  sentences = [f'{seen} Multiply it by {factor:.4g}.' for factor, seen in _units_seen(signals)]
  samples = signals.shape[1]
  period_s = np.ceil(samples / rate_hz) + 1  # no moment of one window is next to one of another
  time_s = (np.arange(len(signals))[:, None] * period_s + np.arange(samples) / rate_hz).ravel()
  flat = signals.reshape(-1, CHANNELS)
  unit = infer.evident_gyro_unit(Samples(time_s, flat[:, :3]), Samples(time_s, flat[:, 3:]))
  if unit not in ('', 'rad/s'):
    sentences.append(
      f'Angular velocity is in {unit} and was taken for rad/s. Multiply it by {units.GYRO[unit]:.4g}.'
    )
  return sentences


def fit_warnings(signals: Float[np.ndarray, 'w n 6'], rate_hz: int) -> list[str]:
  """`unit_warnings` of windows to train on; else a sentence if they lack gravity."""
  sentences = unit_warnings(signals, rate_hz)
  length = np.median(np.linalg.norm(_means_g(signals), axis=1))
  if len(signals) < FEWEST_WINDOWS or sentences or length > HAS_GRAVITY_G:
    return sentences
  return [
    f'Acceleration lacks gravity: the mean of a window is {length:.2g} g long. Bases know acceleration in '
    'm/s² with gravity, before angular velocity in rad/s, neither normalized.'
  ]


def check(
  expected: SignalSummary | None, signals: Float[np.ndarray, 'w n 6'], frame: str, rate_hz: int
) -> Finding:
  """Compares windows, as read, with a model's training windows.

  `expected`: None if the model's card does not say; then only units and gravity are checked.
  `frame`: 'auto' corrects what is certain; 'as_is' changes nothing; another one is applied as it is, and
  then only units are corrected.
  Raises UserError where acceleration lacks gravity and the training windows have it, or the reverse, except
  for 'as_is'; and for a frame that is none.
  """
  finding = Finding()
  if frame not in ('auto', 'as_is'):
    finding.frame = frames.parse(frame)
    finding.notes.append(f'The axes are {finding.frame}, as requested.')
  if len(signals) < FEWEST_WINDOWS:
    return finding
  for factor, seen in _units_seen(signals):
    if frame != 'as_is':
      finding.acc_factor = factor
      finding.notes.append(f'{seen} It was converted.')
    else:
      finding.warnings.append(f'{seen} frame=auto converts it.')
  # In units that are not known, gravity says nothing.
  if not finding.warnings and _check_gravity(finding, expected, signals, may_refuse=frame != 'as_is'):
    _check_axes(finding, expected, finding(signals), rate_hz, may_change=frame == 'auto')
  return finding


def mean_direction(signals: Float[np.ndarray, 'w n 6']) -> Float[np.ndarray, '3']:
  """Mean direction of gravity while the device moves; 1 long if it is always the same, 0 without movement."""
  means = _means_g(signals)[_is_moving(signals)]
  lengths = np.linalg.norm(means, axis=1, keepdims=True)
  return (means / lengths).mean(axis=0) if len(means) else np.zeros(3)


def _units_seen(signals: Float[np.ndarray, 'w n 6']) -> Iterator[tuple[float, str]]:
  """The factor of acceleration that is in another unit, and a sentence."""
  lengths = np.linalg.norm(_means_g(signals), axis=1)
  low, median, high = np.quantile(lengths, [0.25, 0.5, 0.75])
  for factor, (unit, taken_for) in _FACTORS.items():
    if _NEAR_G[0] < low * factor and high * factor < _NEAR_G[1]:
      seen = f'Gravity is {median:.3g} g as read: acceleration is in {unit} and was taken for {taken_for}.'
      yield factor, seen


def _check_gravity(
  finding: Finding, expected: SignalSummary | None, signals: Float[np.ndarray, 'w n 6'], *, may_refuse: bool
) -> bool:
  """Tells if gravity can be compared."""
  length = float(np.median(np.linalg.norm(_means_g(finding(signals)), axis=1)))
  has_gravity, trained = length > HAS_GRAVITY_G, expected is None or expected.has_gravity
  if has_gravity == trained:
    return has_gravity
  has, what = 'has' if has_gravity else 'lacks', 'with' if trained else 'without'
  seen = (
    f'Acceleration {has} gravity: the mean of a window is {length:.2g} g long. The model was trained {what} '
    'gravity, so its answers are worthless'
  )
  if may_refuse:
    raise UserError(f'{seen}: export acceleration {what} gravity; frame=as_is answers all the same')
  finding.warnings.append(f'{seen}; export acceleration {what} gravity.')
  return False


def _check_axes(
  finding: Finding, expected: SignalSummary | None, signals: np.ndarray, rate_hz: int, *, may_change: bool
) -> None:
  """Compares the axes of signals in the right units."""
  usual = np.eye(3) if expected is None else expected.gyro_matrix
  gravity = None if expected is None else _Directions.from_signals(expected, signals)
  agreement = gyro_agreement.check(signals, rate_hz, usual)
  _warn_of_factor(finding, agreement.factor)
  if agreement.late_s is not None:
    when = f'{abs(agreement.late_s):.1f} s {"late" if agreement.late_s > 0 else "early"}'
    finding.warnings.append(
      f'The gyroscope is {when}: gravity turns with it at another time. Give both sensors one clock.'
    )
  if agreement.changes:
    finding.warnings.append(_CHANGES)
    return
  if agreement.gyro is not None and agreement.is_unique:
    _warn_of_factor(finding, gyro_agreement.check(signals, rate_hz, agreement.gyro).factor)
    _check_sensors(finding, gravity, usual.T @ agreement.gyro, may_change=may_change)
    return
  if agreement.gyro is not None:
    finding.warnings.append(f'{_DISAGREE} The recording does not tell which.')
  if gravity is None:
    return
  if gravity.is_opposite:
    _correct(finding, frames.FLIP, _IS_OPPOSITE, may_change=may_change and gravity.is_certain)
  elif gravity.deviates:
    best = frames.derive_frame(gravity.best(mirrored=False))
    finding.warnings.append(f'{_IS_ELSEWHERE} frame={best.after(finding.frame)} fits best.')
  elif gravity.is_undecided:
    finding.notes.append(IS_UNDECIDED)


def _warn_of_factor(finding: Finding, factor: float | None) -> None:
  if factor is not None:
    finding.warnings.append(
      f'Gravity turns {factor:.2g} times as fast as the gyroscope says: the sampling rate or the unit of '
      f'angular velocity is wrong. Divide a rate given by hand by {factor:.2g}; else check the unit.'
    )


def _check_sensors(
  finding: Finding, gravity: '_Directions | None', gyro: Float[np.ndarray, '3 3'], *, may_change: bool
) -> None:
  """`gyro` makes the gyroscope agree with acceleration, but acceleration may be the one with other axes."""
  if gravity is not None and gravity.positions > 1:  # nothing tells which: a wrong correction costs more
    ways = [f'frame={Frame(np.eye(3), gyro).after(finding.frame)} if it is the gyroscope']
    if np.linalg.det(gyro) > 0:  # acceleration of other axes always gives a rotation
      ways.append(f'frame={Frame(gyro.T, np.eye(3)).after(finding.frame)} if it is the accelerometer')
    else:
      ways.append('nothing if the axes of both are mirrored')
    finding.warnings.append(f'{_DISAGREE} It cannot be seen which: {", ".join(ways)}.')
    return
  if gravity is None or gravity.agrees:
    _correct(finding, Frame(np.eye(3), gyro), _DISAGREE, may_change=may_change)
    return
  if gravity.is_opposite and gravity.is_certain:
    _correct(finding, Frame(frames.FLIP.acc, gyro), f'{_DISAGREE} {_IS_OPPOSITE}', may_change=may_change)
    return
  # If only acceleration has other axes, a rotation makes the gyroscope agree: its inverse, or that mirrored.
  for acc in (gyro.T, -gyro.T) if np.linalg.det(gyro) > 0 else ():
    if gravity.gain[_index(acc)] > _TIE and gravity.fits(acc):
      _correct(finding, Frame(acc, np.eye(3)), _DISAGREE, may_change=may_change)
      return
  best = frames.derive_frame(gravity.best(mirrored=bool(np.linalg.det(gyro) < 0)))
  both = Frame(best.acc, best.gyro @ gyro).after(finding.frame)
  finding.warnings.append(f'{_DISAGREE} frame={both} fits best.')


def _correct(finding: Finding, frame: Frame, seen: str, *, may_change: bool) -> None:
  if may_change:
    finding.frame = frame
    finding.notes.append(f'{seen} It was corrected: frame={frame}; frame=as_is leaves it.')
  else:
    finding.warnings.append(f'{seen} frame={frame.after(finding.frame)} would correct it.')


@dataclasses.dataclass(frozen=True)
class _Directions:
  """Fit of gravity to the training windows in each signed permutation of acceleration's axes: the gains.

  The lower gain of all windows and of those that move: on a table, a device says nothing of how it is worn.
  """

  gain: Float[np.ndarray, 'c']
  moves: bool
  positions: int

  @classmethod
  def from_signals(cls, expected: SignalSummary, signals: Float[np.ndarray, 'w n 6']) -> '_Directions':
    signals = signals[:: max(len(signals) // _MOST_COMPARED, 1)]
    means = _means_g(signals)
    moving = _is_moving(signals)
    moves = int(moving.sum()) >= _FEWEST_MOVING
    fits = expected.log_likelihood(means @ _CANDIDATES.swapaxes(1, 2))
    gains = [
      (fits[:, part] - fits[_AS_IS, part]).mean(axis=1)
      for part in ([moving] if moves else []) + [np.ones(len(means), bool)]
    ]
    return cls(np.min(gains, axis=0), moves, expected.positions)

  def best(self, *, mirrored: bool) -> Float[np.ndarray, '3 3']:
    """A rotation, or a mirror image, unless one of the others fits much better."""
    rank = self.gain + np.where(mirrored != _IS_ROTATION, _TIE, 0.0)
    return _CANDIDATES[int(rank.argmax())]

  @property
  def deviates(self) -> bool:
    more = self._more
    return bool(self.gain[_FLIP] > _OPPOSITE + more or self.gain.max() > _ELSEWHERE + more)

  @property
  def agrees(self) -> bool:
    """No other frame fits better, or, where a model knows many positions, much better."""
    return bool(self.gain.max() < (_TIE if self.positions == 1 else _ELSEWHERE))

  @property
  def is_opposite(self) -> bool:
    return bool(self.gain[_FLIP] > _OPPOSITE + self._more) and self.fits(frames.FLIP.acc)

  @property
  def is_certain(self) -> bool:
    return self.moves and self.positions == 1

  @property
  def is_undecided(self) -> bool:
    return bool(self.gain[_FLIP] > -_OPPOSITE)

  @property
  def _more(self) -> float:
    return _OF_MANY_POSITIONS if self.positions > 1 else 0.0

  def fits(self, acc: Float[np.ndarray, '3 3']) -> bool:
    return bool(self.gain[_index(acc)] > self.gain.max() - _TIE)


def _is_moving(signals: Float[np.ndarray, 'w n 6']) -> Bool[np.ndarray, 'w']:
  return np.linalg.norm(signals[..., :3], axis=2).std(axis=1) > _MOVING_G * STANDARD_GRAVITY_M_S2


def _means_g(signals: Float[np.ndarray, 'w n 6']) -> Float[np.ndarray, 'w 3']:
  return signals[..., :3].mean(axis=1, dtype=np.float64) / STANDARD_GRAVITY_M_S2


def _index(acc: Float[np.ndarray, '3 3']) -> int:
  return int(np.flatnonzero((acc == _CANDIDATES).all(axis=(1, 2)))[0])


_CANDIDATES = frames.signed_permutations()
_IS_ROTATION = np.linalg.det(_CANDIDATES) > 0
_AS_IS, _FLIP = _index(frames.AS_IS.acc), _index(frames.FLIP.acc)

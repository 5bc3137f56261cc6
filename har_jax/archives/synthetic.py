"""Five synthetic corpora that differ as real ones do, for tests and trial runs without an archive.

They are no evidence about people. Their physics is exact: the gyroscope reads the angular velocity that
rotates gravity in the accelerometer, and both have the same mounting.

Axes before mounting: x forward, y left, z up, for a standing person. The attitude is yaw, then pitch
(positive: leaning forward), then roll. Accelerometers read specific force: at rest +9.8 m/s² upward.

n samples, k harmonics of the stride, c channels: roll, pitch, yaw (rad), then forward, left, up (m/s²).
"""

import collections
import dataclasses
import functools
import importlib.resources
import zlib
from collections.abc import Iterator

import msgspec
import numpy as np
from jaxtyping import Complex, Float

from har_jax.archives.archive import Archive
from har_jax.errors import UserError
from har_jax.signal.gyro_agreement import rotations
from har_jax.signal.recording import STANDARD_GRAVITY_M_S2, Recording, Samples, Span

_HARMONICS = 8
_SLOW_HZ = 0.04  # sway, breath and turns are harmonics of a cycle of 25 s
_BAND = 0.45  # fraction of the sampling rate: the device's filter removes faster motion


@dataclasses.dataclass(frozen=True)
class Activity:
  """The pelvis's acceleration in one cycle (two steps, one pedal turn, one jump): m/s² by harmonic."""

  cycle_hz: float = 0.0
  up: tuple[float, ...] = ()
  forward: tuple[float, ...] = ()
  left: tuple[float, ...] = ()
  swing: float = 0.0  # of the limb or trunk, relative to walking's
  lean_rad: float = 0.0  # of the trunk
  sway_rad: float = 0.02


@dataclasses.dataclass(frozen=True)
class Placement:
  """A body position: how the device there moves with the body."""

  swing_rad: tuple[tuple[float, float, float], ...]  # in walking, by harmonic: roll, pitch, yaw
  lever_m: tuple[float, float, float]  # from the joint
  pitch_rad: dict[str, float]  # by activity, added to the trunk's lean
  trunk: float = 1.0  # fraction of the trunk's lean
  wander_rad: float = 0.08  # standard deviation of the posture between recordings
  bounce: float = 1.0  # fraction of the pelvis's acceleration


@dataclasses.dataclass(frozen=True)
class Corpus:
  """One corpus: device, body position, population, activities."""

  name: str
  title: str
  position: str
  activities: tuple[str, ...]
  rate_hz: float
  mounting_rad: tuple[float, float, float]  # rotation vector from the body's axes to the device's
  jitter: float = 0.0  # standard deviation, in sampling intervals
  lost: float = 0.0  # fraction of lost rows
  gain: float = 0.01  # standard deviation over devices and axes
  acc_bias_m_s2: float = 0.1
  gyro_bias_rad_s: float = 0.01
  acc_noise_m_s2: float = 0.05
  gyro_noise_rad_s: float = 0.01
  acc_range_m_s2: float = 160.0
  cadence: float = 1.0  # of this population, relative to the table of activities
  vigor: float = 1.0


@dataclasses.dataclass(frozen=True)
class _Parameters:
  """The content of synthetic.toml: activities and body positions by name, and the corpora."""

  activities: dict[str, Activity]
  placements: dict[str, Placement]
  corpora: tuple[Corpus, ...]


_PARAMETERS = msgspec.toml.decode(
  importlib.resources.files('har_jax.archives').joinpath('synthetic.toml').read_bytes(), type=_Parameters
)
CORPORA = _PARAMETERS.corpora


@dataclasses.dataclass(frozen=True)
class Motion:
  """A motion as a function of time: a harmonic series of the stride plus slow sway."""

  cycle_hz: float
  drift_rad: float  # amplitude of the stride's phase modulation
  stride: Complex[np.ndarray, 'k 6']
  slow: Complex[np.ndarray, 'k 3']  # roll, pitch, yaw only
  posture_rad: Float[np.ndarray, '3']
  lever_m: Float[np.ndarray, '3']

  def attitude(
    self, time_s: Float[np.ndarray, 'n']
  ) -> tuple[Float[np.ndarray, '3 n'], Float[np.ndarray, '3 n']]:
    """Roll, pitch and yaw in rad, and their rates in rad/s."""
    value, rate = self._channels(time_s)
    return value[:3] + self.posture_rad[:, None], rate[:3]

  def angular_velocity(self, time_s: Float[np.ndarray, 'n']) -> Float[np.ndarray, 'n 3']:
    """rad/s along the body axes: an ideal gyroscope."""
    (roll, pitch, _), (roll_rate, pitch_rate, yaw_rate) = self.attitude(time_s)
    return np.stack(
      [
        roll_rate - yaw_rate * np.sin(pitch),
        pitch_rate * np.cos(roll) + yaw_rate * np.sin(roll) * np.cos(pitch),
        -pitch_rate * np.sin(roll) + yaw_rate * np.cos(roll) * np.cos(pitch),
      ],
      axis=1,
    )

  def gravity(self, time_s: Float[np.ndarray, 'n']) -> Float[np.ndarray, 'n 3']:
    """m/s² along the body axes: an ideal accelerometer without acceleration."""
    upward = np.zeros((3, len(time_s)))
    upward[2] = STANDARD_GRAVITY_M_S2
    return self._in_body_axes(upward, time_s)

  def specific_force(self, time_s: Float[np.ndarray, 'n']) -> Float[np.ndarray, 'n 3']:
    """m/s² along the body axes: an ideal accelerometer."""
    acceleration = self._channels(time_s)[0][3:]
    acceleration[2] += STANDARD_GRAVITY_M_S2
    # Tangential and centripetal acceleration of a device that is `lever_m` away from the joint.
    step_s = 1e-3
    velocity = self.angular_velocity(time_s)
    change = (self.angular_velocity(time_s + step_s) - self.angular_velocity(time_s - step_s)) / (2 * step_s)
    turning = np.cross(change, self.lever_m) + np.cross(velocity, np.cross(velocity, self.lever_m))
    return self._in_body_axes(acceleration, time_s) + turning

  def _in_body_axes(self, vector: Float[np.ndarray, '3 n'], time_s: Float[np.ndarray, 'n']):
    """Rotates forward, left, up by pitch, then roll. Yaw cancels: no sensor here depends on it."""
    (roll, pitch, _), _ = self.attitude(time_s)
    forward, left, up = vector
    level = np.sin(pitch) * forward + np.cos(pitch) * up
    return np.stack(
      [
        np.cos(pitch) * forward - np.sin(pitch) * up,
        np.cos(roll) * left + np.sin(roll) * level,
        np.cos(roll) * level - np.sin(roll) * left,
      ],
      axis=1,
    )

  def _channels(
    self, time_s: Float[np.ndarray, 'n']
  ) -> tuple[Float[np.ndarray, '6 n'], Float[np.ndarray, '6 n']]:
    slow_phase = 2 * np.pi * _SLOW_HZ * time_s
    slow_rate = np.full_like(time_s, 2 * np.pi * _SLOW_HZ)
    phase = 2 * np.pi * self.cycle_hz * time_s + self.drift_rad * np.sin(2 * slow_phase)
    rate = 2 * np.pi * self.cycle_hz + self.drift_rad * 2 * slow_rate * np.cos(2 * slow_phase)
    stride, stride_rate = _series(self.stride, phase, rate)
    slow, slow_rate = _series(self.slow, slow_phase, slow_rate)
    stride[:3] += slow
    stride_rate[:3] += slow_rate
    return stride, stride_rate


def corpus_recordings(name: str, *, subjects: int = 10, seconds: float | int = 25.0) -> Iterator[Recording]:
  """A corpus's recordings: two of `seconds` for each subject and activity.

  Deterministic; a subject's recordings do not depend on the number of subjects.
  Raises UserError for an unknown name.
  """
  named = {corpus.name: corpus for corpus in CORPORA}
  if name not in named:
    raise UserError(f'unknown corpus {name!r}; one of {", ".join(named)}')
  corpus = named[name]
  for subject in range(1, subjects + 1):
    rng = np.random.default_rng([zlib.crc32(name.encode()), subject])
    yield from _subject_recordings(corpus, str(subject), seconds, rng)


def _subject_recordings(
  corpus: Corpus, subject: str, seconds: float | int, rng: np.random.Generator
) -> Iterator[Recording]:
  cadence = corpus.cadence * rng.normal(1, 0.07)
  vigor = corpus.vigor * rng.lognormal(0, 0.15)
  # The subject's deviation from the population's harmonics.
  habit = rng.normal(0, 0.2, (_HARMONICS, 6, 2)) @ (1, 1j)
  stance_rad = rng.normal(0, 1, 3) * (0.06, 0.1, 0.0)
  wander_rad = _PARAMETERS.placements[corpus.position].wander_rad
  mounting = rotations(rng.normal(0, 0.15, 3)) @ rotations(np.array(corpus.mounting_rad))
  acc_gain, gyro_gain = rng.normal(1, corpus.gain, (2, 3))
  acc_bias = rng.normal(0, corpus.acc_bias_m_s2, 3)
  gyro_bias = rng.normal(0, corpus.gyro_bias_rad_s, 3)
  for activity in corpus.activities:
    # Only part of the deviation is common to all activities.
    activity_habit = habit + rng.normal(0, 0.12, (_HARMONICS, 6, 2)) @ (1, 1j)
    activity_stance_rad = stance_rad + rng.normal(0, wander_rad, 3) * (1, 1, 0)
    for _ in range(2):
      motion = _motion(
        activity if activity != 'stairs' else str(rng.choice(['upstairs', 'downstairs'])),
        corpus,
        cycle_scale=cadence * rng.normal(1, 0.05),
        vigor=vigor * rng.lognormal(0, 0.1),
        habit=activity_habit,
        stance_rad=activity_stance_rad + rng.normal(0, wander_rad / 2, 3) * (1, 1, 0),
        rng=rng,
      )
      acc_s, gyro_s = _clock(corpus, seconds, rng), _clock(corpus, seconds, rng)
      force = motion.specific_force(acc_s)
      # Impacts and loose clothing, which no harmonic series has, grow with the motion.
      noise_m_s2 = corpus.acc_noise_m_s2 + 0.12 * (force - motion.gravity(acc_s)).std()
      force = force @ mounting.T * acc_gain + acc_bias + rng.normal(0, noise_m_s2, force.shape)
      gyro = motion.angular_velocity(gyro_s) @ mounting.T * gyro_gain + gyro_bias
      gyro += rng.normal(0, corpus.gyro_noise_rad_s + 0.05 * gyro.std(), gyro.shape)
      limit = corpus.acc_range_m_s2
      yield Recording(
        subject,
        corpus.position,
        Samples(acc_s, force.clip(-limit, limit).astype(np.float32)),
        Samples(gyro_s, gyro.astype(np.float32)),
        (Span(0.0, float(seconds), activity),),
      )


def _motion(
  activity: str,
  corpus: Corpus,
  *,
  cycle_scale: float,
  vigor: float,
  habit: Complex[np.ndarray, 'k c'],
  stance_rad: Float[np.ndarray, '3'],
  rng: np.random.Generator,
) -> Motion:
  """One recording's motion of one activity at the corpus's body position."""
  pelvis, placement = _PARAMETERS.activities[activity], _PARAMETERS.placements[corpus.position]
  amplitude = np.zeros((_HARMONICS, 6))
  for harmonic, swing in enumerate(placement.swing_rad):
    amplitude[harmonic, :3] = np.array(swing) * pelvis.swing
  for channel, series in enumerate((pelvis.forward, pelvis.left, pelvis.up), start=3):
    amplitude[: len(series), channel] = np.array(series) * placement.bounce
  # The population's phases depend on the activity alone, so that corpora transfer.
  shared = np.random.default_rng(zlib.crc32(activity.encode()))
  stride = amplitude * np.exp(2j * np.pi * shared.random((_HARMONICS, 6))) * (1 + habit) * vigor
  if activity == 'jumping':
    stride[:, 5] = _jump(duty=float(rng.uniform(0.45, 0.65))) * placement.bounce
  cycle_hz = pelvis.cycle_hz * cycle_scale
  stride[np.arange(1, _HARMONICS + 1) * cycle_hz > _BAND * corpus.rate_hz] = 0
  fall = np.arange(1, _HARMONICS + 1) ** -0.5
  slow = pelvis.sway_rad * fall[:, None] * (rng.normal(0, 0.6, (_HARMONICS, 3, 2)) @ (1, 1j))
  if pelvis.swing:
    slow[:2, 2] *= 12  # moving people also turn around
  pitch_rad = placement.trunk * pelvis.lean_rad + placement.pitch_rad.get(activity, 0.0)
  drift_rad = float(rng.uniform(0.3, 1.5))
  start_phase = np.exp(2j * np.pi * rng.random() * np.arange(1, _HARMONICS + 1))
  return Motion(
    cycle_hz,
    drift_rad=drift_rad,
    stride=stride * start_phase[:, None],
    slow=slow,
    posture_rad=stance_rad + np.array([0, pitch_rad, 0]),
    lever_m=np.array(placement.lever_m, float),
  )


def _jump(duty: float) -> Complex[np.ndarray, 'k']:
  """Harmonics of the upward acceleration of jumping on the spot.

  Free fall for 1 − duty of the cycle, a half-sine push for the rest; the mean is 0.
  """
  phase = np.arange(256) / 256
  # The push's mean over the cycle is 1 g: height · 2/π · duty = g.
  push = np.where(phase < duty, np.sin(np.pi * phase / duty) * np.pi / 2 / duty, 0)
  return np.fft.rfft((push - 1) * STANDARD_GRAVITY_M_S2)[1 : _HARMONICS + 1] * 2 / 256


def _series(
  coefficients: Complex[np.ndarray, 'k c'], phase: Float[np.ndarray, 'n'], phase_rate: Float[np.ndarray, 'n']
) -> tuple[Float[np.ndarray, 'c n'], Float[np.ndarray, 'c n']]:
  """The real part of Σ coefficient_k · exp(i·k·phase), and its time derivative."""
  value = np.zeros((coefficients.shape[1], len(phase)))
  rate = np.zeros_like(value)
  rotation, power = np.exp(1j * phase), np.ones(len(phase), complex)
  # A loop instead of a matrix product: a threaded BLAS is ten times slower here on a busy machine.
  for order, coefficient in enumerate(coefficients, start=1):
    power = power * rotation
    if coefficient.any():
      term = np.multiply.outer(coefficient, power)
      value += term.real
      rate -= order * term.imag
  return value, rate * phase_rate


def _clock(corpus: Corpus, seconds: float | int, rng: np.random.Generator) -> Float[np.ndarray, 'n']:
  """Sample times: even, or with jitter and lost rows."""
  ticks = np.arange(round(seconds * corpus.rate_hz)).astype(float)
  ticks += corpus.jitter * rng.normal(size=len(ticks))
  return np.sort(ticks.clip(min=0))[rng.random(len(ticks)) >= corpus.lost] / corpus.rate_hz


def _read(name: str, source: object, position: str, dropped: collections.Counter) -> Iterator[Recording]:
  """Reads a corpus as an archive: it has no files, one position, and drops nothing."""
  del source, position, dropped
  return corpus_recordings(name)


SYNTHETIC = tuple(
  Archive(name, title, '', (position,), functools.partial(_read, name), url='', license='none: generated')
  for name, title, position in ((corpus.name, corpus.title, corpus.position) for corpus in CORPORA)
)

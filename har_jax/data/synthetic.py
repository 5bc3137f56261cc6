"""Five made-up corpora that differ as real ones do: for tests and trial runs where no archive is at hand.

They are a stand-in, not evidence about people. What is physical in them holds exactly: the gyroscope is the
angular velocity that moves the gravity in the accelerometer, and both pass through the same mounting.

Axes before mounting: x forward, y left, z up for somebody who stands. The attitude is yaw, then pitch
(positive: leaning forward), then roll. Accelerometers read specific force: at rest +9.8 along what is up.

n samples, k harmonics of the stride, c channels: roll, pitch, yaw (rad), then forward, left, up (m/s²).
"""

import dataclasses
import zlib
from collections.abc import Iterator

import numpy as np
from jaxtyping import Complex, Float

from har_jax.data.recording import STANDARD_GRAVITY_M_S2, Recording, Samples, Span
from har_jax.data.synthetic_corpora import ACTIVITIES, CORPORA, Corpus
from har_jax.errors import UserError

_HARMONICS = 8
_SLOW_HZ = 0.04  # sway, breath and turns are harmonics of a cycle of 25 s
_BAND = 0.45  # of the sampling rate: a device's own filter takes what moves faster


@dataclasses.dataclass(frozen=True)
class Motion:
  """A motion without end, known at every moment: a harmonic series of the stride on top of slow sway."""

  cycle_hz: float
  drift_rad: float  # how far the stride's phase wanders from an even beat
  stride: Complex[np.ndarray, 'k 6']
  slow: Complex[np.ndarray, 'k 3']  # turns only
  posture_rad: Float[np.ndarray, '3']
  lever_m: Float[np.ndarray, '3']

  def attitude(
    self, time_s: Float[np.ndarray, 'n']
  ) -> tuple[Float[np.ndarray, '3 n'], Float[np.ndarray, '3 n']]:
    """Roll, pitch, yaw in rad, and their rates in rad/s."""
    value, rate = self._channels(time_s)
    return value[:3] + self.posture_rad[:, None], rate[:3]

  def angular_velocity(self, time_s: Float[np.ndarray, 'n']) -> Float[np.ndarray, 'n 3']:
    """rad/s along the moving axes: what a perfect gyroscope reads."""
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
    """m/s² along the moving axes: what a perfect accelerometer would read without any acceleration."""
    upward = np.zeros((3, len(time_s)))
    upward[2] = STANDARD_GRAVITY_M_S2
    return self._along_moving_axes(upward, time_s)

  def specific_force(self, time_s: Float[np.ndarray, 'n']) -> Float[np.ndarray, 'n 3']:
    """m/s² along the moving axes: what a perfect accelerometer reads."""
    acceleration = self._channels(time_s)[0][3:]
    acceleration[2] += STANDARD_GRAVITY_M_S2
    # Turning about a joint pushes a device that is `lever_m` away from it.
    step_s = 1e-3
    velocity = self.angular_velocity(time_s)
    change = (self.angular_velocity(time_s + step_s) - self.angular_velocity(time_s - step_s)) / (2 * step_s)
    turning = np.cross(change, self.lever_m) + np.cross(velocity, np.cross(velocity, self.lever_m))
    return self._along_moving_axes(acceleration, time_s) + turning

  def _along_moving_axes(self, heading: Float[np.ndarray, '3 n'], time_s: Float[np.ndarray, 'n']):
    """Forward, left, up turned back through pitch, then roll. Heading cancels: nothing here knows north."""
    (roll, pitch, _), _ = self.attitude(time_s)
    forward, left, up = heading
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
  """A corpus's recordings: two runs of `seconds` for each subject and activity.

  The same on every call; a subject's recordings do not depend on how many subjects are asked for.
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
  vigour = corpus.vigour * rng.lognormal(0, 0.15)
  habit = rng.normal(0, 0.2, (_HARMONICS, 6, 2)) @ (
    1,
    1j,
  )  # how this body's harmonics differ from the population's
  stance_rad = rng.normal(0, 1, 3) * (0.06, 0.1, 0.0)
  mounting = _rotation(rng.normal(0, 0.15, 3)) @ _rotation(np.array(corpus.mounting_rad))
  acc_gain, gyro_gain = rng.normal(1, corpus.gain, (2, 3))
  acc_bias = rng.normal(0, corpus.acc_bias_m_s2, 3)
  gyro_bias = rng.normal(0, corpus.gyro_bias_rad_s, 3)
  for activity in corpus.activities:
    # A person's way of one activity is only partly their way of another.
    own_habit = habit + rng.normal(0, 0.12, (_HARMONICS, 6, 2)) @ (1, 1j)
    own_stance_rad = stance_rad + rng.normal(0, corpus.place.wander_rad, 3) * (1, 1, 0)
    for _ in range(2):
      motion = _motion(
        activity if activity != 'stairs' else str(rng.choice(['upstairs', 'downstairs'])),
        corpus,
        cycle_scale=cadence * rng.normal(1, 0.05),
        vigour=vigour * rng.lognormal(0, 0.1),
        habit=own_habit,
        stance_rad=own_stance_rad + rng.normal(0, corpus.place.wander_rad / 2, 3) * (1, 1, 0),
        rng=rng,
      )
      acc_s, gyro_s = _clock(corpus, seconds, rng), _clock(corpus, seconds, rng)
      force = motion.specific_force(acc_s)
      # Impacts and loose cloth: what no harmonic series has, the stronger the harder the motion.
      noise_m_s2 = corpus.acc_noise_m_s2 + 0.12 * (force - motion.gravity(acc_s)).std()
      force = force @ mounting.T * acc_gain + acc_bias + rng.normal(0, noise_m_s2, force.shape)
      turn = motion.angular_velocity(gyro_s) @ mounting.T * gyro_gain + gyro_bias
      turn += rng.normal(0, corpus.gyro_noise_rad_s + 0.05 * turn.std(), turn.shape)
      limit = corpus.acc_range_m_s2
      yield Recording(
        subject,
        corpus.position,
        Samples(acc_s, force.clip(-limit, limit).astype(np.float32)),
        Samples(gyro_s, turn.astype(np.float32)),
        (Span(0.0, float(seconds), activity),),
      )


def _motion(
  activity: str,
  corpus: Corpus,
  *,
  cycle_scale: float,
  vigour: float,
  habit: Complex[np.ndarray, 'k c'],
  stance_rad: Float[np.ndarray, '3'],
  rng: np.random.Generator,
) -> Motion:
  """One run of one activity at a corpus's place."""
  shape, place = ACTIVITIES[activity], corpus.place
  amplitude = np.zeros((_HARMONICS, 6))
  for harmonic, swing in enumerate(place.swing_rad):
    amplitude[harmonic, :3] = np.array(swing) * shape.swing
  for channel, series in enumerate((shape.forward, shape.left, shape.up), start=3):
    amplitude[: len(series), channel] = np.array(series) * place.bounce
  # The population's phases depend on the activity alone: what one corpus teaches serves in another.
  shared = np.random.default_rng(zlib.crc32(activity.encode()))
  stride = amplitude * np.exp(2j * np.pi * shared.random((_HARMONICS, 6))) * (1 + habit) * vigour
  if activity == 'jumping':
    stride[:, 5] = _jump(duty=float(rng.uniform(0.45, 0.65))) * place.bounce
  cycle_hz = shape.cycle_hz * cycle_scale
  stride[np.arange(1, _HARMONICS + 1) * cycle_hz > _BAND * corpus.rate_hz] = 0
  fall = np.arange(1, _HARMONICS + 1) ** -0.5
  slow = shape.sway_rad * fall[:, None] * (rng.normal(0, 0.6, (_HARMONICS, 3, 2)) @ (1, 1j))
  if shape.swing:
    slow[:2, 2] *= 12  # people who move also turn around
  pitch_rad = place.trunk * shape.lean_rad + place.pitch_rad.get(activity, 0.0)
  return Motion(
    cycle_hz,
    drift_rad=float(rng.uniform(0.3, 1.5)),
    stride=stride
    * np.exp(2j * np.pi * rng.random() * np.arange(1, _HARMONICS + 1))[:, None],  # start anywhere
    slow=slow,
    posture_rad=stance_rad + np.array([0, pitch_rad, 0]),
    lever_m=np.array(place.lever_m, float),
  )


def _jump(duty: float) -> Complex[np.ndarray, 'k']:
  """Harmonics of the upward acceleration in jumping on the spot.

  Free fall for 1 − duty of the cycle, a half-sine push for the rest; the mean is 0, as the body stays.
  """
  phase = np.arange(256) / 256
  # The push's mean over the cycle is 1 g: height · 2/π · duty = g.
  push = np.where(phase < duty, np.sin(np.pi * phase / duty) * np.pi / 2 / duty, 0)
  return np.fft.rfft((push - 1) * STANDARD_GRAVITY_M_S2)[1 : _HARMONICS + 1] * 2 / 256


def _series(
  coefficients: Complex[np.ndarray, 'k c'], phase: Float[np.ndarray, 'n'], phase_rate: Float[np.ndarray, 'n']
) -> tuple[Float[np.ndarray, 'c n'], Float[np.ndarray, 'c n']]:
  """The real part of Σ coefficient_k · exp(i·k·phase), and its derivative in time."""
  value = np.zeros((coefficients.shape[1], len(phase)))
  rate = np.zeros_like(value)
  turn, power = np.exp(1j * phase), np.ones(len(phase), complex)
  # A loop, not a product of matrices: a threaded BLAS is ten times slower here on a busy machine.
  for order, coefficient in enumerate(coefficients, start=1):
    power = power * turn
    if coefficient.any():
      term = np.multiply.outer(coefficient, power)
      value += term.real
      rate -= order * term.imag
  return value, rate * phase_rate


def _clock(corpus: Corpus, seconds: float | int, rng: np.random.Generator) -> Float[np.ndarray, 'n']:
  """When samples are taken: even, or jittered with rows missing."""
  ticks = np.arange(round(seconds * corpus.rate_hz)).astype(float)
  ticks += corpus.jitter * rng.normal(size=len(ticks))
  return np.sort(ticks.clip(min=0))[rng.random(len(ticks)) >= corpus.lost] / corpus.rate_hz


def _rotation(vector: Float[np.ndarray, '3']) -> Float[np.ndarray, '3 3']:
  """The rotation about a vector by its length in rad (Rodrigues' formula)."""
  angle = np.linalg.norm(vector)
  if angle == 0:
    return np.eye(3)
  x, y, z = vector / angle
  skew = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
  return np.eye(3) + np.sin(angle) * skew + (1 - np.cos(angle)) * skew @ skew

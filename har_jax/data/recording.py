"""What an archive's reader yields: recordings in physical units, at their own rate, and the words for activities.

n samples.
"""

import dataclasses

import numpy as np
from jaxtyping import Float

from har_jax.config import WINDOW_SAMPLES

# The project's activities. A reader maps its archive's own labels onto these words and no others.
# The first nine are the paper's label union; a stair of unknown direction has a word of its own.
LOCOMOTION = (
  'walking',
  'running',
  'upstairs',
  'downstairs',
  'sitting',
  'standing',
  'lying',
  'cycling',
  'jumping',
  'stairs',
)
# Activities that few archives know: they serve pretraining, and a target only where asked for.
OTHER = (
  'stand_to_sit',
  'sit_to_stand',
  'sit_to_lie',
  'lie_to_sit',
  'stand_to_lie',
  'lie_to_stand',
  'nordic_walking',
  'vacuuming',
  'ironing',
  'watching_tv',
  'computer_work',
  'driving',
  'folding_laundry',
  'house_cleaning',
  'playing_soccer',
  'typing',
  'brushing_teeth',
  'eating_soup',
  'eating_chips',
  'eating_pasta',
  'eating_sandwich',
  'drinking',
  'kicking',
  'catching',
  'dribbling',
  'writing',
  'clapping',
  'lying_on_side',
  'standing_in_elevator',
  'moving_in_elevator',
  'treadmill_walking',
  'treadmill_incline_walking',
  'exercising_on_stepper',
  'exercising_on_cross_trainer',
  'rowing',
  'playing_basketball',
)
ACTIVITIES = LOCOMOTION + OTHER

STANDARD_GRAVITY_M_S2 = 9.80665

# What every archive is brought to: 2.56 s at 50 Hz, each window sharing half with the next (UCI HAR's own choice).
RATE_HZ = 50
STEP_SAMPLES = WINDOW_SAMPLES // 2


@dataclasses.dataclass(frozen=True)
class Samples:
  """One triaxial sensor's samples, each with its own time.

  `time_s` never falls (readers sort) and shares its origin with the recording's other sensor and spans.
  Rows lost to the radio are absent, not NaN.
  """

  time_s: Float[np.ndarray, 'n']
  values: Float[np.ndarray, 'n 3']


@dataclasses.dataclass(frozen=True)
class Span:
  """One activity, from `start_s` up to but without `stop_s`."""

  start_s: float
  stop_s: float
  activity: str


@dataclasses.dataclass(frozen=True)
class Recording:
  """One subject, one device position, one continuous run.

  `acc` is the accelerometer in m/s² with gravity, `gyro` the gyroscope in rad/s, each at its own rate and clock ticks.
  """

  subject: str
  position: str
  acc: Samples
  gyro: Samples
  spans: tuple[Span, ...]


def regular(values: Float[np.ndarray, 'n 3'], rate_hz: float) -> Samples:
  """Samples whose clock ticks evenly from zero."""
  return Samples(np.arange(len(values)) / rate_hz, np.asarray(values, np.float32))

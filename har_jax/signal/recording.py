"""Recordings in physical units, as readers of archives yield them, and the names of activities.

n samples.
"""

import dataclasses
import functools

import numpy as np
from jaxtyping import Float

# Readers map an archive's labels to these names. The first nine are the paper's label union; stairs of
# unknown direction are a separate class.
LOCOMOTION = (
  *('walking', 'running', 'upstairs', 'downstairs', 'sitting', 'standing', 'lying', 'cycling'),
  *('jumping', 'stairs'),
)
# Activities of few archives: used in pretraining, and for a target only with --classes=all.
OTHER = (
  *('stand_to_sit', 'sit_to_stand', 'sit_to_lie', 'lie_to_sit', 'stand_to_lie', 'lie_to_stand'),
  *('nordic_walking', 'vacuuming', 'ironing', 'watching_tv', 'computer_work', 'driving'),
  *('folding_laundry', 'house_cleaning', 'playing_soccer', 'typing', 'brushing_teeth', 'eating_soup'),
  *('eating_chips', 'eating_pasta', 'eating_sandwich', 'drinking', 'kicking', 'catching', 'dribbling'),
  *('writing', 'clapping', 'lying_on_side', 'standing_in_elevator', 'moving_in_elevator'),
  *('treadmill_walking', 'treadmill_incline_walking', 'exercising_on_stepper'),
  *('exercising_on_cross_trainer', 'rowing', 'playing_basketball', 'shuffle_walking'),
  *('miscellaneous_movement', 'lying_on_stomach', 'turning', 'falling', 'sitting_and_getting_up'),
  *('collapsing_into_chair', 'crouching', 'stumbling', 'jumping_to_reach', 'hitting_table'),
  *('opening_door', 'lunging', 'marching', 'sit_ups', 'squatting', 'turning_wrist'),
)
ACTIVITIES = LOCOMOTION + OTHER

STANDARD_GRAVITY_M_S2 = 9.80665
LARGEST = 1e6  # beyond it no sensor measures, in whatever unit, and squares soon exceed a float32


@dataclasses.dataclass(frozen=True)
class Samples:
  """Timed samples of one triaxial sensor.

  `time_s` never decreases (readers sort) and shares its origin with the recording's other sensor and spans.
  Lost rows are absent, not NaN.
  """

  time_s: Float[np.ndarray, 'n']
  values: Float[np.ndarray, 'n 3']

  @functools.cached_property
  def step_s(self) -> float:
    """The median time from one sample to the next."""
    return float(np.median(np.diff(self.time_s), overwrite_input=True))


@dataclasses.dataclass(frozen=True)
class Span:
  """One activity in [start_s, stop_s)."""

  start_s: float
  stop_s: float
  activity: str


@dataclasses.dataclass(frozen=True)
class Recording:
  """One subject, one device position, one continuous session.

  `acc` is the accelerometer in m/s² with gravity, `gyro` the gyroscope in rad/s; their rates may differ.
  """

  subject: str
  position: str
  acc: Samples
  gyro: Samples
  spans: tuple[Span, ...]


def regular(values: Float[np.ndarray, 'n 3'], rate_hz: float | int) -> Samples:
  """Samples at even intervals, from time 0."""
  return Samples(np.arange(len(values)) / rate_hz, np.asarray(values, np.float32))

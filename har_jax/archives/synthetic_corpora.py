"""Parameters of the five synthetic corpora: devices, body positions, activities. See `synthetic`.

Axes before mounting: x forward, y left, z up, for a standing person.
"""

import dataclasses

import numpy as np


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


# Chosen by hand. Up and forward repeat by step (even harmonics of the stride), left-right by stride (odd).
ACTIVITIES = {
  'walking': Activity(
    0.92,
    (0.3, 2.3, 0.3, 1.0, 0.2, 0.4),
    (0.3, 1.3, 0.2, 0.7, 0.1, 0.3),
    (0.9, 0.2, 0.7, 0.1, 0.3),
    1.0,
    0.03,
    0.04,
  ),
  'running': Activity(
    1.36, (0.5, 8.5, 0.5, 3.0, 0.3, 1.0), (0.5, 2.8, 0.4, 1.4, 0.2), (1.8, 0.4, 1.3, 0.2), 1.5, 0.12, 0.05
  ),
  'upstairs': Activity(
    0.82, (0.5, 2.1, 0.5, 0.8, 0.3, 0.3), (0.5, 1.3, 0.4, 0.5, 0.2), (1.1, 0.3, 0.6, 0.2), 1.12, 0.12, 0.05
  ),
  'downstairs': Activity(
    0.94, (0.6, 2.6, 0.6, 1.5, 0.5, 0.8), (0.5, 1.0, 0.5, 0.7, 0.4), (1.0, 0.4, 0.8, 0.3), 0.85, -0.02, 0.05
  ),
  'cycling': Activity(1.15, (0.3, 0.6, 0.2, 0.2), (0.4, 0.3, 0.2), (0.4, 0.1, 0.1), 0.8, 0.4, 0.05),
  'jumping': Activity(1.5, (), (0.5, 0.3, 0.2), (0.3, 0.2), 0.4, 0.05, 0.05),  # `up`: see synthetic's _jump
  'sitting': Activity(lean_rad=0.08),
  'standing': Activity(sway_rad=0.03),
  'lying': Activity(lean_rad=-1.45),
}


@dataclasses.dataclass(frozen=True)
class Placement:
  """A body position: how the device there moves with the body."""

  swing_rad: tuple[tuple[float, float, float], ...]  # in walking, by harmonic: roll, pitch, yaw
  lever_m: tuple[float, float, float]  # from the joint
  pitch_rad: dict[str, float]  # by activity, added to the trunk's lean
  trunk: float = 1.0  # fraction of the trunk's lean
  wander_rad: float = 0.08  # standard deviation of the posture between recordings
  bounce: float = 1.0  # fraction of the pelvis's acceleration


_WAIST = Placement(
  ((0.05, 0.015, 0.09), (0.02, 0.04, 0.02), (0.01, 0.01, 0.02)), (0.1, 0.0, 0.0), {'sitting': -0.2}
)
_CHEST = Placement(((0.03, 0.015, 0.07), (0.01, 0.03, 0.01)), (0.12, 0.0, 0.3), {'cycling': 0.2}, bounce=0.9)
_THIGH = Placement(
  ((0.06, 0.38, 0.06), (0.03, 0.12, 0.02), (0.01, 0.05, 0.01)),
  (0.06, 0.0, -0.25),
  {'sitting': -1.4, 'lying': -1.45, 'cycling': -0.95, 'upstairs': -0.2},
  trunk=0.0,
  wander_rad=0.12,
)
_POCKET = dataclasses.replace(_THIGH, lever_m=(0.08, 0.04, -0.15), wander_rad=0.2)
_WRIST = Placement(
  ((0.1, 0.42, 0.15), (0.05, 0.1, 0.05), (0.02, 0.04, 0.02)),
  (0.0, 0.0, -0.5),
  {'sitting': -1.2, 'lying': -1.3, 'cycling': -0.8, 'running': -1.2, 'jumping': -0.4},
  trunk=0.2,
  wander_rad=0.35,
  bounce=1.1,
)


@dataclasses.dataclass(frozen=True)
class Corpus:
  """One corpus: device, body position, population, activities."""

  name: str
  title: str
  position: str
  placement: Placement
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
  cadence: float = 1.0  # of this population, relative to the table above
  vigor: float = 1.0


CORPORA: tuple[Corpus, ...] = (
  Corpus(
    'synth_waist',
    'Synthetic, phone on a belt, 50 Hz',
    'waist',
    _WAIST,
    ('walking', 'upstairs', 'downstairs', 'sitting', 'standing', 'lying'),
    50.0,
    (0.0, np.pi / 2, 0.0),
  ),
  Corpus(
    'synth_pocket',
    "Synthetic, phone in a trousers' pocket, about 50 Hz and irregular",
    'pocket',
    _POCKET,
    ('walking', 'running', 'upstairs', 'downstairs', 'sitting', 'standing'),
    50.0,
    (1.2, 1.2, -1.2),
    jitter=0.15,
    lost=0.01,
    gain=0.02,
    acc_bias_m_s2=0.2,
    cadence=1.05,
  ),
  Corpus(
    'synth_chest',
    'Synthetic, inertial unit on the chest, 100 Hz',
    'chest',
    _CHEST,
    ('walking', 'running', 'upstairs', 'downstairs', 'cycling', 'sitting', 'standing', 'lying'),
    100.0,
    (0.0, 0.0, np.pi / 2),
    gain=0.005,
    acc_bias_m_s2=0.05,
    acc_noise_m_s2=0.08,
    gyro_noise_rad_s=0.02,
    cadence=0.97,
  ),
  Corpus(
    'synth_wrist',
    'Synthetic, watch, 20 Hz',
    'wrist',
    _WRIST,
    ('walking', 'running', 'stairs', 'sitting', 'standing'),
    20.0,
    (0.0, 0.0, -np.pi / 2),
    jitter=0.05,
    gain=0.03,
    acc_bias_m_s2=0.3,
    gyro_bias_rad_s=0.03,
    acc_noise_m_s2=0.12,
    acc_range_m_s2=39.2,  # ±4 g: hard swings are cut off
  ),
  Corpus(
    'synth_thigh',
    'Synthetic, inertial unit on the thigh, 25 Hz',
    'thigh',
    _THIGH,
    ('walking', 'upstairs', 'downstairs', 'cycling', 'jumping', 'sitting', 'standing'),
    25.0,
    (np.pi / 2, 0.0, 0.0),
    acc_noise_m_s2=0.1,
    cadence=0.93,
    vigor=0.9,
  ),
)

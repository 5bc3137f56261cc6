"""Made-up windows of a device at the waist, whose gyroscope obeys physics.   n samples."""

import dataclasses

import numpy as np
from scipy.spatial.transform import Rotation

from har_jax.recordings import Reading
from har_jax.signal.recording import STANDARD_GRAVITY_M_S2, Recording, Samples, Span

RATE_HZ = 50

_UP = {'walking': (1.0, -0.2, 0.1), 'sitting': (0.75, -0.6, 0.2), 'lying': (0.1, -0.8, 0.6)}  # device axes
ACTIVITIES = tuple(_UP)


def signal(activity: str, seconds: float, seed: int) -> np.ndarray:
  """[n, 6] at 50 Hz in m/s² and rad/s: the trunk sways, and walking bounces twice a second."""
  rng = np.random.default_rng(seed)
  time_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
  phases = rng.uniform(0, 2 * np.pi, (3, 3))
  sway = sum(
    0.3 * np.sin(2 * np.pi * hz * time_s[:, None] + phase)
    for hz, phase in zip((0.13, 0.21, 0.31), phases, strict=True)
  )
  turned = Rotation.from_rotvec(sway)
  steps = (turned[:-1].inv() * turned[1:]).as_rotvec() * RATE_HZ
  gyro = np.concatenate([steps, steps[-1:]])
  up = np.array(_UP[activity]) / np.linalg.norm(_UP[activity])
  bounce = 3.0 * (activity == 'walking') * np.sin(2 * np.pi * 2.0 * time_s)[:, None]
  acc = turned.inv().apply((STANDARD_GRAVITY_M_S2 + bounce) * up)
  return np.concatenate([acc, gyro], axis=1) + 0.02 * rng.standard_normal((len(time_s), 6))


def windows(seed: int, count: int = 40) -> tuple[np.ndarray, np.ndarray]:
  """`count` windows of each activity, [w, 128, 6] in float32, and their activities."""
  parts = [
    signal(activity, count * 2.56, 10 * seed + number).reshape(count, 128, 6)
    for number, activity in enumerate(ACTIVITIES)
  ]
  return np.concatenate(parts).astype(np.float32), np.repeat(ACTIVITIES, count)


def at_speed(recording: Recording, speed: float) -> Recording:
  """The recording with another rate: time runs at this speed, and values are the same."""
  acc, gyro = (Samples(part.time_s / speed, part.values) for part in (recording.acc, recording.gyro))
  spans = tuple(Span(span.start_s / speed, span.stop_s / speed, span.activity) for span in recording.spans)
  return dataclasses.replace(recording, acc=acc, gyro=gyro, spans=spans)


def reading(**files: np.ndarray) -> Reading:
  """A recording of each file's windows, one after another."""
  recordings = []
  for windows in files.values():
    samples = windows.reshape(-1, 6)
    time_s = np.arange(len(samples)) / RATE_HZ
    acc, gyro = (Samples(time_s, samples[:, axes]) for axes in (slice(3), slice(3, 6)))
    recordings.append(Recording('me', '', acc, gyro, ()))
  return Reading(recordings, [], [], '', True, list(files), [0.0] * len(files))

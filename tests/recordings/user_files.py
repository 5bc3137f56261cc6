"""Files as a user has them, and the recordings that they hold."""

import numpy as np
import pandas as pd

from har_jax import recordings

DEGREES = 180 / np.pi
EPOCH_S = 1_780_000_000  # 2026-05-28T20:26:40Z
START = '2026-05-28T20:26:40'


def signal(samples: int = 1000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Seconds at 50 Hz, m/s² with gravity, rad/s: a brisk walk with noise."""
  rng = np.random.default_rng(3)
  time_s = np.arange(samples) / 50
  phase = 2 * np.pi * 1.9 * time_s[:, None] + np.arange(3)
  acc = (
    np.array([0.5, -1.5, 9.6]) + np.array([1.0, 0.7, 2.0]) * np.sin(phase) + rng.normal(0, 0.1, (samples, 3))
  )
  gyro = np.array([1.5, 0.4, 0.9]) * np.cos(phase) + rng.normal(0, 0.02, (samples, 3))
  return time_s, acc, gyro


def frame(time, acc, gyro, names='time ax ay az gx gy gz') -> pd.DataFrame:
  columns = [time, *acc.T, *([] if gyro is None else gyro.T)]
  return pd.DataFrame(dict(zip(names.split(), columns, strict=True)))


def written(tmp_path, frame: pd.DataFrame, name='walk.csv', **options):
  path = tmp_path / name
  frame.to_csv(path, index=False, **options)
  return path


def assert_same(reading: recordings.Reading, *, gyro: bool = True, atol: float = 1e-3) -> None:
  time_s, acc, turn = signal()
  (recording,) = reading.recordings
  np.testing.assert_allclose(recording.acc.time_s, time_s, atol=1e-5)
  np.testing.assert_allclose(recording.acc.values, acc, atol=atol)
  assert recording.acc.values.dtype == recording.gyro.values.dtype == np.float32
  if gyro:
    np.testing.assert_allclose(recording.gyro.time_s, time_s, atol=1e-5)
    np.testing.assert_allclose(recording.gyro.values, turn, atol=atol)


def spans(recording) -> list[tuple[float, float, str]]:
  return [(round(span.start_s, 3), round(span.stop_s, 3), span.activity) for span in recording.spans]


def has_note(reading: recordings.Reading, words: str) -> bool:
  return any(words in note for note in reading.notes)

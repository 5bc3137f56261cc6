"""Made-up recordings and labels in a user's format."""

import csv
import io
import pathlib
from collections.abc import Callable

import numpy as np
import pandas as pd
import worn_device

EPOCH_S = 1_780_000_000  # 2026-05-28T20:26:40Z
# Activities and their seconds.
LABELED = [('walking', 40.0), ('lying', 40.0), ('sitting, upright', 40.0)]
DAY = [('walking', 60.0), ('gap', 20.0), ('lying', 60.0), ('table', 120.0), ('walking', 60.0)]


def signal(activity: str, seconds: float, seed: int) -> np.ndarray:
  """50 Hz, m/s² and rad/s. Walking swings, lying has gravity along another axis, a table does not move."""
  rng = np.random.default_rng(seed)
  n = round(50 * seconds)
  noise = rng.standard_normal((n, 6)) * {'walking': 0.3, 'table': 0.02}.get(activity, 0.25)
  swing = np.sin(2 * np.pi * 1.9 * np.arange(n)[:, None] / 50 + np.arange(6))
  acc_gravity = [9.8, 0, 0] if activity == 'lying' else [0, 0, 9.8]
  return noise + 3.0 * (activity == 'walking') * swing + np.array([*acc_gravity, 0, 0, 0])


def recording(
  path: pathlib.Path, parts: list[tuple[str, float]], *, sensors: str = 'ax ay az gx gy gz'
) -> None:
  """Writes activities one after another; 'gap' is a pause without samples."""
  signals, times, at = [], [], 0.0
  for seed, (activity, seconds) in enumerate(parts):
    if activity != 'gap':
      signals.append(signal(activity, seconds, seed))
      times.append(at + np.arange(len(signals[-1])) / 50)
    at += seconds
  names = sensors.split()
  frame = pd.DataFrame(np.concatenate(signals)[:, : len(names)], columns=names)
  frame.insert(0, 'time_ms', np.round((EPOCH_S + np.concatenate(times)) * 1e3).astype(np.int64))
  frame.to_csv(path, index=False)


def labels(path: pathlib.Path, parts: list[tuple[str, float]]) -> None:
  ends = np.cumsum([seconds for _, seconds in parts])
  rows = [(end - seconds, end, name) for end, (name, seconds) in zip(ends, parts, strict=True)]
  pd.DataFrame(rows, columns=['start', 'end', 'activity']).to_csv(path, index=False)


def rows(path: pathlib.Path) -> list[dict[str, str]]:
  return list(csv.DictReader(io.StringIO(path.read_text(encoding='utf-8'))))


def worn(
  folder: pathlib.Path, name: str, seed: int, change: Callable[[np.ndarray], np.ndarray] = np.asarray
) -> None:
  """<name>.csv and <name>_labels.csv: a minute of each activity of `worn_device`, changed as an app would.

  A second without samples is between two activities, in which the device turns.
  """
  parts = [
    worn_device.signal(activity, 60.0, 10 * seed + number)
    for number, activity in enumerate(worn_device.ACTIVITIES)
  ]
  starts_s = 61.0 * np.arange(len(parts))
  signals = np.concatenate(parts)
  time_s = np.concatenate(
    [start_s + np.arange(len(part)) / 50 for start_s, part in zip(starts_s, parts, strict=True)]
  )
  # Whatever turns is also moved, or it looks smoothed.
  signals[:, :3] *= 1 + 0.05 * np.sin(2 * np.pi * 1.3 * np.arange(len(signals)) / 50)[:, None]
  names = [f'acc_{axis} (m/s^2)' for axis in 'xyz'] + [f'gyro_{axis} (rad/s)' for axis in 'xyz']
  frame = pd.DataFrame(change(signals), columns=names)
  frame.insert(0, 'time_ms', np.round((EPOCH_S + time_s) * 1e3).astype(np.int64))
  frame.to_csv(folder / f'{name}.csv', index=False)
  spans = zip(starts_s, starts_s + 60.0, worn_device.ACTIVITIES, strict=True)
  pd.DataFrame(spans, columns=['start', 'end', 'activity']).to_csv(folder / f'{name}_labels.csv', index=False)

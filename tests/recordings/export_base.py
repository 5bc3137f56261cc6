"""A recording, and what a test knows of a file that holds it.   n samples."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

G = 9.80665
DEGREES = 180 / np.pi
EPOCH_S = 1_780_000_000  # 2026-05-28T20:26:40Z
GRAVITY = np.array([0.5, -1.5, 9.6])


@dataclasses.dataclass(frozen=True)
class Recording:
  """50 Hz; m/s² with gravity, rad/s, as Android has them: a device that lies face up reads +9.81 on z."""

  time_s: np.ndarray
  acc: np.ndarray
  gyro: np.ndarray
  labels: Sequence[tuple[float, float, str]] = ((0.0, 12.0, 'walk'), (12.0, 24.0, 'sit'))

  @property
  def gravity(self) -> np.ndarray:
    return np.tile(GRAVITY, (len(self.acc), 1))

  @property
  def linear(self) -> np.ndarray:
    return self.acc - self.gravity

  @property
  def stamps_ns(self) -> np.ndarray:
    return EPOCH_S * 10**9 + np.round(self.time_s * 1e9).astype(np.int64)

  @property
  def activities(self) -> list[str]:
    names = ['' for _ in self.time_s]
    for start, stop, name in self.labels:
      for i in np.flatnonzero((self.time_s >= start - 1e-9) & (self.time_s < stop - 1e-9)):
        names[i] = name
    return names


@dataclasses.dataclass(frozen=True)
class Written:
  """`acc_atol` and `gyro_atol`: half of the last digit that the format holds, in our units, and rounding."""

  path: pathlib.Path
  acc_atol: float
  gyro_atol: float | None  # None: no gyroscope
  labels: Sequence[tuple[float, float, str]] | None = None  # that the export holds


def recording(samples: int = 1200) -> Recording:
  """A brisk walk with noise. Blocks of Axivity have 80 samples, pages of GENEActiv 300."""
  rng = np.random.default_rng(3)
  time_s = np.arange(samples) / 50
  phase = 2 * np.pi * 1.9 * time_s[:, None] + np.arange(3)
  acc = GRAVITY + np.array([1.0, 0.7, 2.0]) * np.sin(phase) + rng.normal(0, 0.1, (samples, 3))
  gyro = np.array([1.5, 0.4, 0.9]) * np.cos(phase) + rng.normal(0, 0.02, (samples, 3))
  return Recording(time_s, acc, gyro)


FLOAT32 = 2e-6  # of values of some ten m/s²


def atol(decimals: int, unit: float = 1.0, terms: int = 1) -> float:
  return terms * 0.51 * 10.0**-decimals * unit + FLOAT32


def columns_of(time: Any, sensors: dict[str, np.ndarray], decimals: int = 6) -> pd.DataFrame:
  """Columns <name with {} for the axis>."""
  columns = {'time': time} if not isinstance(time, dict) else dict(time)
  for name, values in sensors.items():
    columns |= {name.format(axis): values[:, i].round(decimals) for i, axis in enumerate('xyz')}
  return pd.DataFrame(columns)

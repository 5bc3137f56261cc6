"""Semantic faults of a sound recording, each of which must be corrected, refused or warned of."""

import io
import pathlib
import re

import mutations
import numpy as np
import pandas as pd
import worn_device
from cases import Format, Read, digest

from har_jax import files, recordings
from har_jax.signal import DEFAULT_WINDOWING
from har_jax.timeline import rate_check

_ACC, _GYRO = ['ax', 'ay', 'az'], ['gx', 'gy', 'gz']
_SECONDS = 90


def _build(folder: pathlib.Path) -> None:
  signal = np.concatenate([worn_device.signal(name, _SECONDS, 3) for name in ('walking', 'sitting')])
  time_s = np.arange(len(signal)) / worn_device.RATE_HZ
  columns = pd.DataFrame(signal.round(5), columns=_ACC + _GYRO).assign(time=time_s)
  columns[['time', *_ACC, *_GYRO]].to_csv(folder / 'day.csv', index=False)


def _times(names: list[str], factor: float):
  return lambda day, rng: day.assign(**{name: factor * day[name] for name in names})


def _from(names: list[str], sources: list[str]):
  return lambda day, rng: day.assign(
    **{name: day[source] for name, source in zip(names, sources, strict=True)}
  )


def _half(change):
  def change_half(day: pd.DataFrame, rng: mutations.Random) -> pd.DataFrame:
    first = int(0.4 * len(day))  # while the device hardly turns, in a walk
    return pd.concat([day[:first], change(day[first:], rng)])

  return change_half


def _late(day: pd.DataFrame, rng: mutations.Random) -> pd.DataFrame:
  rows = int(rng.choice([-1, 1]) * rng.integers(15, 21))
  return day.assign(**{name: np.roll(day[name], rows) for name in _GYRO})


TRAPS = {
  'gyroscope negated': _times(_GYRO, -1.0),
  'one axis negated': _times(['gy'], -1.0),
  'axes of the gyroscope': _from(_GYRO, ['gy', 'gz', 'gx']),
  'axes of acceleration': _from(_ACC, ['ay', 'az', 'ax']),
  'a copy': _from(_GYRO, _ACC),
  'sensors swapped': _from(_ACC + _GYRO, _GYRO + _ACC),
  'g': _times(_ACC, 1 / 9.80665),
  'degrees': _times(_GYRO, 180 / np.pi),
  'half a gyroscope': _times(_GYRO, 0.5),
  'twice the rate': _times(['time'], 0.5),
  'half the rate': _times(['time'], 2.0),
  'late': _late,
  'noise': lambda day, rng: day.assign(**{name: day[name] + rng.normal(0, 3, len(day)) for name in _ACC}),
  'smoothed': lambda day, rng: day.assign(
    **{name: day[name].rolling(150, center=True, min_periods=1).mean() for name in _ACC}
  ),
  'without gravity': lambda day, rng: day.assign(**{name: day[name] - day[name].mean() for name in _ACC}),
  'negated from half on': _half(_times(_ACC, -1.0)),
  'upside down from half on': _half(_times(['ax', 'ay', 'gx', 'gy'], -1.0)),
  'g from half on': _half(_times(_ACC, 1 / 9.80665)),
}


def damage(content: bytes, rng: mutations.Random) -> bytes:
  """One trap, at a random place or strength where it has one."""
  day = pd.read_csv(io.BytesIO(content))
  return TRAPS[str(rng.choice(list(TRAPS)))](day, rng).to_csv(index=False).encode()


def _read(folder: pathlib.Path, out: pathlib.Path) -> Read:
  del out  # nothing is written
  reading = recordings.read(folder / 'day.csv')
  reading, _ = rate_check.check(files.bundled_base().card.signals, reading, 'auto', DEFAULT_WINDOWING)
  notes = [re.sub(r'[\d.]+', '', note) for note in reading.notes]  # units and corrections, not their numbers
  said = notes + reading.warnings + recordings.check(reading, DEFAULT_WINDOWING)
  windows = recordings.to_windows(reading, DEFAULT_WINDOWING, unlabeled=True)
  return digest(*(window.signal for window in windows)), repr(said)


# As if it had a sum: other numbers without a word are an answer that is wrong in silence.
FORMAT = Format('recording, traps', _build, damage, _read, True, 'day.csv')

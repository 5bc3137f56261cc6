"""Doubtful files, the fault of each, and the sentence that says it: a table. None is answered in silence."""

import numpy as np
import pandas as pd
import pytest
import user_files
from user_files import ACC, FRAME, GYRO

from har_jax import recordings
from har_jax.config import DEFAULT_WINDOWING

RNG = np.random.default_rng(1)
MOST = FRAME[RNG.random(1000) < 0.6]
LONG = user_files.frame(*user_files.signal(2000))
GRAVITY = 0 * LONG[ACC] + LONG[ACC].mean() + np.random.default_rng(1).normal(0, 0.01, (2000, 3))


def _set(column: str | list[str], rows, value) -> pd.DataFrame:
  table = FRAME.copy()
  table.loc[rows, column] = value
  return table


def _at(times) -> pd.DataFrame:
  return FRAME.assign(time=times)


def _of_epoch(row: int) -> pd.DataFrame:
  """A time from before the clock was set."""
  times = np.round((user_files.EPOCH_S + FRAME.time) * 1000)
  times[row] = 0
  return _at(times)


def _french(gyro: str) -> pd.DataFrame:
  names = [*(f'accélération {axis} (m/s²)' for axis in 'xyz'), *gyro.split(',')]
  return FRAME.set_axis(['temps (s)', *names], axis=1)


# Table, samples of the accelerometer and of the gyroscope in all recordings, words.
TABLE: list = [
  *(
    (_set('ax', [100, 500], value), 998, 1000, ['2 acc', 'beyond 50 g'])
    for value in (1e30, -600.0, 1e39)
  ),
  *(
    (_set('gz', [100, 500], value), 1000, 998, ['2 gyr', 'beyond 50 g'])
    for value in (1e30, -600.0, 1e39)
  ),
  (_at(np.r_[FRAME.time[:600], FRAME.time[:400]]), 1000, 1000,
   ['ran back once, by up to 12.0 s, into times that were taken']),
  *((_of_epoch(row), 999, 999, ['1 times lie before 2001 or after 2096']) for row in (0, 500)),
  *(
    (_set([*ACC, *GYRO], slice(100, 999, 20), value), 955, 955, [f'45 rows with {value:g} on all axes'])
    for value in (0.0, -1.0, -999.0)
  ),
  (FRAME.assign(ay=0.0), 1000, 1000, ['accelerometer has 0 on y all the time']),
  (FRAME.assign(**FRAME[GYRO].loc[FRAME.index // 10 * 10].set_axis(FRAME.index)), 1000, 1000,
   ['50 rows a second, but only 5 new values']),
  (_set(GYRO, slice(600, None), np.nan), 600, 600, ['8.0 of 20.0 s of acceleration have no angular']),
  (MOST, len(MOST), len(MOST), ['are missing between others']),
  (_at(2 * np.arange(1000)), 1000, 1000, ['unit of time is a guess, ms, and makes 500 Hz']),
  (_at(FRAME.time / 60), 1000, 1000, ['runs at 3000 Hz: is the unit of time right?']),
  (LONG.assign(**GRAVITY), 2000, 2000, ['this looks like gravity alone, or smoothed']),
  (_french('gyroPitch,gyroRoll,gyroYaw'), 1000, 1000, ['may be a gyroscope']),
]  # fmt: skip


@pytest.mark.parametrize(('table', 'acc', 'gyro', 'words'), TABLE)
def test_a_doubtful_file_is_read_with_a_warning(tmp_path, table, acc, gyro, words):
  reading = user_files.read(tmp_path, table)
  sentences = reading.warnings + recordings.check(reading, DEFAULT_WINDOWING)
  assert any(all(word in sentence for word in words) for sentence in sentences), sentences
  assert sum(len(each.acc.time_s) for each in reading.recordings) == acc
  assert sum(len(each.gyro.time_s) for each in reading.recordings) == gyro
  assert max(np.abs(each.acc.values).max() for each in reading.recordings) < 30
  assert max(np.abs(each.gyro.values).max() for each in reading.recordings) < 30


@pytest.mark.parametrize(
  ('table', 'words'),
  [
    (FRAME[np.random.default_rng(1).random(1000) < 0.5], 'bursts'),
    (LONG, 'gravity alone'),
    (_french('gyroscope x,gyroscope y,gyroscope z'), 'may be a gyroscope'),
    (_set(ACC, [100, 300, 500, 700], 0.0), 'on all axes'),  # by chance, as few as they are
  ],
)
def test_a_good_file_is_not_warned_of(tmp_path, table, words):
  assert not user_files.says(user_files.read(tmp_path, table), words)

"""WEDA-FALL: the clock rebuilt from bursts, falls as fall_timestamps.csv says, counts of the real archive."""

import collections
import re
from collections.abc import Callable
from typing import Any

import cut_pieces
import numpy as np
import pytest
from official import OFFICIAL

from har_jax.config import DEFAULT_WINDOWING
from har_jax.signal.cutting import resample
from har_jax.signal.recording import Span

RECORDINGS = {
  'walking': 68, 'running': 42, 'stairs': 52, 'sitting_and_getting_up': 71, 'collapsing_into_chair': 42,
  'crouching': 42, 'stumbling': 42, 'jumping_to_reach': 42, 'hitting_table': 73, 'clapping': 74,
  'opening_door': 71, 'falling': 350,
}  # fmt: skip
WINDOWS = {
  'walking': 884, 'running': 530, 'stairs': 1089, 'sitting_and_getting_up': 523, 'collapsing_into_chair': 267,
  'crouching': 427, 'stumbling': 251, 'jumping_to_reach': 154, 'hitting_table': 257, 'clapping': 470,
  'opening_door': 548, 'falling': 362,
}  # fmt: skip
FALLS = 'filename,start_time,end_time\nF01/U01_R01,1.5,4.5\n'


def _bursts(count: int = 300, size: int = 5) -> list[float]:
  """Times of rows that come five at once, 1 ms apart, every 0.1 s."""
  return [round(0.1 * (row // size) + 0.001 * (row % size), 3) for row in range(count)]


def _text(sensor: str, times: list[float], values: list[str] | None = None) -> str:
  values = values or [f'{row % 40 / 10},9.8,-0.1' for row in range(len(times))]
  header = ','.join(f'{sensor}_{column}_list' for column in ('time', 'x', 'y', 'z'))
  return '\n'.join([header, *(f'{time},{value}' for time, value in zip(times, values, strict=True)), ''])


@pytest.fixture
def read(read) -> Callable[..., Any]:
  """(texts by 'D01/U01_R01' and sensor) → what is read of them."""

  def read_trials(trials: dict[str, dict[str, str]]):
    files = {
      f'dataset/50Hz/{trial}_{sensor}.csv': text
      for trial, sensors in trials.items()
      for sensor, text in sensors.items()
    }
    return read(files | {'dataset/fall_timestamps.csv': f'\ufeff{FALLS}'})

  return read_trials


def _both(times: list[float]) -> dict[str, str]:
  return {sensor: _text(sensor, times) for sensor in ('accel', 'gyro')}


def test_rows_in_bursts_get_an_even_clock(read):
  (recording,), _ = read({'D01/U01_R01': _both(_bursts())})
  for samples in (recording.acc, recording.gyro):
    np.testing.assert_allclose(np.diff(samples.time_s), 0.02, rtol=1e-3)
  np.testing.assert_allclose(recording.acc.values[7], [0.7, 9.8, -0.1], rtol=1e-6)
  assert recording.subject == 'U01'


def test_each_sensor_has_its_own_clock_and_they_pair_by_time(read):
  slow = [0.125 * (row // 5) + 0.001 * (row % 5) for row in range(300)]
  texts = {'accel': _text('accel', _bursts()), 'gyro': _text('gyro', slow)}
  (recording,), _ = read({'D01/U01_R01': texts})
  assert np.diff(recording.acc.time_s).mean() == pytest.approx(0.02, rel=1e-3)
  assert np.diff(recording.gyro.time_s).mean() == pytest.approx(0.025, rel=1e-3)
  assert recording.spans == (Span(0.0, recording.gyro.time_s[-1], 'walking'),)  # the longer one's
  (piece,) = resample(recording, collections.Counter(), DEFAULT_WINDOWING)
  assert len(piece.signal) == pytest.approx(50 * 6.0, abs=5)


def test_a_late_burst_is_sorted_into_its_place_and_counted(read):
  times, values = _bursts(), [f'{row},0,0' for row in range(300)]
  order = [*range(100), *range(115, 140), *range(100, 115), *range(140, 300)]  # rows 100 to 114 come late
  late = _text('accel', [times[row] for row in order], [values[row] for row in order])
  texts = {'accel': late, 'gyro': _text('gyro', times)}
  (recording,), dropped = read({'D01/U01_R01': texts})
  assert recording.acc.values[:, 0].tolist() == list(range(300))
  assert dropped == {'bursts out of order, sorted': 1}


def test_a_fall_is_falling_between_its_timestamps_only(read):
  (recording,), dropped = read({'F01/U01_R01': _both(_bursts())})
  assert recording.spans == (Span(1.5, 4.5, 'falling'),)
  assert dropped == {'accelerometer rows before and after a fall': 150}


def test_other_files_are_skipped_and_a_trial_with_one_sensor_is_counted(read):
  whole = _both(_bursts(20)) | dict.fromkeys(('vertical_accel', 'orientation'), 'anything')
  recordings, dropped = read({'D01/U01_R01': whole, 'D02/U01_R01': {'accel': whole['accel']}})
  assert [recording.spans[0].activity for recording in recordings] == ['walking']
  assert dropped == {'trials with one sensor only': 1}


@pytest.mark.slow
@pytest.mark.archives
def test_the_real_archive_has_25_people_every_row_these_windows_and_two_rates(count_rows, real_recordings):
  expected = collections.Counter()
  for name, rows in count_rows('weda_fall', '50Hz/*.csv').items():
    code, sensor = re.search(r'50Hz/(\w\d\d)/U\d+_R\d+_(\w+)\.csv', name).groups()
    expected[OFFICIAL['weda_fall'].activities[code], sensor] += rows
  recordings, dropped = real_recordings('weda_fall', 'wrist')
  cut = cut_pieces.cut_all(recordings, dropped)
  rows_read, rates_hz = collections.Counter(), collections.defaultdict(list)
  for recording in recordings:
    is_slow = recording.spans[0].activity == 'falling' and recording.subject != 'U14'
    rates_hz[is_slow].append(1 / recording.acc.step_s)
    for sensor, samples in (('accel', recording.acc), ('gyro', recording.gyro)):
      rows_read[recording.spans[0].activity, sensor] += len(samples.values)
  assert rows_read == expected
  assert sum(expected.values()) == 571_460 + 571_372
  assert len({recording.subject for recording in recordings}) == 25
  counts = collections.Counter(recording.spans[0].activity for recording in recordings)
  # The README: 14 people, 7 kinds of falls three times and one four times. It counts 619 daily activities.
  assert counts == RECORDINGS
  assert (counts['falling'], counts.total() - counts['falling']) == (14 * 7 * 3 + 14 * 4, 619)
  assert dropped['bursts out of order, sorted'] == 63
  assert collections.Counter(window.activity for window in cut) == WINDOWS
  np.testing.assert_allclose(rates_hz[False], 49.4, atol=0.5)
  np.testing.assert_allclose(rates_hz[True], 39.5, atol=0.5)

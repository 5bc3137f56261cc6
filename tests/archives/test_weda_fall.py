"""WEDA-FALL: the clock rebuilt from bursts, falls as fall_timestamps.csv says."""

import collections

import numpy as np
import pytest

from har_jax.config import DEFAULT_WINDOWING
from har_jax.signal.cutting import resample
from har_jax.signal.recording import Span


def _bursts(count: int = 300, size: int = 5) -> list[float]:
  """Times of rows that come five at once, 1 ms apart, every 0.1 s."""
  return [round(0.1 * (row // size) + 0.001 * (row % size), 3) for row in range(count)]


def _text(sensor: str, times: list[float], values: list[str] | None = None) -> str:
  values = values or [f'{row % 40 / 10},9.8,-0.1' for row in range(len(times))]
  header = ','.join(f'{sensor}_{column}_list' for column in ('time', 'x', 'y', 'z'))
  return '\n'.join([header, *(f'{time},{value}' for time, value in zip(times, values, strict=True)), ''])


def _files(trials: dict[str, dict[str, str]]) -> dict[str, str]:
  """Texts by 'D01/U01_R01' and sensor."""
  files = {
    f'dataset/50Hz/{trial}_{sensor}.csv': text
    for trial, sensors in trials.items()
    for sensor, text in sensors.items()
  }
  falls = '\ufefffilename,start_time,end_time\nF01/U01_R01,1.5,4.5\n'
  return files | {'dataset/fall_timestamps.csv': falls}


def _both(times: list[float]) -> dict[str, str]:
  return {sensor: _text(sensor, times) for sensor in ('accel', 'gyro')}


def test_rows_in_bursts_get_an_even_clock_of_each_sensor_and_pair_by_time(read):
  slow = [0.125 * (row // 5) + 0.001 * (row % 5) for row in range(300)]
  texts = {'accel': _text('accel', _bursts()), 'gyro': _text('gyro', slow)}
  files = _files({'D01/U01_R01': texts})
  del files['dataset/fall_timestamps.csv']  # for falls alone
  (recording,), _ = read(files)
  np.testing.assert_allclose(np.diff(recording.acc.time_s), 0.02, rtol=1e-3)
  np.testing.assert_allclose(np.diff(recording.gyro.time_s), 0.025, rtol=1e-3)
  np.testing.assert_allclose(recording.acc.values[7], [0.7, 9.8, -0.1], rtol=1e-6)
  assert recording.subject == 'U01'
  assert recording.spans == (Span(0.0, recording.gyro.time_s[-1], 'walking'),)  # the longer one's
  (piece,) = resample(recording, collections.Counter(), DEFAULT_WINDOWING)
  assert len(piece.signal) == pytest.approx(50 * 6.0, abs=5)


def test_a_late_burst_is_sorted_into_its_place_and_counted(read):
  times, values = _bursts(), [f'{row},0,0' for row in range(300)]
  order = [*range(100), *range(115, 140), *range(100, 115), *range(140, 300)]  # rows 100 to 114 come late
  late = _text('accel', [times[row] for row in order], [values[row] for row in order])
  texts = {'accel': late, 'gyro': _text('gyro', times[:250])}
  (recording,), dropped = read(_files({'D01/U01_R01': texts}))
  assert recording.acc.values[:, 0].tolist() == list(range(300))
  assert dropped == {'bursts out of order, sorted': 1}
  assert recording.spans[0].stop_s == recording.acc.time_s[-1] > recording.gyro.time_s[-1]


def test_a_fall_is_falling_between_its_timestamps_only(read):
  (recording,), dropped = read(_files({'F01/U01_R01': _both(_bursts())}))
  assert recording.spans == (Span(1.5, 4.5, 'falling'),)
  assert dropped == {'accelerometer rows before and after a fall': 150}


def test_trials_are_sorted_other_files_skipped_and_a_trial_with_one_sensor_is_counted(read):
  whole = _both(_bursts(20)) | dict.fromkeys(('vertical_accel', 'orientation'), 'anything')
  files = _files(dict.fromkeys(('D01/U02_R01', 'D02/U01_R01', 'D01/U01_R02', 'D01/U01_R01'), whole))
  recordings, dropped = read(files | _files({'D02/U01_R02': {'accel': whole['accel']}}))
  made = [(recording.subject, recording.spans[0].activity) for recording in recordings]
  assert made == [('U01', 'walking'), ('U01', 'walking'), ('U01', 'running'), ('U02', 'walking')]
  assert dropped == {'trials with one sensor only': 1}

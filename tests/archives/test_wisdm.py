"""WISDM: sensors paired by the phone's clock, every loss counted."""

import numpy as np
import pytest
from official import OFFICIAL

from har_jax.config import DEFAULT_WINDOWING
from har_jax.signal.cutting import resample

BOOT_NS = 9_007_199_254_740_993  # 2**53 + 1: the first integer that a float cannot represent


def _lines(subject: int, code: str, times_ns, value: float = 1.5) -> str:
  return ''.join(f'{subject},{code},{time},{value},-2.25,0.5;\n' for time in times_ns)


def _files(acc: dict[int, str], gyro: dict[int, str]) -> dict[str, str]:
  """Texts of the accelerometer, by subject, and of the gyroscope."""
  return {
    f'wisdm-dataset/raw/phone/{sensor}/data_{subject}_{sensor}_phone.txt': text
    for sensor, texts in (('accel', acc), ('gyro', gyro))
    for subject, text in texts.items()
  }


def _ticks(count: int, start_ns: int = BOOT_NS) -> list[int]:
  return [start_ns + 50_000_000 * index for index in range(count)]


def test_a_recording_is_one_activity_on_the_phones_clock(read):
  acc = _lines(1600, 'A', _ticks(100)) + _lines(1600, 'D', _ticks(100, BOOT_NS + 10**12))
  gyro = _lines(1600, 'A', _ticks(97, BOOT_NS + 150_000_001), 0.25) + _lines(
    1600, 'D', _ticks(9, BOOT_NS + 10**12 - 10**8)
  )
  (first, second), _ = read(_files({1600: acc}, {1600: gyro}))
  assert [r.spans[0].activity for r in (first, second)] == ['walking', 'sitting']
  np.testing.assert_array_equal(first.acc.values[0], [1.5, -2.25, 0.5])
  np.testing.assert_array_equal(first.gyro.values[0], [0.25, -2.25, 0.5])
  assert first.acc.time_s[0] == 0
  assert first.gyro.time_s[0] == pytest.approx(0.150000001, abs=1e-12)  # exact to 1 ns
  assert len(second.gyro.values) == 9
  assert (second.acc.time_s[0], second.gyro.time_s[0]) == (0.1, 0)
  assert (first.spans[0].start_s, first.spans[0].stop_s) == (0, pytest.approx(4.950000002, abs=1e-12))


WALKING, FOLDING = (_lines(1, code, _ticks(9)) for code in 'AS')


@pytest.mark.parametrize(
  ('acc', 'gyro', 'lost'),
  [
    ({1: WALKING}, {1: WALKING, 2: WALKING}, 'subjects without an accelerometer'),
    ({1: WALKING, 2: WALKING}, {1: WALKING}, 'subjects without a gyroscope'),
    ({1: WALKING + FOLDING}, {1: WALKING}, 'activity runs with one sensor only'),
    ({1: WALKING}, {1: WALKING + FOLDING}, 'activity runs with one sensor only'),
  ],
)
def test_what_lacks_a_sensor_is_counted(read, acc, gyro, lost):
  recordings, dropped = read(_files(acc, gyro))
  assert [(r.subject, r.spans[0].activity) for r in recordings] == [('1', 'walking')]
  assert dropped == {lost: 1}


def test_clocks_that_share_no_moment_give_no_piece(read):
  acc, gyro = _lines(1, 'A', _ticks(99)), _lines(1, 'A', _ticks(99, BOOT_NS * 2))
  (recording,), dropped = read(_files({1: acc}, {1: gyro}))
  assert resample(recording, dropped, DEFAULT_WINDOWING) == []
  assert dropped == {'recordings whose sensors do not overlap in time': 1}


@pytest.mark.archives
def test_the_real_archive_has_three_minutes_of_each_code(real_recordings):
  recordings, dropped = real_recordings('wisdm', 'pocket', 18)
  assert {r.subject for r in recordings} == {'1600'}
  assert [r.spans[0].activity for r in recordings] == list(OFFICIAL['wisdm'].activities.values())
  for recording in recordings:
    (piece,) = resample(recording, dropped, DEFAULT_WINDOWING)
    assert len(piece.signal) == pytest.approx(180 * 50, abs=20)
  assert not dropped

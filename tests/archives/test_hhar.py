"""HHAR as released: two tables of unpaired rows, with timestamps of several units and repeated rows."""

from collections.abc import Callable

import numpy as np
import pytest

from har_jax.archives import hhar

HEADER = 'Index,Arrival_Time,Creation_Time,x,y,z,User,Model,Device,gt\n'
START_MS = 1_424_696_600_000
# Creation_Time of one moment: nanoseconds (19 digits), microseconds (16) or milliseconds (13) since 1970,
# and nanoseconds since the last boot: 13 digits as well.
CLOCKS = {
  'ns': lambda ms: (START_MS + ms) * 10**6,
  'us': lambda ms: (START_MS + ms) * 10**3,
  'ms': lambda ms: START_MS + ms,
  'boot ns': lambda ms: 3_000_000_000_000 + ms * 10**6,
}


def lines(
  value: float,
  *,
  user: str = 'a',
  device: str = 'nexus4_1',
  rate_hz: int = 100,
  start_ms: int = 0,
  labels: tuple[tuple[str, int], ...] = (('walk', 400), ('null', 50), ('stairsup', 350)),
  creation=CLOCKS['ns'],
  arrival=lambda ms: START_MS + ms + 7 + ms % 3,  # delayed, with jitter
) -> list[str]:
  """Rows of one device: x is `value`, y counts rows."""
  words = [word for word, rows in labels for _ in range(rows)]
  moments = [start_ms + row * 1000 // rate_hz for row in range(len(words))]
  return [
    f'{row},{arrival(ms)},{creation(ms)},{value},{row},9.81,{user},{device[:-2]},{device},{word}\n'
    for row, (ms, word) in enumerate(zip(moments, words, strict=True))
  ]


def _files(acc: list[str], gyro: list[str]) -> dict[str, str]:
  """Lines of the phones' sensors, beside those of a watch and another table."""
  watch = lines(50.0, device='gear_1')
  tables = {
    'Phones_accelerometer': acc, 'Phones_gyroscope': gyro,
    'Watch_accelerometer': watch, 'Watch_gyroscope': watch,
  }  # fmt: skip
  files = {f'Activity recognition exp/{name}.csv': HEADER + ''.join(rows) for name, rows in tables.items()}
  return files | {'Still exp/Phones_accelerometer.csv': 'another table'}


def test_labels_become_spans_rows_without_one_are_counted_and_those_out_of_order_sorted(read):
  (recording,), dropped = read(_files(*(rows[400:] + rows[:400] for rows in (lines(1.0), lines(2.0)))))
  assert (recording.subject, recording.position) == ('a', 'waist')
  assert [span.activity for span in recording.spans] == ['walking', 'upstairs']
  edges = [(span.start_s, span.stop_s) for span in recording.spans]
  np.testing.assert_allclose(edges, [(0, 4), (4.5, 7.99)], atol=1e-6)
  assert dropped == {'accelerometer rows without a label': 50, 'rows out of order, sorted': 2}
  np.testing.assert_allclose(recording.acc.values[3], [1, 3, 9.81], rtol=1e-6)
  np.testing.assert_allclose(recording.gyro.values[3], [2, 3, 9.81], rtol=1e-6)


def test_a_column_that_nothing_reads_may_be_empty(read):
  (recording,), _ = read(_files([line.replace(',nexus4,', ',,') for line in lines(1.0)], lines(2.0)))
  assert len(recording.acc.values) == 800


@pytest.mark.parametrize('clock', CLOCKS)
def test_creation_times_of_any_unit_become_even_seconds(clock, read):
  (recording,), dropped = read(
    _files(lines(1.0, creation=CLOCKS[clock]), lines(2.0, creation=CLOCKS[clock], rate_hz=50))
  )
  np.testing.assert_allclose(np.diff(recording.acc.time_s), 0.01, atol=1e-6)
  np.testing.assert_allclose(np.diff(recording.gyro.time_s), 0.02, atol=1e-6)
  assert not any('arrival' in reason for reason in dropped)


def _faster(percent: int) -> Callable[[int], int]:
  return lambda ms: CLOCKS['ns'](ms + ms * percent // 100)


@pytest.mark.parametrize(
  ('acc_clock', 'gyro_clock', 'is_unusable'),
  [
    (lambda ms: 0, lambda ms: 0, True),  # stands still
    (_faster(100), CLOCKS['ns'], True),
    (CLOCKS['boot ns'], CLOCKS['ns'], True),  # the sensors count from different origins
    (CLOCKS['us'], CLOCKS['ns'], True),
    (CLOCKS['ns'], lambda ms: CLOCKS['ns'](ms + 1000), True),  # a second apart
    (CLOCKS['ns'], lambda ms: CLOCKS['ns'](ms + 400), False),
    (_faster(5), _faster(5), True),
    (_faster(1), _faster(1), False),
  ],
)
def test_arrival_times_both_sensors_if_a_creation_clock_is_unusable(acc_clock, gyro_clock, is_unusable, read):
  rows = (
    [line for user in 'ab' for line in lines(1.0, user=user, creation=clock)]
    for clock in (acc_clock, gyro_clock)
  )
  (recording, _), dropped = read(_files(*rows))
  assert dropped['devices timed by arrival, as their creation clock is unusable (kept)'] == 2 * is_unusable
  if is_unusable:
    ends_s = [samples.time_s[-1] for samples in (recording.acc, recording.gyro)]
    assert ends_s == pytest.approx([7.99, 7.99], abs=0.01)


def test_rows_that_are_delivered_late_at_the_end_do_not_hide_the_pace(read):
  late = lines(1.0, arrival=lambda ms: START_MS + ms + 1000 * (ms > 7800))
  _, dropped = read(_files(late, late))
  assert not any('arrival' in reason for reason in dropped)


def test_sensors_are_paired_by_user_device_and_time(read):
  """Two phones of one model, two users; the gyroscope's file has another order and starts later."""
  acc = lines(1.0) + lines(2.0, device='nexus4_2') + lines(3.0, user='b', start_ms=60_000)
  gyro = lines(30.0, user='b', start_ms=60_500) + lines(20.0, device='nexus4_2') + lines(10.0, start_ms=1000)
  recordings, dropped = read(_files(acc, gyro))
  pairs = [(r.subject, r.acc.values[0, 0], r.gyro.values[0, 0]) for r in recordings]
  assert pairs == [('a', 1, 10), ('a', 2, 20), ('b', 3, 30)]
  assert recordings[0].acc.values[0, 1] == 100  # the row of 1000 ms
  assert recordings[0].acc.time_s[0] == recordings[0].gyro.time_s[0] == 0
  assert dropped['rows of one sensor while the other was silent'] == 2 * (100 + 50)
  assert dropped['accelerometer rows without a label'] == 3 * 50


def test_a_device_with_one_sensor_is_counted(read):
  recordings, dropped = read(_files(lines(1.0) + lines(1.0, user='b'), lines(2.0)))
  assert [recording.subject for recording in recordings] == ['a']
  assert dropped['rows of a device with one sensor'] == 800


def test_reading_in_small_chunks_changes_nothing(read, monkeypatch):
  acc, gyro = lines(1.0) + lines(3.0, user='b'), lines(2.0) + lines(4.0, user='b')
  at_once, _ = read(_files(acc, gyro))
  monkeypatch.setattr(hhar, '_CHUNK_ROWS', 77)
  in_chunks, _ = read(_files(acc, gyro))
  for one, same in zip(in_chunks, at_once, strict=True):
    np.testing.assert_array_equal(one.acc.values, same.acc.values)
    assert one.spans == same.spans


def test_the_wrist_has_the_watches(read):
  (recording,), _ = read(_files(lines(1.0), lines(2.0)), 'wrist')
  assert recording.acc.values[0, 0] == 50

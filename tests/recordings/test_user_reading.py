"""Files of any app are read as the same m/s², rad/s and seconds."""

import gzip

import numpy as np
import pandas as pd
import pytest
import user_files
from user_files import FRAME

from har_jax import recordings
from har_jax.config import DEFAULT_WINDOWING
from har_jax.recordings import windows
from har_jax.signal.recording import STANDARD_GRAVITY_M_S2 as G

MOMENTS = pd.DatetimeIndex(
  pd.to_datetime(user_files.EPOCH_S, unit='s') + pd.to_timedelta(np.round(FRAME.time * 1e3), unit='ms')
)
LABELED = FRAME.assign(label=['walk'] * 300 + [''] * 300 + ['sit'] * 400)


@pytest.mark.parametrize(
  ('names', 'acc_per', 'gyro_per'),
  [
    ('time ax ay az gx gy gz', 1, 1),
    ('timestamp acc_x acc_y acc_z gyro_x gyro_y gyro_z', 1, 1),
    ('Timestamp AccX AccY AccZ GyrX GyrY GyrZ', 1, 1),
    ('t a_x a_y a_z g_x g_y g_z', 1, 1),
    ('time_s accel_x_g accel_y_g accel_z_g gyro_x_dps gyro_y_dps gyro_z_dps', 1 / G, user_files.DEGREES),
    ('time gFx gFy gFz wx wy wz', 1 / G, 1),  # Physics Toolbox
    ('Time_(s) Accelerometer.X Accelerometer.Y Accelerometer.Z Gyroscope.X Gyroscope.Y Gyroscope.Z', 1, 1),
    ('elapsed_(s) x-axis_(g) y-axis_(g) z-axis_(g) x-axis_(deg/s) y-axis_(deg/s) z-axis_(deg/s)',
     1 / G, user_files.DEGREES),
    ('Time_(s) Acceleration_x_(m/s^2) Acceleration_y_(m/s^2) Acceleration_z_(m/s^2)'
     ' Gyroscope_x_(rad/s) Gyroscope_y_(rad/s) Gyroscope_z_(rad/s)', 1, 1),  # Phyphox
    ('epoch ACCELEROMETER_X_(m/s²) ACCELEROMETER_Y_(m/s²) ACCELEROMETER_Z_(m/s²)'
     ' GYROSCOPE_X_(rad/s) GYROSCOPE_Y_(rad/s) GYROSCOPE_Z_(rad/s)', 1, 1),  # AndroSensor
    ('accelerometerTimestamp_sinceReboot(s) accelerometerAccelerationX(G) accelerometerAccelerationY(G)'
     ' accelerometerAccelerationZ(G) motionRotationRateX(rad/s) motionRotationRateY(rad/s)'
     ' motionRotationRateZ(rad/s)',
     -1 / G, 1),  # SensorLog: gravity points down
  ],
)  # fmt: skip
def test_names_of_many_apps_are_known(tmp_path, names, acc_per, gyro_per):
  time_s, acc, gyro = user_files.signal()
  frame = user_files.frame(time_s, acc * acc_per, gyro * gyro_per, names)
  frame.columns = [
    name.replace('_', ' ') if '(' in name and 'Timestamp' not in name else name for name in frame
  ]
  rng = np.random.default_rng(len(names))
  frame['magnetometer_x'] = 1.0
  shuffled = frame[list(rng.permutation(frame.columns))]
  reading = recordings.read(user_files.written(tmp_path, shuffled))
  user_files.assert_same(reading)
  assert user_files.has_note(reading, 'of iOS') == (acc_per < 0)
  assert any(frame.columns[1] in note for note in reading.notes), 'the columns are not shown'


@pytest.mark.parametrize('encoding', ['utf-8-sig', 'cp1252', 'utf-16'])
def test_encodings_are_inferred(tmp_path, encoding):
  names = [
    f'{sensor} {axis} ({unit})' for sensor, unit in (('acc', 'm/s²'), ('gyro', '°/s')) for axis in 'xyz'
  ]
  degrees = FRAME.assign(**FRAME[['gx', 'gy', 'gz']] * user_files.DEGREES).set_axis(['time', *names], axis=1)
  reading = recordings.read(user_files.written(tmp_path, degrees, encoding=encoding))
  user_files.assert_same(reading)
  assert any(names[0] in note for note in reading.notes), 'the columns are not shown'


def test_columns_that_the_user_names_are_used(tmp_path):
  names = ['when', 'up', 'side', 'front', 'r1', 'r2', 'r3']
  table = FRAME.set_axis(names, axis=1).assign(ax=0.0, ay=0.0, az=0.0)
  columns = dict(zip(FRAME.columns, names, strict=True))
  user_files.assert_same(user_files.read(tmp_path, table, columns=columns))


@pytest.mark.parametrize(
  ('separator', 'decimal'), [(each, decimal) for decimal in '.,' for each in ',;\t|' if each != decimal]
)
def test_separators_and_decimal_commas_are_inferred(tmp_path, separator, decimal):
  path = user_files.written(tmp_path, FRAME, 'walk.txt', sep=separator, decimal=decimal)
  user_files.assert_same(recordings.read(path))


def test_comments_and_trailing_separators_are_ignored(tmp_path):
  lines = '\n'.join(line + ',' for line in FRAME.to_csv(index=False).splitlines())
  path = user_files.put(tmp_path, f'sep=,\n# device: 7, rate: 50 Hz\n\n{lines}\n')
  user_files.assert_same(recordings.read(path))


def test_units_in_the_line_below_the_names_are_used(tmp_path):
  time_s, acc, gyro = user_files.signal()
  rows = user_files.frame(time_s * 1e3, acc / G, gyro).to_csv(index=False, header=False)
  text = f'time,ax,ay,az,gx,gy,gz\nms,g,g,g,rad/s,rad/s,rad/s\n{rows}'
  reading = recordings.read(user_files.put(tmp_path, text))
  user_files.assert_same(reading)
  assert not reading.warnings


def test_a_compressed_file_is_read(tmp_path):
  content = 'walk.csv.gz', gzip.compress(FRAME.to_csv(index=False).encode())
  user_files.assert_same(recordings.read(user_files.put(tmp_path, content)))


@pytest.mark.parametrize(
  ('written', 'start'),
  [
    (lambda t: t.strftime('%Y-%m-%d %H:%M:%S.%f'), user_files.START),
    (lambda t: t.strftime('%Y-%m-%dT%H:%M:%S.%fZ'), f'{user_files.START}+00:00'),
    (lambda t: t.strftime('%Y-%m-%d %H:%M:%S.%f +0200'), '2026-05-28T18:26:40+00:00'),
    (lambda t: t.strftime('%Y-%m-%d %H:%M:%S:%f').str[:-3], user_files.START),  # AndroSensor
    (lambda t: t.strftime('%Y-%m-%dT%H.%M.%S.%f').str[:-3], user_files.START),  # MetaBase
    (lambda t: t.strftime('%H:%M:%S.%f'), ''),
  ],
)
def test_dates_and_times_of_day_are_read(tmp_path, written, start):
  reading = user_files.read(tmp_path, FRAME.assign(time=written(MOMENTS)))
  user_files.assert_same(reading)
  assert reading.start == start


def test_time_of_day_continues_after_midnight(tmp_path):
  moments = MOMENTS + pd.Timedelta(hours=3, minutes=33, seconds=15)  # from 23:59:55 on
  user_files.assert_same(user_files.read(tmp_path, FRAME.assign(time=moments.strftime('%H:%M:%S.%f'))))


def test_an_irregular_clock_is_kept(tmp_path):
  time_s, acc, gyro = user_files.signal()
  time_s = time_s + np.random.default_rng(5).uniform(0, 0.015, len(time_s))
  time_s -= time_s[0]
  reading = recordings.read(user_files.written(tmp_path, user_files.frame(time_s, acc, gyro)))
  np.testing.assert_allclose(reading.recordings[0].acc.time_s, time_s, atol=1e-9)
  assert user_files.has_note(reading, 'The rate of the accelerometer is')
  assert user_files.has_note(reading, 'steps from')


def test_a_gap_splits_the_recording_and_its_labels(tmp_path):
  time_s, acc, gyro = user_files.signal()
  later_s = np.where(np.arange(1000) < 400, time_s, time_s + 3)
  path = user_files.written(
    tmp_path, user_files.frame(later_s, acc, gyro).assign(label=['walk'] * 600 + ['sit'] * 400)
  )
  reading = recordings.read(path)
  assert [len(recording.acc.time_s) for recording in reading.recordings] == [400, 600]
  assert reading.offsets_s == pytest.approx([0, 11])
  assert reading.files == ['walk', 'walk']
  first, second = map(user_files.spans, reading.recordings)
  assert first == [(0, 8, 'walk')]
  assert second == [(0, 4, 'walk'), (4, 12, 'sit')]
  assert reading.recordings[1].acc.time_s[0] == 0
  assert user_files.has_note(reading, 'pauses once for over 1 s, at longest 3.0 s')


def test_a_slow_clock_has_no_gaps_of_a_second(tmp_path):
  time_s, acc, gyro = user_files.signal(60)
  reading = recordings.read(
    user_files.written(tmp_path, user_files.frame(time_s * 50 * 0.9, acc, gyro)), time_unit='s'
  )
  assert len(reading.recordings) == 1  # 0.9 s a sample, a gap is 2.7 s


def test_without_a_gyroscope_its_samples_are_zeros_with_a_note(tmp_path):
  time_s, acc, _ = user_files.signal()
  reading = recordings.read(user_files.written(tmp_path, user_files.frame(time_s, acc, None, 'time x y z')))
  user_files.assert_same(reading, gyro=False)
  assert not reading.has_gyro
  assert not reading.recordings[0].gyro.values.any()
  assert user_files.has_note(reading, 'No gyroscope')


def test_sensors_in_separate_rows_keep_their_clocks(tmp_path):
  time_s, acc, gyro = user_files.signal()
  acc_rows = user_files.frame(time_s, acc, None, 'time ax ay az')
  gyro_rows = pd.DataFrame(
    {'time': time_s[::2] + 0.004, **dict(zip(('gx', 'gy', 'gz'), gyro[::2].T, strict=True))}
  )
  (recording,) = recordings.read(
    user_files.written(tmp_path, pd.concat([acc_rows, gyro_rows]).sort_values('time'))
  ).recordings
  # From where both have begun.
  np.testing.assert_allclose(recording.acc.time_s, time_s[1:-1] - 0.004, atol=1e-9)
  np.testing.assert_allclose(recording.gyro.values, gyro[::2], atol=1e-3)


def test_one_file_a_sensor_makes_one_recording(tmp_path):
  # As Sensor Logger exports: its Accelerometer has no gravity, and columns run z, y, x.
  time_s, acc, gyro = user_files.signal()
  stamps = user_files.EPOCH_S * 10**9 + np.round(time_s * 1e9).astype(np.int64)
  folder = tmp_path / 'walk-2026'
  folder.mkdir()
  for name, values, late in (
    ('TotalAcceleration', acc, 0),
    ('Accelerometer', acc * 0, 0),
    ('Gyroscope', gyro, 2_000_000),
  ):
    frame = pd.DataFrame({'time': stamps + late, 'seconds_elapsed': time_s})
    user_files.written(folder, frame.assign(z=values[:, 2], y=values[:, 1], x=values[:, 0]), f'{name}.csv')
  (folder / 'Metadata.csv').write_text('device,app\nphone,logger\n')
  for path in (folder, tmp_path):
    reading = recordings.read(path)
    (recording,) = reading.recordings
    assert reading.files == ['walk-2026']
    np.testing.assert_allclose(recording.acc.values, acc[1:], atol=1e-3)  # the gyroscope begins 2 ms later
    np.testing.assert_allclose(recording.gyro.values, gyro[:-1], atol=1e-3)
    assert recording.acc.time_s[0] == pytest.approx(0.018, abs=1e-5)


@pytest.mark.parametrize('sign', [1, -1])
def test_separate_gravity_is_added_to_linear_acceleration(tmp_path, sign):
  time_s, acc, gyro = user_files.signal()
  pull = np.tile([0.0, 0.0, G], (len(acc), 1))
  moved, pulls = ('userAcceleration', 'gravity') if sign < 0 else ('Linear Acceleration', 'Gravity')
  frame = pd.DataFrame({'time': time_s})
  for name, values in ((moved, sign * (acc - pull) / G), (pulls, sign * pull / G), ('rotationRate', gyro)):
    for axis, column in zip('xyz', values.T, strict=True):
      frame[f'{name}.{axis}'] = column
  reading = recordings.read(user_files.written(tmp_path, frame))
  user_files.assert_same(reading)
  assert user_files.has_note(reading, 'gravity was added')


def test_acceleration_without_gravity_is_not_read_as_g(tmp_path):
  # Its length is about 1 and would pass for g; that of its mean would not.
  time_s, acc, gyro = user_files.signal()
  moved = (acc - acc.mean(axis=0)) / 2
  reading = recordings.read(user_files.written(tmp_path, user_files.frame(time_s, moved, gyro)))
  np.testing.assert_allclose(reading.recordings[0].acc.values, moved, atol=1e-3)
  assert any('acc_unit' in warning for warning in reading.warnings)
  assert any('linear acceleration' in sentence for sentence in recordings.check(reading, DEFAULT_WINDOWING))


def test_a_folder_holds_one_recording_a_file_by_name(tmp_path):
  user_files.written(tmp_path, FRAME, 'b.csv')
  user_files.written(tmp_path, FRAME.iloc[:500], 'a.tsv', sep='\t')
  (tmp_path / 'notes.md').write_text('nothing')
  reading = recordings.read(tmp_path, subject='ann', position='wrist')
  assert reading.files == ['a', 'b']
  assert [len(recording.acc.time_s) for recording in reading.recordings] == [500, 1000]
  assert {(recording.subject, recording.position) for recording in reading.recordings} == {('ann', 'wrist')}


def test_rows_without_a_time_are_spaced_by_the_rate(tmp_path):
  _, acc, gyro = user_files.signal()
  path = user_files.written(tmp_path, user_files.frame(np.arange(1000), acc, gyro, 'row ax ay az gx gy gz'))
  user_files.assert_same(recordings.read(path, rate_hz=50))


def test_parquet_reads_like_csv(tmp_path):
  pytest.importorskip('pyarrow')
  for time, start in (
    (FRAME.time, ''),
    (MOMENTS, user_files.START),
    (MOMENTS.tz_localize('UTC'), f'{user_files.START}+00:00'),
  ):
    table = FRAME.assign(time=time, label=['walk'] * 500 + [None] * 500)
    table.to_parquet(tmp_path / 'walk.parquet')
    reading = recordings.read(tmp_path / 'walk.parquet')
    user_files.assert_same(reading)
    assert reading.start == start
    assert user_files.spans(reading.recordings[0]) == [(0, 10, 'walk')]


def test_many_chunks_are_one_recording(tmp_path, monkeypatch):
  monkeypatch.setattr('har_jax.recordings.tables.CHUNK_ROWS', 77)
  reading = user_files.read(tmp_path, LABELED)
  user_files.assert_same(reading)
  assert user_files.spans(reading.recordings[0]) == [(0, 6, 'walk'), (12, 20, 'sit')]


def test_windows_lie_in_the_spans_and_hold_the_signal(tmp_path):
  reading = user_files.read(tmp_path, LABELED)
  windows = recordings.to_windows(reading, DEFAULT_WINDOWING)
  assert [window.activity for window in windows] == ['walk'] * 3 + ['sit'] * 5
  assert [window.start_s for window in windows[:3]] == pytest.approx([0, 1.28, 2.56])
  recording = reading.recordings[0]
  np.testing.assert_array_equal(windows[3].signal[:, :3], recording.acc.values[600:728])
  np.testing.assert_array_equal(windows[3].signal[:, 3:], recording.gyro.values[600:728])


def test_the_unlabeled_rest_overlaps_no_label(tmp_path):
  reading = user_files.read(tmp_path, LABELED)
  rest = recordings.unlabeled_windows(reading, DEFAULT_WINDOWING)
  assert [window.start_s for window in rest] == pytest.approx([6.4, 7.68, 8.96])  # the labels end at 6 s
  assert [window.activity for window in rest] == [''] * 3
  few = recordings.unlabeled_windows(reading, DEFAULT_WINDOWING, limit=2)
  assert [window.start_s for window in few] == pytest.approx([6.4, 8.96])


def test_unlabeled_windows_cover_all_and_do_not_depend_on_slices(tmp_path, monkeypatch):
  reading = recordings.read(user_files.written(tmp_path, user_files.frame(*user_files.signal(5000))))
  assert recordings.to_windows(reading, DEFAULT_WINDOWING) == []
  whole = recordings.to_windows(reading, DEFAULT_WINDOWING, unlabeled=True)
  assert len(whole) == (5000 - 128) // 64 + 1
  assert {window.activity for window in whole} == {''}
  # A long recording is cut in slices.
  monkeypatch.setattr(windows, '_SLICE_S', 9 * 1.28)
  sliced = recordings.to_windows(reading, DEFAULT_WINDOWING, unlabeled=True)
  assert [window.start_s for window in sliced] == pytest.approx([window.start_s for window in whole])
  for one, other in zip(whole, sliced, strict=True):
    np.testing.assert_array_equal(one.signal, other.signal)

"""The same recording, exported by any app, is read as the same samples and labels."""

import contextlib
import pathlib

import export_base
import export_devices
import export_phyphox
import export_sensor_logger
import exports
import numpy as np
import pandas as pd
import pytest
import user_files
from test_read_files import MOMENTS
from user_files import FRAME

from har_jax import recordings
from har_jax.config import DEFAULT_WINDOWING
from har_jax.errors import UserError
from har_jax.recordings import formats

ONE = export_base.recording()


@pytest.mark.parametrize('name', exports.WRITERS)
def test_every_format_gives_the_same_samples_and_its_labels(tmp_path, name):
  written = user_files.exported(name, tmp_path, ONE)
  reading = recordings.read(written.path)
  (recording,) = reading.recordings
  np.testing.assert_allclose(recording.acc.time_s, ONE.time_s, atol=1e-6)
  np.testing.assert_allclose(recording.acc.values, ONE.acc, atol=written.acc_atol, rtol=0)
  assert reading.has_gyro == (written.gyro_atol is not None)
  if written.gyro_atol is not None:
    np.testing.assert_allclose(recording.gyro.time_s, ONE.time_s, atol=1e-6)
    np.testing.assert_allclose(recording.gyro.values, ONE.gyro, atol=written.gyro_atol, rtol=0)
  assert user_files.find_spans(recording) == [tuple(span) for span in written.labels or ()]
  app = 'CSV or Parquet' if name in ('CSV', 'Parquet', 'Excel') else name.partition(',')[0].partition(' (')[0]
  assert f'read as {app}.' in reading.notes[0]


@pytest.mark.parametrize('name', exports.WRITERS)
def test_a_damaged_export_is_read_or_refused_in_a_sentence(tmp_path, name):
  rng = np.random.default_rng(sum(name.encode()))
  path = user_files.exported(name, tmp_path, export_base.recording(300)).path
  files = [path] if path.is_file() else sorted(each for each in path.rglob('*') if each.is_file())
  whole = {file: file.read_bytes() for file in files}
  for turn in range(6):
    file = files[int(rng.integers(len(files)))]
    data = bytearray(whole[file])
    if turn % 2:
      data = data[: int(rng.integers(len(data)))]
    else:
      for place in rng.integers(len(data), size=1 + turn):
        data[place] = int(rng.integers(256))
    file.write_bytes(data)
    with contextlib.suppress(UserError):
      windows = recordings.to_windows(recordings.read(path), DEFAULT_WINDOWING, unlabeled=True)
      assert all(np.isfinite(window.signal).all() for window in windows)
    file.write_bytes(whole[file])


def test_parquet_reads_like_csv_with_labels_as_text_or_bytes(tmp_path):
  pytest.importorskip('pyarrow')
  for time, label, start in (
    (FRAME.time, 'walk', ''),
    (MOMENTS, b'walk', user_files.START),
    (MOMENTS.tz_localize('UTC'), 'walk', f'{user_files.START}+00:00'),
  ):
    FRAME.assign(time=time, label=[label] * 500 + [None] * 500).to_parquet(tmp_path / 'walk.parquet')
    reading = recordings.read(tmp_path / 'walk.parquet')
    user_files.expect(reading, same=True, start=start, spans=[(0, 10, 'walk')])


# --- signs, gravity and clocks


def test_gravity_that_ends_early_is_not_continued(tmp_path):
  files = export_sensor_logger.sensor_logger_files(ONE, 'android')
  files['Gravity.csv'] = ''.join(str(files['Gravity.csv']).splitlines(keepends=True)[:601])
  reading = recordings.read(export_base.folder_of(tmp_path / 'walk', files))
  assert reading.recordings[0].acc.time_s[-1] == pytest.approx(12.98)
  assert any('550 rows of acceleration have no gravity' in warning for warning in reading.warnings)


def test_the_browsers_angular_velocity_is_in_degrees_about_x_y_and_z(tmp_path):
  names = [f'accelerationIncludingGravity.{axis}' for axis in 'xyz']
  names += [f'rotationRate.{angle}' for angle in ('alpha', 'beta', 'gamma')]
  values = np.concatenate([ONE.acc, ONE.gyro * export_base.DEGREES], axis=1)
  frame = pd.DataFrame(values, columns=names).assign(timestamp=ONE.time_s * 1000)
  frame.to_csv(tmp_path / 'walk.csv', index=False)
  (recording,) = recordings.read(tmp_path / 'walk.csv').recordings
  np.testing.assert_allclose(recording.gyro.values, ONE.gyro, atol=1e-5)


@pytest.mark.parametrize('names', [['Downloads/x/walk.csv'], ['a/walk.csv', 'b/run.csv']])
def test_tables_in_folders_of_a_zip_are_read(tmp_path, names):
  text = exports.WRITERS['CSV'](tmp_path, ONE).path.read_text()
  path = export_base.zip_of(tmp_path / 'all.zip', dict.fromkeys(names, text))
  assert recordings.read(path).files == sorted(pathlib.PurePosixPath(name).stem for name in names)


def test_decimal_commas_may_stand_in_quotes(tmp_path):
  frame = pd.DataFrame(np.column_stack([ONE.time_s, ONE.acc]), columns=['time', 'ax', 'ay', 'az']).round(6)
  frame.map(lambda value: str(value).replace('.', ',')).to_csv(tmp_path / 'walk.csv', index=False)
  (recording,) = recordings.read(tmp_path / 'walk.csv').recordings
  np.testing.assert_allclose(recording.acc.values, ONE.acc, atol=2e-6)


def test_without_metadata_sensor_logger_warns_of_the_sign(tmp_path):
  files = export_sensor_logger.sensor_logger_files(ONE, 'ios')
  del files['Metadata.csv']
  reading = recordings.read(export_base.folder_of(tmp_path / 'walk', files))
  assert any('no Metadata with the platform' in warning for warning in reading.warnings)
  np.testing.assert_allclose(reading.recordings[0].acc.values, -ONE.acc, atol=1e-5)


def test_the_watch_of_sensor_logger_is_read_alone_with_the_sign_of_its_folder(tmp_path):
  files = export_sensor_logger.sensor_logger_files(ONE, 'ios') | export_sensor_logger.sensor_logger_files(
    ONE, 'ios', wrist=True
  )
  reading = recordings.read(export_base.folder_of(tmp_path / 'walk', files))
  assert any('WristMotion.csv is of the watch' in note for note in reading.notes)
  alone = recordings.read(tmp_path / 'walk' / 'WristMotion.csv')
  assert not any('to read it' in note for note in alone.notes)
  np.testing.assert_allclose(alone.recordings[0].acc.values, ONE.acc, atol=2e-5)


@pytest.mark.parametrize(
  ('serial', 'scale'), [('NEO1C1', 341), ('CLE2A1', 341), ('MOS2E3', 256), ('TAS1D4', 256)]
)
def test_an_actigraph_that_does_not_say_its_scale_has_that_of_its_model(tmp_path, serial, scale):
  written = export_devices.actigraph_of(tmp_path, ONE, 0x1A, scale, serial)
  (recording,) = recordings.read(written.path).recordings
  np.testing.assert_allclose(
    recording.acc.values, ONE.acc[: len(recording.acc.values)], atol=written.acc_atol
  )


def test_annotations_without_text_end_an_activity(tmp_path):
  files = export_sensor_logger.sensor_logger_files(ONE, 'android')
  start = export_base.EPOCH_S * 10**9
  files['Annotation.csv'] = (
    'time,seconds_elapsed,text,millisecond_press_duration\n'
    f'{start + 2 * 10**9},2,walk,\n{start + 7 * 10**9},7,,\n{start + 12 * 10**9},12,sit,\n'
  )
  reading = recordings.read(export_base.folder_of(tmp_path / 'walk', files))
  assert user_files.find_spans(reading.recordings[0]) == [(2, 7, 'walk'), (12, 24, 'sit')]
  assert reading.time_zone == 'Europe/Berlin'


@pytest.mark.parametrize(('separator', 'decimal'), export_phyphox.PHYPHOX_DIALECTS)
@pytest.mark.parametrize('short', [False, True])
def test_every_dialect_and_layout_of_phyphox_is_read(tmp_path, separator, decimal, short):
  files = export_phyphox.phyphox_files(ONE, separator, decimal, short=short)
  reading = recordings.read(export_base.folder_of(tmp_path / 'walk', files))
  np.testing.assert_allclose(reading.recordings[0].acc.values, ONE.acc, atol=1e-5)
  np.testing.assert_allclose(reading.recordings[0].gyro.values, ONE.gyro, atol=1e-5)
  assert reading.start == '2026-05-28T20:26:40+00:00'
  assert reading.time_zone == 'UTC+02:00'


def test_a_pause_of_phyphox_is_a_gap_on_the_wall_clock(tmp_path):
  events = [('START', 0.0, export_base.EPOCH_S), ('PAUSE', 8.0, export_base.EPOCH_S + 8)]
  events += [('START', 8.0, export_base.EPOCH_S + 38), ('PAUSE', 24.0, export_base.EPOCH_S + 54)]
  files = export_phyphox.phyphox_files(ONE, ',', '.') | {'meta/time.csv': export_phyphox.phyphox_time(events)}
  reading = recordings.read(export_base.folder_of(tmp_path / 'walk', files))
  assert [len(recording.acc.time_s) for recording in reading.recordings] == [400, 800]
  assert reading.offsets_s == pytest.approx([0, 38])


def test_translated_names_of_phyphox_are_known(tmp_path):
  for names in (
    '"Zeit (s)","Beschleunigung x (m/s^2)","Beschleunigung y (m/s^2)","Beschleunigung z (m/s^2)"',
    '"Temps (s)","Accélération x (m/s^2)","Accélération y (m/s^2)","Accélération z (m/s^2)"',
    '"Tiempo (s)","Aceleración x (m/s^2)","Aceleración y (m/s^2)","Aceleración z (m/s^2)"',
  ):
    table = export_phyphox.phyphox_text(
      export_phyphox.phyphox_table('Accelerometer', ONE.time_s, ONE.acc, short=True)
    )
    path = tmp_path / 'Raw Data.csv'
    path.write_text(names + '\n' + table.partition('\n')[2], encoding='utf-8')
    reading = recordings.read(path)
    np.testing.assert_allclose(reading.recordings[0].acc.values, ONE.acc, atol=1e-5)


SENSOR_LOGGER = export_sensor_logger.sensor_logger_files(ONE, 'ios')


# --- folders, and what is none of these


def test_a_folder_of_exports_of_several_apps_is_several_recordings(tmp_path):
  exports.plain_csv(tmp_path, ONE)
  exports.edge_impulse_csv(tmp_path, ONE)
  for name, files in (('zipped', SENSOR_LOGGER), ('inside', export_phyphox.phyphox_files(ONE, ',', '.'))):
    export_base.zip_of(tmp_path / f'{name}.zip', files)
  export_base.folder_of(tmp_path / 'unzipped', SENSOR_LOGGER)
  (tmp_path / 'notes.csv').write_text('when,what\n1,left\n2,right\n')
  (tmp_path / 'photo.png').write_bytes(b'\x89PNG')
  (tmp_path / 'settings.json').write_text('{}')
  (tmp_path / 'firmware.bin').write_bytes(b'\x00')
  reading = recordings.read(tmp_path)
  assert reading.files == ['inside', 'unzipped', 'walk', 'walk.2f3a', 'zipped']
  for recording in reading.recordings:
    np.testing.assert_allclose(recording.acc.values, ONE.acc, atol=1e-5)
  left_out = [each for each in reading.warnings if 'Left out' in each]
  assert len(left_out) == 3
  assert 'firmware.bin is no recording of GENEActiv' in left_out[0]
  assert 'settings.json is JSON or CBOR of none of these apps' in left_out[1]
  assert 'notes.csv has no three accelerometer axes' in left_out[2]


def test_several_recordings_of_one_phyphox_sensor_are_not_mixed(tmp_path):
  text = export_phyphox.phyphox_text(export_phyphox.phyphox_table('Accelerometer', ONE.time_s, ONE.acc))
  reading = recordings.read(
    export_base.folder_of(tmp_path / 'walk', {'monday.csv': text, 'tuesday.csv': text})
  )
  assert reading.files == ['monday', 'tuesday']


def test_labels_of_an_edge_impulse_sample_are_not_guessed_for_other_files(tmp_path):
  written = exports.edge_impulse_csv(tmp_path, ONE)
  written.path.rename(tmp_path / 'day.csv')
  assert not recordings.read(tmp_path / 'day.csv').recordings[0].spans


def test_a_label_of_info_labels_is_used_before_that_of_the_name(tmp_path):
  exports.edge_impulse_dataset(tmp_path, ONE)
  info = tmp_path / 'dataset' / 'info.labels'
  info.write_text(info.read_text().replace('"label": "walk"', '"label": "sit"'))
  assert user_files.find_spans(recordings.read(tmp_path / 'dataset').recordings[0]) == [(0, 24, 'sit')]


def test_the_page_lists_every_format_and_every_export():
  page = (pathlib.Path(__file__).parents[2] / 'docs' / 'formats.md').read_text(encoding='utf-8')
  rows = {cells[1].strip() for line in page.splitlines() if len(cells := line.split('|')) > 2}
  assert {each.app for each in formats.FORMATS} | set(exports.WRITERS) <= rows

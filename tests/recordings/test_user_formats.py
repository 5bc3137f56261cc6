"""The same recording, exported by any app, is read as the same samples and labels."""

import dataclasses
import datetime
import json
import pathlib
import shutil

import export_base
import exports
import numpy as np
import pandas as pd
import pytest
import user_files
import zips
from test_read_files import AUTO, MOMENTS, at, csv, named, row
from user_files import ACC, DEGREES, EPOCH_S, FRAME, GYRO, SENSORS

from har_jax import recordings
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


# --- signs, gravity, clocks and names: what is in a file or folder, and what is read of it


def gravity_from(start_s: float) -> str:
  """Gravity.csv of a sensor that begins so many seconds after the others."""
  late = dataclasses.replace(ONE, time_s=ONE.time_s + start_s)
  return str(exports.sensor_logger_files(late, 'android')['Gravity.csv'])


PHONE, ANDROID = (exports.sensor_logger_files(ONE, platform) for platform in ('ios', 'android'))
LATE = exports.sensor_logger_files(dataclasses.replace(ONE, time_s=ONE.time_s + 0.002), 'android')
LATE = exports.sensor_logger_files(ONE, 'android', total=True) | {'Gyroscope.csv': LATE['Gyroscope.csv']}
LATE['Gravity.csv'] = ''  # the linear acceleration must not be taken
ANNOTATIONS = exports.annotations([(12, 'sit; read'), (2, 'walk'), (7, ''), (2, 'run')])
SAMPLE = user_files.content('Edge Impulse (JSON)')
LISTED = [{'path': 'training/a.json', 'label': {'type': 'label', 'label': 'sit'}},
          {'path': 'training/b.json', 'label': 'run'}]  # fmt: skip
PHYPHOX = exports.phyphox_files(ONE, ',', '.')
ACC_TABLE = exports.phyphox_table('Accelerometer', ONE.time_s, ONE.acc)
GYRO_TABLE = exports.phyphox_table('Gyroscope', ONE.time_s, ONE.gyro)
TEXT = exports.phyphox_text(exports.phyphox_table('Accelerometer', ONE.time_s, ONE.acc, short=True))
IN_MS = at(np.round(FRAME.time * 1000))
BROWSER = '|'.join(
  ['timestamp', *(f'accelerationIncludingGravity.{axis}' for axis in 'xyz')]
  + [f'rotationRate.{angle}' for angle in ('alpha', 'beta', 'gamma')]
)
SAME = {'acc': (ONE.acc, 1e-5), 'gyro': (ONE.gyro, 1e-5)}
ON_THE_WALL = {'start': '2026-05-28T20:26:40+00:00', 'time_zone': 'UTC+02:00'}
# The clock of the app stands still for 30 seconds.
EVENTS = (('START', 0.0, 0.0), ('PAUSE', 8.0, 8.0), ('START', 8.0, 38.0), ('PAUSE', 24.0, 54.0))
PAUSED = exports.phyphox_time([(name, at_s, EPOCH_S + wall_s) for name, at_s, wall_s in EVENTS])
ROWS = [
  row('gravity that ends early',
      ANDROID | {'Gravity.csv': ''.join(str(ANDROID['Gravity.csv']).splitlines(keepends=True)[:601])},
      arrays={'time_s': (ONE.time_s[:650], 1e-5)}, warnings=['550 rows of acceleration have no gravity']),
  row('gravity of two samples',
      ANDROID | {'Annotation.csv': '', 'Gravity.csv': '\n'.join(str(ANDROID['Gravity.csv']).split()[:3])},
      samples=(52, 52), warnings=['1148 rows of acceleration have no gravity']),  # up to a second later
  row('gravity for the last two samples',
      ANDROID | {'Annotation.csv': '', 'Gravity.csv': gravity_from(24.95)},
      samples=(2, 2), warnings=['1198 rows of acceleration have no gravity']),
  row('turns in a browser', named(BROWSER, IN_MS.assign(**FRAME[GYRO] * DEGREES)), AUTO, same=True),
  row('decimal commas in quotes',
      FRAME.map(lambda value: str(value).replace('.', ',')).to_csv(index=False).replace('","', '", "'),
      same=True),
  row('Sensor Logger without metadata', PHONE | {'Metadata.csv': ''}, arrays={'acc': (-ONE.acc, 1e-5)},
      warnings=['no Metadata with the platform']),
  row('Sensor Logger of another platform',
      ANDROID | {'Metadata.csv': str(ANDROID['Metadata.csv']).replace('android', 'ipados')},
      arrays=SAME, warnings=['no Metadata with the platform']),
  row('Sensor Logger of an iPhone', PHONE, arrays=SAME,
      notes=[', without standardized frames: its signs are opposite to ours']),
  row('Sensor Logger of an iPhone, standardized', exports.sensor_logger_files(ONE, 'ios', standardized=True),
      notes=[', with standardized frames: its signs are ours']),
  row('Sensor Logger of Android', ANDROID, arrays=SAME, notes=['its signs are ours']),
  row('uncalibrated sensors of Sensor Logger alone',
      {'Metadata.csv': ANDROID['Metadata.csv'], 'GyroscopeUncalibrated.csv': ANDROID['Gyroscope.csv'],
       'AccelerometerUncalibrated.csv': LATE['TotalAcceleration.csv']},
      arrays=SAME, notes=['its signs are ours']),
  row('annotations without text, after an empty line',
      ANDROID | {'Annotation.csv': ANNOTATIONS.replace('\n', '\n\n', 1)},
      spans=[(2, 7, 'walk'), (12, 24, 'sit; read')], time_zone='Europe/Berlin', notes=['2 labels'],
      never=['exceed']),
  row('a gyroscope that is 2 ms late, and total acceleration',
      {f'walk-2026/{name}': text for name, text in LATE.items()}, files=['walk-2026'],
      arrays={'acc': (ONE.acc[1:], 1e-5), 'gyro': (ONE.gyro[:-1], 1e-5),
              'time_s': (ONE.time_s[:-1] + 0.018, 1e-5)}),
  *(
    row(f'phyphox with {separator!r} and {decimal!r}{", short names" * short}',
        exports.phyphox_files(ONE, separator, decimal, short=short), AUTO, arrays=SAME, **ON_THE_WALL)
    for separator, decimal in exports.PHYPHOX_DIALECTS
    for short in (False, True)
  ),
  row('a pause of phyphox', PHYPHOX | {'meta/time.csv': PAUSED}, offsets_s=pytest.approx([0, 38]),
      arrays={'time_s': (np.r_[ONE.time_s[:400], ONE.time_s[:800]], 1e-5)}),
  row('a clock of phyphox that is not wanted', PHYPHOX, {'rate_hz': 10},
      arrays={'time_s': (np.arange(1200) / 10, 1e-9)}),
  *(
    row(f'phyphox in another language, {time}',
        f'"{time} (s)",' + ','.join(f'"{acc} {axis} (m/s^2)"' for axis in 'xyz') + TEXT[TEXT.index('\n') :],
        arrays={'acc': (ONE.acc, 1e-5)})
    for time, acc in (('Zeit', 'Beschleunigung'), ('Temps', 'Accélération'), ('Tiempo', 'Aceleración'))
  ),
  row('both sensors of phyphox in one table',
      exports.phyphox_text(ACC_TABLE.join(GYRO_TABLE.iloc[:, 1:])), AUTO, arrays=SAME),
  row('columns of phyphox in another order', exports.phyphox_text(ACC_TABLE.iloc[:, [0, 3, 1, 2, 4]]), AUTO,
      arrays={'acc': (ONE.acc, 1e-5)}),
  row('a file of linear acceleration beside that with gravity',
      SENSORS | {'LinearAcceleration.csv': SENSORS['Accelerometer.csv'].assign(x=0.0, y=0.0, z=0.0)},
      same=True),
  row('several recordings of one phyphox sensor', {'monday.csv': TEXT, 'tuesday.csv': TEXT},
      files=['monday', 'tuesday']),
  row('a name that is no label', named('timestamp|accx|accy|accz|gyrx|gyry|gyrz', IN_MS), same=True, spans=[],
      notes=['read as Edge Impulse']),
  *(
    row(f'{len(names)} tables in folders of a zip',
        ('all.zip', zips.zipped(dict.fromkeys(names, csv(FRAME)))),
        files=sorted(pathlib.PurePosixPath(name).stem for name in names))
    for names in (['Downloads/x/walk.csv'], ['a/walk.csv', 'b/run.csv'])
  ),
  row('labels of info.labels, which come before that of the name',
      {'training/a.json': SAMPLE, 'training/b.json': SAMPLE, 'info.labels': json.dumps({'files': LISTED})},
      AUTO, spans=[(0, 24, 'sit'), (0, 24, 'run')], notes=["sit, from Edge Impulse's info.labels"]),
  row('GENEActiv, with a gain and an offset, ended within a page',
      ('walk.bin', user_files.content('GENEActiv (.bin)').replace(b'y gain:25600', b'y gain:12800')
       .replace(b'z offset:0', b'z offset:2560').rstrip()[: -12 * 200]),  # of the last 300 samples
      arrays={'acc': (ONE.acc[:1000] * [1, 2, 1] - [0, 0, 0.1 * export_base.G], 1.01 * export_base.G / 256),
              'time_s': (ONE.time_s[:1000], 1e-6)}),
  *(
    row(f'ActiGraph {serial}, which does not say its scale',
        ('walk.gt3x', zips.zipped(zips.unzipped(user_files.content(f'ActiGraph (.gt3x{kind})'))
         | {'info.txt': f'Serial Number: {serial}\nSample Rate: 50\n'})),
        arrays={'acc': (ONE.acc, 0.501 * export_base.G / scale)})
    for kind, scale, serials in (('', 256, ('MOS2E3', 'TAS1D4')), (', 12 bits', 341, ('NEO1C1', 'CLE2A1')))
    for serial in serials
  ),
  row('a doubt about all files',
      dict.fromkeys(['ana.csv', 'ben.csv'], FRAME.assign(**FRAME[ACC] - FRAME[ACC].mean())),
      warnings=['All 2 files: Acceleration seems to lack gravity'], never=['ana: ', 'ben: ']),
  row('a recording that was copied',
      {'day.csv': FRAME[:600], 'day (1).csv': FRAME[:600], 'half.csv': FRAME[:300]},
      warnings=['day, day (1) hold the same samples'], never=[', half', 'half, ']),
  row('files in folders next to a recording', {'day.csv': FRAME, 'answers/windows.csv': FRAME},
      files=['day'], warnings=['Not read: answers/windows.csv, as']),
]  # fmt: skip


@pytest.mark.parametrize(('content', 'options', 'expected'), ROWS)
def test_an_export_is_read_as_what_was_recorded(tmp_path, content, options, expected):
  user_files.expect(recordings.read(user_files.put(tmp_path, content), **options), **expected)


def test_gravity_for_one_sample_is_refused(tmp_path):
  with pytest.raises(UserError, match='acceleration and gravity do not overlap in time'):
    recordings.read(user_files.put(tmp_path, ANDROID | {'Gravity.csv': gravity_from(24.97)}))


def test_the_watch_of_sensor_logger_is_read_alone_with_the_sign_of_its_folder(tmp_path):
  files = PHONE | exports.sensor_logger_files(ONE, 'ios', wrist=True)
  path = user_files.put(tmp_path, files)
  user_files.expect(recordings.read(path), notes=['WristMotion.csv is of the watch'])
  alone = recordings.read(path / 'WristMotion.csv')
  user_files.expect(alone, not_noted=['to read it'], arrays={'acc': (ONE.acc, 2e-5)})


def test_a_packed_date_is_its_moment_or_none():
  dates = [(26, 12, 31, 23, 59, 59), (0, 1, 1, 0, 0, 0), (63, 2, 28, 12, 0, 7)]
  none = [(26, 0, 1, 0, 0, 0), (26, 13, 1, 0, 0, 0), (26, 1, 0, 0, 0, 0)]
  none += [(26, 1, 1, 24, 0, 0), (26, 1, 1, 0, 60, 0), (26, 1, 1, 0, 0, 60)]
  bits = np.array([26, 22, 17, 12, 6, 0])
  packed = np.array([np.sum(np.array(fields) << bits) for fields in dates + none]).astype(np.uint32)
  moments = [datetime.datetime(2000 + date[0], *date[1:], tzinfo=datetime.UTC).timestamp() for date in dates]
  np.testing.assert_array_equal(formats.devices._seconds(packed), moments + [np.nan] * len(none))


def test_samples_of_uneven_blocks_reach_evenly_to_the_next_but_not_over_a_gap():
  starts_s, counts = np.array([0.0, 60, 61.05, 62]), np.array([20, 50, 40, 10])
  joined = formats.devices._join_blocks(starts_s, counts, 45.0, np.zeros((120, 3)), None, 0, [])
  steps_s = [1 / 45, 1.05 / 50, 0.95 / 40, 0.95 / 40]
  blocks = zip(starts_s, counts, steps_s, strict=True)
  expected = [start_s + step_s * np.arange(count) for start_s, count, step_s in blocks]
  np.testing.assert_allclose(joined.time_s, np.concatenate(expected))


# --- folders, and what is none of these


def test_a_folder_of_exports_of_several_apps_is_several_recordings(tmp_path):
  exports.plain_csv(tmp_path, ONE)
  exports.edge_impulse_csv(tmp_path, ONE)
  for name, files in (('zipped', PHONE), ('inside', exports.phyphox_files(ONE, ',', '.'))):
    zips.write_zip(tmp_path / f'{name}.zip', files)
  zips.write(tmp_path / 'unzipped', PHONE)
  (tmp_path / 'notes.csv').write_text('when,what\n1,left\n2,right\n')
  (tmp_path / 'labels.csv').write_text('person,start,end,activity\nana,1,9,walk\n')
  (tmp_path / 'photo.png').write_bytes(b'\x89PNG')
  (tmp_path / 'settings.json').write_text('{}')
  (tmp_path / 'firmware.bin').write_bytes(b'\x00')
  reading = recordings.read(tmp_path)
  assert reading.files == ['inside', 'unzipped', 'walk', 'walk.2f3a', 'zipped']
  for recording in reading.recordings:
    np.testing.assert_allclose(recording.acc.values, ONE.acc, atol=1e-5)
  left_out = [each for each in reading.warnings if 'Left out' in each]
  assert len(left_out) == 3  # of labels.csv a sentence of its own
  assert 'firmware.bin is no recording of GENEActiv' in left_out[0]
  assert 'settings.json is JSON or CBOR of none of these apps' in left_out[1]
  assert 'notes.csv has no three accelerometer axes' in left_out[2]
  assert f'Not read: {tmp_path / "labels.csv"} has labels: give it as the labels.' in reading.warnings


def test_the_page_lists_every_format_and_every_export():
  page = (pathlib.Path(__file__).parents[2] / 'docs' / 'formats.md').read_text(encoding='utf-8')
  rows = {cells[1].strip() for line in page.splitlines() if len(cells := line.split('|')) > 2}
  assert {each.app for each in formats.FORMATS} | set(exports.WRITERS) <= rows


# --- recordings of several people: none is taken for another, none lost in silence


def _labels(path, **columns: list):
  pd.DataFrame({'start': [1], 'end': [9], 'activity': ['walk']} | columns).to_csv(path, index=False)
  return path


def test_marks_of_direction_in_a_name_reach_no_sentence_and_no_table(tmp_path):
  name = 'walk\u202efdp'
  user_files.written(tmp_path, FRAME, f'{name}.csv')
  _labels(tmp_path / f'{name}.labels.csv')
  reading = recordings.read(tmp_path / f'{name}.csv')
  assert reading.files == ['walkfdp']
  assert all(sentence.isprintable() for sentence in reading.notes + reading.warnings)
  assert user_files.find_spans(reading.recordings[0])  # labels next to it are found


def test_files_of_one_name_are_different_recordings(tmp_path):
  folder = user_files.put(tmp_path, dict.fromkeys(['day.csv', 'day.txt'], FRAME))
  labels = _labels(folder / 'day.labels.csv')
  user_files.expect(recordings.read(folder), files=['day.csv', 'day.txt'], spans=2 * [(1, 9, 'walk')])
  of_one = recordings.read(folder, labels=_labels(labels, recording=['day.txt']))
  assert [user_files.find_spans(each) for each in of_one.recordings] == [[], [(1, 9, 'walk')]]


PROPERTY = pd.DataFrame({'property': ['brand'], 'value': ['x']})


@pytest.mark.parametrize('is_zip', [True, False])
@pytest.mark.parametrize(
  ('tree', 'files', 'warning'),
  [
    ({'ana/day.csv': FRAME, 'ben/day.csv': FRAME, 'ben/evening.csv': FRAME, 'ben/notes.csv': 'of no use'}
     | {f'eva/{name}': table for name, table in SENSORS.items()},
     ['ana/day.csv', 'ben/day.csv', 'eva', 'evening'], 'ben/notes.csv is no table'),
    ({'ben_Accelerometer.csv': SENSORS['Accelerometer.csv']}
     | {f'ana_{name}': table for name, table in SENSORS.items()}, ['ana'], 'ben_Accelerometer.csv'),
    (SENSORS | {f'ben/{name}': table for name, table in SENSORS.items()} | {'meta/device.csv': PROPERTY},
     ['all'], 'Not read: ben, as'),
  ],
)  # fmt: skip
def test_recordings_of_several_people_are_told_apart_or_named(tmp_path, tree, files, warning, is_zip):
  path = user_files.put(tmp_path, tree)
  path = shutil.make_archive(str(path), 'zip', path) if is_zip else path
  user_files.expect(recordings.read(path), files=files, warnings=[warning])


def test_a_name_that_several_recordings_have_names_none(tmp_path):
  tree = {f'{person}/{name}': table for person in ('ana', 'ben') for name, table in SENSORS.items()}
  labels = _labels(tmp_path / 'labels.csv', recording=['Accelerometer.csv'])
  with pytest.raises(UserError, match=r'labels Accelerometer.csv; the recordings are ana, ben'):
    recordings.read(user_files.put(tmp_path, tree), labels=labels)


def test_a_folder_holds_one_recording_a_file_by_name(tmp_path):
  tree = {'b.csv': FRAME, 'a.tsv': FRAME[:500].to_csv(index=False, sep='\t'), 'notes.md': 'nothing'}
  reading = recordings.read(user_files.put(tmp_path, tree), subject='ann', position='wrist')
  assert reading.files == ['a', 'b']
  assert [len(recording.acc.time_s) for recording in reading.recordings] == [500, 1000]
  assert {(recording.subject, recording.position) for recording in reading.recordings} == {('ann', 'wrist')}


def test_recordings_of_one_name_have_their_paths_as_names(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)  # a relative path has no part that all share
  content = zips.zipped(dict.fromkeys(['walk.csv', 'b/walk.csv'], csv(FRAME)))
  pathlib.Path('all.zip').write_bytes(content)
  assert recordings.read('all.zip').files == ['all.zip/walk.csv', 'b/walk.csv']

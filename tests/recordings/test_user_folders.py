"""Recordings of several people in one folder or zip: none is taken for another, none lost in silence."""

import itertools
import shutil

import pandas as pd
import pytest
import user_files
from user_files import ACC, FRAME, GYRO

from har_jax import recordings
from har_jax.errors import UserError


def _write(folder, name: str, frame: pd.DataFrame = FRAME) -> None:
  folder.mkdir(parents=True, exist_ok=True)
  user_files.written(folder, frame, name)


def _labels(path, **columns: list):
  pd.DataFrame({'start': [1], 'end': [9], 'activity': ['walk']} | columns).to_csv(path, index=False)
  return path


def _packed(folder, is_zip: bool):
  """The folder, or a zip of it."""
  return shutil.make_archive(str(folder), 'zip', folder) if is_zip else folder


def test_marks_of_direction_in_a_name_reach_no_sentence_and_no_table(tmp_path):
  name = 'walk\u202efdp'
  _write(tmp_path, f'{name}.csv')
  _labels(tmp_path / f'{name}.labels.csv')
  reading = recordings.read(tmp_path / f'{name}.csv')
  assert reading.files == ['walkfdp']
  assert all(sentence.isprintable() for sentence in reading.notes + reading.warnings)
  assert user_files.find_spans(reading.recordings[0])  # labels next to it are found


def test_files_of_one_name_are_different_recordings(tmp_path):
  for name in ('day.csv', 'day.txt'):
    _write(tmp_path, name)
  labels = _labels(tmp_path / 'day.labels.csv')
  reading = recordings.read(tmp_path)
  assert reading.files == ['day.csv', 'day.txt']
  assert all(user_files.find_spans(each) == [(1, 9, 'walk')] for each in reading.recordings)
  of_one = recordings.read(tmp_path, labels=_labels(labels, recording=['day.txt']))
  assert [user_files.find_spans(each) for each in of_one.recordings] == [[], [(1, 9, 'walk')]]


SENSORS = {
  name: FRAME[['time', *axes]].set_axis(['time', *'xyz'], axis=1)
  for name, axes in (('Accelerometer.csv', ACC), ('Gyroscope.csv', GYRO))
}
PROPERTY = pd.DataFrame({'property': ['brand'], 'value': ['x']})


@pytest.mark.parametrize('is_zip', [True, False])
@pytest.mark.parametrize(
  ('tree', 'files', 'warning'),
  [
    ({'ana/day.csv': FRAME, 'ben/day.csv': FRAME, 'ben/evening.csv': FRAME, 'ben/notes.csv': None}
     | {f'eva/{name}': table for name, table in SENSORS.items()},
     ['ana/day.csv', 'ben/day.csv', 'eva', 'evening'], 'ben/notes.csv is no table'),
    ({'ben_Accelerometer.csv': SENSORS['Accelerometer.csv']}
     | {f'ana_{name}': table for name, table in SENSORS.items()}, ['ana'], 'ben_Accelerometer.csv'),
    (SENSORS | {f'ben/{name}': table for name, table in SENSORS.items()} | {'meta/device.csv': PROPERTY},
     ['all'], 'Not read: ben, as'),
  ],
)  # fmt: skip
def test_recordings_of_several_people_are_told_apart_or_named(tmp_path, tree, files, warning, is_zip):
  for name, table in tree.items():
    (tmp_path / 'all' / name).parent.mkdir(parents=True, exist_ok=True)
    text = 'nothing of use\nat all\n' if table is None else table.to_csv(index=False)
    (tmp_path / 'all' / name).write_text(text)
  reading = recordings.read(_packed(tmp_path / 'all', is_zip))
  user_files.expect(reading, files=files, warnings=[warning])


def test_files_in_folders_next_to_a_recording_are_named(tmp_path):
  _write(tmp_path, 'day.csv')
  _write(tmp_path / 'answers', 'windows.csv')
  user_files.expect(recordings.read(tmp_path), files=['day'], warnings=['Not read: answers/windows.csv, as'])


def test_a_name_that_several_recordings_have_names_none(tmp_path):
  for person, name in itertools.product(('ana', 'ben'), SENSORS):
    _write(tmp_path / 'all' / person, name, SENSORS[name])
  labels = _labels(tmp_path / 'labels.csv', recording=['Accelerometer.csv'])
  with pytest.raises(UserError, match=r'labels Accelerometer.csv; the recordings are ana, ben'):
    recordings.read(tmp_path / 'all', labels=labels)


def test_a_folder_holds_one_recording_a_file_by_name(tmp_path):
  user_files.written(tmp_path, FRAME, 'b.csv')
  user_files.written(tmp_path, FRAME.iloc[:500], 'a.tsv', sep='\t')
  (tmp_path / 'notes.md').write_text('nothing')
  reading = recordings.read(tmp_path, subject='ann', position='wrist')
  assert reading.files == ['a', 'b']
  assert [len(recording.acc.time_s) for recording in reading.recordings] == [500, 1000]
  assert {(recording.subject, recording.position) for recording in reading.recordings} == {('ann', 'wrist')}

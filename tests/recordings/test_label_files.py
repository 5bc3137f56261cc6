"""Labels in files next to recordings, and which of several recordings they are of."""

import pytest
import user_files
from test_user_labels import PLAIN, SPANS, TIME_S, by_hand, put_labels, put_recording
from user_files import EPOCH_S, START

from har_jax import recordings
from har_jax.errors import UserError


def test_a_file_of_windows_may_have_a_dash_that_latin_1_lacks(tmp_path):
  path = put_labels(tmp_path, 'Beginn,Ende,Aktivität\n1,9,gehen – schnell\n'.encode('cp1252'))
  user_files.expect(recordings.read(put_recording(tmp_path), labels=path), spans=[(1, 9, 'gehen – schnell')])


def test_labels_next_to_the_recording_are_read_unless_others_are_given(tmp_path):
  path = put_recording(tmp_path)
  put_labels(tmp_path, PLAIN, 'day.labels.csv')
  user_files.expect(recordings.read(path), spans=SPANS)
  user_files.expect(recordings.read(tmp_path), spans=SPANS)  # it is no recording itself
  others = put_labels(tmp_path, by_hand('0,9,run'))
  user_files.expect(recordings.read(path, labels=others), spans=[(0, 9, 'run')])


def test_labels_of_a_folder_name_their_recordings(tmp_path):
  for name in ('a.csv', 'b.csv'):
    put_recording(tmp_path, name=name)
  text = 'recording,start,end,activity\nb,1,11,run\na.csv,2,12,sit\n'
  reading = recordings.read(tmp_path, labels=put_labels(tmp_path, text))
  assert list(map(user_files.find_spans, reading.recordings)) == [[(2, 12, 'sit')], [(1, 11, 'run')]]
  reading = recordings.read(tmp_path, labels=put_labels(tmp_path, text, 'mine.csv'))
  user_files.expect(reading, never=['mine.csv'])  # no recording that could not be read
  with pytest.raises(UserError, match=r'labels c; the recordings are a, b'):
    recordings.read(tmp_path, labels=put_labels(tmp_path, text.replace('a.csv', 'c')))
  reading = recordings.read(tmp_path / 'b.csv', labels=tmp_path / 'labels.csv')  # has labels of its own
  user_files.expect(reading, spans=[(1, 11, 'run')], notes=['labels.csv: labels of c are left out'])


def test_labels_name_recordings_by_their_folders_or_people(tmp_path):
  for name in ('ana', 'ben'):
    (tmp_path / name).mkdir()
    put_recording(tmp_path / name)
  text = '{},start,end,activity\nben,1,11,run\nana,2,12,sit\n'
  for column in ('recording', 'person', 'Subject ID'):
    reading = recordings.read(tmp_path, labels=put_labels(tmp_path, text.format(column)))
    assert list(map(user_files.find_spans, reading.recordings)) == [[(2, 12, 'sit')], [(1, 11, 'run')]]
  reading = recordings.read(tmp_path / 'ben', labels=tmp_path / 'labels.csv')
  user_files.expect(reading, spans=[(1, 11, 'run')], notes=['labels.csv: labels of ana are left out'])
  other = put_labels(tmp_path, 'person,start,end,activity\n1,1,11,run\n2,12,20,sit\n', 'others.csv')
  reading = recordings.read(tmp_path / 'ben' / 'day.csv', labels=other)
  user_files.expect(reading, spans=[(1, 11, 'run'), (12, 20, 'sit')], warnings=['labels of several people'])


def test_labels_of_a_folder_use_the_clock_if_they_name_no_recording(tmp_path):
  folder = tmp_path / 'recordings'
  folder.mkdir()
  put_recording(folder, EPOCH_S + TIME_S, 'a.csv')
  put_recording(folder, EPOCH_S + 1000 + TIME_S, 'b.csv')
  text = by_hand(f'{EPOCH_S + 2},{EPOCH_S + 12},sit', f'{EPOCH_S + 1003},{EPOCH_S + 1013},run')
  path = put_labels(tmp_path, text)
  reading = recordings.read(folder, labels=path)
  assert list(map(user_files.find_spans, reading.recordings)) == [[(2, 12, 'sit')], [(3, 13, 'run')]]
  assert reading.start == f'{START}+00:00'  # of the first
  assert not any('exceed' in each for each in reading.warnings)  # they are of the other recording
  # Seconds from whose start?
  with pytest.raises(UserError, match=r'no label lies .* add a column `recording`'):
    recordings.read(folder, labels=put_labels(tmp_path, by_hand('2,12,sit'), 'seconds.csv'))
  put_recording(folder, name='a.csv')
  with pytest.raises(UserError, match='add a column `recording`'):
    recordings.read(folder, labels=path)


def test_a_label_within_a_gap_gives_a_warning_if_its_activity_has_no_other(tmp_path):
  path = put_recording(tmp_path, TIME_S[(TIME_S < 20) | (TIME_S >= 40)])
  labels = put_labels(tmp_path, by_hand('2,12,sit', '22,30,walk', '31,38,sit', '42,50,run'))
  reading = recordings.read(path, labels=labels)
  assert list(map(user_files.find_spans, reading.recordings)) == [[(2, 12, 'sit')], [(2, 10, 'run')]]
  user_files.expect(reading, warnings=['All labels of walk lie where a sensor paused: they are left out.'])

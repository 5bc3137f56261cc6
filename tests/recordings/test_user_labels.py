"""Times of labels are on the recording's clock or count from its start."""

import numpy as np
import pandas as pd
import pytest

from har_jax import recordings
from har_jax.errors import UserError

EPOCH_S = 1_780_000_000  # 2026-05-28T20:26:40Z
SPANS = [(2.0, 12.5, 'walk the dog'), (12.5, 30.0, 'sit'), (40.0, 55.0, 'walk the dog')]


def _recording(tmp_path, time=None, name='day.csv', samples=3000):
  rng = np.random.default_rng(7)
  time = np.arange(samples) / 50 if time is None else time
  frame = pd.DataFrame({'time': time})
  frame[['ax', 'ay', 'az']] = rng.normal([0, 0, 9.81], 0.3, (samples, 3))
  frame[['gx', 'gy', 'gz']] = rng.normal(0, 0.5, (samples, 3))
  frame.to_csv(tmp_path / name, index=False)
  return tmp_path / name


def _labels(tmp_path, start, stop, activity=None, names='start,end,activity', name='labels.csv'):
  activity = [word for _, _, word in SPANS] if activity is None else activity
  frame = pd.DataFrame(dict(zip(names.split(','), (start, stop, activity), strict=True)))
  frame.to_csv(tmp_path / name, index=False)
  return tmp_path / name


def _spans(recording) -> list[tuple[float, float, str]]:
  return [(round(span.start_s, 2), round(span.stop_s, 2), span.activity) for span in recording.spans]


STARTS, STOPS = (np.array([span[i] for span in SPANS]) for i in (0, 1))


def _dates(seconds, zone=''):
  moments = pd.DatetimeIndex(
    pd.to_datetime(EPOCH_S * 1000 + np.round(seconds * 1e3).astype(np.int64), unit='ms')
  )
  return moments.strftime(f'%Y-%m-%d %H:%M:%S.%f{zone}')


def _clock(seconds):
  return [f'{int(s // 60)}:{s % 60:04.1f}' for s in seconds]


@pytest.mark.parametrize(
  ('clock', 'written', 'how'),
  [
    (lambda s: s, lambda s: s, 's on the'),
    (lambda s: s + 5000, lambda s: s + 5000, 's on the'),
    (lambda s: s + 5000, lambda s: s, 's from the'),
    (lambda s: s * 1e3, lambda s: s, 's from the'),
    (lambda s: s * 1e3, lambda s: s * 1e3, 'ms on the'),
    (lambda s: s, lambda s: s * 1e3, 'ms on the'),
    (lambda s: (EPOCH_S + s) * 1e3, lambda s: (EPOCH_S + s) * 1e3, 'ms on the'),
    (lambda s: (EPOCH_S + s) * 1e3, lambda s: EPOCH_S + s, 's on the'),
    (lambda s: (EPOCH_S + s) * 1e3, lambda s: s, 's from the'),
    (lambda s: (EPOCH_S + s) * 1e3, lambda s: _dates(s, 'Z'), 'dates on the'),
    (lambda s: _dates(s), lambda s: _dates(s), 'dates on the'),
    (lambda s: _dates(s), lambda s: _dates(s + 7200, '+02:00'), 'without a time zone as UTC'),
    (lambda s: _dates(s), lambda s: s, 's from the'),
    (lambda s: _dates(s), lambda s: pd.Index(_dates(s)).str[11:], 'times of the day'),
    (lambda s: pd.Index(_dates(s)).str[11:], lambda s: pd.Index(_dates(s)).str[11:], 'times of day on the'),
    (lambda s: s, _clock, 'hours, minutes and seconds from'),
  ],
)
def test_times_of_labels_are_read_so_that_they_lie_in_the_recording(tmp_path, clock, written, how):
  path = _recording(tmp_path, clock(np.arange(3000) / 50))
  reading = recordings.read(path, labels=_labels(tmp_path, written(STARTS), written(STOPS)))
  assert _spans(reading.recordings[0]) == SPANS
  assert any('3 labels' in note and how in note for note in reading.notes)


def test_a_unit_in_the_names_of_start_and_end_is_used(tmp_path):
  path = _recording(tmp_path, np.arange(3000) * 20)
  labels = _labels(tmp_path, STARTS, STOPS, names='start_s,end_s,activity')
  assert _spans(recordings.read(path, labels=labels).recordings[0]) == SPANS


def test_columns_may_have_other_names(tmp_path):
  labels = _labels(tmp_path, STARTS, STOPS, names='Begin,Stop,Label')
  assert _spans(recordings.read(_recording(tmp_path), labels=labels).recordings[0]) == SPANS


def test_two_ways_to_read_the_times_give_a_warning(tmp_path):
  path = _recording(tmp_path, np.arange(3000) / 50 + 1.5)
  reading = recordings.read(path, labels=_labels(tmp_path, STARTS + 1.5, STOPS + 1.5))
  assert _spans(reading.recordings[0]) == SPANS
  assert any("as s from the recording's start" in warning for warning in reading.warnings)


def test_labels_next_to_the_recording_are_read_unless_others_are_given(tmp_path):
  path = _recording(tmp_path)
  _labels(tmp_path, STARTS, STOPS, name='day.labels.csv')
  assert _spans(recordings.read(path).recordings[0]) == SPANS
  assert _spans(recordings.read(tmp_path).recordings[0]) == SPANS  # it is no recording itself
  others = _labels(tmp_path, [0.0], [9.0], ['run'])
  assert _spans(recordings.read(path, labels=others).recordings[0]) == [(0, 9, 'run')]


def test_labels_of_a_folder_name_their_recordings(tmp_path):
  folder = tmp_path / 'recordings'
  folder.mkdir()
  _recording(folder, name='a.csv')
  _recording(folder, name='b.csv')
  frame = pd.DataFrame(
    {'recording': ['b', 'a.csv'], 'start': [1, 2], 'end': [11, 12], 'activity': ['run', 'sit']}
  )
  frame.to_csv(folder / 'labels.csv', index=False)
  reading = recordings.read(folder, labels=folder / 'labels.csv')
  assert [_spans(recording) for recording in reading.recordings] == [[(2, 12, 'sit')], [(1, 11, 'run')]]
  frame.assign(recording=['b', 'c']).to_csv(folder / 'labels.csv', index=False)
  with pytest.raises(UserError, match=r'labels c; the recordings are a, b'):
    recordings.read(folder, labels=folder / 'labels.csv')


def test_labels_of_a_folder_use_the_clock_if_they_name_no_recording(tmp_path):
  folder = tmp_path / 'recordings'
  folder.mkdir()
  _recording(folder, EPOCH_S + np.arange(3000) / 50, 'a.csv')
  _recording(folder, EPOCH_S + 1000 + np.arange(3000) / 50, 'b.csv')
  labels = _labels(
    tmp_path, EPOCH_S + np.array([2, 1003.0]), EPOCH_S + np.array([12, 1013.0]), ['sit', 'run']
  )
  reading = recordings.read(folder, labels=labels)
  assert [_spans(recording) for recording in reading.recordings] == [[(2, 12, 'sit')], [(3, 13, 'run')]]
  _recording(folder, name='a.csv')
  with pytest.raises(UserError, match='add a column `recording`'):
    recordings.read(folder, labels=labels)


def test_spans_are_clipped_at_the_ends_and_at_gaps(tmp_path):
  time_s = np.arange(3000) / 50
  path = _recording(tmp_path, np.where(time_s < 20, time_s, time_s + 10))
  reading = recordings.read(
    path, labels=_labels(tmp_path, [-5.0, 15.0, 60.0], [5.0, 40.0, 99.0], ['a', 'b', 'c'])
  )
  first, second = map(_spans, reading.recordings)
  assert first == [(0, 5, 'a'), (15, 20, 'b')]
  assert second == [(0, 10, 'b'), (30, 40, 'c')]
  assert any('2 of 3 labels' in warning for warning in reading.warnings)


def test_a_short_overlap_belongs_to_the_later_label(tmp_path):
  labels = _labels(tmp_path, [1.0, 9.8, 15.0], [10.0, 16.0, 20.0], ['sit', 'run', 'run'])
  assert _spans(recordings.read(_recording(tmp_path), labels=labels).recordings[0]) == [
    (1, 9.8, 'sit'),
    (9.8, 20, 'run'),
  ]


def test_a_column_of_labels_gives_spans_and_empty_cells_none(tmp_path):
  path = _recording(tmp_path)
  frame = pd.read_csv(path).assign(Activity=['sit'] * 500 + [''] * 500 + ['42'] * 1000 + [' sit '] * 1000)
  frame.to_csv(path, index=False)
  assert _spans(recordings.read(path).recordings[0]) == [(0, 10, 'sit'), (20, 40, '42'), (40, 60, 'sit')]
  mapped = frame.rename(columns={'Activity': 'what'})
  mapped.to_csv(path, index=False)
  assert not recordings.read(path).recordings[0].spans
  assert len(recordings.read(path, columns={'label': 'what'}).recordings[0].spans) == 3


@pytest.mark.parametrize(
  ('text', 'message'),
  [
    (
      'start,end,activity\n100,200,walk\n300,400,sit\n',
      r'no label lies in the recording, which lasts 60\.0 s',
    ),
    ('start,end,activity\n2026-05-01 10:00:00,2026-05-01 10:01:00,walk\n', r'labels\.csv gives dates'),
    ('start,activity\n1,walk\n2,sit\n', r'lacks end; its columns are start, activity'),
    ('start,end,activity\n1,2,walk\n9,5,sit\n', r'row 2 \(sit\) ends at or before its start'),
    ('start,end,activity\n1,2,walk\n5,9,\n', 'row 2 lacks its start, its end or its activity'),
    ('start,end,activity\n1,2,walk\nx,9,sit\n', r"line 3 has 'x' in column 'start'"),
    (
      'start,end,activity\n1,20,walk\n5,9,sit\n',
      r'walk \(1\.0 to 20\.0 s\) and sit \(5\.0 to 9\.0 s\) overlap',
    ),
    ('start,end,activity\n', 'start, end, activity and no row'),
  ],
)
def test_unusable_labels_are_refused_with_the_reason(tmp_path, text, message):
  labels = tmp_path / 'labels.csv'
  labels.write_text(text)
  with pytest.raises(UserError, match=message):
    recordings.read(_recording(tmp_path), labels=labels)


# --- languages, dates and time zones


@pytest.mark.parametrize(
  'names',
  [
    'Beginn,Ende,Aktivität',
    'Anfang (s),Ende (s),Tätigkeit',
    'von,bis,Bezeichnung',
    'début,fin,activité',
    'Début,Fin,Étiquette',
    'inicio,fin,actividad',
    'desde,hasta,etiqueta',
  ],
)
@pytest.mark.parametrize('encoding', ['utf-8', 'cp1252'])
def test_columns_of_labels_may_be_german_french_or_spanish(tmp_path, names, encoding):
  path = _labels(tmp_path, STARTS, STOPS, names=names)
  path.write_text(path.read_text(encoding='utf-8'), encoding=encoding)
  assert _spans(recordings.read(_recording(tmp_path), labels=path).recordings[0]) == SPANS


def test_a_recording_may_have_german_names(tmp_path):
  path = _recording(tmp_path)
  text = path.read_text().replace('time', 'Zeit', 1).replace('ax', 'Beschleunigung x', 1)
  text = text.replace('ay', 'Beschleunigung y', 1).replace('az', 'Beschleunigung z', 1)
  path.write_text(text)
  assert len(recordings.read(path).recordings[0].acc.time_s) == 3000


def _moments(seconds, form):
  moments = pd.DatetimeIndex(pd.to_datetime(np.round((EPOCH_S + seconds) * 1e3).astype(np.int64), unit='ms'))
  return moments.strftime(form)


@pytest.mark.parametrize(
  'form',
  [
    '%d.%m.%Y %H:%M:%S.%f',
    '%d.%m.%y %H:%M:%S.%f',
    '%d/%m/%Y %H:%M:%S,%f',
    '%m/%d/%Y %I:%M:%S.%f %p',
    '%d-%m-%Y %H:%M:%S.%f',
    '%Y/%m/%d %H:%M:%S.%f',
    '%Y-%m-%d %H:%M:%S.%f UTC+00:00',
  ],
)
def test_dates_are_read_as_people_write_them(tmp_path, form):
  # The 28th of May: no month has that number.
  path = _recording(tmp_path, _moments(np.arange(3000) / 50, form))
  labels = _labels(tmp_path, _moments(STARTS, form), _moments(STOPS, form))
  reading = recordings.read(path, labels=labels)
  assert reading.start.startswith('2026-05-28T20:26:40')
  assert _spans(reading.recordings[0]) == SPANS


def test_an_ambiguous_day_and_month_is_decided_by_the_whole_column_or_refused(tmp_path, monkeypatch):
  monkeypatch.setattr('har_jax.recordings.text.CHUNK_ROWS', 500)
  days = pd.date_range('2026-05-12 23:59:40', periods=3000, freq='20ms')
  path = _recording(tmp_path, days.strftime('%d/%m/%Y %H:%M:%S.%f'))  # from 12/05 to 13/05
  assert recordings.read(path).start == '2026-05-12T23:59:40'
  days = pd.date_range('2026-05-04 08:15:30', periods=3000, freq='20ms')
  path = _recording(tmp_path, days.strftime('%d/%m/%Y %H:%M:%S.%f'))
  with pytest.raises(
    UserError, match=r'04/05/2026 .* may be 2026-05-04 or 2026-04-05, and no row decides it'
  ):
    recordings.read(path)
  path = _recording(tmp_path, days.strftime('%d.%m.%Y %H:%M:%S.%f'))
  assert recordings.read(path).start == '2026-05-04T08:15:30'


@pytest.mark.parametrize('zone', ['Europe/Berlin', 'UTC+02:00'])
@pytest.mark.parametrize('form', ['%Y-%m-%d %H:%M:%S.%f', '%H:%M:%S.%f'])
def test_labels_in_local_time_are_read_with_the_time_zone(tmp_path, monkeypatch, zone, form):
  path = _recording(tmp_path, EPOCH_S + np.arange(3000) / 50)
  labels = _labels(tmp_path, _moments(STARTS + 7200, form), _moments(STOPS + 7200, form))
  reading = recordings.read(path, labels=labels, time_zone=zone)
  assert _spans(reading.recordings[0]) == SPANS
  assert reading.time_zone == zone
  monkeypatch.setenv('TZ', 'Europe/Berlin')
  with pytest.raises(UserError, match=r'by exactly 2 h back they would fit: --time_zone=Europe/Berlin'):
    recordings.read(path, labels=labels)


def test_a_recording_in_local_time_is_read_with_the_time_zone(tmp_path):
  path = _recording(tmp_path, _moments(np.arange(3000) / 50 + 7200, '%Y-%m-%d %H:%M:%S.%f'))
  labels = _labels(tmp_path, EPOCH_S + STARTS, EPOCH_S + STOPS)
  reading = recordings.read(path, labels=labels, time_zone='Europe/Berlin')
  assert reading.start == '2026-05-28T20:26:40+00:00'
  assert _spans(reading.recordings[0]) == SPANS


def test_a_time_zone_that_is_none_is_answered_with_the_nearest(tmp_path):
  with pytest.raises(UserError, match=r"time_zone is 'Europe/Berln'; give a name such as Europe/Berlin"):
    recordings.read(_recording(tmp_path), time_zone='Europe/Berln')


def test_labels_without_a_time_zone_that_fit_as_utc_give_a_warning(tmp_path):
  path = _recording(tmp_path, EPOCH_S + np.arange(3000) / 50)
  reading = recordings.read(path, labels=_labels(tmp_path, _dates(STARTS), _dates(STOPS)))
  assert _spans(reading.recordings[0]) == SPANS
  assert any('read as UTC: if they are local, give --time_zone' in warning for warning in reading.warnings)


def test_one_activity_in_several_spellings_is_one(tmp_path):
  labels = _labels(tmp_path, STARTS, STOPS, ['Walk the dog', 'sit', 'WALK_THE_DOG '])
  reading = recordings.read(_recording(tmp_path), labels=labels)
  assert [span.activity for span in reading.recordings[0].spans] == ['Walk the dog', 'sit', 'Walk the dog']
  assert 'WALK_THE_DOG: read as Walk the dog, which differs in its spelling only.' in reading.warnings


@pytest.mark.parametrize(
  ('starts', 'stops', 'words'),
  [
    (np.array([0, 3000]), np.array([2900, 5900]), 'the first 5.9 of 60.0 s. Are they numbers of rows?'),
    (np.array([0.05, 0.3]), np.array([0.3, 0.9]), 'the first 0.9 of 60.0 s. If they are minutes'),
  ],
)
def test_labels_that_cover_a_moment_only_are_doubtful(tmp_path, starts, stops, words):
  labels = _labels(tmp_path, starts, stops, ['a', 'b'])
  reading = recordings.read(_recording(tmp_path), labels=labels)
  assert any(words in warning for warning in reading.warnings)


def test_rows_of_separators_are_no_labels(tmp_path):
  labels = _labels(tmp_path, STARTS, STOPS)
  labels.write_text(labels.read_text() + ',,\n,,\n')
  assert _spans(recordings.read(_recording(tmp_path), labels=labels).recordings[0]) == SPANS


@pytest.mark.parametrize(
  ('form', 'hours', 'words'),
  [
    ('%Y-%m-%d %H:%M:%S', 5.5, 'shifted by exactly 5.5 h back .*=Asia/Kolkata'),
    ('%H:%M:%S', -12, 'shifted by exactly 12 h forth they would fit: write times of 24 hours'),
  ],
)
def test_half_hours_and_half_days_are_recognized(tmp_path, form, hours, words):
  starts, stops = (
    pd.to_datetime(_dates(seconds + 3600 * hours)).strftime(form) for seconds in (STARTS, STOPS)
  )
  labels = _labels(tmp_path, starts, stops)
  with pytest.raises(UserError, match=words):
    recordings.read(_recording(tmp_path, EPOCH_S + np.arange(3000) / 50), labels=labels)

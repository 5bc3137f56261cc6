"""Times of labels are on the recording's clock or count from its start, however people write them."""

import numpy as np
import pandas as pd
import pytest
import user_files
from user_files import EPOCH_S

from har_jax import recordings
from har_jax.errors import UserError
from har_jax.recordings import clocks

SPANS = [(2.0, 12.5, 'walk the dog'), (12.5, 30.0, 'sit'), (40.0, 55.0, 'walk the dog')]
STARTS, STOPS = (np.array([span[i] for span in SPANS]) for i in (0, 1))
TIME_S = np.arange(3000) / 50
WORDS = [word for _, _, word in SPANS]


def _recording(folder, time=TIME_S, name='day.csv'):
  rng = np.random.default_rng(7)
  acc, gyro = rng.normal([0, 0, 9.81], 0.3, (len(time), 3)), rng.normal(0, 0.5, (len(time), 3))
  return user_files.written(folder, user_files.frame(time, acc, gyro), name)


def _labels(folder, start, stop, activity=WORDS, names='start,end,activity', name='labels.csv'):
  table = pd.DataFrame(dict(zip(names.split(','), (start, stop, activity), strict=True)))
  return user_files.written(folder, table, name)


def _read(folder, labels, time=TIME_S, **options):
  """A recording of a minute, or of these times, with labels."""
  return recordings.read(_recording(folder, time), labels=labels, **options)


def _moments(seconds, form='%Y-%m-%d %H:%M:%S.%f', since_s=EPOCH_S):
  moments = pd.to_datetime(np.round((since_s + seconds) * 1e3).astype(np.int64), unit='ms')
  return pd.DatetimeIndex(moments).strftime(form)


def _day(seconds):
  return _moments(seconds, '%H:%M:%S.%f')


def _clock(seconds):
  return [f'{int(s // 60)}:{s % 60:04.1f}' for s in seconds]


# --- clocks and units


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
    (lambda s: (EPOCH_S + s) * 1e3, lambda s: _moments(s, '%Y-%m-%d %H:%M:%S.%fZ'), 'dates on the'),
    (_moments, _moments, 'dates on the'),
    (
      _moments,
      lambda s: _moments(s + 7200, '%Y-%m-%d %H:%M:%S.%f+02:00'),
      'without a time zone as UTC',
    ),
    (_moments, lambda s: s, 's from the'),
    (_moments, _day, 'times of the day'),
    (_day, _day, 'times of day on the'),
    (lambda s: s, _clock, 'hours, minutes and seconds from'),
  ],
)
def test_times_of_labels_are_read_so_that_they_lie_in_the_recording(tmp_path, clock, written, how):
  reading = _read(tmp_path, _labels(tmp_path, written(STARTS), written(STOPS)), clock(TIME_S))
  assert user_files.spans(reading.recordings[0]) == SPANS
  assert any('3 labels' in note and how in note for note in reading.notes)


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
  labels = _labels(tmp_path, _moments(STARTS, form), _moments(STOPS, form))
  reading = _read(tmp_path, labels, _moments(TIME_S, form))
  assert reading.start.startswith(user_files.START)
  assert user_files.spans(reading.recordings[0]) == SPANS


@pytest.mark.parametrize(
  ('names', 'encoding'),
  [
    ('Begin,Stop,Label', 'utf-8'),
    ('Beginn,Ende,Aktivität', 'utf-8'),
    ('Anfang (s),Ende (s),Tätigkeit', 'cp1252'),
    ('von,bis,Bezeichnung', 'utf-8'),
    ('début,fin,activité', 'utf-8'),
    ('Début,Fin,Étiquette', 'cp1252'),
    ('inicio,fin,actividad', 'utf-8'),
    ('desde,hasta,etiqueta', 'utf-8'),
  ],
)
def test_columns_of_labels_may_have_other_names_and_rows_of_separators(tmp_path, names, encoding):
  path = _labels(tmp_path, STARTS, STOPS, names=names)
  path.write_text(path.read_text(encoding='utf-8') + ',,\n,,\n', encoding=encoding)
  assert user_files.spans(_read(tmp_path, path).recordings[0]) == SPANS


def test_a_unit_in_the_names_of_start_and_end_is_used(tmp_path):
  labels = _labels(tmp_path, STARTS, STOPS, names='start_s,end_s,activity')
  assert user_files.spans(_read(tmp_path, labels, np.arange(3000) * 20).recordings[0]) == SPANS


def test_a_recording_may_have_german_names(tmp_path):
  path = _recording(tmp_path)
  text = path.read_text().replace('time', 'Zeit', 1)
  for axis in 'xyz':
    text = text.replace(f'a{axis}', f'Beschleunigung {axis}', 1)
  path.write_text(text)
  assert len(recordings.read(path).recordings[0].acc.time_s) == 3000


def test_an_ambiguous_day_and_month_is_decided_by_the_whole_column_or_refused(tmp_path, monkeypatch):
  monkeypatch.setattr('har_jax.recordings.tables.CHUNK_ROWS', 500)

  def read(start: str, form: str) -> str:
    days = pd.date_range(start, periods=3000, freq='20ms')
    return recordings.read(_recording(tmp_path, days.strftime(f'{form} %H:%M:%S.%f'))).start

  assert read('2026-05-12 23:59:40', '%d/%m/%Y') == '2026-05-12T23:59:40'  # from 12/05 to 13/05
  assert read('2026-05-04 08:15:30', '%d.%m.%Y') == '2026-05-04T08:15:30'
  with pytest.raises(
    UserError, match=r'04/05/2026 .* may be 2026-05-04 or 2026-04-05, and no row decides it'
  ):
    read('2026-05-04 08:15:30', '%d/%m/%Y')


# --- time zones


@pytest.mark.parametrize('zone', ['Europe/Berlin', 'UTC+02:00'])
@pytest.mark.parametrize('form', ['%Y-%m-%d %H:%M:%S.%f', '%H:%M:%S.%f'])
def test_labels_in_local_time_are_read_with_the_time_zone(tmp_path, monkeypatch, zone, form):
  labels = _labels(tmp_path, _moments(STARTS + 7200, form), _moments(STOPS + 7200, form))
  reading = _read(tmp_path, labels, EPOCH_S + TIME_S, time_zone=zone)
  assert user_files.spans(reading.recordings[0]) == SPANS
  assert reading.time_zone == zone
  monkeypatch.setenv('TZ', 'Europe/Berlin')
  with pytest.raises(UserError, match=r'by exactly 2 h back they would fit: --time_zone=Europe/Berlin'):
    recordings.read(tmp_path / 'day.csv', labels=labels)


@pytest.mark.parametrize(
  ('local', 'utc'),
  [
    ('2026-10-25T02:30', '2026-10-25T00:30'),  # twice in that night, first in summer time
    ('2026-03-29T02:30', '2026-03-29T01:00'),  # skipped: clocks show 3:00 next
    ('2026-10-25T03:30', '2026-10-25T02:30'),
    ('NaT', 'NaT'),
  ],
)
def test_a_time_that_a_change_of_clocks_repeats_is_the_first(local, utc):
  ns, expected = (np.array([text], 'datetime64[ns]').astype(np.int64) for text in (local, utc))
  assert clocks.to_utc(ns, 'Europe/Berlin') == expected


@pytest.mark.parametrize(
  ('hours', 'zone'),
  [(5.5, 'Asia/Kolkata'), (12.75, 'UTC+12:45'), (-2.5, 'UTC-02:30'), (1.0, 'Europe/London')],
)
def test_a_zone_is_suggested_by_a_common_name_or_else_by_its_offset(monkeypatch, hours, zone):
  monkeypatch.setenv('TZ', 'UTC')
  in_summer_ns = pd.Timestamp('2026-07-01').value
  assert clocks.suggest_zone(hours, in_summer_ns) == zone


def test_a_recording_in_local_time_is_read_with_the_time_zone(tmp_path):
  labels = _labels(tmp_path, EPOCH_S + STARTS, EPOCH_S + STOPS)
  reading = _read(tmp_path, labels, _moments(TIME_S + 7200), time_zone='Europe/Berlin')
  assert reading.start == f'{user_files.START}+00:00'
  assert user_files.spans(reading.recordings[0]) == SPANS


@pytest.mark.parametrize(
  ('form', 'hours', 'words'),
  [
    ('%Y-%m-%d %H:%M:%S', 5.5, 'shifted by exactly 5.5 h back .*=Asia/Kolkata'),
    ('%H:%M:%S', -12, 'shifted by exactly 12 h forth they would fit: write times of 24 hours'),
  ],
)
def test_half_hours_and_half_days_are_recognized(tmp_path, form, hours, words):
  starts, stops = (_moments(seconds + 3600 * hours, form) for seconds in (STARTS, STOPS))
  with pytest.raises(UserError, match=words):
    _read(tmp_path, _labels(tmp_path, starts, stops), EPOCH_S + TIME_S)


# --- doubtful and unusable labels


@pytest.mark.parametrize(
  ('time', 'starts', 'stops', 'words'),
  [
    (TIME_S + 1.5, STARTS + 1.5, STOPS + 1.5, "as s from the recording's start"),
    (EPOCH_S + TIME_S, _moments(STARTS), _moments(STOPS), 'read as UTC: if they are local, give --time_zone'),
  ],
)
def test_labels_that_may_mean_another_time_are_read_with_a_warning(tmp_path, time, starts, stops, words):
  reading = _read(tmp_path, _labels(tmp_path, starts, stops), time)
  assert user_files.spans(reading.recordings[0]) == SPANS
  assert any(words in warning for warning in reading.warnings)


@pytest.mark.parametrize(
  ('starts', 'stops', 'words'),
  [
    ([0, 3000], [2900, 5900], 'the first 5.9 of 60.0 s. Are they numbers of rows?'),
    ([0.05, 0.3], [0.3, 0.9], 'the first 0.9 of 60.0 s. If they are minutes'),
  ],
)
def test_labels_that_cover_a_moment_only_are_doubtful(tmp_path, starts, stops, words):
  reading = _read(tmp_path, _labels(tmp_path, starts, stops, ['a', 'b']))
  assert any(words in warning for warning in reading.warnings)


@pytest.mark.parametrize(
  ('rows', 'message'),
  [
    ('100,200,walk\n300,400,sit\n', r'no label lies in the recording, which lasts 60\.0 s'),
    ('2026-05-01 10:00:00,2026-05-01 10:01:00,walk\n', r'labels\.csv gives dates'),
    ('1,2,walk\n9,5,sit\n', r'row 2 \(sit\) ends at or before its start'),
    ('1,2,walk\n5,9,\n', 'row 2 lacks its start, its end or its activity'),
    ('1,2,walk\nx,9,sit\n', r"line 3 has 'x' in column 'start'"),
    ('1,20,walk\n5,9,sit\n', r'walk \(1\.0 to 20\.0 s\) and sit \(5\.0 to 9\.0 s\) overlap'),
    ('', 'start, end, activity and no row'),
  ],
)
def test_unusable_labels_are_refused_with_the_reason(tmp_path, rows, message):
  (tmp_path / 'labels.csv').write_text(f'start,end,activity\n{rows}')
  with pytest.raises(UserError, match=message):
    _read(tmp_path, tmp_path / 'labels.csv')


def test_labels_without_a_column_are_refused_with_its_name(tmp_path):
  (tmp_path / 'labels.csv').write_text('start,activity\n1,walk\n2,sit\n')
  with pytest.raises(UserError, match=r'lacks end; its columns are start, activity'):
    _read(tmp_path, tmp_path / 'labels.csv')


def test_one_activity_in_several_spellings_is_one(tmp_path):
  labels = _labels(tmp_path, STARTS, STOPS, ['Walk the dog', 'sit', 'WALK_THE_DOG '])
  reading = _read(tmp_path, labels)
  assert [span.activity for span in reading.recordings[0].spans] == ['Walk the dog', 'sit', 'Walk the dog']
  assert 'WALK_THE_DOG: read as Walk the dog, which differs in its spelling only.' in reading.warnings


# --- spans


def test_spans_are_clipped_at_the_ends_and_at_gaps(tmp_path):
  labels = _labels(tmp_path, [-5.0, 15.0, 60.0], [5.0, 40.0, 99.0], ['a', 'b', 'c'])
  reading = _read(tmp_path, labels, np.where(TIME_S < 20, TIME_S, TIME_S + 10))
  first, second = map(user_files.spans, reading.recordings)
  assert first == [(0, 5, 'a'), (15, 20, 'b')]
  assert second == [(0, 10, 'b'), (30, 40, 'c')]
  assert any('2 of 3 labels' in warning for warning in reading.warnings)


def test_a_short_overlap_belongs_to_the_later_label(tmp_path):
  labels = _labels(tmp_path, [1.0, 9.8, 15.0], [10.0, 16.0, 20.0], ['sit', 'run', 'run'])
  assert user_files.spans(_read(tmp_path, labels).recordings[0]) == [(1, 9.8, 'sit'), (9.8, 20, 'run')]


def test_a_label_within_a_longer_one_of_its_activity_cuts_nothing(tmp_path):
  labels = _labels(tmp_path, [1.0, 5.0], [20.0, 10.0], ['run', 'run'])
  assert user_files.spans(_read(tmp_path, labels).recordings[0]) == [(1, 20, 'run')]


def test_a_column_of_labels_gives_spans_and_empty_cells_none(tmp_path):
  path = _recording(tmp_path)
  table = pd.read_csv(path).assign(Activity=['sit'] * 500 + [''] * 500 + ['42'] * 1000 + [' sit '] * 1000)
  table.to_csv(path, index=False)
  expected = [(0, 10, 'sit'), (20, 40, '42'), (40, 60, 'sit')]
  assert user_files.spans(recordings.read(path).recordings[0]) == expected
  table.rename(columns={'Activity': 'what'}).to_csv(path, index=False)
  assert not recordings.read(path).recordings[0].spans
  assert len(recordings.read(path, columns={'label': 'what'}).recordings[0].spans) == 3


# --- files


def test_labels_next_to_the_recording_are_read_unless_others_are_given(tmp_path):
  path = _recording(tmp_path)
  _labels(tmp_path, STARTS, STOPS, name='day.labels.csv')
  assert user_files.spans(recordings.read(path).recordings[0]) == SPANS
  assert user_files.spans(recordings.read(tmp_path).recordings[0]) == SPANS  # it is no recording itself
  others = _labels(tmp_path, [0.0], [9.0], ['run'])
  assert user_files.spans(recordings.read(path, labels=others).recordings[0]) == [(0, 9, 'run')]


def test_labels_of_a_folder_name_their_recordings(tmp_path):
  for name in ('a.csv', 'b.csv'):
    _recording(tmp_path, name=name)
  table = pd.DataFrame(
    {'recording': ['b', 'a.csv'], 'start': [1, 2], 'end': [11, 12], 'activity': ['run', 'sit']}
  )
  labels = user_files.written(tmp_path, table, 'labels.csv')
  reading = recordings.read(tmp_path, labels=labels)
  assert list(map(user_files.spans, reading.recordings)) == [[(2, 12, 'sit')], [(1, 11, 'run')]]
  table.assign(recording=['b', 'c']).to_csv(labels, index=False)
  with pytest.raises(UserError, match=r'labels c; the recordings are a, b'):
    recordings.read(tmp_path, labels=labels)


def test_labels_of_a_folder_use_the_clock_if_they_name_no_recording(tmp_path):
  folder = tmp_path / 'recordings'
  folder.mkdir()
  _recording(folder, EPOCH_S + TIME_S, 'a.csv')
  _recording(folder, EPOCH_S + 1000 + TIME_S, 'b.csv')
  labels = _labels(
    tmp_path, EPOCH_S + np.array([2, 1003.0]), EPOCH_S + np.array([12, 1013.0]), ['sit', 'run']
  )
  reading = recordings.read(folder, labels=labels)
  assert list(map(user_files.spans, reading.recordings)) == [[(2, 12, 'sit')], [(3, 13, 'run')]]
  _recording(folder, name='a.csv')
  with pytest.raises(UserError, match='add a column `recording`'):
    recordings.read(folder, labels=labels)


# --- hours and minutes by hand

NINE = 1_780_045_200  # 2026-05-29T09:00:00Z
HALF_HOUR = np.arange(0, 1800, 0.2)


def _by_hand(folder, *rows: tuple):
  return user_files.written(folder, pd.DataFrame(rows, columns=['start', 'end', 'activity']), 'labels.csv')


@pytest.mark.parametrize(
  'times', [NINE + HALF_HOUR, pd.to_datetime((NINE + HALF_HOUR) * 1e9).strftime('%H:%M:%S.%f')]
)
def test_hours_and_minutes_are_times_of_day_if_they_lie_in_the_recording(tmp_path, times):
  reading = _read(tmp_path, _by_hand(tmp_path, ('09:05', '09:10', 'sit'), ('9:12', '9:20', 'stand')), times)
  assert user_files.spans(reading.recordings[0]) == [(300, 600, 'sit'), (720, 1200, 'stand')]
  assert user_files.has_note(reading, 'read as hours and minutes of the day')


def test_hours_and_minutes_are_read_in_the_time_zone(tmp_path):
  labels = _by_hand(tmp_path, ('11:05', '11:10', 'sit'))
  reading = _read(tmp_path, labels, NINE + HALF_HOUR, time_zone='Europe/Berlin')
  assert user_files.spans(reading.recordings[0]) == [(300, 600, 'sit')]
  again = recordings.read(tmp_path / 'day.csv', labels=labels)
  (warning,) = [each for each in again.warnings if 'labels.csv' in each]
  assert "read as hours, minutes and seconds from the recording's start. They may be hours and" in warning
  assert 'shifted by exactly 2 h back they would fit: --time_zone=' in warning


def test_minutes_and_seconds_from_the_start_stay_what_they_are(tmp_path):
  reading = _read(tmp_path, _by_hand(tmp_path, ('5:00', '9:20', 'sit')), NINE + HALF_HOUR)
  assert user_files.spans(reading.recordings[0]) == [(300, 560, 'sit')]
  assert not [each for each in reading.warnings if 'labels.csv' in each]


def test_labels_that_miss_the_recording_are_named_in_the_likeliest_unit(tmp_path):
  labels = _by_hand(tmp_path, (NINE + 7200, NINE + 7300, 'sit'))
  with pytest.raises(UserError, match=r'read as s on the recording.s clock, .* from 7200\.0 to 7300\.0 s'):
    _read(tmp_path, labels, ((NINE + HALF_HOUR) * 1e3).round())

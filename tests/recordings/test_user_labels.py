"""Times of labels are on the recording's clock or count from its start, however people write them."""

import functools
from typing import Any

import exports
import numpy as np
import pandas as pd
import pytest
import user_files
from user_files import EPOCH_S, START

from har_jax import recordings
from har_jax.errors import UserError

SPANS = [(2.0, 12.5, 'walk the dog'), (12.5, 30.0, 'sit'), (40.0, 55.0, 'walk the dog')]
STARTS, STOPS = (np.array([span[i] for span in SPANS]) for i in (0, 1))
TIME_S = np.arange(1500) / 25
WORDS = [word for _, _, word in SPANS]
NINE = 1_780_045_200  # 2026-05-29T09:00:00Z
HALF_HOUR = np.arange(0, 1800, 0.2)
OWN_HEADER = 'start_s,end_s,activity'
HEADER, ROWS_HEADER = 'start,end,activity', 'start_row,end_row,activity'


@functools.cache
def _sensors(count: int) -> tuple[np.ndarray, np.ndarray]:
  """Acceleration and angular velocity as text: to write numbers takes most of a test's time."""
  rng = np.random.default_rng(7)
  acc, gyro = rng.normal([0, 0, 9.81], 0.3, (count, 3)), rng.normal(0, 0.5, (count, 3))
  return acc.astype(str), gyro.astype(str)


def put_recording(folder, time=TIME_S, name='day.csv', **columns):
  return user_files.written(folder, user_files.frame(time, *_sensors(len(time))).assign(**columns), name)


def labels(start: Any, stop: Any, activity: Any = WORDS, names: str = HEADER) -> str:
  table = pd.DataFrame(dict(zip(names.split(','), (start, stop, activity), strict=True)))
  return table.to_csv(index=False)


def by_hand(*rows: str) -> str:
  return '\n'.join([HEADER, *rows, ''])


def put_labels(folder, text: str | bytes, name='labels.csv'):
  (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
  return folder / name


def _moments(seconds, form='%Y-%m-%d %H:%M:%S.%f', since_s=EPOCH_S):
  moments = pd.to_datetime(np.round((since_s + seconds) * 1e3).astype(np.int64), unit='ms')
  return pd.DatetimeIndex(moments).strftime(form)


def _day(seconds):
  return _moments(seconds, '%H:%M:%S.%f')


def _clock(seconds):
  return [f'{int(s // 60)}:{s % 60:04.1f}' for s in seconds]


def row(
  fault: str, time: Any, text: str | bytes, spans: Any = SPANS, said: str = '', start='', never='', **options
):
  """said: words of a note or a warning; never: of none. start: that of the recording, '' if not compared."""
  expected = {'spans': spans, 'never': [never] if never else []} | ({'start': start} if start else {})
  return pytest.param(time, text, options, expected, said, id=fault)


# Clock of the recording, how labels are written, and what is said.
CLOCKS = (
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
  (_moments, lambda s: _moments(s + 7200, '%Y-%m-%d %H:%M:%S.%f+02:00'), 'without a time zone as UTC'),
  (_moments, lambda s: s, 's from the'),
  (_moments, _day, 'times of the day'),
  (_day, _day, 'times of day on the'),
  (lambda s: s, _clock, 'hours, minutes and seconds from'),
)
# The 28th of May: no month has that number.
FORMS = (
  *('%d.%m.%Y %H:%M:%S.%f', '%d.%m.%y %H:%M:%S.%f', '%d/%m/%Y %H:%M:%S,%f', '%m/%d/%Y %I:%M:%S.%f %p'),
  *('%d-%m-%Y %H:%M:%S.%f', '%Y/%m/%d %H:%M:%S.%f', '%Y-%m-%d %H:%M:%S.%f UTC+00:00'),
)
NAMES = (
  ('Begin,Stop,Label', 'utf-8'),
  ('Beginn,Ende,Aktivität', 'utf-8'),
  ('Anfang (s),Ende (s),Tätigkeit', 'cp1252'),
  ('von,bis,Bezeichnung', 'utf-8'),
  ('début,fin,activité', 'utf-8'),
  ('Début,Fin,Étiquette', 'cp1252'),
  ('inicio,fin,actividad', 'utf-8'),
  ('desde,hasta,etiqueta', 'utf-8'),
)


def shifted(hours: float, form='%Y-%m-%d %H:%M:%S.%f') -> str:
  return labels(*(_moments(seconds + 3600 * hours, form) for seconds in (STARTS, STOPS)))


LOCAL, LOCAL_DAY = shifted(2), shifted(2, '%H:%M:%S.%f')
PLAIN = labels(STARTS, STOPS)
WITH_A_GAP_S = np.where(TIME_S < 20, TIME_S, TIME_S + 10)
AT_NINE = by_hand('09:05,09:10,sit', '9:12,9:20,stand')
AFTER_NINE = [(300, 600, 'sit'), (720, 1200, 'stand')]
BY_HAND = 'read as hours and minutes of the day'
READ = [
  *(
    row(f'clock {number}', time(TIME_S), labels(written(STARTS), written(STOPS)), SPANS, said)
    for number, (time, written, said) in enumerate(CLOCKS)
  ),
  *(
    row(form, _moments(TIME_S, form), labels(_moments(STARTS, form), _moments(STOPS, form)),
        start=START + '+00:00' * form.endswith('UTC+00:00'))
    for form in FORMS
  ),
  *(
    row(names, TIME_S, (labels(STARTS, STOPS, names=names) + ',,\n,,\n').encode(encoding))
    for names, encoding in NAMES
  ),
  row('units in names', np.arange(1500) * 40, labels(STARTS, STOPS, names='start_s,end_s,activity')),
  row('minutes in names', TIME_S, labels(STARTS / 60, STOPS / 60, names='start (min),end (min),activity'),
      SPANS, 'as min '),
  row('hours in names', EPOCH_S + TIME_S, labels(STARTS / 3600, STOPS / 3600, names='start_h,end_h,activity'),
      SPANS, "as h from the recording's start"),
  *(
    row(f'local labels in {zone}', EPOCH_S + TIME_S, local, time_zone=zone)
    for zone in ('Europe/Berlin', 'UTC+02:00')
    for local in (LOCAL, LOCAL_DAY)
  ),
  row('a local recording', _moments(TIME_S + 7200), labels(EPOCH_S + STARTS, EPOCH_S + STOPS),
      time_zone='Europe/Berlin', start=f'{START}+00:00'),
  row('from the start, not on the clock', TIME_S + 1.5, labels(STARTS + 1.5, STOPS + 1.5), SPANS,
      "as s from the recording's start"),
  row('without a zone', EPOCH_S + TIME_S, shifted(0), SPANS,
      'read as UTC: if they are local, give time_zone', f'{START}+00:00'),
  row('numbers of rows', TIME_S, labels([0, 3000], [2900, 5900], ['a', 'b']), None,
      'the first 5.9 of 60.0 s. Are they minutes, or numbers of rows?'),
  row('named numbers of rows', WITH_A_GAP_S, labels([0, 700], [250, 1500], ['a', 'b'], ROWS_HEADER),
      [(0, 10, 'a'), (8, 40, 'b')]),
  row('numbers of rows, on a clock that does not begin at 0', TIME_S + 1.5,
      labels([50, 500], [300, 1000], ['a', 'b'], ROWS_HEADER), [(2, 12, 'a'), (20, 40, 'b')],
      "as s from the recording's start", never='they would lie'),
  row('minutes', TIME_S, labels([0.05, 0.3], [0.3, 0.9], ['a', 'b']), None,
      'the first 0.9 of 60.0 s. Are they minutes'),
  row('spellings', TIME_S, labels(STARTS, STOPS, ['Walk the dog', 'sit', 'WALK_THE_DOG ']),
      [(2.0, 12.5, 'Walk the dog'), SPANS[1], (40.0, 55.0, 'Walk the dog')],
      'WALK_THE_DOG: read as Walk the dog, which differs in its spelling only.'),
  row('over the ends and a gap', WITH_A_GAP_S, labels([-5.0, 15.0, 60.0], [5.0, 40.0, 99.0], ['a', 'b', 'c']),
      [(0, 5, 'a'), (15, 20, 'b'), (0, 10, 'b'), (30, 40, 'c')], '2 of 3 labels'),
  # They count from the first sample, though a clock that begins at 3 s would take them, too.
  row('a table of bouts', TIME_S + 3, labels([4.0, 9.0], [9.0, 14.0], ['sit', 'run'], OWN_HEADER),
      [(4, 9, 'sit'), (9, 14, 'run')], never='labels.csv'),
  row('its names for times on the clock', TIME_S + 300, labels([304.0, 309.0], [309.0, 314.0], ['sit', 'run'],
      OWN_HEADER), [(4, 9, 'sit'), (9, 14, 'run')]),
  row('a moment within an activity', TIME_S, labels([1.0, 5.0], [9.0, 5.4], ['sit', 'run']),
      [(1, 5, 'sit'), (5, 5.4, 'run'), (5.4, 9, 'sit')]),
  row('a short overlap', TIME_S, labels([1.0, 9.8, 15.0], [10.0, 16.0, 20.0], ['sit', 'run', 'run']),
      [(1, 9.8, 'sit'), (9.8, 20, 'run')]),
  row('a label within a longer one', TIME_S, by_hand('1,20,run', '5,10,run'), [(1, 20, 'run')]),
  row('line breaks and commas in quotes', TIME_S, by_hand('1,8,"walk,\nfast"', '9,18,sit'),
      [(1, 8, 'walk,fast'), (9, 18, 'sit')]),
  row('rows out of order', TIME_S, by_hand('20,30,run', '1,8,sit', '9,18,run'),
      [(1, 8, 'sit'), (9, 18, 'run'), (20, 30, 'run')]),
  row('hours and minutes', NINE + HALF_HOUR, AT_NINE, AFTER_NINE, BY_HAND),
  row('hours and minutes of a day', _moments(HALF_HOUR, '%H:%M:%S.%f', NINE), AT_NINE, AFTER_NINE, BY_HAND),
  row('local hours and minutes', NINE + HALF_HOUR, by_hand('11:05,11:10,sit'), AFTER_NINE[:1],
      time_zone='Europe/Berlin'),
  row('local times after midnight', NINE - 9.5 * 3600 + HALF_HOUR, by_hand('01:35:00,01:40:00,sit'),
      AFTER_NINE[:1], time_zone='Europe/Berlin'),  # it starts at 23:30 UTC
  row('hours and minutes two hours late', NINE + HALF_HOUR, by_hand('11:05,11:10,sit'), None,
      "read as hours, minutes and seconds from the recording's start. They may be hours and"),
  row('hours and minutes in another zone', NINE + HALF_HOUR, by_hand('11:05,11:10,sit'), None,
      'shifted by exactly 2 h back they would fit: time_zone='),
  row('minutes and seconds from the start', NINE + HALF_HOUR, by_hand('5:00,9:20,sit'), [(300, 560, 'sit')],
      never='labels.csv'),
  # Minutes would be beyond the end; and neither the recording nor its labels have a time zone.
  row('a few early seconds', TIME_S, by_hand('1,10,sit'), [(1, 10, 'sit')], never='labels.csv'),
  row('dates alike', _moments(TIME_S), shifted(0), never='labels.csv'),
  row("Sensor Logger's annotations", _moments(TIME_S),
      exports.annotations([(2, 'walk'), (12, ''), (40, 'sit')]), [(2, 12, 'walk'), (40, 60, 'sit')]),
  row('an annotation after the end', _moments(TIME_S), exports.annotations([(2, 'walk'), (70, 'sit')]),
      [(2, 60, 'walk')], '2 of 2 labels exceed the recording'),
]  # fmt: skip


@pytest.mark.parametrize(('time', 'text', 'options', 'expected', 'said'), READ)
def test_labels_are_read_so_that_they_lie_in_the_recording(tmp_path, time, text, options, expected, said):
  reading = recordings.read(put_recording(tmp_path, time), labels=put_labels(tmp_path, text), **options)
  assert any(said in sentence for sentence in reading.notes + reading.warnings)
  user_files.expect(reading, time_zone=options.get('time_zone', ''), **expected)


@pytest.mark.parametrize('time_zone', ['', 'Asia/Tokyo'])
@pytest.mark.parametrize('text', ['11:05,11:10,sit', '2026-05-29 11:05:00,2026-05-29 11:10:00,sit'])
def test_the_offset_of_a_recording_is_that_of_its_labels_unless_one_is_given(tmp_path, text, time_zone):
  stated = put_recording(tmp_path, _moments(HALF_HOUR + 7200, '%Y-%m-%d %H:%M:%S.%f+02:00', NINE))
  if time_zone:
    text = text.replace('11:', '18:')
  reading = recordings.read(stated, labels=put_labels(tmp_path, by_hand(text)), time_zone=time_zone)
  user_files.expect(
    reading, spans=AFTER_NINE[:1], start='2026-05-29T09:00:00+00:00', time_zone=time_zone or 'UTC+02:00'
  )


REFUSED = [
  *(
    (EPOCH_S + TIME_S, text, message)
    for text, message in (
      (LOCAL, r'by exactly 2 h back they would fit: time_zone=UTC\+02:00'),
      (LOCAL_DAY, r'by exactly 2 h back they would fit: time_zone=UTC\+02:00'),
      (shifted(2, '%Y-%m-%dT%H:%M:%S.%fZ'), 'by exactly 2 h back they would fit: correct their times'),
      (shifted(5.5), r'shifted by exactly 5.5 h back .*=UTC\+05:30'),
      (shifted(-2.5), 'shifted by exactly 2.5 h forth .*=UTC-02:30'),
      (shifted(14.5), '^(?!.*shifted)'),  # no zone is so far
      (shifted(-14.5), '^(?!.*shifted)'),
      (shifted(-12, '%H:%M:%S.%f'), 'shifted by exactly 12 h forth they would fit: write times of 24 hours'),
      # From the first sample on.
      (by_hand('2026-05-28T22:26:40Z,2026-05-28T22:26:50Z,sit'), 'by exactly 2 h back they would fit'),
    )
  ),
  (((NINE + HALF_HOUR) * 1e3).round(), by_hand(f'{NINE + 7200},{NINE + 7300},sit'),
   r'read as s on the recording.s clock, .* from 7200\.0 to 7300\.0 s'),
  (TIME_S, by_hand('100,200,walk', '300,400,sit'),
   r'no label lies in the recording, which lasts 60\.0 s; read as s .* are from 100\.0 to 400\.0 s'),
  (EPOCH_S + TIME_S, by_hand('100,200,walk'), r'from the recording.s start, the labels are from 100\.0'),
  (TIME_S, by_hand('2026-05-01 10:00:00,2026-05-01 10:01:00,walk'), r'labels\.csv gives dates'),
  *(
    (TIME_S, by_hand('1,2,walk', f'9,{end},sit'),
     r'row 2 \(sit\) ends at or before its start: correct its times$')
    for end in (5, 9)
  ),
  (EPOCH_S + TIME_S, by_hand('23:50:00,00:10:00,lying'),
   r'correct its times, or write dates if it lasts over midnight$'),
  (EPOCH_S + TIME_S, by_hand('2026-10-25 02:50:00,2026-10-25 02:10:00,walk'),
   r'correct its times, or add offsets such as \+02:00 if clocks changed in between'),
  (EPOCH_S + TIME_S,
   by_hand('2026-05-28 22:26:45Z,2026-05-28 22:26:55Z,sit', '2026-05-29 07:00Z,2026-05-29 08:00Z,run'),
   '^(?!.*shifted)'),  # by two hours, one of them would fit
  (NINE + np.arange(0, 7200, 0.2), by_hand('2026-05-29 11:36Z,2026-05-29 11:42Z,sit'),
   'shifted by exactly 1 h back'),  # the shortest that fits
  (TIME_S, labels([1500, 1700], [1600, 1800], ['walk', 'sit'], ROWS_HEADER), r'are from 60\.0 to 72\.0 s'),
  (TIME_S, labels([4500], [5000], ['walk'], HEADER), 'or name them start_row and end_row if they count rows'),
  (TIME_S, by_hand('65,75,walk', '80,90,sit'), 'no label lies in the recording'),  # soon after its end
  (TIME_S, by_hand('1,2,walk', ',9,'), 'row 2 lacks its start, its end or its activity'),
  (TIME_S, by_hand('1,2,walk', '5,9,'), 'row 2 lacks its start, its end or its activity'),
  (TIME_S, by_hand('1,2,walk', '5,inf,sit'), 'row 2 lacks its start, its end or its activity'),
  (TIME_S, by_hand('1,2,walk', 'x,9,sit'), r"line 3 has 'x' in column 'start'"),
  (TIME_S, by_hand('1,20,walk', '5,9,sit'),
   r'walk \(1\.0 to 20\.0 s\) and sit \(5\.0 to 9\.0 s\) overlap'),
  (TIME_S, by_hand('1,1.4,walk', '1,9,sit'), 'overlap: only one activity at a time'),  # which is it first?
  (TIME_S, by_hand(), 'start, end, activity and no row'),
  (TIME_S, 'start,activity\n1,walk\n2,sit\n', r'lacks end; .* start, activity: give a table with start, end'),
]  # fmt: skip


@pytest.mark.parametrize(('time', 'text', 'message'), REFUSED)
def test_unusable_labels_are_refused_with_the_reason(tmp_path, time, text, message):
  with pytest.raises(UserError, match=message):
    recordings.read(put_recording(tmp_path, time), labels=put_labels(tmp_path, text))


def test_an_ambiguous_day_and_month_is_decided_by_the_whole_column_or_refused(tmp_path, monkeypatch):
  monkeypatch.setattr('har_jax.recordings.tables.CHUNK_ROWS', 500)

  def read(start: str, form: str) -> str:
    days = pd.date_range(start, periods=3000, freq='20ms')
    return recordings.read(put_recording(tmp_path, days.strftime(f'{form} %H:%M:%S.%f'))).start

  assert read('2026-05-12 23:59:40', '%d/%m/%Y') == '2026-05-12T23:59:40'  # from 12/05 to 13/05
  assert read('2026-05-04 08:15:30', '%d.%m.%Y') == '2026-05-04T08:15:30'
  with pytest.raises(UserError, match=r'04/05/2026 .* may be 2026-05-04 or 2026-04-05, and no row decides'):
    read('2026-05-04 08:15:30', '%d/%m/%Y')


def test_a_column_of_labels_gives_spans_and_empty_cells_none(tmp_path):
  cells = ['sit'] * 250 + [''] * 250 + ['42'] * 500 + [' sit '] * 500
  expected = [(0, 10, 'sit'), (20, 40, '42'), (40, 60, 'sit')]
  notes = ['labels: sit 30.0 s, 42 20.0 s.']
  user_files.expect(recordings.read(put_recording(tmp_path, Activity=cells)), spans=expected, notes=notes)
  path = put_recording(tmp_path, what=cells)
  assert not recordings.read(path).recordings[0].spans
  assert len(recordings.read(path, columns={'label': 'what'}).recordings[0].spans) == 3

"""Bad archives, the fault of each, and the sentence that refuses it: a table over the official layouts."""

import collections
import re
from collections.abc import Callable

import pytest
from official import OFFICIAL, read_texts
from zips import Texts, zipped_texts

from har_jax.archives import ARCHIVES
from har_jax.archives.source import Source
from har_jax.errors import UserError

Fault = Callable[[Texts], Texts]


_THINGY = 'thingy_normalWalking_breathingNormal.csv'


def _text(end: str, change: Callable[[str], str] | str) -> Fault:
  """Changes or replaces the first file whose name ends so."""

  def fault(texts: Texts) -> Texts:
    name = next(name for name in texts if name.endswith(end))
    return texts | {name: change if isinstance(change, str) else change(texts[name])}

  return fault


def _in_a_fall(fault: Fault) -> Fault:
  return lambda texts: fault(_renamed('D01', 'F01')(texts))


def _replaced(old: str, new: str) -> Callable[[str], str]:
  return lambda text: text.replace(old, new)


def _renamed(old: str, new: str) -> Fault:
  return lambda texts: {name.replace(old, new): text for name, text in texts.items()}


def _without(end: str) -> Fault:
  return lambda texts: {name: text for name, text in texts.items() if not name.endswith(end)} | {'x.txt': ''}


def _second(value: str, lines: int = 1) -> Callable[[str], str]:
  """Another activity in the first lines of PAMAP2, which has it in its second column."""
  return lambda text: re.sub(r'(?m)^(\S+) \S+', rf'\1 {value}', text, count=lines)


TABLE: list[tuple[str, Fault, str]] = [
  ('dsads', _text('a01/p1/s01.txt', lambda text: text.partition('\n')[2]),
   r's01\.txt has 124 rows where 125'),
  ('dsads', _text('a01/p1/s01.txt', lambda text: re.sub(r',[^,\n]*\n', '\n', text)),
   r's01\.txt is not a table: line 1 has 44 columns where 45'),
  ('dsads', _renamed('a01', 'a20'), r'a20/p1/s01\.txt is not'),
  ('hapt', _without('labels.txt'), r'one file RawData/labels\.txt, found 0'),
  ('hapt', _without('gyro_exp01_user01.txt'), r'no file RawData/gyro_exp01_user01\.txt'),
  ('hapt', _text('acc_exp01_user01.txt', '1 2\n'), '2 columns where 3'),
  ('hapt', _text('labels.txt', '1 1 13 1 150\n'), r'labels\.txt has experiment 1, activity 13'),
  ('hapt', _text('labels.txt', '1 1 5 150 1\n'), 'rows 150 to 1'),
  ('hapt', _text('labels.txt', '1 1 5 0 150\n'), 'rows 0 to 150'),
  ('hhar', _text('Phones_accelerometer.csv', _replaced('Device', 'Thing')),
   'Phones_accelerometer.csv: expected columns .*Device'),
  ('hhar', _text('Phones_accelerometer.csv', lambda text: f'{text}1,2,3,word,0,0,a,m,m_1,walk\n'),
   'Phones_accelerometer.csv: expected.*could not convert'),
  ('hhar', _text('Phones_accelerometer.csv', lambda text: f'{text}1,2,3,,0,0,a,m,m_1,walk\n'),
   'a value is missing'),
  ('hhar', _text('Phones_accelerometer.csv', lambda text: f'{text}1,2,3,0,0,0,a,m,m_1,dance\n'),
   'has activities dance; known are bike, sit'),
  ('hhar', _without('Phones_gyroscope.csv'), r'Phones_gyroscope\.csv, found 0'),
  ('motionsense', _renamed('wlk_7', 'run_7'), 'is not named'),
  ('pamap2', _text('subject101.dat', '1 2 3\n4 5 6\n'),
   'subject101.dat is not a table: line 1 has 3 columns where 54'),
  ('pamap2', _text('subject101.dat', ''), 'subject101.dat: expected 54 numbers'),
  ('pamap2', _text('subject101.dat', 'a ' * 53 + 'a\n'),
   'subject101.dat: expected 54 numbers.*could not convert'),
  ('pamap2', _text('subject101.dat', lambda text: f'{text}9.5\n'),
   'subject101.dat is not a table: line 3001 has 1 columns where 54'),
  ('pamap2', _text('subject101.dat', _second('NaN')), 'no time or no activity'),
  ('pamap2', _text('subject101.dat', _second('0.5')), r'has activities 0\.5; known are 0, 1, 2'),
  ('pamap2', _text('subject101.dat', _second('8', lines=0)), r'has activities 8\.0; known are 0, 1, 2'),
  ('pdiot', _text(_THINGY, lambda text: '\n'.join([text.splitlines()[0], *text.splitlines()[:0:-1], ''])),
   r's1_thingy_normalWalking_\w+\.csv has a timestamp'),
  ('pdiot', _text(_THINGY, lambda text: text + text.splitlines()[-1] + '\n'),
   r's1_thingy_normalWalking_\w+\.csv has a timestamp'),
  ('pdiot', _renamed('normalWalking', 'dancing'), r's1_thingy_dancing_\w+\.csv is not named'),
  ('pdiot', _renamed('s1/s1_', 's2/s1_'), r's2/s1_thingy_normalWalking_\w+\.csv is not named'),
  ('realworld', _renamed('acc_walking_waist', 'acc_dancing_waist'), 'has activities dancing; known are'),
  ('realworld', _text('acc_walking_waist.csv', lambda text: re.sub(r'\.(\d+)\n', r',\1\n', text)),
   r'acc_walking_waist\.csv is not a table: line 2 has 6 columns where 5'),
  ('sp_sw_har', _text('s01_01_sp.csv', _replaced('WALKING', 'RUNNING')),
   r's01_01_sp\.csv has activities RUNNING; known are SEATED'),
  ('sp_sw_har', _renamed('s01_01_sp', 's01_x_sp'), r's01_x_sp\.csv is not named'),
  ('sp_sw_har', _renamed('s01/s01_', 's02/s01_'), r's02/s01_01_sp\.csv is not named'),
  ('ucihar', _without('body_gyro_z_train.txt'), 'body_gyro_z_train.txt, found 0'),
  ('ucihar', _text('body_gyro_z_train.txt', '1 2 3\n' * 3), 'body_gyro_z_train.txt has 3 columns'),
  ('ucihar', _text('total_acc_x_test.txt', lambda text: text.partition('\n')[0] + '\n'),
   "'total_acc_x': 1, 'total_acc_y': 10"),
  ('ucihar', _text('total_acc_x_test.txt', 'one two\n'), 'total_acc_x_test.txt is not a table'),
  ('ucihar', _text('/y_train.txt', '1\n2\n'), "'subject': 10, 'y': 2, 'total_acc_x': 10"),
  ('ucihar', _text('/y_train.txt', '7\n' * 10), 'has activities 7; known are 1, 2'),
  ('liara', _renamed('shortWalking', 'Dance'),
   r'iteration_\d+\.csv is not named raw/<A\.\.J>/<activity>/iteration_<n>\.csv'),
  ('weda_fall', _renamed('D01', 'D12'), r'D12/U01_R01_\w+\.csv has activities D12; known are D01'),
  ('weda_fall', _renamed('D01/U01_R01', 'F01/U01_R02'), r'fall_timestamps\.csv lacks F01/U01_R02'),
  ('weda_fall', _in_a_fall(_without('fall_timestamps.csv')), r'one file fall_timestamps\.csv, found 0'),
  ('weda_fall', _in_a_fall(_text('fall_timestamps.csv', _replaced('4.5', '0.1'))),
   r'fall_timestamps\.csv has a fall'),
  ('weda_fall', _in_a_fall(_text('fall_timestamps.csv', _replaced('4.5', '1.5'))),
   r'fall_timestamps\.csv has a fall'),
  ('wisdm', _text('data_1600_accel_phone.txt', '1,A,5,1.0,2.0;\n'),
   r'data_1600_accel_phone\.txt is not a table'),
  ('wisdm', _text('data_1600_accel_phone.txt', '1,A,5.5,1.0,2.0,3.0;\n'),
   "could not convert string '5.5' to int64"),
  ('wisdm', _text('data_1600_accel_phone.txt', '1,N,5,1.0,2.0,3.0;\n'), 'has activities N; known are A, B'),
  ('wisdm', _renamed('data_1600_accel', 'data_x_accel'), 'is not named data_<subject>_accel_phone'),
]  # fmt: skip


@pytest.mark.parametrize(('name', 'fault', 'message'), TABLE)
def test_a_bad_archive_is_refused_with_its_file(tmp_path, name, fault, message):
  archive, official = ARCHIVES[name], OFFICIAL[name]
  texts = read_texts(Source(official.write(tmp_path)))
  (tmp_path / 'a.zip').write_bytes(zipped_texts(fault(texts)))
  with pytest.raises(UserError, match=message):
    list(archive.read(Source(tmp_path / 'a.zip'), archive.positions[0], collections.Counter()))


@pytest.mark.parametrize('name', OFFICIAL)
def test_every_archive_has_faults_in_the_table_and_a_marker_that_its_layout_matches(tmp_path, name):
  assert name in {row[0] for row in TABLE}
  assert Source(OFFICIAL[name].write(tmp_path)).find(ARCHIVES[name].marker)

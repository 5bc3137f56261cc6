"""A user's own dataset: a folder per subject and a dataset.toml."""

import collections
import pathlib
import re
import shutil

import numpy as np
import pytest
from in_process import run_in_process, succeed

from har_jax.archives import own_dataset
from har_jax.archives.source import Source
from har_jax.config import Protocol
from har_jax.datasets import windows as store
from har_jax.datasets.datasets import Datasets
from har_jax.datasets.folds import Fold
from har_jax.errors import UserError
from har_jax.signal.recording import Recording

_TOML = """
name = "office"
license = "CC BY 4.0"
position = "wrist"
[activities]
gehen = "walking"
[units]
acc = "g"
time = "s"
"""


def _recording(path: pathlib.Path, labels: str) -> None:
  """20 s at 50 Hz in g, flat on a table; the second half in another activity."""
  path.parent.mkdir(parents=True, exist_ok=True)
  first, second = labels.split()
  rows = ['time,ax,ay,az,gx,gy,gz,label']
  rows += [f'{i / 50},0,0,1,0,0,0.{i % 2 + 1},{first if i < 500 else second}' for i in range(1000)]
  path.write_text('\n'.join(rows))


@pytest.fixture
def dataset(tmp_path) -> pathlib.Path:
  for subject in ('ana', 'ben', 'eva', 'tom'):
    _recording(tmp_path / 'study' / subject / 'day.csv', 'gehen juggling')
  (tmp_path / 'study' / 'dataset.toml').write_text(_TOML)
  return tmp_path / 'study' / 'dataset.toml'


def _read(dataset: pathlib.Path) -> tuple[list[Recording], collections.Counter]:
  dropped: collections.Counter = collections.Counter()
  return list(own_dataset.load(dataset).read(Source(dataset.parent), 'wrist', dropped)), dropped


def test_it_becomes_windows_in_our_units_and_names(dataset, tmp_path, caplog):
  out, _ = succeed('prepare', dataset, f'--out={tmp_path}/windows')
  assert 'office (wrist): ' in out
  assert 'office: no public archive has an activity named juggling; ' in caplog.text
  windows = store.load(tmp_path / 'windows' / 'office')
  assert windows.meta.activities == ['walking', 'juggling']  # an own activity follows the shared ones
  assert windows.meta.subjects == ['ana', 'ben', 'eva', 'tom']
  assert windows.meta.license == 'CC BY 4.0'
  np.testing.assert_allclose(windows.signals[:, :, 2], 9.80665, rtol=1e-3)
  assert len(windows.signals) == 8 * 6  # 10 s hold six windows of 2.56 s, each half over the next


@pytest.mark.parametrize(('unit', 'rad_s'), [('rad/s', 1.0), ('deg/s', np.pi / 180)])
def test_units_and_title_are_those_of_the_file(dataset, unit, rad_s):
  dataset.write_text(f'title = "Office, 2026"\n{_TOML}gyro = "{unit}"')
  archive = own_dataset.load(dataset)
  assert (archive.name, archive.title) == ('office', 'Office, 2026')
  read, _ = _read(dataset)
  assert len(read) == 4
  for recording in read:
    np.testing.assert_allclose(recording.gyro.values[1:3, 2], np.array([0.2, 0.1]) * rad_s, rtol=1e-5)


def test_recordings_without_a_time_have_the_rate_of_the_file_and_hidden_folders_are_no_subjects(dataset):
  (dataset.parent / '.git').mkdir()
  for path in dataset.parent.glob('*/day.csv'):
    path.write_text('\n'.join(row.partition(',')[2] for row in path.read_text().split()))
  dataset.write_text(f'rate_hz = 25\n{_TOML}')
  read, _ = _read(dataset)
  assert [recording.subject for recording in read] == ['ana', 'ben', 'eva', 'tom']
  assert read[0].acc.time_s[25] == 1.0


def test_columns_have_the_roles_of_the_file_and_other_files_are_counted(dataset):
  path = dataset.parent / 'ana' / 'day.csv'
  path.write_text(path.read_text().replace('time,ax,ay,az', 'time,p,q,r'))
  dataset.write_text(f'{_TOML}[columns]\nax = "r"\nay = "q"\naz = "p"\n')
  (dataset.parent / 'ana' / 'notes.csv').write_text('note\nshoes\n')
  for subject in ('ben', 'eva', 'tom'):
    shutil.rmtree(dataset.parent / subject)
  (read,), dropped = _read(dataset)
  np.testing.assert_allclose(read.acc.values[0], [9.80665, 0, 0], rtol=1e-5)
  assert dropped == {'files that are no recordings': 1}


def test_it_is_a_target_of_the_protocol(dataset, tmp_path):
  succeed('prepare', dataset, f'--out={tmp_path}/windows')
  fold = Fold(Datasets.open(tmp_path / 'windows'), 'office', (), Protocol(classes='all'), 0).target_windows()
  assert fold.classes == ('walking', 'juggling')
  assert len(set(fold.test_subjects)) == 1


@pytest.mark.parametrize(
  ('old', 'new', 'message'),
  [
    ('"office"', '"hapt"', 'name = "hapt"'),
    ('"office"', '"../x"', 'name = "../x"'),
    ('name = "office"', '', 'name = ""'),
    ('position', 'place', 'unknown key place'),
    ('"wrist"', '3', 'position = 3; it must be a TOML str'),
    ('acc = ', 'magnet = ', 'unknown units of magnet'),
    ('acc = "g"', 'acc = 3', 'acc = 3 in [units]'),
    ('"walking"', '" "', "gehen = ' ' in [activities]; it must be"),
    ('name = "office"', 'name = office', 'cannot be read as TOML'),
    ('name = "office"', f'name = {"[" * 5000}{"]" * 5000}', 'cannot be read as TOML'),
    ('name = "office"', f'{".".join("a" * 150)} = 1', 'over 100 dots in a line'),
    ('name = "office"', '# a comment\n' * 20_000, 'over 200,000 letters'),
  ],
)
def test_a_mistake_in_the_file_is_an_error(dataset, old, new, message):
  dataset.write_text(_TOML.replace(old, new))
  with pytest.raises(UserError, match=re.escape(message)):
    own_dataset.load(dataset)


def test_a_missing_file_and_a_dataset_without_folders_are_errors(tmp_path):
  with pytest.raises(UserError, match=r'dataset.toml: No such file or directory; give the dataset.toml of'):
    own_dataset.load(tmp_path / 'dataset.toml')
  (tmp_path / 'dataset.toml').write_text(_TOML)
  code, _, err = run_in_process('prepare', f'{tmp_path}/dataset.toml', f'--out={tmp_path}/windows')
  assert (code, 'has no folder' in err) == (1, True)


def test_recordings_without_a_gyroscope_are_counted(dataset):
  path = dataset.parent / 'ana' / 'day.csv'
  path.write_text(
    '\n'.join(','.join((*row.split(',')[:4], row.split(',')[7])) for row in path.read_text().split())
  )
  shutil.copy(path, path.with_name('night.csv'))
  read, dropped = _read(dataset)
  assert len(read) == 5
  assert dropped == {'recordings without a gyroscope: its samples are zeros': 2}


def test_blanks_at_the_ends_of_labels_and_of_activities_make_no_class(dataset, caplog):
  dataset.write_text(_TOML.replace('gehen = "walking"', '" gehen" = "walking "'))
  table = dataset.parent / 'ana' / 'day.csv'
  table.write_text(table.read_text().replace('juggling', ' juggling '))
  recordings, _ = _read(dataset)
  assert {span.activity for recording in recordings for span in recording.spans} == {'walking', 'juggling'}
  assert 'no label is' not in caplog.text


def test_an_entry_that_no_label_has_and_a_subject_without_labels_give_a_warning(dataset, caplog):
  _read(dataset)
  assert not any(' no label' in message or 'has a label' in message for message in caplog.messages)
  path = dataset.parent / 'ben' / 'day.csv'
  path.write_text(path.read_text().replace(',gehen', ',').replace(',juggling', ','))
  path = dataset.parent / 'ana' / 'day.csv'
  path.write_text(path.read_text().replace(',gehen', ',laufen'))  # which nobody else has
  dataset.write_text(_TOML.replace('gehen', 'Gehn = "walking"\nlaufen = "running"\ngehen'))
  _read(dataset)
  assert caplog.messages[-1].startswith('dataset.toml: no label is Gehn: ')
  assert sum('no recording has a label' in message for message in caplog.messages) == 1
  assert 'ben: no recording has a label, so there is no window of this subject' in caplog.messages


def test_doubts_of_all_subjects_are_given_once_and_a_recording_in_no_folder_is_named(dataset, caplog):
  (dataset.parent / 'readme.txt').write_text('four people')
  shutil.copy(dataset.parent / 'ana' / 'day.csv', dataset.parent)
  for times, path in enumerate(sorted(dataset.parent.glob('*/*.csv')), 1):
    slow, fast = (f'0.{times * tenths},' for tenths in (1, 2))
    path.write_text(path.read_text().replace('0.2,', fast).replace('0.1,', slow))
  read, _ = _read(dataset)
  assert [recording.position for recording in read] == ['wrist'] * 4
  beside, doubt = caplog.messages
  assert beside == 'day.csv: not read. Put the recordings of each subject into a folder.'
  assert doubt.startswith(
    'All 4 subjects: The unit of angular velocity is a guess, rad/s: 95 % of it is below 0.2–0.8,'
  )

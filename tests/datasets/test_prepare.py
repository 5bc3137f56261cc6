"""Preparing an archive, and detecting archives in a folder."""

import dataclasses
import pathlib
import struct
import zipfile
import zlib
from unittest import mock

import numpy as np
import pytest
from tiny_archives import dsads_folder, hapt_files, hapt_zip
from zips import write, zipped_texts

import har_jax
from har_jax.archives import ARCHIVES
from har_jax.archives.source import Source
from har_jax.config import DEFAULT_WINDOWING, Windowing
from har_jax.datasets import windows as store
from har_jax.datasets.prepare import detect_archives, is_prepared, prepare
from har_jax.datasets.unit_check import UnitCheck
from har_jax.errors import UserError

HAPT = ARCHIVES['hapt']


def test_a_windows_folder_describes_its_content_and_origin(tmp_path):
  path = hapt_zip(tmp_path / 'HAPT Data Set.zip')
  returned = prepare(HAPT, path, tmp_path / 'windows', progress=False)
  windows = store.load(tmp_path / 'windows' / 'hapt')
  np.testing.assert_array_equal(windows.signals, returned.signals)
  assert len(windows.signals) == 2 * ((500 - 128) // 64 + 1)
  meta = windows.meta
  assert meta.units == ['m/s²'] * 3 + ['rad/s'] * 3
  assert meta.channels == ['acc_x', 'acc_y', 'acc_z', 'gyro_x', 'gyro_y', 'gyro_z']
  assert (meta.archive, meta.position, meta.rate_hz) == ('hapt', 'waist', 50)
  assert (meta.title, meta.license) == (HAPT.title, HAPT.license)
  assert meta.source == 'HAPT Data Set.zip'
  assert meta.checksum.startswith('sha256:')
  assert meta.code_version == har_jax.__version__
  assert meta.counts.by_activity == {'walking': 6, 'sitting': 6}
  assert meta.counts.by_subject == {'1': 6, '2': 6}
  assert meta.counts.recordings == meta.recordings_read == 2
  assert meta.dropped == {'spans shorter than a window': 1}


def test_a_sensor_whose_scale_few_samples_set_is_told(tmp_path, caplog):
  files, name = hapt_files(), 'RawData/gyro_exp01_user01.txt'
  files[name] = f'80 {files[name].partition(" ")[2]}'
  prepare(HAPT, write(tmp_path / 'archive', files), tmp_path / 'windows', progress=False)
  (line,) = [text for text in caplog.messages if 'variance' in text]
  assert line.startswith('hapt: Over half of the variance of the gyroscope is in 1 of ')


def test_axes_are_compared_at_the_rate_of_the_windows(tmp_path, monkeypatch):
  spied = mock.Mock(wraps=UnitCheck)
  monkeypatch.setattr('har_jax.datasets.prepare.UnitCheck', spied)
  windowing = Windowing(64, 25)
  prepare(HAPT, hapt_zip(tmp_path / 'a.zip'), tmp_path, windowing=windowing, progress=False)
  spied.assert_called_once_with('hapt', 25)


def test_another_archive_or_position_is_an_error(tmp_path):
  path = hapt_zip(tmp_path / 'a.zip')
  with pytest.raises(UserError, match=r'accel_phone\.txt'):
    prepare(ARCHIVES['wisdm'], path, tmp_path, progress=False)
  with pytest.raises(UserError, match="'wrist'; one of waist"):
    prepare(HAPT, path, tmp_path, position='wrist', progress=False)
  with pytest.raises(UserError, match='--archive_path'):
    prepare(HAPT, None, tmp_path, progress=False)


@pytest.mark.parametrize(
  'error',
  [
    ValueError('x' * 10_000),
    OverflowError('infinity'),
    KeyError('column'),
    IndexError(),
    MemoryError(),
    RecursionError('deep'),
    NotImplementedError('compression'),
    zlib.error('stream'),
    struct.error('length'),
    UnicodeDecodeError('utf-8', b'\xff', 0, 1, 'start'),
  ],
  ids=lambda error: type(error).__name__,
)
def test_whatever_a_reader_raises_for_a_file_names_that_file(tmp_path, error):
  def read(source, position, dropped):
    with source.open('RawData/acc_exp01_user01.txt'):
      raise error
    yield

  archive = dataclasses.replace(HAPT, read=read)
  with pytest.raises(UserError, match=r'a\.zip: RawData/acc_exp01_user01\.txt cannot be read') as raised:
    prepare(archive, hapt_zip(tmp_path / 'a.zip'), tmp_path, progress=False)
  assert len(str(raised.value)) < 500


def test_progress_is_on_standard_error(tmp_path, capsys):
  prepare(HAPT, hapt_zip(tmp_path / 'a.zip'), tmp_path / 'windows')
  captured = capsys.readouterr()
  assert captured.out == ''
  assert 'hapt' in captured.err


def test_windows_are_current_for_one_source_position_and_version(tmp_path, monkeypatch):
  path = hapt_zip(tmp_path / 'a.zip')
  assert not is_prepared(HAPT, path, tmp_path, DEFAULT_WINDOWING)
  prepare(HAPT, path, tmp_path, progress=False)
  assert is_prepared(HAPT, path, tmp_path, DEFAULT_WINDOWING)
  assert is_prepared(HAPT, path, tmp_path, DEFAULT_WINDOWING, position='all')  # it has one position
  for windowing in (Windowing(64, 50), Windowing(128, 25)):
    assert not is_prepared(HAPT, path, tmp_path, windowing)
  assert not is_prepared(HAPT, hapt_zip(tmp_path / 'b.zip', rows=501), tmp_path, DEFAULT_WINDOWING)
  monkeypatch.setattr('har_jax.datasets.prepare.__version__', '99')
  assert not is_prepared(HAPT, path, tmp_path, DEFAULT_WINDOWING)
  monkeypatch.undo()
  with (tmp_path / 'hapt' / 'signals.npy').open('r+b') as signals:
    signals.seek(-1, 2)
    signals.write(b'x')
  assert not is_prepared(HAPT, path, tmp_path, DEFAULT_WINDOWING)


@pytest.mark.parametrize(
  ('rows', 'windowing', 'warned'),
  [(500, DEFAULT_WINDOWING, False), (501, DEFAULT_WINDOWING, True), (500, Windowing(64, 50), True)],
)
def test_windows_of_another_source_or_length_are_replaced_with_a_warning(
  tmp_path, caplog, rows, windowing, warned
):
  prepare(HAPT, hapt_zip(tmp_path / 'a.zip'), tmp_path, progress=False)
  assert 'replaced' not in caplog.text
  prepare(HAPT, hapt_zip(tmp_path / 'b.zip', rows=rows), tmp_path, windowing=windowing, progress=False)
  texts = [text for text in caplog.messages if 'are replaced' in text]
  assert len(texts) == warned
  assert all(f'{tmp_path}/hapt: the windows before (128 samples' in text for text in texts)


def test_several_positions_follow_one_another_and_the_first_is_as_if_alone(tmp_path):
  path, archive = dsads_folder(tmp_path), ARCHIVES['dsads']
  alone = prepare(archive, path, tmp_path / 'torso', progress=False)
  assert (alone.meta.position, alone.meta.positions) == ('torso', None)
  every = prepare(archive, path, tmp_path / 'all', position='all', progress=False)
  assert every.meta.positions == list(archive.positions)
  assert every.meta.position == ','.join(archive.positions)
  assert every.meta.counts.by_position == dict.fromkeys(archive.positions, len(alone.signals))
  first = store.at_position(store.load(tmp_path / 'all' / 'dsads'), 0)
  for name in ('signals', 'activity', 'subject', 'recording', 'start_s'):
    np.testing.assert_array_equal(getattr(first, name), getattr(alone, name))
  # No two positions share a recording, so that no pair of windows is of two positions.
  assert len(np.unique(every.recording)) == len(archive.positions) * len(np.unique(alone.recording))
  legs = prepare(archive, path, tmp_path / 'legs', position='left_leg,torso', progress=False)
  assert legs.meta.positions == ['left_leg', 'torso']
  left_leg = store.at_position(every, archive.positions.index('left_leg'))
  np.testing.assert_array_equal(left_leg.signals, legs.signals[: len(alone.signals)])
  assert (left_leg.meta.position, left_leg.meta.positions) == ('left_leg', None)
  np.testing.assert_array_equal(legs.signals[len(alone.signals) :], alone.signals)
  assert is_prepared(archive, path, tmp_path / 'all', DEFAULT_WINDOWING, position='all')
  assert not is_prepared(archive, path, tmp_path / 'all', DEFAULT_WINDOWING)
  with pytest.raises(UserError, match=r"'head'; one of torso, .* or all"):
    prepare(archive, path, tmp_path, position='torso,head', progress=False)


def _marker_file(name: str) -> str:
  """A file name that matches the archive's marker."""
  return ARCHIVES[name].marker.replace('[0-9]', '1').replace('*', '1').replace('?', '1')


def _detected(folder: pathlib.Path) -> dict[str, pathlib.Path]:
  return {archive.name: path for archive, path in detect_archives(folder)}


def test_zips_and_folders_are_detected_and_other_files_skipped(tmp_path, caplog):
  hapt = hapt_zip(tmp_path / 'one' / 'two' / 'download.zip')
  outer = zipped_texts({f'DSADS.zip/top/{_marker_file("dsads")}': ''})
  secret = bytearray(outer)
  secret[secret.rindex(b'PK\x01\x02') + 8] |= 1  # the bit that says that it is encrypted
  write(tmp_path, {
    f'mine/x/{_marker_file("motionsense")}': '', 'outer.zip': outer, 'secret.zip': bytes(secret),
    'broken.zip': hapt.read_bytes()[:3000], 'empty.zip': '', 'notes.txt': 'RawData/acc_exp01_user01.txt',
  })  # fmt: skip
  with zipfile.ZipFile(hapt) as archive:
    archive.extractall(tmp_path / 'hapt again')
  (tmp_path / 'folder.zip').mkdir()
  (tmp_path / 'loop').symlink_to(tmp_path)
  (tmp_path / 'nowhere').symlink_to(tmp_path / 'missing')
  paths = {'hapt': hapt, 'motionsense': tmp_path / 'mine' / 'x', 'dsads': tmp_path / 'outer.zip'}
  assert _detected(tmp_path) == paths
  assert 'broken.zip skipped' in caplog.text
  assert 'secret.zip skipped' in caplog.text


def test_archives_are_sought_up_to_three_levels_down(tmp_path):
  found = hapt_zip(tmp_path / 'one' / 'two' / 'three' / 'download.zip')
  assert _detected(tmp_path) == {'hapt': found}
  found.rename(hapt_zip(tmp_path / 'one' / 'two' / 'three' / 'four' / 'download.zip'))
  assert _detected(tmp_path) == {}


@pytest.mark.parametrize('name', [name for name, archive in ARCHIVES.items() if archive.marker])
def test_an_archive_is_detected_by_its_marker_alone(tmp_path, name):
  files = {_marker_file(name): ''}
  write(tmp_path, {'zip/a.zip': zipped_texts(files)})
  write(tmp_path / 'extracted' / 'a', files)
  assert _detected(tmp_path / 'zip') == {name: tmp_path / 'zip' / 'a.zip'}
  assert [*_detected(tmp_path / 'extracted')] == [name]


@pytest.mark.parametrize(
  'files',
  [
    {'acc_walking_csv/acc_walking_waist.csv': ''},
    {'acc_walking_csv.zip': zipped_texts({'acc_walking_waist.csv': ''}), 'acc_broken_csv.zip': b'PK'},
  ],
)
def test_an_extracted_archive_of_zips_is_detected(tmp_path, files):
  write(tmp_path / 'mine' / 'proband1' / 'data', files)
  assert _detected(tmp_path) == {'realworld': tmp_path / 'mine'}


def test_every_archive_is_described():
  for name, archive in ARCHIVES.items():
    assert archive.name == name == name.lower()
    assert all((archive.title, archive.positions, archive.license))


@pytest.mark.archives
def test_the_real_archives_are_detected(archives_folder):
  assert [*_detected(archives_folder)] == [name for name in ARCHIVES if (archives_folder / name).is_dir()]


def test_parts_of_an_archive_in_two_zips_are_read_together_or_one_is_named(tmp_path, caplog):
  names = [
    f'data/{device}/s1/s1_{device.lower()}_sitting_breathingNormal.csv' for device in ('Thingy', 'Respeck')
  ]
  folder = write(tmp_path / 'pdiot', {f'{n}.zip': zipped_texts({name: ''}) for n, name in enumerate(names)})
  assert _detected(folder) == {'pdiot': folder}
  clips = Source(folder).find('*/s*/s*_breathingNormal.csv')
  assert [name.partition('/')[2] for name in clips] == names
  assert not caplog.messages
  hapt = hapt_zip(folder / 'HAPT Data Set.zip')
  assert _detected(folder) == {'hapt': hapt, 'pdiot': folder / '0.zip'}
  (message,) = caplog.messages
  assert message.partition(';')[0] == f'pdiot: {folder}/0.zip is read, {folder}/1.zip is not'

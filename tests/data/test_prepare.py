"""Preparing an archive, recognizing archives in a folder, and the launch script's manners."""

import collections
import json
import os
import pathlib
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest

import har_jax
from har_jax.data import windows as store
from har_jax.data.archives import ARCHIVES
from har_jax.data.prepare import is_prepared, prepare, recognize
from har_jax.data.recording import ACTIVITIES
from har_jax.errors import UserError

ROOT = pathlib.Path(__file__).parents[2]
HAPT = ARCHIVES['hapt']


def _hapt_files(rows: int = 500) -> dict[str, str]:
  rng = np.random.default_rng(0)
  files = {'RawData/labels.txt': f'1 1 1 1 {rows}\n2 2 4 1 {rows}\n2 2 7 1 20\n'}
  for experiment in (1, 2):
    for sensor in ('acc', 'gyro'):
      values = rng.normal(0, 1, (rows, 3))
      text = '\n'.join(' '.join(f'{value:.4f}' for value in row) for row in values)
      files[f'RawData/{sensor}_exp{experiment:02}_user{experiment:02}.txt'] = text
  return files


def _hapt_zip(path: pathlib.Path, **options) -> pathlib.Path:
  path.parent.mkdir(parents=True, exist_ok=True)
  with zipfile.ZipFile(path, 'w') as archive:
    for name, content in _hapt_files(**options).items():
      archive.writestr(name, content)
  return path


def test_a_windows_folder_says_what_it_holds_and_where_from(tmp_path):
  path = _hapt_zip(tmp_path / 'HAPT Data Set.zip')
  returned = prepare(HAPT, path, tmp_path / 'windows', progress=False)
  windows = store.load(tmp_path / 'windows' / 'hapt')
  np.testing.assert_array_equal(windows.signals, returned.signals)
  assert len(windows.signals) == 2 * ((500 - 128) // 64 + 1)
  meta = windows.meta
  assert meta['units'] == ['m/s²'] * 3 + ['rad/s'] * 3
  assert meta['channels'] == ['acc_x', 'acc_y', 'acc_z', 'gyro_x', 'gyro_y', 'gyro_z']
  assert (meta['archive'], meta['position'], meta['rate_hz']) == ('hapt', 'waist', 50)
  assert (meta['title'], meta['license']) == (HAPT.title, HAPT.license)
  assert meta['source'] == 'HAPT Data Set.zip'
  assert meta['checksum'].startswith('sha256:')
  assert meta['code_version'] == har_jax.__version__
  assert meta['counts']['by_activity'] == {'walking': 6, 'sitting': 6}
  assert meta['counts']['by_subject'] == {'1': 6, '2': 6}
  assert meta['counts']['recordings'] == meta['recordings_read'] == 2
  assert meta['dropped'] == {'spans shorter than a window': 1}


def test_a_zip_and_its_folder_give_the_same_windows(tmp_path):
  zipped = prepare(HAPT, _hapt_zip(tmp_path / 'a.zip'), tmp_path / 'windows', progress=False)
  with zipfile.ZipFile(tmp_path / 'a.zip') as archive:
    archive.extractall(tmp_path / 'deep' / 'er')
  folder = prepare(HAPT, tmp_path / 'deep', tmp_path / 'windows', progress=False)
  np.testing.assert_array_equal(zipped.signals, folder.signals)
  assert folder.meta['checksum'].startswith('listing-sha256:')


def test_another_archive_or_position_is_refused(tmp_path):
  path = _hapt_zip(tmp_path / 'a.zip')
  with pytest.raises(UserError, match=r'holds no .*accel_phone\.txt: is it WISDM'):
    prepare(ARCHIVES['wisdm'], path, tmp_path, progress=False)
  with pytest.raises(UserError, match="no position 'wrist'; one of waist"):
    prepare(HAPT, path, tmp_path, position='wrist', progress=False)
  with pytest.raises(UserError, match='needs its archive'):
    prepare(HAPT, None, tmp_path, progress=False)


def test_progress_goes_to_standard_error_alone(tmp_path, capsys):
  prepare(HAPT, _hapt_zip(tmp_path / 'a.zip'), tmp_path / 'windows')
  captured = capsys.readouterr()
  assert captured.out == ''
  assert 'hapt' in captured.err


def test_windows_are_up_to_date_only_for_the_same_source_position_and_version(tmp_path, monkeypatch):
  path = _hapt_zip(tmp_path / 'a.zip')
  assert not is_prepared(HAPT, path, tmp_path)
  prepare(HAPT, path, tmp_path, progress=False)
  assert is_prepared(HAPT, path, tmp_path)
  assert not is_prepared(HAPT, path, tmp_path, position='wrist')
  assert not is_prepared(HAPT, _hapt_zip(tmp_path / 'b.zip', rows=501), tmp_path)
  monkeypatch.setattr('har_jax.data.prepare.__version__', '99')
  assert not is_prepared(HAPT, path, tmp_path)


def _marker_file(archive) -> str:
  """A name that the archive's marker matches."""
  return archive.marker.replace('[0-9]', '1').replace('*', '1').replace('?', '1')


def test_archives_are_recognized_as_zips_and_folders_and_foreign_files_are_passed_over(tmp_path, caplog):
  hapt = _hapt_zip(tmp_path / 'one' / 'two' / 'download.zip')
  extracted = tmp_path / 'mine' / 'x' / _marker_file(ARCHIVES['motionsense'])
  extracted.parent.mkdir(parents=True)
  extracted.write_text('')
  inner = tmp_path / 'inner.zip'
  with zipfile.ZipFile(inner, 'w') as archive:
    archive.writestr('top/' + _marker_file(ARCHIVES['dsads']), '')
  with zipfile.ZipFile(tmp_path / 'outer.zip', 'w') as archive:
    archive.write(inner, 'DSADS.zip')
  inner.unlink()
  # And once more what is there already, and what is none of ours.
  with zipfile.ZipFile(hapt) as archive:
    archive.extractall(tmp_path / 'hapt again')
  (tmp_path / 'broken.zip').write_bytes(hapt.read_bytes()[:3000])
  (tmp_path / 'empty.zip').write_bytes(b'')
  (tmp_path / 'folder.zip').mkdir()
  (tmp_path / 'notes.txt').write_text('RawData/acc_exp01_user01.txt')
  (tmp_path / 'loop').symlink_to(tmp_path)
  (tmp_path / 'nowhere').symlink_to(tmp_path / 'missing')
  found = {archive.name: path for archive, path in recognize(tmp_path)}
  assert found == {
    'hapt': hapt,
    'motionsense': tmp_path / 'mine' / 'x',
    'dsads': tmp_path / 'outer.zip',
  }
  assert 'broken.zip passed over' in caplog.text


def test_every_archive_is_known_by_its_own_marker_alone(tmp_path):
  for archive in ARCHIVES.values():
    if archive.marker:
      folder = tmp_path / archive.name
      folder.mkdir()
      with zipfile.ZipFile(folder / 'a.zip', 'w') as file:
        file.writestr(_marker_file(archive), '')
      assert [(found.name, path) for found, path in recognize(folder)] == [(archive.name, folder / 'a.zip')]


@pytest.mark.parametrize('unpacked', ['once', 'wholly'])
def test_an_extracted_archive_of_zips_is_recognized_too(tmp_path, unpacked):
  data = tmp_path / 'mine' / 'proband1' / 'data'
  data.mkdir(parents=True)
  if unpacked == 'once':
    with zipfile.ZipFile(data / 'acc_walking_csv.zip', 'w') as file:
      file.writestr('acc_walking_waist.csv', '')
    (data / 'acc_broken_csv.zip').write_bytes(b'PK')
  else:
    (data / 'acc_walking_csv').mkdir()
    (data / 'acc_walking_csv' / 'acc_walking_waist.csv').write_text('')
  assert [(found.name, path) for found, path in recognize(tmp_path)] == [('realworld', tmp_path / 'mine')]


def test_every_archive_says_what_the_project_needs():
  for name, archive in ARCHIVES.items():
    assert archive.name == name == name.lower()
    assert archive.title
    assert archive.positions
    assert archive.license


@pytest.mark.archives
def test_the_real_archives_are_recognized_in_a_moment(archives_folder):
  begin = time.monotonic()
  found = [archive.name for archive, _ in recognize(archives_folder)]
  assert time.monotonic() - begin < 2
  assert {'hapt', 'motionsense', 'dsads', 'wisdm'} <= set(found)
  assert len(found) == len(set(found))


def _launch(*arguments: str, cwd: pathlib.Path) -> subprocess.CompletedProcess:
  return subprocess.run(
    [sys.executable, str(ROOT / 'launch' / 'prepare.py'), *arguments],
    cwd=cwd,
    env=os.environ | {'PYTHONPATH': str(ROOT)},
    capture_output=True,
    text=True,
    timeout=60,
  )


def test_the_script_prepares_one_archive_and_prints_what_came_out(tmp_path):
  _hapt_zip(tmp_path / 'archives' / 'a.zip')
  for source in ('archives', 'archives/a.zip'):  # the archive, or a folder that holds it
    done = _launch('--archive=hapt', f'--source={source}', '--out=w', cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert 'hapt (waist): 12 windows, 2 subjects, 2 recordings' in done.stdout
    assert 'spans shorter than a window' in done.stdout
    assert len(store.load(tmp_path / 'w' / 'hapt').signals) == 12


def test_all_skips_what_is_up_to_date(tmp_path):
  _hapt_zip(tmp_path / 'archives' / 'a.zip')
  arguments = ('--archive=all', '--source=archives')
  assert '12 windows' in _launch(*arguments, cwd=tmp_path).stdout
  written = (tmp_path / 'windows' / 'hapt' / 'meta.json').stat().st_mtime_ns
  again = _launch(*arguments, cwd=tmp_path)
  assert again.returncode == 0
  assert 'up to date' in again.stderr
  assert (tmp_path / 'windows' / 'hapt' / 'meta.json').stat().st_mtime_ns == written


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    (('--archive=hapt', '--source=missing.zip'), 'error: no archive at missing.zip'),
    (('--archive=hapt',), 'error: hapt needs its archive'),
    (('--archive=all', '--source=.'), 'error: no archive in .'),
    (('--archive=all',), 'error: --archive=all needs --source'),
    ((), 'error: which archive?'),
    (('hapt',), "error: 'hapt' is no flag"),
  ],
)
def test_a_users_mistake_is_one_line_and_exit_code_1(tmp_path, arguments, message):
  done = _launch(*arguments, cwd=tmp_path)
  assert done.returncode == 1
  assert done.stdout == ''
  assert done.stderr.startswith(message)
  assert len(done.stderr.splitlines()) == 1


def test_help_lists_the_archives_and_loads_nothing_heavy(tmp_path):
  help_text = _launch('--help', cwd=tmp_path).stdout
  assert all(name in ''.join(help_text.split()) for name in ARCHIVES)
  # What a slow start would be made of; seconds would depend on the machine.
  code = 'import sys, launch.prepare; print(*sorted({"pandas", "scipy", "jax", "tqdm"} & set(sys.modules)))'
  loaded = subprocess.run(
    [sys.executable, '-c', code],
    env=os.environ | {'PYTHONPATH': str(ROOT)},
    capture_output=True,
    text=True,
    timeout=60,
  )
  assert loaded.returncode == 0, loaded.stderr
  assert loaded.stdout.strip() == ''


def test_a_made_up_archive_needs_no_source(tmp_path):
  made_up = [archive for archive in ARCHIVES.values() if not archive.marker]
  windows = prepare(made_up[0], None, tmp_path, progress=False)
  assert windows.meta['checksum'] == ''
  assert set(windows.meta['activities']) <= set(ACTIVITIES)
  assert json.loads((tmp_path / made_up[0].name / 'meta.json').read_text(encoding='utf-8')) == windows.meta
  assert collections.Counter(windows.activity.tolist()).keys() == set(range(len(windows.meta['activities'])))

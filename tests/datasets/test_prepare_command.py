"""The command that prepares archives."""

import pathlib
import re

import pytest
from in_process import refuse, run_in_process, succeed
from tiny_archives import dsads_folder, hapt_zip

from har_jax.archives import ARCHIVES, download
from har_jax.archives.archive import Archive
from har_jax.datasets import windows as store
from har_jax.datasets.datasets import Dataset


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch) -> None:
  monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize('path', ['archives', 'archives/a.zip'])  # a folder with the archive, or the archive
def test_the_command_prepares_an_archive_and_prints_a_summary(tmp_path, path):
  hapt_zip(tmp_path / 'archives' / 'a.zip')
  out, _ = succeed('prepare', '--archive=hapt', f'--archive_path={path}', '--out=w')
  assert 'hapt (waist): 12 windows, 2 subjects, 2 recordings' in out
  assert re.search(r'left out +count\n[- ]+\n(.*\n)*spans shorter than a window +\d+\n', out)
  windows = store.load(tmp_path / 'w' / 'hapt')
  assert (len(windows.signals), windows.meta.source) == (12, 'a.zip')


def test_the_command_counts_the_windows_of_each_position(tmp_path):
  dsads_folder(tmp_path)
  out, _ = succeed('prepare', 'dsads', '--archive_path=dsads', '--out=w', '--position=torso,right_leg')
  assert 'dsads (torso,right_leg): 24 windows' in out
  assert re.search(r'right_leg +12', out)


def test_all_skips_what_is_up_to_date(tmp_path):
  hapt_zip(tmp_path / 'archives' / 'a.zip')
  arguments = ('prepare', '--archive=all', '--archive_path=archives')
  assert '12 windows' in succeed(*arguments)[0]
  written = (tmp_path / 'windows' / 'hapt' / 'meta.json').stat().st_mtime_ns
  assert 'up to date' in succeed(*arguments)[1]
  assert (tmp_path / 'windows' / 'hapt' / 'meta.json').stat().st_mtime_ns == written


def test_all_prepares_another_position_or_length_again(tmp_path):
  dsads_folder(tmp_path / 'archives')
  for position, samples in (('torso', 128), ('right_leg', 128), ('right_leg', 64)):
    flags = f'--position={position}', f'--window_samples={samples}'
    succeed('prepare', 'all', '--archive_path=archives', *flags)
    meta = store.load(tmp_path / 'windows' / 'dsads').meta
    assert (meta.position, meta.window_samples) == (position, samples)


@pytest.mark.parametrize('flags', [(), ('--archive_path=here', '--allow_http')])
def test_an_archive_is_downloaded_into_a_folder(tmp_path, monkeypatch, flags):
  hapt_zip(tmp_path / 'a.zip')
  asked = []

  def fetch(archive: Archive, folder: pathlib.Path, *, allow_http: bool) -> pathlib.Path:
    asked.append((archive.name, str(folder), allow_http))
    return tmp_path / 'a.zip'

  monkeypatch.setattr(download, 'fetch', fetch)
  assert '12 windows' in succeed('prepare', 'hapt', '--download', *flags)[0]
  assert asked == [('hapt', *(('here', True) if flags else ('archives', False)))]


@pytest.mark.slow
def test_all_prepares_several_archives_as_one_by_one(tmp_path):
  hapt_zip(tmp_path / 'archives' / 'a.zip')
  dsads_folder(tmp_path / 'archives')
  out, _ = succeed('prepare', 'all', '--archive_path=archives', '--out=both')
  assert re.findall(r'^(\w+) \(\w+\): 12 windows', out, re.MULTILINE) == ['hapt', 'dsads']
  for name in ('hapt', 'dsads'):
    succeed('prepare', name, '--archive_path=archives', '--out=single')
    sums = [Dataset(tmp_path / out / name).checksum for out in ('both', 'single')]
    assert sums[0] == sums[1]


@pytest.mark.slow
def test_all_names_the_damaged_archive(tmp_path):
  hapt_zip(tmp_path / 'archives' / 'a.zip')
  folder = dsads_folder(tmp_path / 'archives')
  next(folder.rglob('s01.txt')).write_text('1,2,3\n')
  code, _, err = run_in_process('prepare', 'all', '--archive_path=archives', '--out=w')
  assert code == 1
  assert 's01.txt' in err
  assert 'Traceback' not in err


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    (('--archive=hapt', '--archive_path=missing.zip'), 'missing.zip'),
    (('--archive=hapt',), '--archive_path'),
    (('--archive=all', '--archive_path=.'), '--archive_path=.'),
    (('--archive=all',), '--archive_path'),
    (('--archive=all', '--archive_path=.', '--download'), 'and no --download'),
    ((), '--archive='),
    (('hapt', 'zip'), "'zip' is not a flag"),
  ],
)
def test_a_mistake_is_one_line_and_exit_code_1(arguments, message):
  assert message in refuse('prepare', *arguments)


def test_help_lists_the_archives():
  out, _ = succeed('prepare', '--help')
  assert all(name in ''.join(out.split()) for name in ARCHIVES)

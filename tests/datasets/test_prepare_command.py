"""The command that prepares archives."""

import re
from collections.abc import Callable

import pytest
from tiny_archives import dsads_folder, hapt_zip

from har_jax.archives import ARCHIVES
from har_jax.cli import command
from har_jax.cli import prepare as cli
from har_jax.datasets import windows as store
from har_jax.datasets.datasets import Dataset


@pytest.fixture
def run(tmp_path, monkeypatch, capsys) -> Callable[..., tuple[int, str, str]]:
  """Runs the command in `tmp_path`; returns the exit code, standard output and standard error."""
  monkeypatch.chdir(tmp_path)

  def run_command(*arguments: str) -> tuple[int, str, str]:
    for name in cli.FLAGS:
      cli.FLAGS[name].unparse()
    capsys.readouterr()
    code = command.run(cli, arguments)
    return code, *capsys.readouterr()

  return run_command


@pytest.mark.parametrize('path', ['archives', 'archives/a.zip'])  # a folder with the archive, or the archive
def test_the_command_prepares_an_archive_and_prints_a_summary(tmp_path, run, path):
  hapt_zip(tmp_path / 'archives' / 'a.zip')
  code, out, err = run('--archive=hapt', f'--archive_path={path}', '--out=w')
  assert code == 0, err
  assert 'hapt (waist): 12 windows, 2 subjects, 2 recordings' in out
  assert 'spans shorter than a window' in out
  assert len(store.load(tmp_path / 'w' / 'hapt').signals) == 12


def test_the_command_counts_the_windows_of_each_position(tmp_path, run):
  dsads_folder(tmp_path)
  code, out, err = run('--archive=dsads', '--archive_path=dsads', '--out=w', '--position=torso,right_leg')
  assert code == 0, err
  assert 'dsads (torso,right_leg): 24 windows' in out
  assert re.search(r'right_leg +12', out)


def test_all_skips_what_is_up_to_date(tmp_path, run):
  hapt_zip(tmp_path / 'archives' / 'a.zip')
  arguments = ('--archive=all', '--archive_path=archives')
  assert '12 windows' in run(*arguments)[1]
  written = (tmp_path / 'windows' / 'hapt' / 'meta.json').stat().st_mtime_ns
  code, _, err = run(*arguments)
  assert (code, 'up to date' in err) == (0, True)
  assert (tmp_path / 'windows' / 'hapt' / 'meta.json').stat().st_mtime_ns == written


def test_all_prepares_several_archives_as_one_by_one(tmp_path, run):
  hapt_zip(tmp_path / 'archives' / 'a.zip')
  dsads_folder(tmp_path / 'archives')
  code, out, err = run('all', '--archive_path=archives', '--out=both')
  assert code == 0, err
  assert re.findall(r'^(\w+) \(\w+\): 12 windows', out, re.MULTILINE) == ['hapt', 'dsads']
  for name in ('hapt', 'dsads'):
    assert run(name, '--archive_path=archives', '--out=single')[0] == 0
    sums = [Dataset(tmp_path / out / name).checksum for out in ('both', 'single')]
    assert sums[0] == sums[1]


def test_all_names_the_damaged_archive(tmp_path, run):
  hapt_zip(tmp_path / 'archives' / 'a.zip')
  folder = dsads_folder(tmp_path / 'archives')
  next(folder.rglob('s01.txt')).write_text('1,2,3\n')
  code, _, err = run('all', '--archive_path=archives', '--out=w')
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
    ((), '--archive='),
    (('hapt', 'zip'), "'zip' is not a flag"),
  ],
)
def test_a_mistake_is_one_line_and_exit_code_1(run, arguments, message):
  code, out, err = run(*arguments)
  assert (code, out) == (1, '')
  assert err.startswith('error: ')
  assert message in err
  assert len(err.splitlines()) == 1


def test_help_lists_the_archives(run):
  code, out, _ = run('--help')
  assert code == 0
  assert all(name in ''.join(out.split()) for name in ARCHIVES)

"""har-jax report, from a folder of result files to tables and a page."""

import csv
import json
import pathlib
import shutil
import subprocess
import sys

import pytest
from in_process import refuse, succeed
from made_results import result
from report_rows import product, write

from har_jax import storage
from har_jax.cli import main
from har_jax.report import tables

pytestmark = pytest.mark.slow


def test_a_folder_of_results_becomes_tables_there(tmp_path):
  write(tmp_path, product(target=['hhar'], method=('full', 'lora'), seed=(0, 1)))
  out, err = succeed('report', f'--results={tmp_path}')
  assert err == ''
  assert '0.900 ± 0.000' in (tmp_path / 'tables.md').read_text(encoding='utf-8')
  assert '0.900 ± 0.000' in out
  assert out.splitlines()[-2:] == [str(tmp_path / 'tables.md'), str(tmp_path / 'headline.svg')]
  assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == [
    'headline.svg',
    'tables.md',
  ]  # no temporary file


def test_a_flag_sets_the_output_folder(tmp_path):
  write(tmp_path / 'results', [result(target='hhar')])
  personal = pathlib.Path(__file__).parents[2] / 'results' / 'personalization.csv'
  shutil.copy(personal, tmp_path / 'results')
  out = tmp_path / 'a' / 'b'
  succeed('report', f'--results={tmp_path / "results"}', f'--out={out}')
  text = (out / 'tables.md').read_text(encoding='utf-8')
  assert 'hhar' in text
  assert tables.personalization(personal).title in text
  assert not (tmp_path / 'results' / 'tables.md').exists()


def test_html_writes_the_page_and_the_headline_figure_and_needs_no_jax(tmp_path):
  pytest.importorskip('jinja2')
  write(tmp_path, product(target=['hapt'], method=('full', 'lora')))
  code = (
    'import sys; sys.modules.update(dict.fromkeys(("jax", "jaxlib", "flax", "optax", "orbax", "grain")));'
    f'from har_jax.cli import main; sys.exit(main.main(["report", "--results={tmp_path}", "--html"]))'
  )
  done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
  assert (done.returncode, done.stderr) == (0, '')
  assert done.stdout.splitlines()[-1] == str(tmp_path / 'report.html')
  page = (tmp_path / 'report.html').read_text(encoding='utf-8')
  assert 'Table II' in page
  assert f'har-jax report --results={tmp_path} --html' in page
  assert (tmp_path / 'headline.svg').read_text(encoding='utf-8').startswith('<svg ')


def test_runs_are_appended_to_the_table_of_all_runs_and_read_from_it(tmp_path, monkeypatch):
  monkeypatch.setattr(main.load('report'), 'commit', lambda: 'abc1234')
  table = tmp_path / 'table' / 'runs.csv'
  table.parent.mkdir()
  write(tmp_path / 'results', [result(target='hhar', seed=seed, subjects={'3': 0.9}) for seed in (0, 1)])
  for _ in range(2):  # the second time they are replaced
    assert succeed('report', f'--results={tmp_path / "results"}', f'--append_to={table}') == (
      f'{table}\n',
      '',
    )
  with table.open(encoding='utf-8', newline='') as file:
    assert [row['commit'] for row in csv.DictReader(file)] == ['abc1234'] * 2
  out, _ = succeed('report', f'--runs_csv={table}')
  assert out.splitlines()[-2] == str(table.parent / 'tables.md')
  assert 'n=2' in (table.parent / 'tables.md').read_text(encoding='utf-8')


def test_a_commit_is_empty_outside_a_repository_and_without_git(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  assert main.load('report').commit() == ''
  monkeypatch.setenv('PATH', str(tmp_path))
  assert main.load('report').commit() == ''


def test_json_has_the_files_and_the_measures_of_each_run(tmp_path):
  write(tmp_path, [result(target='hapt', seed=seed, macro_f1=0.8 + seed / 10) for seed in (0, 1)])
  out, err = succeed('report', tmp_path, '--json')
  printed = json.loads(out)
  assert 'Table II' in err
  assert printed['files'] == [f'{tmp_path}/tables.md', f'{tmp_path}/headline.svg']
  assert [(run['target'], run['seed'], run['macro_f1']) for run in printed['runs']] == [
    ('hapt', 0, 0.8),
    ('hapt', 1, 0.9),
  ]
  assert succeed('report', tmp_path, '--quiet') == ('', '')


def test_mistakes_are_one_line(tmp_path):
  assert refuse('report', f'--results={tmp_path}').startswith(f'error: no results under {tmp_path}')
  assert refuse('report', 'runs.csv').endswith('give --runs_csv=runs.csv')
  assert '--html' in refuse('report', f'--runs_csv={tmp_path / "runs.csv"}', '--html')
  (tmp_path / 'seed0.json').write_text('{"format": ')
  assert 'seed0.json' in refuse('report', f'--results={tmp_path}')
  storage.write(tmp_path / 'seed0.json', result())
  (tmp_path / 'file').touch()
  refused = refuse('report', f'--results={tmp_path}', f'--out={tmp_path / "file"}')
  assert str(tmp_path / 'file') in refused

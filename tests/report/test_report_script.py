"""launch/report.py from a folder of result files to tables.md."""

import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[2]


def report(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
  return subprocess.run(
    [sys.executable, str(ROOT / 'launch' / 'report.py'), *arguments],
    env=os.environ | {'PYTHONPATH': str(ROOT), 'PYTHONIOENCODING': 'utf-8'} | environment,
    capture_output=True,
    encoding='utf-8',
  )


def write(folder: pathlib.Path, found: list[dict]) -> None:
  for each in found:
    identity = each['identity']
    path = folder / identity['target'] / identity['method'] / f'seed{identity["seed"]}.json'
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(each), encoding='utf-8')


def test_a_folder_of_results_becomes_a_table_there(result, tmp_path):
  write(
    tmp_path,
    [result(target='hhar', method=method, seed=seed) for method in ('full', 'lora') for seed in (0, 1)],
  )
  done = report(f'--results={tmp_path}')
  assert (done.returncode, done.stderr) == (0, '')
  markdown = (tmp_path / 'tables.md').read_text(encoding='utf-8')
  assert '0.900 ± 0.000' in markdown
  assert '0.900 ± 0.000' in done.stdout
  assert done.stdout.splitlines()[-1] == str(tmp_path / 'tables.md')
  assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ['tables.md']  # nothing half-written


def test_flags_say_where_to_and_whether_published_figures_are_shown(result, tmp_path):
  write(tmp_path / 'results', [result(target='hhar')])
  done = report(f'--results={tmp_path / "results"}', f'--out={tmp_path / "a" / "b"}', '--nopublished')
  assert done.returncode == 0
  assert 'ublished' not in (tmp_path / 'a' / 'b' / 'tables.md').read_text(encoding='utf-8')
  assert 'ublished' not in done.stdout
  assert not (tmp_path / 'results' / 'tables.md').exists()


def test_a_terminal_without_the_signs_still_gets_its_table(result, tmp_path):
  write(tmp_path, [result(seed=seed) for seed in (0, 1)])
  done = report(f'--results={tmp_path}', PYTHONIOENCODING='ascii')
  assert (done.returncode, done.stderr) == (0, '')
  assert '0.900 ? 0.000' in done.stdout


def test_mistakes_are_one_line(result, tmp_path):
  done = report(f'--results={tmp_path}')
  assert (done.returncode, done.stdout) == (1, '')
  assert done.stderr.startswith(f'error: no results under {tmp_path}')
  (tmp_path / 'seed0.json').write_text('{"format": ')
  done = report(f'--results={tmp_path}')
  assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
  assert 'seed0.json cannot be read' in done.stderr
  (tmp_path / 'seed0.json').write_text(json.dumps(result()))
  (tmp_path / 'file').touch()
  done = report(f'--results={tmp_path}', f'--out={tmp_path / "file"}')
  assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
  assert 'cannot write' in done.stderr

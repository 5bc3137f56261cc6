"""Several jobs on one machine."""

import json
import os
import pathlib
import re
import signal
import sys
import time

import jax
import pytest
from absl import flags

from har_jax.cli import command, interrupts, jobs
from har_jax.errors import Stopped, UserError

# In place of `python -m har_jax`: writes what it was given and its cores, and does what its shard says.
_JOB = """\
import json, os, pathlib, re, signal, sys
flagfile = next(word.partition('=')[2] for word in sys.argv if word.startswith('--flagfile='))
shard = next(word.partition('=')[2] for word in sys.argv if word.startswith('--lodo_shard='))
lines = pathlib.Path(flagfile).read_text().splitlines()
given = dict(line[2:].split('=', 1) for line in lines if '=' in line)
out = pathlib.Path(given['out'])
is_deaf = signal.getsignal(signal.SIGINT) == signal.SIG_IGN
entries = [sys.argv[1], shard, sorted(getattr(os, 'sched_getaffinity', lambda _: [])(0)), is_deaf]
shown = [os.environ['TQDM_POSITION'], '--noprogress' in sys.argv, {'--nojson', '--jobs=1'} <= {*sys.argv}]
(out / f'shown{shard[0]}.json').write_text(json.dumps(shown))
if given['does'] == 'pause':
  import time
  time.sleep(2)
(out / f'job{shard[0]}.json').write_text(json.dumps(entries))
if given['does'] == f'fail{shard[0]}':
  sys.exit('no such windows')
if given['does'] == 'wait' or given['does'].startswith('fail'):
  import time
  signal.signal(signal.SIGTERM, lambda *_: ((out / f'saved{shard[0]}').touch(), sys.exit(143)))
  time.sleep(60)
"""


@pytest.fixture
def values(tmp_path) -> flags.FlagValues:
  made = flags.FlagValues()
  defaults = {'out': str(tmp_path), 'does': 'end', 'lodo_shard': '0/1', 'coordinator': None}
  for name, default in {**defaults, 'distributed': False, 'progress': False, 'json': True}.items():
    command.definer(made)(name, default, '')
  made(['har-jax'])
  return made


@pytest.fixture
def run(values, tmp_path, monkeypatch):
  script = tmp_path / 'job.py'
  script.write_text(_JOB)
  started = jobs.subprocess.Popen
  monkeypatch.setattr(
    jobs.subprocess, 'Popen', lambda words, **more: started([sys.executable, str(script), *words[3:]], **more)
  )
  results = [tmp_path / f'job{number}.json' for number in range(2)]
  return lambda stop=lambda: False: jobs.run('lodo', values, 2, results=results, stop=stop)


def _read_all(folder: pathlib.Path, name: str) -> list:
  """What each of both jobs wrote."""
  return [json.loads((folder / f'{name}{number}.json').read_text()) for number in range(2)]


@pytest.mark.linux
def test_each_job_has_a_shard_and_a_core_and_leaves_ctrl_c_to_the_command(run, tmp_path):
  before, interrupt = os.sched_getaffinity(0), signal.getsignal(signal.SIGINT)
  run()
  first, second = _read_all(tmp_path, 'job')
  cores = sorted(before)
  assert first == ['lodo', '0/2', cores[:1], True]
  assert second == ['lodo', '1/2', [cores[1 % len(cores)]], True]
  assert signal.getsignal(signal.SIGINT) == interrupt
  assert os.sched_getaffinity(0) == before


def test_a_system_that_pins_no_process_has_jobs_too(run, tmp_path, monkeypatch):
  for name in ('sched_getaffinity', 'sched_setaffinity'):  # only Linux has them
    monkeypatch.delattr(os, name, raising=False)
  assert jobs.cores() == list(range(os.cpu_count() or 1))
  run()
  assert [entries[1] for entries in _read_all(tmp_path, 'job')] == ['0/2', '1/2']


@pytest.mark.parametrize('is_terminal', [True, False])
def test_a_job_has_a_line_of_its_own_on_a_terminal_alone(run, is_terminal, tmp_path, monkeypatch, capfd):
  monkeypatch.setattr(sys.stderr, 'isatty', lambda: is_terminal, raising=False)
  run()
  assert _read_all(tmp_path, 'shown') == [['1', not is_terminal, True], ['2', not is_terminal, True]]
  assert 'all runs' not in capfd.readouterr().err  # without progress


def test_a_file_gets_a_line_for_each_finished_run(run, values, capfd):
  values['progress'].value, values['does'].value = True, 'pause'
  run()
  assert 2 <= capfd.readouterr().err.count('all runs:') <= 4  # the first, a run or two, and the last


def test_the_time_left_does_not_count_runs_that_were_finished_before(run, values, tmp_path, capfd):
  values['progress'].value, values['does'].value = True, 'pause'
  (tmp_path / 'job0.json').touch()
  run()
  first, *_, last = re.findall(r'all runs: .*', capfd.readouterr().err.replace('\r', '\n'))
  assert '1/2 [00:00<?' in first
  assert '2/2' in last
  assert float(re.search(r'([\d.]+)s/run', last)[1]) >= 2  # a run in two seconds or more


def test_a_job_that_fails_ends_the_others(run, values, tmp_path, capfd):
  values.does, begun_s = 'fail1', time.monotonic()
  with pytest.raises(UserError, match='job 1 of 2 ended with exit code 1; its message is above'):
    run()
  assert 'no such windows' in capfd.readouterr().err
  assert not (tmp_path / 'saved1').exists()
  assert time.monotonic() - begun_s < 50  # the other one would wait for a minute


def test_sigterm_ends_all_jobs_when_they_have_saved(run, values, tmp_path):
  values.does = 'wait'
  both = [tmp_path / f'job{number}.json' for number in range(2)]
  with pytest.raises(Stopped, match='2 of 2 runs are done'):
    run(stop=lambda: all(path.exists() for path in both))


@pytest.mark.parametrize('name', ['lodo_shard', 'coordinator'])
def test_shards_of_other_machines_are_refused(run, values, name):
  values[name].parse('0/1')
  values[name].present = 1
  with pytest.raises(UserError, match='--jobs is for one command on one machine'):
    run()


def _read_jobs(text: str) -> int:
  values = flags.FlagValues()
  read = jobs.define_jobs(values)
  values(['har-jax', f'--jobs={text}'])
  return read()


@pytest.mark.parametrize('text', ['0', '-1', 'two', '1.5'])
def test_a_number_of_jobs_is_a_number(text):
  with pytest.raises(UserError, match=f'--jobs={text}: give a number of processes, or auto'):
    _read_jobs(text)


@pytest.mark.linux
def test_auto_is_one_job_a_core_on_a_cpu():
  assert _read_jobs('auto') == len(os.sched_getaffinity(0))


def test_auto_is_one_job_with_an_accelerator(monkeypatch):
  monkeypatch.setattr(jax, 'default_backend', lambda: 'tpu')
  assert _read_jobs('auto') == 1


def test_the_first_ctrl_c_asks_for_a_stop_and_the_second_ends_at_once(capsys):
  handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
  values = flags.FlagValues()
  join = jobs.define_processes(values)
  values(['har-jax'])
  signal.signal(signal.SIGINT, signal.default_int_handler)
  try:
    stop = join()
    assert not stop()
    assert interrupts.stop_code() == 128 + signal.SIGTERM
    signal.raise_signal(signal.SIGINT)
    assert stop()
    assert interrupts.stop_code() == 128 + signal.SIGINT
    assert 'Ctrl-C again stops at once' in capsys.readouterr().err
    with pytest.raises(KeyboardInterrupt):
      signal.raise_signal(signal.SIGINT)
  finally:
    interrupts._interrupts.clear()
    for number, handler in handlers.items():
      signal.signal(number, handler)

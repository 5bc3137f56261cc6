"""One study in several processes, joined or as jobs, has the numbers of one, also after a kill or SIGTERM."""

import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading
import time
import types

import in_process
import numpy as np
import processes
import pytest
from in_process import run_in_process

from har_jax import locks
from har_jax.experiments import job_lock

pytestmark = pytest.mark.slow

_PRETRAIN = 'sample_motionsense/pretrain'
_FULL = 'sample_motionsense/full/subject/labels-0.7/seed0'
_TITLE = 'sample_motionsense: full, subject split, seed 0'
_STEPS = {_PRETRAIN: 6, _FULL: 8}


def _start_both(*arguments: object) -> list[subprocess.Popen[str]]:
  with socket.socket() as free:
    free.bind(('localhost', 0))
    port = free.getsockname()[1]
  joined = (f'--coordinator=localhost:{port}', '--processes=2')
  return [processes.start('lodo', *arguments, *joined, f'--process={index}') for index in range(2)]


def _log(folder: pathlib.Path) -> list[dict]:
  """Losses and validations of a log, without seconds."""
  lines = [json.loads(line) for line in (folder / 'log.jsonl').read_text().splitlines()]
  return [{name: value for name, value in line.items() if name != 'seconds'} for line in lines]


def _losses(folder: pathlib.Path, steps: int) -> np.ndarray:
  losses = {line['step']: line['loss'] for line in _log(folder) if 'loss' in line}
  assert list(losses) == list(range(1, steps + 1))
  return np.array(list(losses.values()))


def _result(out: pathlib.Path) -> dict:
  return json.loads((out / f'{_FULL}.json').read_text())


@pytest.fixture(scope='module')
def command(study) -> tuple[str, ...]:
  # A bias before batch normalization has no gradient but rounding, which Adam scales to a whole step.
  return (*study, '--methods=full', '--model_head=')


@pytest.fixture(scope='module')
def by_one(command, tmp_path_factory) -> pathlib.Path:
  folder = tmp_path_factory.mktemp('one')
  in_process.succeed('lodo', *command, f'--out={folder}')
  return folder


@pytest.fixture(scope='module')
def by_two(command, tmp_path_factory) -> pathlib.Path:
  """The folder of an uninterrupted run of two processes. Process 0 alone prints and writes."""
  folder = tmp_path_factory.mktemp('two')
  both = _start_both(*command, f'--out={folder}', '--progress')
  (code, out, err), (other, other_out, other_err) = map(processes.end, both)
  assert (code, other) == (0, 0), (err, other_err)
  assert out.startswith(f'[1/1] {folder / _FULL}.json: accuracy ')
  assert f'{_TITLE}: 100%' in err
  assert (other_out, other_err) == ('', '')
  assert len(list((folder / _FULL).glob('events*'))) == 1
  return folder


def test_two_processes_reach_the_numbers_of_one(by_one, by_two):
  _assert_equal_numbers(by_one, by_two)


def _assert_equal_numbers(by_one: pathlib.Path, by_two: pathlib.Path) -> None:
  """The numbers of two processes are those of one, up to rounding: they add in another order."""
  for name, steps in _STEPS.items():
    np.testing.assert_allclose(_losses(by_two / name, steps), _losses(by_one / name, steps), rtol=1e-4)
  one, two = _result(by_one), _result(by_two)
  assert two['device']['count'] == 2
  assert two['bytes'] == one['bytes']  # on each device
  assert two['identity'] == one['identity']
  assert two['test']['accuracy'] == pytest.approx(one['test']['accuracy'], abs=0.01)
  assert np.sum(two['test']['confusion']) == np.sum(one['test']['confusion'])


@pytest.mark.linux
def test_two_killed_and_stopped_processes_are_ended_by_one_with_the_same_numbers(command, by_two, tmp_path):
  command = (*command, f'--out={tmp_path}')
  both = _start_both(*command)
  processes.wait_for(tmp_path / _PRETRAIN / 'checkpoints', *both)
  both[0].send_signal(signal.SIGKILL)
  (killed, _, _), (other, _, _) = map(processes.end, both)
  assert killed == -signal.SIGKILL
  assert other not in (0, 143)  # it notices, and ends

  both = _start_both(*command)
  processes.wait_for(tmp_path / _FULL / 'checkpoints', *both)
  both[1].send_signal(signal.SIGTERM)  # one receives it, both stop at the same step
  (code, out, err), (other, _, _) = map(processes.end, both)
  assert (code, other) == (143, 143), err
  assert out == ''
  (line,) = [line for line in err.splitlines() if 'stopped' in line]
  assert line.startswith(_TITLE)
  (stopped,) = re.findall(r'step (\d+)', line)
  assert (tmp_path / _FULL / 'checkpoints' / stopped).is_dir()
  assert not (tmp_path / f'{_FULL}.json').exists()

  # Two resumed the killed stage: bit for bit. One ends what two began, up to rounding.
  assert _log(tmp_path / _PRETRAIN) == _log(by_two / _PRETRAIN)
  begun = [line for line in _log(by_two / _FULL) if line['step'] <= int(stopped)]
  assert _log(tmp_path / _FULL) == begun
  code, _, err = in_process.run_in_process('lodo', *command)
  assert code == 0, err
  _assert_equal_numbers(tmp_path, by_two)


def test_distributed_without_a_cluster_is_one_line():
  code, _, err = processes.end(processes.start('lodo', '--distributed'))
  assert code == 1
  assert err.startswith('error: ')
  assert len(err.splitlines()) == 1


# --- jobs that share an --out


_RESULTS = [f'sample_motionsense/{method}/subject/labels-0.7/seed0.json' for method in ('full', 'probe')]


def _results(folder: pathlib.Path) -> list[str]:
  return sorted(path.relative_to(folder).as_posix() for path in folder.rglob('seed0.json'))


def _read_line_with(text: str, job: subprocess.Popen[str]) -> str:
  """The first line on a job's standard error that has a text."""
  assert job.stderr is not None
  timer = threading.Timer(120, job.kill)  # readline blocks
  timer.start()
  lines = []
  while line := job.stderr.readline():
    lines.append(line)
    if text in line:
      timer.cancel()
      return line
  raise AssertionError(lines)


def test_jobs_wait_for_a_pretraining_and_only_one_trains_it(study, tmp_path, monkeypatch):
  folder = tmp_path / 'sample_motionsense' / 'pretrain'
  lock = locks.lock(folder)
  assert lock.take()  # as a third job would, so that both are sure to wait
  claimed = []

  def release_and_sleep(seconds: float) -> None:
    claimed.append((folder / 'run.json').exists())
    lock.release()
    time.sleep(seconds)

  polling = types.SimpleNamespace(monotonic=time.monotonic, sleep=release_and_sleep)
  monkeypatch.setattr(job_lock, 'time', polling)
  first, second = ((*study, f'--out={tmp_path}', f'--lodo_shard={number}/2') for number in (0, 1))
  job = processes.start('lodo', *first)
  waiting = _read_line_with('waiting', job)
  code, out, err = run_in_process('lodo', *second)
  ended = [processes.end(job), (code, out, err)]
  assert [code for code, _, _ in ended] == [0, 0], ended
  for line in (waiting, err.splitlines()[0]):
    assert line.startswith('sample_motionsense: pretraining on sample_wisdm')
    assert f'process {os.getpid()} on ' in line
  assert not claimed[0]
  for (_, out, _), result in zip(ended, _RESULTS, strict=True):
    assert out.startswith(f'[1/1] {tmp_path / result}: accuracy ')
  assert _results(tmp_path) == _RESULTS
  # A second training, or one by both, would log a step twice and write a second file of events.
  log = [json.loads(line) for line in (folder / 'log.jsonl').read_text().splitlines()]
  assert [entry['step'] for entry in log if 'loss' in entry] == list(range(1, 7))
  assert len(list(folder.glob('events*'))) == 1
  assert not list(tmp_path.rglob('lock'))
  (seconds,) = {json.loads((tmp_path / name).read_text())['seconds']['pretraining'] for name in _RESULTS}
  assert seconds == json.loads((folder / 'pretrained.json').read_text())['seconds']

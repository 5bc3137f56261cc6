"""One study in two processes: the numbers of one process, also after a kill and SIGTERM."""

import json
import pathlib
import re
import signal
import socket
import subprocess

import in_process
import numpy as np
import processes
import pytest

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
  return (*study, '--methods=full')


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


def test_two_processes_reach_the_numbers_of_one(finished, by_two):
  _assert_equal_numbers(finished, by_two)


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

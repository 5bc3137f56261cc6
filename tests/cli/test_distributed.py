"""One study in two processes: after SIGTERM and a kill, it reaches the numbers of one process."""

import json
import pathlib
import re
import signal
import socket
import subprocess

import numpy as np
import processes
import pytest
from in_process import run_in_process

pytestmark = pytest.mark.slow

_PRETRAIN = 'synth_waist/pretrain'
_FULL, _NEXT = (f'synth_waist/full/subject/labels-0.7/seed{seed}' for seed in (0, 1))
_TITLE = 'synth_waist: full, subject split, seed 0'
_STEPS = {_PRETRAIN: 6, _FULL: 8, _NEXT: 8}


def _start_both(*arguments: object) -> list[subprocess.Popen[str]]:
  with socket.socket() as free:
    free.bind(('localhost', 0))
    port = free.getsockname()[1]
  joined = (f'--coordinator=localhost:{port}', '--processes=2')
  return [processes.start('lodo', *arguments, *joined, f'--process={index}') for index in range(2)]


def _run(*arguments: object) -> None:
  code, _, err = run_in_process('lodo', *arguments)
  assert code == 0, err


def _losses(folder: pathlib.Path, steps: int) -> np.ndarray:
  lines = [json.loads(line) for line in (folder / 'log.jsonl').read_text().splitlines()]
  losses = [(line['step'], line['loss']) for line in lines if 'loss' in line]
  assert [step for step, _ in losses] == list(range(1, steps + 1))
  return np.array([loss for _, loss in losses])


def _assert_same_numbers(out: pathlib.Path, other: pathlib.Path, *names: str) -> None:
  """Up to rounding: two processes add in another order."""
  for name in names:
    one, another = (_losses(each / name, _STEPS[name]) for each in (out, other))
    np.testing.assert_allclose(one, another, rtol=1e-4)


def test_two_processes_stop_resume_and_reach_the_numbers_of_one(
  study: tuple[str, ...], finished: pathlib.Path, tmp_path: pathlib.Path
):
  command = (*study, '--methods=full', '--seeds=0,1', f'--out={tmp_path}')
  both = _start_both(*command)
  processes.wait_for(tmp_path / _PRETRAIN / 'checkpoints', *both)
  both[1].send_signal(signal.SIGTERM)  # one receives it, both stop at the same step
  (code, out, err), (other, _, _) = map(processes.end, both)
  assert (code, other) == (143, 143), err
  assert out == ''
  (line,) = [line for line in err.splitlines() if 'stopped' in line]
  assert line.startswith('synth_waist: pretraining on synth_thigh')
  (stopped,) = re.findall(r'step (\d+)', line)
  assert (tmp_path / _PRETRAIN / 'checkpoints' / stopped).is_dir()
  assert not (tmp_path / _PRETRAIN / 'pretrained.json').exists()
  assert len(list((tmp_path / _PRETRAIN).glob('events*'))) == 1  # only process 0 writes

  both = _start_both(*command, '--progress')
  processes.wait_for(tmp_path / _NEXT / 'checkpoints' / '2', *both)
  both[0].send_signal(signal.SIGKILL)
  (killed, out, err), (other, other_out, other_err) = map(processes.end, both)
  assert killed == -signal.SIGKILL
  assert other not in (0, 143)  # it notices, and ends
  assert out.startswith(f'[1/2] {tmp_path / _FULL}.json: accuracy ')
  assert f'{_TITLE}: 100%' in err
  assert other_out == ''  # only process 0 prints
  assert '100%' not in other_err
  _assert_same_numbers(tmp_path, finished, _PRETRAIN, _FULL)
  one, two = (json.loads((each / f'{_FULL}.json').read_text()) for each in (finished, tmp_path))
  assert two['device']['count'] == 2
  assert two['bytes'] == one['bytes']  # on each device
  assert two['identity'] == one['identity']
  assert two['test']['accuracy'] == pytest.approx(one['test']['accuracy'], abs=0.01)
  counted = [sum(map(sum, run['test']['confusion'])) for run in (one, two)]
  assert counted[0] == counted[1]

  assert not (tmp_path / f'{_NEXT}.json').exists()
  _run(*command)  # one process resumes what two began
  once = tmp_path / 'once'
  _run(*study, '--methods=full', '--seeds=1', f'--out={once}', f'--pretrained_dir={finished}')
  _assert_same_numbers(tmp_path, once, _NEXT)


def test_distributed_without_a_cluster_is_one_line():
  code, _, err = processes.end(processes.start('lodo', '--distributed'))
  assert code == 1
  assert err.startswith('error: ')
  assert len(err.splitlines()) == 1

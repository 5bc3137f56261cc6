"""One run in two processes: the numbers of one process, and the same again after a kill or SIGTERM."""

import json
import pathlib
import re
import shutil
import signal
import socket
import subprocess

import numpy as np
import processes
import pytest
import tiny_flags

pytestmark = pytest.mark.slow

_FLAGS = (
  *tiny_flags.MODEL,
  '--pretrain_max_steps=10',
  '--pretrain_num_evals=2',
  '--finetune_max_steps=10',
  '--finetune_num_evals=2',
  # The second validation must be plainly better than the first: of equal ones, rounding would choose. Hence
  # high learning rates, and no rotation; tests/train/test_mesh.py covers rotation.
  '--finetune_encoder_learning_rate=0.01',
  '--finetune_learning_rate=0.02',
  '--finetune_rotation_std_deg=0',
  '--methods=full',
  '--seeds=0',
  '--targets=synth_waist',
)
_PRETRAIN = 'synth_waist/pretrain'
_FULL = 'synth_waist/full/subject/labels-0.7/seed0'
_TITLE = 'synth_waist: full, subject split, seed 0'
_STEPS = list(range(1, 11))


def _start_both(*arguments: object) -> list[subprocess.Popen[str]]:
  with socket.socket() as free:
    free.bind(('localhost', 0))
    port = free.getsockname()[1]
  joined = (f'--coordinator=localhost:{port}', '--processes=2')
  return [processes.start('lodo', *arguments, *joined, f'--process={index}') for index in range(2)]


def _log(folder: pathlib.Path) -> list[dict]:
  """Losses and validations in a run's log, without seconds."""
  lines = [json.loads(line) for line in (folder / 'log.jsonl').read_text().splitlines()]
  return [{name: value for name, value in line.items() if name != 'seconds'} for line in lines]


def _losses(folder: pathlib.Path) -> np.ndarray:
  logged = {line['step']: line['loss'] for line in _log(folder) if 'loss' in line}
  assert list(logged) == _STEPS
  return np.array(list(logged.values()))


def _assert_same_runs(out: pathlib.Path, other: pathlib.Path) -> None:
  """Bit for bit."""
  for folder in (_PRETRAIN, _FULL):
    assert _log(out / folder) == _log(other / folder)
  one, another = (json.loads((each / f'{_FULL}.json').read_text()) for each in (out, other))
  assert one['test'] == another['test']
  assert one['test_by_subject'] == another['test_by_subject']


@pytest.fixture(scope='module')
def arguments(windows: pathlib.Path) -> tuple[str, ...]:
  return (*_FLAGS, f'--windows={windows}')


@pytest.fixture(scope='module')
def by_one(arguments: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  out = tmp_path_factory.mktemp('one')
  code, _, err = processes.end(processes.start('lodo', *arguments, f'--out={out}', '--noprogress'))
  assert code == 0, err
  return out


@pytest.fixture(scope='module')
def by_two(arguments: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  """By processes 0 and 1, of which only 0 prints and writes."""
  folder = tmp_path_factory.mktemp('two')
  (code, out, err), (other_code, other_out, other_err) = map(
    processes.end, _start_both(*arguments, f'--out={folder}')
  )
  assert (code, other_code) == (0, 0), (err, other_err)
  assert out.startswith(f'[1/1] {folder / _FULL}.json: accuracy ')
  assert f'{_TITLE}: 100%' in err
  assert (other_out, other_err) == ('', '')
  assert len(list((folder / _FULL).glob('events*'))) == 1
  return folder


def test_two_processes_reach_the_numbers_of_one(by_one: pathlib.Path, by_two: pathlib.Path):
  for folder in (_PRETRAIN, _FULL):
    np.testing.assert_allclose(_losses(by_two / folder), _losses(by_one / folder), rtol=1e-4)
  one, two = (json.loads((out / f'{_FULL}.json').read_text()) for out in (by_one, by_two))
  assert two['device']['count'] == 2
  assert two['bytes'] == one['bytes']  # on each device
  assert two['identity'] == one['identity']
  assert two['test']['accuracy'] == pytest.approx(one['test']['accuracy'], abs=0.01)
  counted = [sum(map(sum, run['test']['confusion'])) for run in (one, two)]
  assert counted[0] == counted[1]


def test_two_processes_resume_after_a_kill_and_after_sigterm(
  arguments: tuple[str, ...], by_two: pathlib.Path, tmp_path: pathlib.Path
):
  command = (*arguments, f'--out={tmp_path}', '--noprogress')
  both = _start_both(*command)
  processes.wait_for(tmp_path / _PRETRAIN / 'checkpoints' / '5', *both)
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
  stopped = _stopped_at(err)
  assert (tmp_path / _FULL / 'checkpoints' / str(stopped)).is_dir()
  assert not (tmp_path / f'{_FULL}.json').exists()

  ended = list(map(processes.end, _start_both(*command)))
  assert [code for code, _, _ in ended] == [0, 0], ended
  _assert_same_runs(tmp_path, by_two)


def test_one_process_saves_at_sigterm_and_resumes(
  arguments: tuple[str, ...], by_one: pathlib.Path, tmp_path: pathlib.Path
):
  shutil.copytree(by_one / _PRETRAIN, tmp_path / _PRETRAIN)
  command = (*arguments, f'--out={tmp_path}', '--noprogress')
  process = processes.start('lodo', *command)
  processes.wait_for(tmp_path / _FULL / 'checkpoints', process)
  process.send_signal(signal.SIGTERM)
  code, out, err = processes.end(process)
  assert (code, out) == (143, ''), err
  assert (tmp_path / _FULL / 'checkpoints' / str(_stopped_at(err))).is_dir()
  code, _, err = processes.end(processes.start('lodo', *command))
  assert code == 0, err
  _assert_same_runs(tmp_path, by_one)


def _stopped_at(err: str) -> int:
  """The step in the one line about the stop."""
  (line,) = [line for line in err.splitlines() if 'stopped' in line]
  assert line.startswith(_TITLE)
  (step,) = re.findall(r'step (\d+)', line)
  return int(step)


def test_distributed_without_a_cluster_is_one_line():
  code, _, err = processes.end(processes.start('lodo', '--distributed'))
  assert code == 1
  assert err.startswith('error: ')
  assert len(err.splitlines()) == 1

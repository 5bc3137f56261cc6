"""One run by two processes: the numbers of one process, and the same again where either is killed or told to stop."""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

_ROOT = pathlib.Path(__file__).parents[2]
_TINY = (
  '--model_patch_size=32',
  '--model_width=24',
  '--model_mlp_dim=32',
  '--model_num_heads=2',
  '--model_depth=1',
  '--model_decoder_blocks=1',
  '--model_head=8',
  '--pretrain_max_steps=10',
  '--pretrain_num_evals=2',
  '--finetune_max_steps=10',
  '--finetune_num_evals=2',
  # So fast that the second validation is plainly the better: of two alike, rounding would choose.
  '--finetune_encoder_learning_rate=0.01',
  '--finetune_learning_rate=0.02',
  # Turned, windows leave so short a run with classes as good as tied, and rounding would choose; tests/train/test_mesh.py turns them.
  '--finetune_rotation_std_deg=0',
  '--methods=full',
  '--seeds=0',
  '--targets=synth_waist',
)
_PRETRAIN = 'synth_waist/pretrain'
_FULL = 'synth_waist/full/subject/labels-0.7/seed0'
_STEPS = list(range(1, 11))


def _start(script: str, *arguments: object) -> subprocess.Popen[str]:
  # XLA's optimizations off: what is compiled here runs a few steps.
  added = {'PYTHONPATH': str(_ROOT), 'JAX_PLATFORMS': 'cpu', 'JAX_DISABLE_MOST_OPTIMIZATIONS': '1'}
  return subprocess.Popen(
    [sys.executable, str(_ROOT / 'launch' / f'{script}.py'), *map(str, arguments)],
    env=os.environ | added,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )


def _start_both(*arguments: object) -> list[subprocess.Popen[str]]:
  with socket.socket() as free:
    free.bind(('localhost', 0))
    port = free.getsockname()[1]
  joined = (f'--coordinator=localhost:{port}', '--processes=2')
  return [_start('lodo', *arguments, *joined, f'--process={process}') for process in range(2)]


def _end(process: subprocess.Popen[str]) -> tuple[int, str, str]:
  out, err = process.communicate(timeout=200)
  # Gloo, which carries the messages, greets on the standard output.
  return process.returncode, ''.join(line for line in out.splitlines(True) if 'Gloo' not in line), err


def _await(path: pathlib.Path, processes: list[subprocess.Popen[str]]) -> None:
  deadline = time.monotonic() + 150
  while not path.exists():
    assert all(process.poll() is None for process in processes), [_end(process) for process in processes]
    assert time.monotonic() < deadline
    time.sleep(0.005)


def _log(folder: pathlib.Path) -> list[dict]:
  """Losses and validations of a run's log, without seconds."""
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
def arguments(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
  """The windows of two of the made-up corpora, and a small run on them."""
  folder = tmp_path_factory.mktemp('windows')
  for process in [
    _start('prepare', f'--archive={name}', f'--out={folder}') for name in ('synth_waist', 'synth_thigh')
  ]:
    code, _, err = _end(process)
    assert code == 0, err
  return (*_TINY, f'--windows={folder}')


@pytest.fixture(scope='module')
def by_one(arguments: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  out = tmp_path_factory.mktemp('one')
  code, _, err = _end(_start('lodo', *arguments, f'--out={out}', '--noprogress'))
  assert code == 0, err
  return out


@pytest.fixture(scope='module')
def by_two(arguments: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  """Of processes 0 and 1, of which 0 alone shows, prints and writes anything."""
  out = tmp_path_factory.mktemp('two')
  (code, said, shown), (other_code, other_said, other_shown) = map(
    _end, _start_both(*arguments, f'--out={out}')
  )
  assert (code, other_code) == (0, 0), (shown, other_shown)
  assert said.startswith(f'[1/1] {out / _FULL}.json: accuracy ')
  assert 'synth_waist: full, by subject, seed 0: 100%' in shown
  assert other_said == ''
  assert other_shown == ''
  assert len(list((out / _FULL).glob('events*'))) == 1
  return out


def test_two_processes_come_to_the_numbers_of_one(by_one: pathlib.Path, by_two: pathlib.Path):
  for folder in (_PRETRAIN, _FULL):
    np.testing.assert_allclose(_losses(by_two / folder), _losses(by_one / folder), rtol=1e-4)
  one, two = (json.loads((out / f'{_FULL}.json').read_text()) for out in (by_one, by_two))
  assert two['device']['count'] == 2
  assert two['bytes'] == one['bytes']  # on each device
  assert two['identity'] == one['identity']
  assert two['test']['accuracy'] == pytest.approx(one['test']['accuracy'], abs=0.01)
  counted = [sum(map(sum, run['test']['confusion'])) for run in (one, two)]
  assert counted[0] == counted[1]


def test_killed_and_told_to_stop_two_processes_end_with_the_same_numbers(
  arguments: tuple[str, ...], by_two: pathlib.Path, tmp_path: pathlib.Path
):
  command = (*arguments, f'--out={tmp_path}', '--noprogress')
  both = _start_both(*command)
  _await(tmp_path / _PRETRAIN / 'checkpoints' / '5', both)
  both[0].send_signal(signal.SIGKILL)
  (killed, _, _), (other, _, _) = map(_end, both)
  assert killed == -signal.SIGKILL
  assert other not in (0, 143)  # the other ends by itself

  both = _start_both(*command)
  _await(tmp_path / _FULL / 'checkpoints', both)
  both[1].send_signal(signal.SIGTERM)  # one of them is told, both stop at the same step
  (code, said, told), (other, _, _) = map(_end, both)
  assert (code, other) == (143, 143), told
  assert said == ''
  stopped = _stopped_at(told)
  assert (tmp_path / _FULL / 'checkpoints' / str(stopped)).is_dir()
  assert not (tmp_path / f'{_FULL}.json').exists()

  ended = list(map(_end, _start_both(*command)))
  assert [code for code, _, _ in ended] == [0, 0], ended
  _assert_same_runs(tmp_path, by_two)


def test_one_process_told_to_stop_saves_and_goes_on(
  arguments: tuple[str, ...], by_one: pathlib.Path, tmp_path: pathlib.Path
):
  shutil.copytree(by_one / _PRETRAIN, tmp_path / _PRETRAIN)
  command = (*arguments, f'--out={tmp_path}', '--noprogress')
  process = _start('lodo', *command)
  _await(tmp_path / _FULL / 'checkpoints', [process])
  process.send_signal(signal.SIGTERM)
  code, said, told = _end(process)
  assert (code, said) == (143, ''), told
  assert (tmp_path / _FULL / 'checkpoints' / str(_stopped_at(told))).is_dir()
  code, _, told = _end(_start('lodo', *command))
  assert code == 0, told
  _assert_same_runs(tmp_path, by_one)


def _stopped_at(told: str) -> int:
  """The step in the one line that says so."""
  (line,) = [line for line in told.splitlines() if 'stopped' in line]
  before, _, after = line.partition(' stopped and saved at step ')
  assert before == 'synth_waist: full, by subject, seed 0:'
  step, _, after = after.partition(';')
  assert after == ' the same command goes on from there'
  return int(step)


@pytest.mark.parametrize(
  ('given', 'told'),
  [
    (['--processes=2', '--process=0'], '--coordinator, --processes and --process belong together'),
    (['--coordinator=here:1', '--processes=2', '--process=2'], '--process=2 of 2 processes; give 0 to 1'),
    (['--coordinator=here', '--processes=2', '--process=1'], '--coordinator=here; give host:port'),
    (['--distributed', '--process=1'], '--distributed finds the processes by itself'),
    (['--distributed'], 'the processes could not be joined'),
  ],
)
def test_processes_that_cannot_be_joined_get_one_clear_message(given: list[str], told: str):
  code, _, err = _end(_start('lodo', *given))
  assert code == 1
  assert err.startswith('error: ')
  assert told in err
  assert len(err.splitlines()) == 1

"""One study as several jobs: whole processes that share an --out."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

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
  '--pretrain_max_steps=20',
  '--pretrain_num_evals=2',
  '--finetune_max_steps=4',
  '--finetune_num_evals=2',
  '--methods=full,probe',
  '--seeds=0',
  '--targets=synth_waist',
  '--noprogress',
)
_RESULTS = [f'synth_waist/{method}/subject/labels-0.7/seed0.json' for method in ('full', 'probe')]


def _start(script: str, *arguments: str) -> subprocess.Popen[str]:
  # XLA's optimizations off: what is compiled here runs a few steps.
  added = {'PYTHONPATH': str(_ROOT), 'JAX_PLATFORMS': 'cpu', 'JAX_DISABLE_MOST_OPTIMIZATIONS': '1'}
  return subprocess.Popen(
    [sys.executable, str(_ROOT / 'launch' / f'{script}.py'), *arguments],
    env=os.environ | added,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )


def _end(process: subprocess.Popen[str]) -> tuple[int, str, str]:
  out, err = process.communicate(timeout=200)
  return process.returncode, out, err


@pytest.fixture(scope='module')
def windows(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  folder = tmp_path_factory.mktemp('windows')
  for process in [
    _start('prepare', f'--archive={name}', f'--out={folder}') for name in ('synth_waist', 'synth_thigh')
  ]:
    code, _, err = _end(process)
    assert code == 0, err
  return folder


def test_two_jobs_started_at_once_pretrain_once_and_both_finish(
  windows: pathlib.Path, tmp_path: pathlib.Path
):
  jobs = [
    _start('lodo', f'--windows={windows}', f'--out={tmp_path}', f'--lodo_shard={number}/2', *_TINY)
    for number in (0, 1)
  ]
  ended = [_end(job) for job in jobs]
  assert [code for code, _, _ in ended] == [0, 0], ended
  for (_, out, _), result in zip(ended, _RESULTS, strict=True):
    assert out.startswith(f'[1/1] {tmp_path / result}: accuracy ')
  assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob('seed0.json')) == _RESULTS
  # A second training, or one by both at once, would have left each step twice, and a second file of events.
  folder = tmp_path / 'synth_waist' / 'pretrain'
  steps = [json.loads(line) for line in (folder / 'log.jsonl').read_text().splitlines()]
  assert [entry['step'] for entry in steps if 'loss' in entry] == list(range(1, 21))
  assert len(list(folder.glob('events*'))) == 1
  waited = [err.count('synth_waist: pretraining on synth_thigh: process ') for _, _, err in ended]
  assert sum(waited) <= 1  # none, where one job was so slow to start that the other had done it
  assert not list(tmp_path.rglob('lock'))
  (seconds,) = {json.loads((tmp_path / name).read_text())['seconds']['pretraining'] for name in _RESULTS}
  assert seconds == json.loads((folder / 'pretrained.json').read_text())['seconds']


def test_stages_are_jobs_of_their_own_and_a_killed_one_is_taken_over(
  windows: pathlib.Path, tmp_path: pathlib.Path
):
  def stage(name: str) -> subprocess.Popen[str]:
    return _start('lodo', f'--windows={windows}', f'--out={tmp_path}', f'--stage={name}', *_TINY)

  pretrained = tmp_path / 'synth_waist' / 'pretrain' / 'pretrained.json'
  killed = stage('pretrain')
  deadline = time.monotonic() + 120
  while not (pretrained.parent / 'checkpoints' / '10').exists():
    assert killed.poll() is None, _end(killed)
    assert time.monotonic() < deadline
    time.sleep(0.005)
  killed.send_signal(signal.SIGKILL)
  _end(killed)
  assert (pretrained.parent / 'lock').exists()
  assert not pretrained.exists()

  code, out, err = _end(stage('pretrain'))
  assert code == 0, err
  assert 'waiting' not in err
  assert out.startswith(f'{pretrained}: step ')
  assert not list(tmp_path.rglob('seed0.json'))

  code, out, err = _end(stage('adapt'))
  assert code == 0, err
  assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob('seed0.json')) == _RESULTS


@pytest.mark.parametrize(
  ('flag', 'told'),
  [
    ('--lodo_shard=2', '--lodo_shard=2: give i/n, such as 0/4 to 3/4'),
    ('--lodo_shard=one/two', '--lodo_shard=one/two: give i/n'),
    ('--lodo_shard=0/3', '2 runs cannot be dealt to 3 shards; give at most 2'),
  ],
)
def test_a_flag_that_makes_no_sense_is_one_line(
  flag: str, told: str, windows: pathlib.Path, tmp_path: pathlib.Path
):
  code, _, err = _end(_start('lodo', *_TINY, f'--windows={windows}', f'--out={tmp_path}', flag))
  assert code == 1
  assert err.startswith('error: ')
  assert told in err
  assert len(err.splitlines()) == 1

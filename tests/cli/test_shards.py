"""One study as several jobs: processes that share an --out."""

import json
import pathlib
import signal
import subprocess
import threading

import processes
import pytest
import tiny_flags

from har_jax import locks

pytestmark = pytest.mark.slow

_FLAGS = (
  *tiny_flags.MODEL,
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


def _results(folder: pathlib.Path) -> list[str]:
  return sorted(str(path.relative_to(folder)) for path in folder.rglob('seed0.json'))


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


def test_jobs_wait_for_a_pretraining_and_only_one_trains_it(windows: pathlib.Path, tmp_path: pathlib.Path):
  folder = tmp_path / 'synth_waist' / 'pretrain'
  lock = locks.lock(folder)
  assert lock.take()  # as a third job would, so that both are sure to wait
  jobs = [
    processes.start('lodo', f'--windows={windows}', f'--out={tmp_path}', f'--lodo_shard={number}/2', *_FLAGS)
    for number in (0, 1)
  ]
  for job in jobs:
    line = _read_line_with('waiting', job)
    assert line.startswith('synth_waist: pretraining on synth_thigh')
    assert lock.holder() in line
  assert not (folder / 'run.json').exists()
  lock.release()
  ended = [processes.end(job) for job in jobs]
  assert [code for code, _, _ in ended] == [0, 0], ended
  for (_, out, _), result in zip(ended, _RESULTS, strict=True):
    assert out.startswith(f'[1/1] {tmp_path / result}: accuracy ')
  assert _results(tmp_path) == _RESULTS
  # A second training, or one by both, would log a step twice and write a second file of events.
  log = [json.loads(line) for line in (folder / 'log.jsonl').read_text().splitlines()]
  assert [entry['step'] for entry in log if 'loss' in entry] == list(range(1, 21))
  assert len(list(folder.glob('events*'))) == 1
  assert not list(tmp_path.rglob('lock'))
  (seconds,) = {json.loads((tmp_path / name).read_text())['seconds']['pretraining'] for name in _RESULTS}
  assert seconds == json.loads((folder / 'pretrained.json').read_text())['seconds']


def test_the_lock_of_a_killed_job_is_taken_over(windows: pathlib.Path, tmp_path: pathlib.Path):
  command = ('lodo', f'--windows={windows}', f'--out={tmp_path}', '--stage=pretrain', *_FLAGS)
  pretrained = tmp_path / 'synth_waist' / 'pretrain' / 'pretrained.json'
  killed = processes.start(*command)
  processes.wait_for(pretrained.parent / 'checkpoints' / '10', killed)
  killed.send_signal(signal.SIGKILL)
  processes.end(killed)
  assert (pretrained.parent / 'lock').exists()
  assert not pretrained.exists()
  code, out, err = processes.end(processes.start(*command))
  assert code == 0, err
  assert 'waiting' not in err
  assert out.startswith(f'{pretrained}: step ')
  assert _results(tmp_path) == []

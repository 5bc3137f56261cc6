"""One study as several jobs: processes that share an --out."""

import json
import os
import pathlib
import subprocess
import threading
import time
import types

import processes
import pytest
from in_process import run_in_process

from har_jax import locks
from har_jax.experiments import job_lock

pytestmark = pytest.mark.slow

_RESULTS = [f'sample_motionsense/{method}/subject/labels-0.7/seed0.json' for method in ('full', 'probe')]


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

"""Runs that are killed, stopped, waiting or overtaken."""

import dataclasses
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys

import pytest
from lodo_studies import ADAPT_ONLY, LORA, QUIET, Study, run, without_seconds

from har_jax import config, config_fields, experiments, locks, records, storage
from har_jax.errors import Stopped, UserError
from har_jax.experiments import job_lock
from har_jax.train import loop
from har_jax.train.log import Log

pytestmark = pytest.mark.slow

_ROOT = pathlib.Path(__file__).parents[2]


_KILLED = """
import os, pathlib, signal, sys
import msgspec
from har_jax import config, experiments
from har_jax.datasets.datasets import Datasets
from har_jax.train.log import Log

windows, out, experiment, step = sys.argv[1:]
taken = Log.step

def dying(self, at, loss):
  taken(self, at, loss)
  if at == int(step):
    os.kill(os.getpid(), signal.SIGKILL)

Log.step = dying
study = experiments.Study(
  datasets=Datasets.open(pathlib.Path(windows)), out=pathlib.Path(out),
  targets=('alpha',), methods=('lora',), seeds=(0,),
  experiment=msgspec.json.decode(experiment, type=config.Experiment),
)
list(experiments.run(study, experiments.TrainOptions(progress=False)))
"""


def test_a_killed_and_stopped_run_ends_with_the_same_numbers(
  runs: dict[str, dict],
  study_of: Study,
  experiment: config.Experiment,
  windows: pathlib.Path,
  tmp_path: pathlib.Path,
  monkeypatch: pytest.MonkeyPatch,
):
  # Both after a checkpoint and between two: SIGKILL in pretraining, an exception in adaptation.
  command = [
    sys.executable,
    '-c',
    _KILLED,
    str(windows),
    str(tmp_path),
    json.dumps(config_fields.to_json(experiment)),
    '5',
  ]
  died = subprocess.run(
    command, env=os.environ | {'PYTHONPATH': str(_ROOT)}, cwd=tmp_path, capture_output=True, text=True
  )
  assert died.returncode == -signal.SIGKILL, died.stderr
  folder = tmp_path / 'alpha'
  assert [path.name for path in (folder / 'pretrain' / 'checkpoints').iterdir() if path.name.isdigit()] == [
    '3'
  ]
  assert not (folder / 'pretrain' / 'pretrained.json').exists()

  taken = Log.step

  def stopping(self: Log, at: int, loss: float) -> None:
    taken(self, at, loss)
    if self._path.parent.name == 'seed0' and at == 3:
      raise KeyboardInterrupt

  with monkeypatch.context() as patched:
    patched.setattr(Log, 'step', stopping)
    with pytest.raises(KeyboardInterrupt):
      run(study_of(tmp_path))
  assert (folder / 'pretrain' / 'pretrained.json').exists()
  assert not (tmp_path / LORA).exists()
  assert without_seconds(run(study_of(tmp_path))[LORA]) == without_seconds(runs[LORA])


def test_stage_adapt_names_the_missing_pretraining(study_of: Study, tmp_path: pathlib.Path):
  with pytest.raises(UserError, match=r'pretrained\.json is missing, .* run --phase=pretrain first'):
    list(experiments.run(study_of(tmp_path), ADAPT_ONLY))
  assert not list(tmp_path.iterdir())


def test_stage_pretrain_writes_its_file_and_no_result(
  runs: dict[str, dict], study_of: Study, out: pathlib.Path, tmp_path: pathlib.Path
):
  shutil.copytree(out / 'alpha', tmp_path / 'alpha')
  for path in tmp_path.rglob('seed0.json'):
    path.unlink()
  ((path, done),) = experiments.pretrain(study_of(tmp_path, methods=('full', 'lora')), QUIET)
  assert path == tmp_path / 'alpha' / 'pretrain' / 'pretrained.json'
  assert done == storage.read_record(path, records.Stage)
  assert not list(tmp_path.rglob('seed0.json'))


def test_a_stop_works_while_waiting_for_another_job(
  study_of: Study, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
  monkeypatch.setattr(job_lock, '_POLL_S', 0.01)
  other = locks.lock(tmp_path / 'alpha' / 'pretrain')
  assert other.take()
  asked = iter((False, False, True))
  with pytest.raises(
    Stopped, match='alpha: pretraining on beta, gamma: stopped while another job is running it'
  ):
    list(experiments.run(study_of(tmp_path), dataclasses.replace(QUIET, stop=lambda: next(asked))))
  other.release()
  (line,) = capsys.readouterr().err.splitlines()
  assert f'alpha: pretraining on beta, gamma: process {os.getpid()} on ' in line
  assert 'is running it; waiting for 0 min' in line
  assert os.listdir(tmp_path / 'alpha' / 'pretrain') == []


def test_an_overtaken_job_stops_training(
  runs: dict[str, dict],
  study_of: Study,
  out: pathlib.Path,
  tmp_path: pathlib.Path,
  monkeypatch: pytest.MonkeyPatch,
):
  shutil.copytree(out / 'alpha' / 'pretrain', tmp_path / 'alpha' / 'pretrain')
  monkeypatch.setattr(loop, '_MAX_STEPS_PER_CALL', 1)
  seen: list[int] = []
  taken = Log.step
  monkeypatch.setattr(Log, 'step', lambda self, at, loss: (seen.append(at), taken(self, at, loss))[1])
  monkeypatch.setattr(locks.FolderLock, 'is_lost', lambda self: bool(seen) and seen[-1] == 3)
  with pytest.raises(UserError, match=r'alpha: lora, seed 0: .* no heartbeat .* another job has taken'):
    run(study_of(tmp_path))
  assert seen == [1, 2, 3]
  assert not (tmp_path / LORA).exists()
  assert not (tmp_path / LORA).with_suffix('').joinpath('lock').exists()

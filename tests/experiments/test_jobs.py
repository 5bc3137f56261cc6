"""Runs that are waiting or overtaken. tests/cli kills and stops them."""

import dataclasses
import os
import shutil
from collections.abc import Callable

import pytest
from lodo_studies import LORA, QUIET, run

from har_jax import experiments, locks
from har_jax.errors import Stopped, UserError
from har_jax.experiments import job_lock
from har_jax.train import loop
from har_jax.train.log import Log

pytestmark = pytest.mark.slow


@pytest.fixture
def stopped_while_waiting(study_of, tmp_path, capsys, monkeypatch) -> Callable[[], str]:
  """Waits for the pretraining of another job, and returns what it wrote until it was stopped."""

  def wait() -> str:
    monkeypatch.setattr(job_lock, '_POLL_S', 0.01)
    other = locks.lock(tmp_path / 'alpha' / 'pretrain')
    assert other.take()
    asked = iter((False, False, True))
    says = 'alpha: pretraining on beta, gamma: stopped while another job is running it'
    with pytest.raises(Stopped, match=says):
      list(experiments.run(study_of(tmp_path), dataclasses.replace(QUIET, stop=lambda: next(asked))))
    other.release()
    return capsys.readouterr().err

  return wait


def test_a_stop_works_while_waiting_for_another_job(stopped_while_waiting, tmp_path):
  (line,) = stopped_while_waiting().splitlines()
  assert f'alpha: pretraining on beta, gamma: process {os.getpid()} on ' in line
  assert 'is running it; waiting for 0 min' in line
  assert os.listdir(tmp_path / 'alpha' / 'pretrain') == []


def test_one_of_several_jobs_of_a_terminal_waits_in_its_own_line(stopped_while_waiting, monkeypatch):
  monkeypatch.setenv('TQDM_POSITION', '1')
  monkeypatch.setattr('sys.stderr.isatty', lambda: True)
  err = stopped_while_waiting()
  assert f'\rwaiting for process {os.getpid()} on ' in err
  assert 'it/s' not in err
  assert ': alpha: pretraining on ' in err
  assert '\n' not in err


def test_an_overtaken_job_stops_training(runs, study_of, out, tmp_path, monkeypatch):
  shutil.copytree(out / 'alpha' / 'pretrain', tmp_path / 'alpha' / 'pretrain')
  monkeypatch.setattr(loop, '_MAX_STEPS_PER_CALL', 1)
  seen: list[int] = []
  taken = Log.step
  monkeypatch.setattr(Log, 'step', lambda self, step, loss: (seen.append(step), taken(self, step, loss))[1])
  monkeypatch.setattr(locks.FolderLock, 'is_lost', lambda self: bool(seen) and seen[-1] == 3)
  with pytest.raises(UserError, match=r'alpha: lora, seed 0: .* no heartbeat .* another job has taken'):
    run(study_of(tmp_path))
  assert seen == [1, 2, 3]
  assert not (tmp_path / LORA).exists()
  assert not (tmp_path / LORA).with_suffix('').joinpath('lock').exists()

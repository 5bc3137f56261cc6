"""Folders of runs: what they were made for, and one job at a time in them."""

import dataclasses
import pathlib
import shutil
import types
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from lodo_studies import LORA, run

from har_jax import config, locks, records, storage
from har_jax.errors import Stopped, UserError
from har_jax.experiments import job_lock
from har_jax.train import loop
from har_jax.train.log import Log

_WINDOWS = {'alpha': records.IdentifiedWindows(checksum='aa', position='waist', windows=9, sum='bb')}
_IDENTITY = records.Identity(
  target='alpha', method='lora', seed=0, experiment=config.Experiment(), windows=_WINDOWS
)


def _claimed(folder: pathlib.Path) -> dict[str, Any]:
  entries = msgspec.to_builtins(_IDENTITY)
  storage.write(folder / 'run.json', entries)
  return entries


def test_a_folder_of_another_run_is_refused(tmp_path):
  _claimed(tmp_path)
  assert job_lock.is_claimed(tmp_path, _IDENTITY)
  other = msgspec.structs.replace(_IDENTITY, seed=1, windows=_WINDOWS | {'beta': _WINDOWS['alpha']})
  with pytest.raises(UserError) as refused:
    job_lock.is_claimed(tmp_path, other)
  assert str(refused.value).splitlines() == [
    f'{tmp_path} is of another experiment; give another --out or delete it:',
    '  seed: made with 0, now with 1',
    f'  windows.beta: made without, now with {msgspec.to_builtins(_WINDOWS["alpha"])}',
  ]


def test_an_identity_older_than_a_hyperparameter_was_made_with_its_default(tmp_path):
  older = _claimed(tmp_path)
  del older['experiment']['model']['window_samples'], older['experiment']['pretrain']['patience']
  storage.write(tmp_path / 'run.json', older)
  assert job_lock.is_claimed(tmp_path, _IDENTITY)
  experiment = _IDENTITY.experiment
  model = dataclasses.replace(experiment.model, window_samples=256)
  other = msgspec.structs.replace(_IDENTITY, experiment=dataclasses.replace(experiment, model=model))
  with pytest.raises(UserError, match=r'experiment\.model\.window_samples: made with 128, now with 256'):
    job_lock.is_claimed(tmp_path, other)


def test_an_identity_with_an_entry_that_this_version_does_not_know_is_refused(tmp_path):
  entries = _claimed(tmp_path)
  storage.write(tmp_path / 'run.json', entries | {'fresh': 1})
  with pytest.raises(UserError, match=r'unknown field `fresh`.*; give another --out or delete it'):
    job_lock.is_claimed(tmp_path, _IDENTITY)
  entries['experiment']['model']['fresh'] = 1
  storage.write(tmp_path / 'run.json', entries)
  with pytest.raises(UserError, match='model has no fresh'):
    job_lock.is_claimed(tmp_path, _IDENTITY)


def test_a_stage_does_not_depend_on_the_head_of_the_model():
  model = config.Experiment().model
  other = dataclasses.replace(model, head=(8,), dropout=0.5)
  assert records.Encoder.part(model) == records.Encoder.part(other)
  assert records.Encoder.part(other).with_head.head == config.Model().head
  assert {'head', 'dropout'}.isdisjoint(msgspec.to_builtins(records.Encoder.part(model)))


@pytest.fixture
def stopped_while_waiting(tmp_path, monkeypatch, capsys) -> Callable[[], str]:
  """Waits 140 s for another process, and returns what it wrote until it was stopped."""
  now, polls = [0.0], []
  monkeypatch.setattr(job_lock.time, 'monotonic', lambda: now[0])

  def sleep(seconds: float) -> None:
    now[0] += 20
    polls.append(seconds)

  monkeypatch.setattr(job_lock.time, 'sleep', sleep)
  other = types.SimpleNamespace(take=lambda: False, holder=lambda: 'process 7', release=lambda: None)
  monkeypatch.setattr(job_lock.locks, 'lock', lambda folder: other)

  def wait() -> str:
    waiting = job_lock.exclusive(tmp_path, _IDENTITY, title='alpha', stop=lambda: len(polls) == 7)
    with pytest.raises(Stopped, match='alpha: stopped while another job is running it'), waiting:
      pytest.fail('taken')
    assert list(tmp_path.iterdir()) == []
    return capsys.readouterr().err

  return wait


def test_a_job_that_waits_says_so_once_a_minute(stopped_while_waiting):
  lines = stopped_while_waiting().splitlines()
  assert lines == [f'alpha: process 7 is running it; waiting for {minutes} min' for minutes in (0, 1, 2)]


def test_one_of_several_jobs_of_a_terminal_waits_in_its_own_line(stopped_while_waiting, monkeypatch):
  monkeypatch.setenv('TQDM_POSITION', '1')
  monkeypatch.setattr('sys.stderr.isatty', lambda: True)
  err = stopped_while_waiting()
  assert '\rwaiting for process 7: alpha' in err
  assert 'it/s' not in err
  assert '\n' not in err


def test_a_job_gives_its_folder_back_though_it_fails(tmp_path, monkeypatch):
  made, lock = [], job_lock.locks.lock  # they live on, since a lock that is forgotten is released, too
  monkeypatch.setattr(job_lock.locks, 'lock', lambda folder: made.append(lock(folder)) or made[-1])
  with (
    pytest.raises(ZeroDivisionError),
    job_lock.exclusive(tmp_path, _IDENTITY, title='alpha', stop=lambda: False),
  ):
    raise ZeroDivisionError
  with job_lock.exclusive(tmp_path, _IDENTITY, title='alpha', stop=lambda: True):  # and need not wait
    assert len(made) == 2


@pytest.mark.slow
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

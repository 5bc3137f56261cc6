"""Killed, stopped and finished runs: they resume to the same numbers."""

import dataclasses

import jax.numpy as jnp
import pytest
from line import STEPS, logged_steps, numbers, stop_at_poll, train_all, train_line

from har_jax.errors import Stopped, UserError
from har_jax.train import loop
from har_jax.train.log import Log
from har_jax.train.loop import Trained


def _kill_after(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
  """Kills the process after a step, without a save."""
  log_step = Log.step

  def dying(self: Log, at: int, loss: float) -> None:
    log_step(self, at, loss)
    if at == step:
      raise KeyboardInterrupt

  monkeypatch.setattr(Log, 'step', dying)


@pytest.mark.parametrize('steps', [(1,), (3,), (12,), (4, 6, 9, 11)], ids=str)  # validations: 3, 5, 8, 10, 12
def test_a_killed_run_resumes_to_the_same_numbers(trained, tmp_path, monkeypatch, steps):
  for step in steps:
    with monkeypatch.context() as patched:
      _kill_after(patched, step)
      with pytest.raises(KeyboardInterrupt):
        train_line(tmp_path)
  resumed = train_line(tmp_path)
  assert numbers(resumed) == numbers(trained)
  assert logged_steps(tmp_path) == list(range(1, STEPS + 1))
  seconds = [entry['seconds'] for entry in resumed.history]
  assert seconds == sorted(seconds)


@pytest.fixture(scope='module')
def trained_in_single_steps(tmp_path_factory) -> Trained:
  """A program of one step per call, which may round otherwise than one of several."""
  with pytest.MonkeyPatch.context() as patched:
    patched.setattr(loop, '_MAX_STEPS_PER_CALL', 1)
    return train_line(tmp_path_factory.mktemp('single'))


@pytest.mark.parametrize('step', [1, 3, 12])  # validations: 3, 5, 8, 10, 12
def test_a_stopped_run_saves_at_once_and_resumes_to_the_same_numbers(
  trained_in_single_steps, tmp_path, monkeypatch, step
):
  monkeypatch.setattr(loop, '_MAX_STEPS_PER_CALL', 1)
  with pytest.raises(Stopped, match=f'a line: .* at step {step}$'):
    train_line(tmp_path, stop=stop_at_poll(step))
  assert (tmp_path / 'checkpoints' / str(step)).is_dir()
  steps: list[int] = []
  log_step = Log.step
  monkeypatch.setattr(Log, 'step', lambda self, at, loss: steps.append(at) or log_step(self, at, loss))
  assert numbers(train_line(tmp_path)) == numbers(trained_in_single_steps)
  assert steps == list(range(step + 1, STEPS + 1))  # no step twice
  assert logged_steps(tmp_path) == list(range(1, STEPS + 1))


def test_a_finished_run_does_not_train_again(uninterrupted, trained, monkeypatch):
  _kill_after(monkeypatch, 1)
  (again,) = train_all([uninterrupted])
  assert numbers(again) == numbers(trained)
  assert again.seconds == trained.seconds


def test_a_folder_of_another_model_is_refused(uninterrupted):
  other = dataclasses.replace(uninterrupted, trainable={'params/head/kernel': jnp.zeros(4)}, frozen={})
  with pytest.raises(UserError, match=r'params/head/kernel: expected float32\[4\], found float32\[3\]'):
    train_all([other])

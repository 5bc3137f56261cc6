"""The training loop: its result, selection by validation, early stopping, resuming, runs side by side."""

import dataclasses
import math
import types
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from line import (
  STEPS,
  TRAINING,
  Line,
  logged_steps,
  numbers,
  run_of,
  stop_at_poll,
  train_all,
  train_line,
  windows_of,
)

from har_jax import config
from har_jax.datasets.batches import Batch
from har_jax.errors import Stopped, UserError
from har_jax.train import loop
from har_jax.train.log import Log
from har_jax.train.run import Trained, count_steps
from har_jax.variables import Variables


def test_training_reduces_the_error_and_records_each_validation(trained):
  assert [entry['step'] for entry in trained.history] == [3, 5, 8, 10, 12]  # ⌈12 i / 5⌉
  assert trained.history[-1]['error'] < trained.history[0]['error']
  assert trained.variables.keys() == {'params/head/kernel', 'batch_stats/mean'}
  assert trained.seconds == trained.history[-1]['seconds'] > 0


@pytest.mark.parametrize('has_folder', [True, False])
def test_the_same_arguments_give_the_same_numbers(trained, tmp_path, has_folder):
  assert numbers(train_line(tmp_path if has_folder else None)) == numbers(trained)


def test_each_seed_draws_its_own_noise(tmp_path):
  signal = np.ones((4, 3), np.float32)  # equal windows, so that their order does not matter
  windows = {'signal': signal, 'label': np.zeros(4, np.float32)}  # the gradient comes from the noise only
  training = dataclasses.replace(TRAINING, max_steps=4, num_evals=1)
  runs = [run_of(tmp_path / str(seed), seed=seed, windows=windows) for seed in (0, 1)]
  side_by_side = train_all(runs, training)
  alone = train_line(tmp_path / 'alone', training, seed=1, windows=windows)
  kernels = [each.variables['params/head/kernel'] for each in (*side_by_side, alone)]
  assert not np.allclose(kernels[0], kernels[1], rtol=0.1)
  np.testing.assert_allclose(kernels[1], kernels[2], rtol=1e-5)


def _script_scores(monkeypatch: pytest.MonkeyPatch, scores: list[float]) -> list[bytes]:
  """Validations return these scores. Returns the kernels that they evaluated."""
  kernels: list[bytes] = []

  def evaluate(objective: Line, variables: Variables, windows: Batch) -> dict[str, float]:
    kernels.append(np.asarray(variables['params/head/kernel']).tobytes())
    return {'score': scores[len(kernels) - 1]}

  monkeypatch.setattr(loop, 'evaluate', evaluate)
  return kernels


@pytest.mark.parametrize(
  ('patience', 'scores', 'returned'),
  [
    (5, [0.5, 0.4, 0.3, 0.2, 0.1], 0),
    (5, [0.5, 0.1, 0.5, 0.1, 0.1], 2),  # on equal scores the later
    (5, [-3.0, -1.0, -2.0, -2.0, -2.0], 1),
    (0, [0.5, 0.4, 0.3, 0.2, 0.1], 4),
  ],
)
@pytest.mark.parametrize('has_folder', [pytest.param(True, marks=pytest.mark.slow), False])
def test_with_patience_the_best_validation_is_returned_else_the_last(
  tmp_path, monkeypatch, patience, scores, returned, has_folder
):
  kernels = _script_scores(monkeypatch, scores)
  training = dataclasses.replace(TRAINING, patience=patience)
  trained = train_line(tmp_path if has_folder else None, training)
  assert np.asarray(trained.variables['params/head/kernel']).tobytes() == kernels[returned]
  assert trained.step == trained.history[returned]['step']
  assert len(set(kernels)) == 5


@pytest.mark.parametrize(
  ('patience', 'scores', 'validations'),
  [
    (2, [0.1, 0.5, 0.4, 0.5, 0.9], 4),  # an equal score is no improvement
    (1, [0.1, 0.5, 0.4, 0.6, 0.9], 3),
  ],
)
def test_patience_stops_a_run_early_and_for_good(tmp_path, monkeypatch, patience, scores, validations):
  kernels = _script_scores(monkeypatch, scores)
  training = dataclasses.replace(TRAINING, patience=patience)
  trained = train_line(tmp_path, training)
  assert len(trained.history) == validations
  assert numbers(train_line(tmp_path, training)) == numbers(trained)
  assert len(kernels) == validations


def test_a_loss_that_is_not_finite_names_the_step(tmp_path):
  windows = windows_of(0)
  windows['label'][4] = np.inf
  with pytest.raises(UserError, match=r'a line: .* (inf|nan) at step [123];'):
    train_line(tmp_path, windows=windows)


def test_the_callers_variables_stay_usable(tmp_path):
  kernel = jnp.zeros(3)  # the step donates its state: without a copy, this would be deleted
  train_line(tmp_path, dataclasses.replace(TRAINING, num_evals=1), trainable={'params/head/kernel': kernel})
  np.testing.assert_array_equal(kernel, np.zeros(3))


@pytest.mark.parametrize(
  ('training', 'windows', 'steps'),
  [
    (config.Training(epochs=4.0, batch=4), 10, 12),
    (config.Training(epochs=0.5, batch=4), 10, 2),
    (config.Training(epochs=50.0, batch=64, max_steps=7), 1000, 7),
    (config.Training(epochs=1.0, batch=64, max_steps=7), 64, 1),
  ],
)
def test_the_number_of_steps_by_hand(training, windows, steps):
  assert count_steps(training, windows) == steps


def test_more_validations_than_steps_are_one_per_step(tmp_path):
  trained = train_line(tmp_path, dataclasses.replace(TRAINING, max_steps=3, num_evals=50))
  assert [entry['step'] for entry in trained.history] == [1, 2, 3]
  assert all(math.isfinite(entry['score']) for entry in trained.history)


# --- killed, stopped and finished runs


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


@pytest.mark.slow
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


# --- runs side by side in one program


@pytest.mark.slow
def test_runs_side_by_side_end_as_they_do_alone(tmp_path, monkeypatch):
  """They have other seeds, numbers of steps and frozen values, are stopped together, and resume."""
  monkeypatch.setattr(loop, '_MAX_STEPS_PER_CALL', 2)
  fields: list[dict[str, Any]] = [
    {'seed': 0},
    {'seed': 1, 'windows': windows_of(2, size=5)},  # half as many steps
    {'seed': 2, 'frozen': {'params/frozen/value': jnp.float32(2)}},
  ]
  alone = [train_line(tmp_path / 'alone' / str(i), **each) for i, each in enumerate(fields)]
  runs = [run_of(tmp_path / 'side_by_side' / str(i), **each) for i, each in enumerate(fields)]
  with pytest.raises(Stopped, match='at step'):
    train_all(runs, stop=stop_at_poll(5))
  side_by_side = train_all(runs)
  assert [len(each.history) for each in side_by_side] == [len(each.history) for each in alone]
  for one, other in zip(alone, side_by_side, strict=True):
    assert one.step == other.step
    assert one.optimizer_bytes == other.optimizer_bytes
    for path, leaf in one.variables.items():
      np.testing.assert_allclose(other.variables[path], leaf, rtol=1e-5, atol=1e-6)
    errors = [[entry['error'] for entry in each.history] for each in (one, other)]
    np.testing.assert_allclose(*errors, rtol=1e-4, atol=1e-6)
  again = train_all(runs)  # all of them finished
  assert [numbers(each) for each in again] == [numbers(each) for each in side_by_side]


def test_a_run_out_of_patience_does_not_stop_the_others(tmp_path, monkeypatch):
  # Alternately of both runs, until the first has had two scores below its best.
  scores = iter([0.5, 0.1, 0.4, 0.2, 0.3, 0.4, 0.5, 0.6])
  monkeypatch.setattr(loop, 'evaluate', lambda *_: {'score': next(scores)})
  runs = [run_of(tmp_path / str(seed), seed=seed) for seed in (0, 1)]
  first, second = train_all(runs, dataclasses.replace(TRAINING, patience=2))
  assert [entry['score'] for entry in first.history] == [0.5, 0.4, 0.3]
  assert [entry['score'] for entry in second.history] == [0.1, 0.2, 0.4, 0.5, 0.6]


def test_frozen_variables_equal_in_all_runs_are_stored_once():
  stacked, per_run_paths = loop._stack_frozen(
    [{'a': jnp.ones(3), 'b': jnp.zeros(2)}, {'a': jnp.ones(3), 'b': jnp.ones(2)}]
  )
  assert per_run_paths == {'b'}
  assert {path: leaf.shape for path, leaf in stacked.items()} == {'a': (3,), 'b': (2, 2)}


def test_the_seconds_of_a_run_begin_at_zero(monkeypatch):
  monkeypatch.setattr('har_jax.train.run.time', types.SimpleNamespace(monotonic=lambda: 5.0))
  assert train_line(None).seconds == 0


def test_a_program_makes_at_most_sixteen_steps_of_at_most_1024_windows_and_at_least_one():
  assert [loop.steps_per_call(batch) for batch in (1, 64, 100, 1024, 4096)] == [16, 16, 10, 1, 1]

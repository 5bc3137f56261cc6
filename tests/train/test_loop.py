"""The training loop: what it returns, selection by validation, early stopping."""

import dataclasses
import math

import jax.numpy as jnp
import numpy as np
import pytest
from line import TRAINING, Line, numbers, run_of, train_all, train_line, windows_of

from har_jax import config
from har_jax.datasets.batches import Batch
from har_jax.errors import UserError
from har_jax.train import loop
from har_jax.train.run import count_steps
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
@pytest.mark.parametrize('has_folder', [True, False])
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

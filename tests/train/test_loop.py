"""The training loop: resumption, selection by validation, early stopping, and runs side by side."""

import dataclasses
import json
import math
import pathlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array

from har_jax import config
from har_jax.data.batches import Batch
from har_jax.errors import Stopped, UserError
from har_jax.train import loop
from har_jax.train.evaluation import predict
from har_jax.train.log import Log
from har_jax.train.loop import Run, Trained, train
from har_jax.train.mesh import ShardOverBatch, on_one_device
from har_jax.train.objective import Reconstruct
from har_jax.train.run import count_steps
from har_jax.variables import Variables

_MODEL = config.Model()  # a field of every objective, not used here


@dataclasses.dataclass(frozen=True)
class Line(Reconstruct):
  """Least squares with noise and a running mean: depends on order, key and state, and compiles fast."""

  model: config.Model = _MODEL

  def losses(
    self, variables: Variables, batch: dict, key: Array, shard_over_batch: ShardOverBatch = on_one_device
  ) -> tuple[Array, Variables]:
    w = variables['params/head/kernel'] * variables['params/frozen/value']
    noise = 0.1 * jax.random.normal(key, batch['label'].shape)
    mean = variables['batch_stats/mean']
    losses = jnp.square(batch['signal'] @ w - batch['label'] + noise) + mean
    return losses, {'batch_stats/mean': 0.9 * mean + 0.1 * jnp.mean(batch['signal'])}

  def predict(self, variables: Variables, batch: dict, key: Array) -> Array:
    return batch['signal'] @ variables['params/head/kernel']

  def score(self, predictions: np.ndarray, windows: dict) -> dict[str, float]:
    error = float(np.mean(np.square(predictions - windows['label'])))
    return {'score': -error, 'error': error}


_TRAINING = config.Training(epochs=4.0, batch=4, num_evals=5, learning_rate=0.05)
_STEPS = 12  # four epochs of ten windows, three batches each


def _windows(seed: int, size: int = 10) -> Batch:
  rng = np.random.default_rng(seed)
  signal = rng.standard_normal((size, 3)).astype(np.float32)
  return {'signal': signal, 'label': signal @ np.float32([1, -2, 3])}


def _run(folder: pathlib.Path, *, seed: int = 0, **fields: Any) -> Run:
  defaults = {
    'trainable': {'params/head/kernel': jnp.zeros(3)},
    'statistics': {'batch_stats/mean': jnp.float32(0)},
    'frozen': {'params/frozen/value': jnp.float32(1)},
    'windows': _windows(0),
    'validation': _windows(1),
  }
  return Run(**(defaults | fields), seed=seed, folder=folder, title='a line')


def _train(
  folder: pathlib.Path,
  training: config.Training = _TRAINING,
  *,
  stop: Callable[[], bool] = lambda: False,
  **fields: Any,
) -> Trained:
  (trained,) = _train_all([_run(folder, **fields)], training, stop=stop)
  return trained


def _train_all(
  runs: list[Run], training: config.Training = _TRAINING, stop: Callable[[], bool] = lambda: False
) -> list[Trained]:
  return train(Line(), runs, training=training, pretrained=False, progress=False, stop=stop)


def _numbers(trained: Trained) -> tuple:
  """The result of a run, bit for bit, without its seconds."""
  history = [{name: value for name, value in entry.items() if name != 'seconds'} for entry in trained.history]
  return {path: np.asarray(leaf).tobytes() for path, leaf in trained.variables.items()}, trained.step, history


def _logged_steps(folder: pathlib.Path) -> list[int]:
  lines = [json.loads(line) for line in (folder / 'log.jsonl').read_text().splitlines()]
  return [line['step'] for line in lines if 'loss' in line]


@pytest.fixture(scope='module')
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Run:
  """A finished run; training it again only reads its result."""
  run = _run(tmp_path_factory.mktemp('uninterrupted'))
  _train_all([run])
  return run


@pytest.fixture(scope='module')
def trained(uninterrupted: Run) -> Trained:
  return _train_all([uninterrupted])[0]


def _kill_after(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
  """Kills the process after a step, without a save."""
  log_step = Log.step

  def dying(self: Log, at: int, loss: float) -> None:
    log_step(self, at, loss)
    if at == step:
      raise KeyboardInterrupt

  monkeypatch.setattr(Log, 'step', dying)


def _stop_at_poll(number: int) -> Callable[[], bool]:
  answers = iter([False] * (number - 1) + [True])
  return lambda: next(answers)


def test_training_reduces_the_error_and_records_each_validation(trained: Trained):
  assert [entry['step'] for entry in trained.history] == [3, 5, 8, 10, 12]  # ⌈12 i / 5⌉
  assert trained.history[-1]['error'] < trained.history[0]['error']
  assert trained.variables.keys() == {'params/head/kernel', 'batch_stats/mean'}
  assert trained.seconds == trained.history[-1]['seconds'] > 0


def test_the_same_arguments_give_the_same_numbers(trained: Trained, tmp_path: pathlib.Path):
  assert _numbers(_train(tmp_path)) == _numbers(trained)


def test_each_seed_draws_its_own_noise(tmp_path: pathlib.Path):
  signal = np.ones((4, 3), np.float32)  # equal windows, so that their order does not matter
  windows = {'signal': signal, 'label': np.zeros(4, np.float32)}  # the gradient comes from the noise only
  training = dataclasses.replace(_TRAINING, max_steps=4, num_evals=1)
  runs = [_run(tmp_path / str(seed), seed=seed, windows=windows) for seed in (0, 1)]
  side_by_side = _train_all(runs, training)
  alone = _train(tmp_path / 'alone', training, seed=1, windows=windows)
  kernels = [each.variables['params/head/kernel'] for each in (*side_by_side, alone)]
  assert not np.allclose(kernels[0], kernels[1], rtol=0.1)
  np.testing.assert_allclose(kernels[1], kernels[2], rtol=1e-5)


@pytest.mark.parametrize('steps', [(1,), (3,), (12,), (4, 6, 9, 11)], ids=str)  # validations: 3, 5, 8, 10, 12
def test_a_killed_run_resumes_to_the_same_numbers(
  trained: Trained, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, steps: tuple[int, ...]
):
  for step in steps:
    with monkeypatch.context() as patched:
      _kill_after(patched, step)
      with pytest.raises(KeyboardInterrupt):
        _train(tmp_path)
  resumed = _train(tmp_path)
  assert _numbers(resumed) == _numbers(trained)
  assert _logged_steps(tmp_path) == list(range(1, _STEPS + 1))
  seconds = [entry['seconds'] for entry in resumed.history]
  assert seconds == sorted(seconds)


@pytest.fixture(scope='module')
def trained_in_single_steps(tmp_path_factory: pytest.TempPathFactory) -> Trained:
  """A program of one step per call, which may round otherwise than one of several."""
  with pytest.MonkeyPatch.context() as patched:
    patched.setattr(loop, '_MAX_STEPS_PER_CALL', 1)
    return _train(tmp_path_factory.mktemp('single'))


@pytest.mark.parametrize('step', [1, 3, 12])  # validations: 3, 5, 8, 10, 12
def test_a_stopped_run_saves_at_once_and_resumes_to_the_same_numbers(
  trained_in_single_steps: Trained, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, step: int
):
  monkeypatch.setattr(loop, '_MAX_STEPS_PER_CALL', 1)
  with pytest.raises(Stopped, match=f'a line: .* at step {step}$'):
    _train(tmp_path, stop=_stop_at_poll(step))
  assert (tmp_path / 'checkpoints' / str(step)).is_dir()
  steps: list[int] = []
  log_step = Log.step
  monkeypatch.setattr(Log, 'step', lambda self, at, loss: steps.append(at) or log_step(self, at, loss))
  assert _numbers(_train(tmp_path)) == _numbers(trained_in_single_steps)
  assert steps == list(range(step + 1, _STEPS + 1))  # no step twice
  assert _logged_steps(tmp_path) == list(range(1, _STEPS + 1))


def test_a_finished_run_does_not_train_again(
  uninterrupted: Run, trained: Trained, monkeypatch: pytest.MonkeyPatch
):
  _kill_after(monkeypatch, 1)
  (again,) = _train_all([uninterrupted])
  assert _numbers(again) == _numbers(trained)
  assert again.seconds == trained.seconds


def _script_scores(monkeypatch: pytest.MonkeyPatch, scores: list[float]) -> list[bytes]:
  """Validations return these scores. Returns the kernels that they evaluated."""
  kernels: list[bytes] = []

  def evaluate(objective: Line, variables: Variables, windows: Batch) -> dict[str, float]:
    kernels.append(np.asarray(variables['params/head/kernel']).tobytes())
    return {'score': scores[len(kernels) - 1]}

  monkeypatch.setattr(loop, 'evaluate', evaluate)
  return kernels


@pytest.mark.parametrize(
  ('scores', 'best'),
  [
    ([0.5, 0.4, 0.3, 0.2, 0.1], 0),
    ([0.5, 0.1, 0.5, 0.1, 0.1], 2),  # on equal scores the later
    ([-3.0, -1.0, -2.0, -2.0, -2.0], 1),
  ],
)
def test_with_patience_the_best_validation_is_returned(
  tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, scores: list[float], best: int
):
  kernels = _script_scores(monkeypatch, scores)
  trained = _train(tmp_path, training=dataclasses.replace(_TRAINING, patience=5))
  assert np.asarray(trained.variables['params/head/kernel']).tobytes() == kernels[best]
  assert trained.step == trained.history[best]['step']
  assert len(set(kernels)) == 5


def test_without_patience_the_last_step_is_returned(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch):
  kernels = _script_scores(monkeypatch, [0.5, 0.4, 0.3, 0.2, 0.1])
  trained = _train(tmp_path)
  assert np.asarray(trained.variables['params/head/kernel']).tobytes() == kernels[-1]
  assert trained.step == trained.history[-1]['step']
  assert len(set(kernels)) == 5


@pytest.mark.parametrize(
  ('patience', 'scores', 'validations'),
  [
    (2, [0.1, 0.5, 0.4, 0.5, 0.9], 4),  # an equal score is no improvement
    (1, [0.1, 0.5, 0.4, 0.6, 0.9], 3),
  ],
)
def test_patience_stops_a_run_early_and_for_good(
  tmp_path: pathlib.Path,
  monkeypatch: pytest.MonkeyPatch,
  patience: int,
  scores: list[float],
  validations: int,
):
  kernels = _script_scores(monkeypatch, scores)
  training = dataclasses.replace(_TRAINING, patience=patience)
  trained = _train(tmp_path, training)
  assert len(trained.history) == validations
  assert _numbers(_train(tmp_path, training)) == _numbers(trained)
  assert len(kernels) == validations


def test_a_loss_that_is_not_finite_names_the_step(tmp_path: pathlib.Path):
  windows = _windows(0)
  windows['label'][4] = np.inf
  with pytest.raises(UserError, match=r'a line: .* (inf|nan) at step [123];'):
    _train(tmp_path, windows=windows)


def test_the_callers_variables_stay_usable(tmp_path: pathlib.Path):
  kernel = jnp.zeros(3)  # the step donates its state: without a copy, this would be deleted
  _train(tmp_path, dataclasses.replace(_TRAINING, num_evals=1), trainable={'params/head/kernel': kernel})
  np.testing.assert_array_equal(kernel, np.zeros(3))


def test_a_folder_of_another_model_is_refused(uninterrupted: Run):
  other = dataclasses.replace(uninterrupted, trainable={'params/head/kernel': jnp.zeros(4)}, frozen={})
  with pytest.raises(UserError, match=r'params/head/kernel: expected float32\[4\], found float32\[3\]'):
    _train_all([other])


@pytest.mark.parametrize('size', [1, 256, 257, 600])
def test_predictions_are_in_the_order_of_the_windows(size: int):
  windows = _windows(2, size)
  kernel = jnp.asarray(np.float32([1, -2, 3]))
  predicted = predict(Line(), {'params/head/kernel': kernel}, windows)
  np.testing.assert_allclose(predicted, windows['label'], atol=1e-5)


class _Noise(Line):
  def predict(self, variables: Variables, batch: dict, key: Array) -> Array:
    return jax.random.normal(key, batch['label'].shape)


def test_each_evaluation_batch_has_its_own_reproducible_key():
  predicted = predict(_Noise(), {}, _windows(2, 512))
  assert not np.array_equal(predicted[:256], predicted[256:])
  np.testing.assert_array_equal(predict(_Noise(), {}, _windows(2, 512)), predicted)


@pytest.mark.parametrize(
  ('training', 'windows', 'steps'),
  [
    (config.Training(epochs=4.0, batch=4), 10, 12),
    (config.Training(epochs=0.5, batch=4), 10, 2),
    (config.Training(epochs=50.0, batch=64, max_steps=7), 1000, 7),
    (config.Training(epochs=1.0, batch=64, max_steps=7), 64, 1),
  ],
)
def test_the_number_of_steps_by_hand(training: config.Training, windows: int, steps: int):
  assert count_steps(training, windows) == steps


def test_more_validations_than_steps_are_one_per_step(tmp_path: pathlib.Path):
  trained = _train(tmp_path, dataclasses.replace(_TRAINING, max_steps=3, num_evals=50))
  assert [entry['step'] for entry in trained.history] == [1, 2, 3]
  assert all(math.isfinite(entry['score']) for entry in trained.history)


def test_runs_side_by_side_end_as_they_do_alone(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch):
  """With different seeds, numbers of steps and frozen values; they are stopped together and resume."""
  monkeypatch.setattr(loop, '_MAX_STEPS_PER_CALL', 2)
  fields: list[dict[str, Any]] = [
    {'seed': 0},
    {'seed': 1, 'windows': _windows(2, size=5)},  # half as many steps
    {'seed': 2, 'frozen': {'params/frozen/value': jnp.float32(2)}},
  ]
  alone = [_train(tmp_path / 'alone' / str(i), **each) for i, each in enumerate(fields)]
  runs = [_run(tmp_path / 'side_by_side' / str(i), **each) for i, each in enumerate(fields)]
  with pytest.raises(Stopped, match='at step'):
    _train_all(runs, stop=_stop_at_poll(5))
  side_by_side = _train_all(runs)
  assert [len(each.history) for each in side_by_side] == [len(each.history) for each in alone]
  for one, other in zip(alone, side_by_side, strict=True):
    assert one.step == other.step
    assert one.optimizer_bytes == other.optimizer_bytes
    for path, leaf in one.variables.items():
      np.testing.assert_allclose(other.variables[path], leaf, rtol=1e-5, atol=1e-6)
    errors = [[entry['error'] for entry in each.history] for each in (one, other)]
    np.testing.assert_allclose(*errors, rtol=1e-4, atol=1e-6)
  again = _train_all(runs)  # all of them finished
  assert [_numbers(each) for each in again] == [_numbers(each) for each in side_by_side]


def test_a_run_out_of_patience_does_not_stop_the_others(
  tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
):
  # Alternately of both runs, until the first has had two scores below its best.
  scores = iter([0.5, 0.1, 0.4, 0.2, 0.3, 0.4, 0.5, 0.6])
  monkeypatch.setattr(loop, 'evaluate', lambda *_: {'score': next(scores)})
  runs = [_run(tmp_path / str(seed), seed=seed) for seed in (0, 1)]
  first, second = _train_all(runs, dataclasses.replace(_TRAINING, patience=2))
  assert [entry['score'] for entry in first.history] == [0.5, 0.4, 0.3]
  assert [entry['score'] for entry in second.history] == [0.1, 0.2, 0.4, 0.5, 0.6]


def test_frozen_variables_equal_in_all_runs_are_stored_once():
  stacked, per_run_paths = loop._stack_frozen(
    [{'a': jnp.ones(3), 'b': jnp.zeros(2)}, {'a': jnp.ones(3), 'b': jnp.ones(2)}]
  )
  assert per_run_paths == {'b'}
  assert {path: leaf.shape for path, leaf in stacked.items()} == {'a': (3,), 'b': (2, 2)}

"""The loop: the same numbers however often it was stopped, the best by validation, and an early end."""

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
from har_jax.train.log import Log
from har_jax.train.loop import Run, Trained, count_steps, predict, train
from har_jax.train.mesh import ShardOverBatch, on_one
from har_jax.train.objective import Reconstruct
from har_jax.variables import Variables

_MODEL = config.Model()  # a field of every objective, not looked at here


@dataclasses.dataclass(frozen=True)
class Line(Reconstruct):
  """Least squares with noise and a running mean: it sees order, key, weight and state, and compiles fast."""

  model: config.Model = _MODEL

  def losses(
    self, variables: Variables, batch: dict, key: Array, shard_over_batch: ShardOverBatch = on_one
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
_STEPS = 12  # four passes of ten windows, three batches each


def _windows(seed: int, size: int = 10) -> Batch:
  rng = np.random.default_rng(seed)
  signal = rng.standard_normal((size, 3)).astype(np.float32)
  return {'signal': signal, 'label': signal @ np.float32([1, -2, 3])}


def _run(folder: pathlib.Path, *, seed: int = 0, **given: Any) -> Run:
  start = {
    'trainable': {'params/head/kernel': jnp.zeros(3)},
    'statistics': {'batch_stats/mean': jnp.float32(0)},
    'frozen': {'params/frozen/value': jnp.float32(1)},
    'windows': _windows(0),
    'validation': _windows(1),
  }
  return Run(**(start | given), seed=seed, folder=folder, title='a line')


def _train(
  folder: pathlib.Path,
  training: config.Training = _TRAINING,
  *,
  stop: Callable[[], bool] = lambda: False,
  **given: Any,
) -> Trained:
  (done,) = _train_all([_run(folder, **given)], training, stop=stop)
  return done


def _train_all(
  runs: list[Run], training: config.Training = _TRAINING, stop: Callable[[], bool] = lambda: False
) -> list[Trained]:
  return train(Line(), runs, training=training, pretrained=False, progress=False, stop=stop)


@pytest.fixture
def _one_step_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
  """So that each step asks whether to stop."""
  monkeypatch.setattr(loop, '_STEPS_AT_ONCE', 1)


def _numbers(done: Trained) -> tuple:
  """All that a run found, bit for bit, without its seconds."""
  history = [{name: value for name, value in entry.items() if name != 'seconds'} for entry in done.history]
  return {path: np.asarray(leaf).tobytes() for path, leaf in done.variables.items()}, done.step, history


@pytest.fixture(scope='module')
def whole(tmp_path_factory: pytest.TempPathFactory) -> Trained:
  return _train(tmp_path_factory.mktemp('whole'))


def _stop_after(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
  """The process dies once it has taken so many steps."""
  taken = Log.step

  def dying(self: Log, at: int, loss: float) -> None:
    taken(self, at, loss)
    if at == step:
      raise KeyboardInterrupt

  monkeypatch.setattr(Log, 'step', dying)


def test_a_run_learns_and_says_how(whole: Trained):
  assert [entry['step'] for entry in whole.history] == [3, 5, 8, 10, 12]  # ⌈12 i / 5⌉
  assert whole.history[-1]['error'] < whole.history[0]['error']
  assert whole.variables.keys() == {'params/head/kernel', 'batch_stats/mean'}
  assert whole.seconds == whole.history[-1]['seconds'] > 0


def test_the_same_arguments_give_the_same_numbers(whole: Trained, tmp_path: pathlib.Path):
  assert _numbers(_train(tmp_path / 'again')) == _numbers(whole)
  assert _numbers(_train(tmp_path / 'other', seed=1)) != _numbers(whole)


@pytest.mark.parametrize('step', [1, 3, 4, 7, 10, 12])
def test_a_stopped_run_ends_with_the_same_numbers(
  whole: Trained, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, step: int
):
  with monkeypatch.context() as patched:
    _stop_after(patched, step)
    with pytest.raises(KeyboardInterrupt):
      _train(tmp_path)
  assert _numbers(_train(tmp_path)) == _numbers(whole)
  lines = [json.loads(line) for line in (tmp_path / 'log.jsonl').read_text().splitlines()]
  assert [line['step'] for line in lines if 'loss' in line] == list(range(1, _STEPS + 1))


@pytest.mark.usefixtures('_one_step_at_once')
@pytest.mark.parametrize('asks', [1, 3, 4, 7, 12])  # validations are after 3, 5, 8, 10, 12
def test_a_run_told_to_stop_saves_there_and_goes_on_to_the_same_numbers(
  tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, asks: int
):
  whole = _train(tmp_path / 'whole')  # by the program of one step: that of several may round otherwise
  answers = iter([False] * (asks - 1) + [True])
  with pytest.raises(Stopped, match=f'a line: stopped and saved at step {asks}$'):
    _train(tmp_path, stop=lambda: next(answers))
  assert (tmp_path / 'checkpoints' / str(asks)).is_dir()
  taken: list[int] = []
  step = Log.step
  monkeypatch.setattr(Log, 'step', lambda self, at, loss: taken.append(at) or step(self, at, loss))
  done = _train(tmp_path)
  assert taken == list(range(asks + 1, _STEPS + 1))  # none of them once more
  assert _numbers(done) == _numbers(whole)
  lines = [json.loads(line) for line in (tmp_path / 'log.jsonl').read_text().splitlines()]
  assert [line['step'] for line in lines if 'loss' in line] == list(range(1, _STEPS + 1))
  seconds = [entry['seconds'] for entry in done.history]
  assert seconds == sorted(seconds)


def test_a_run_stopped_again_and_again_ends_with_the_same_numbers(
  whole: Trained, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
):
  for step in (4, 6, 9, 11):
    with monkeypatch.context() as patched:
      _stop_after(patched, step)
      with pytest.raises(KeyboardInterrupt):
        _train(tmp_path)
  done = _train(tmp_path)
  assert _numbers(done) == _numbers(whole)
  seconds = [entry['seconds'] for entry in done.history]
  assert seconds == sorted(seconds)


def test_a_finished_run_takes_no_step_more(
  whole: Trained, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
):
  first = _train(tmp_path)
  _stop_after(monkeypatch, 1)
  again = _train(tmp_path)
  assert _numbers(again) == _numbers(first)
  assert again.seconds == first.seconds


def _scripted(monkeypatch: pytest.MonkeyPatch, scores: list[float]) -> list[bytes]:
  """Validations give these scores; returns the kernels that they saw."""
  seen: list[bytes] = []

  def evaluate(objective: Line, variables: Variables, windows: Batch) -> dict[str, float]:
    seen.append(np.asarray(variables['params/head/kernel']).tobytes())
    return {'score': scores[len(seen) - 1]}

  monkeypatch.setattr(loop, 'evaluate', evaluate)
  return seen


@pytest.mark.parametrize(
  ('scores', 'best'),
  [
    ([0.1, 0.5, 0.3, 0.2, 0.1], 1),
    ([0.5, 0.4, 0.3, 0.2, 0.1], 0),
    ([0.1, 0.2, 0.3, 0.4, 0.5], 4),
    ([0.5, 0.1, 0.5, 0.1, 0.1], 2),  # of equals the later
    ([0.0, 0.0, 0.0, 0.0, 0.0], 4),
    ([-3.0, -1.0, -2.0, -2.0, -2.0], 1),
  ],
)
def test_with_patience_the_best_by_validation_is_returned(
  tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, scores: list[float], best: int
):
  seen = _scripted(monkeypatch, scores)
  done = _train(tmp_path, training=dataclasses.replace(_TRAINING, patience=5))
  assert np.asarray(done.variables['params/head/kernel']).tobytes() == seen[best]
  assert done.step == done.history[best]['step']
  assert len(set(seen)) == 5


def test_without_patience_the_last_step_is_returned_whatever_validation_says(
  tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
):
  seen = _scripted(monkeypatch, [0.1, 0.5, 0.3, 0.2, 0.1])
  done = _train(tmp_path)
  assert np.asarray(done.variables['params/head/kernel']).tobytes() == seen[-1]
  assert done.step == done.history[-1]['step']
  assert len(set(seen)) == 5


@pytest.mark.parametrize(
  ('patience', 'scores', 'validations'),
  [
    (2, [0.1, 0.5, 0.4, 0.5, 0.9], 4),  # as good is no gain
    (1, [0.1, 0.5, 0.4, 0.6, 0.9], 3),
    (3, [0.1, 0.5, 0.4, 0.4, 0.9], 5),
    (0, [0.5, 0.4, 0.3, 0.2, 0.1], 5),
  ],
)
def test_patience_ends_a_run_early_and_it_stays_ended(
  tmp_path: pathlib.Path,
  monkeypatch: pytest.MonkeyPatch,
  patience: int,
  scores: list[float],
  validations: int,
):
  seen = _scripted(monkeypatch, scores)
  training = dataclasses.replace(_TRAINING, patience=patience)
  done = _train(tmp_path, training)
  assert len(done.history) == validations
  assert _numbers(_train(tmp_path, training)) == _numbers(done)
  assert len(seen) == validations


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_step(tmp_path: pathlib.Path):
  windows = _windows(0)
  windows['label'][4] = np.inf
  with pytest.raises(UserError, match=r'a line: the loss is (inf|nan) at step [123];'):
    _train(tmp_path, windows=windows)


def test_the_given_variables_stay_usable(tmp_path: pathlib.Path):
  kernel = jnp.zeros(3)  # the step donates its state's memory: were it the caller's, this would be deleted
  _train(tmp_path, dataclasses.replace(_TRAINING, num_evals=1), trainable={'params/head/kernel': kernel})
  np.testing.assert_array_equal(kernel, np.zeros(3))


def test_a_folder_of_another_model_is_refused(tmp_path: pathlib.Path):
  _train(tmp_path)
  with pytest.raises(UserError, match=r'params/head/kernel: expected float32\[4\], given float32\[3\]'):
    _train(tmp_path, trainable={'params/head/kernel': jnp.zeros(4)}, frozen={})


@pytest.mark.parametrize('size', [1, 255, 256, 257, 600])
def test_predictions_come_once_a_window_and_in_order(size: int):
  windows = _windows(2, size)
  kernel = jnp.asarray(np.float32([1, -2, 3]))
  predicted = predict(Line(), {'params/head/kernel': kernel}, windows)
  np.testing.assert_allclose(predicted, windows['label'], atol=1e-5)


@pytest.mark.parametrize(
  ('training', 'windows', 'steps'),
  [
    (config.Training(epochs=4.0, batch=4), 10, 12),
    (config.Training(epochs=0.5, batch=4), 10, 2),
    (config.Training(epochs=50.0, batch=64, max_steps=7), 1000, 7),
    (config.Training(epochs=1.0, batch=64, max_steps=7), 64, 1),
  ],
)
def test_steps_are_counted_by_hand(training: config.Training, windows: int, steps: int):
  assert count_steps(training, windows) == steps


def test_more_validations_than_steps_are_one_a_step(tmp_path: pathlib.Path):
  done = _train(tmp_path, dataclasses.replace(_TRAINING, max_steps=3, num_evals=50))
  assert [entry['step'] for entry in done.history] == [1, 2, 3]
  assert all(math.isfinite(entry['score']) for entry in done.history)


def test_runs_side_by_side_end_as_they_do_alone(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch):
  """Of other seeds, other numbers of steps and other frozen values; one is stopped with the others and goes on."""
  monkeypatch.setattr(loop, '_STEPS_AT_ONCE', 2)
  given: list[dict[str, Any]] = [
    {'seed': 0},
    {'seed': 1, 'windows': _windows(2, size=5)},  # half as many steps
    {'seed': 2, 'frozen': {'params/frozen/value': jnp.float32(2)}},
  ]
  alone = [_train(tmp_path / 'alone' / str(i), **each) for i, each in enumerate(given)]
  runs = [_run(tmp_path / 'beside' / str(i), **each) for i, each in enumerate(given)]
  answers = iter([False] * 4 + [True])
  with pytest.raises(Stopped, match='stopped and saved at step'):
    _train_all(runs, stop=lambda: next(answers))
  beside = _train_all(runs)
  assert [len(each.history) for each in beside] == [len(each.history) for each in alone]
  for one, other in zip(alone, beside, strict=True):
    assert one.step == other.step
    assert one.optimizer_bytes == other.optimizer_bytes
    for path, leaf in one.variables.items():
      np.testing.assert_allclose(other.variables[path], leaf, rtol=1e-5, atol=1e-6)
    errors = [[entry['error'] for entry in each.history] for each in (one, other)]
    np.testing.assert_allclose(*errors, rtol=1e-4, atol=1e-6)
  again = _train_all(runs)  # all of them finished
  assert [_numbers(each) for each in again] == [_numbers(each) for each in beside]


def test_a_run_out_of_patience_lets_those_beside_it_go_on(
  tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
):
  # Of the two in turn, until the first has had two below its best.
  scores = iter([0.5, 0.1, 0.4, 0.2, 0.3, 0.4, 0.5, 0.6])
  monkeypatch.setattr(loop, 'evaluate', lambda *_: {'score': next(scores)})
  runs = [_run(tmp_path / str(seed), seed=seed) for seed in (0, 1)]
  first, second = _train_all(runs, dataclasses.replace(_TRAINING, patience=2))
  assert [entry['score'] for entry in first.history] == [0.5, 0.4, 0.3]
  assert [entry['score'] for entry in second.history] == [0.1, 0.2, 0.4, 0.5, 0.6]


def test_what_is_frozen_alike_is_held_once():
  shared, per_run_paths = loop._share([{'a': jnp.ones(3), 'b': jnp.zeros(2)}, {'a': jnp.ones(3), 'b': jnp.ones(2)}])
  assert per_run_paths == {'b'}
  assert {path: leaf.shape for path, leaf in shared.items()} == {'a': (3,), 'b': (2, 2)}

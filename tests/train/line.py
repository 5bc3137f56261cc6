"""A least-squares objective that trains within a moment, and runs of it."""

import dataclasses
import json
import pathlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from har_jax import config
from har_jax.datasets.batches import Batch
from har_jax.train.loop import Run, Trained, train
from har_jax.train.objective import Reconstruct
from har_jax.variables import Variables

_MODEL = config.Model()  # a field of every objective, not used here


@dataclasses.dataclass(frozen=True)
class Line(Reconstruct):
  """Least squares with noise and a running mean: depends on order, key and state, and compiles fast."""

  model: config.Model = _MODEL

  def losses(self, variables: Variables, batch: dict, key: Array, *_: Any) -> tuple[Array, Variables]:
    w = variables['params/head/kernel'] * variables['params/frozen/value']
    noise = 0.1 * jax.random.normal(key, batch['label'].shape)
    mean = variables['batch_stats/mean']
    losses = jnp.square(batch['signal'] @ w - batch['label'] + noise) + mean
    return losses, {'batch_stats/mean': 0.9 * mean + 0.1 * jnp.mean(batch['signal'])}

  def predict(self, variables: Variables, batch: dict, key: Array) -> Array:
    return batch['signal'] @ (variables['params/head/kernel'] * variables['params/frozen/value'])

  def score(self, predictions: np.ndarray, windows: dict) -> dict[str, float]:
    error = float(np.mean(np.square(predictions - windows['label'])))
    return {'score': -error, 'error': error}


TRAINING = config.Training(epochs=4.0, batch=4, num_evals=5, learning_rate=0.05)
STEPS = 12  # four epochs of ten windows, three batches each


def windows_of(seed: int, size: int = 10) -> Batch:
  rng = np.random.default_rng(seed)
  signal = rng.standard_normal((size, 3)).astype(np.float32)
  return {'signal': signal, 'label': signal @ np.float32([1, -2, 3])}


def run_of(folder: pathlib.Path | None, *, seed: int = 0, **fields: Any) -> Run:
  defaults = {
    'trainable': {'params/head/kernel': jnp.zeros(3)},
    'statistics': {'batch_stats/mean': jnp.float32(0)},
    'frozen': {'params/frozen/value': jnp.float32(1)},
    'windows': windows_of(0),
    'validation': windows_of(1),
  }
  return Run(**(defaults | fields), seed=seed, folder=folder, title='a line')


def train_line(
  folder: pathlib.Path | None,
  training: config.Training = TRAINING,
  *,
  stop: Callable[[], bool] = lambda: False,
  **fields: Any,
) -> Trained:
  (trained,) = train_all([run_of(folder, **fields)], training, stop=stop)
  return trained


def train_all(
  runs: list[Run], training: config.Training = TRAINING, stop: Callable[[], bool] = lambda: False
) -> list[Trained]:
  return train(Line(), runs, training=training, pretrained=False, progress=False, stop=stop)


def numbers(trained: Trained) -> tuple:
  """The result of a run, bit for bit, without its seconds."""
  history = [{name: value for name, value in entry.items() if name != 'seconds'} for entry in trained.history]
  return {path: np.asarray(leaf).tobytes() for path, leaf in trained.variables.items()}, trained.step, history


def logged_steps(folder: pathlib.Path) -> list[int]:
  lines = [json.loads(line) for line in (folder / 'log.jsonl').read_text().splitlines()]
  return [line['step'] for line in lines if 'loss' in line]


def stop_at_poll(number: int) -> Callable[[], bool]:
  answers = iter([False] * (number - 1) + [True])
  return lambda: next(answers)

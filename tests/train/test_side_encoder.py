"""The training of a side encoder: what it learns, from what, and for how long."""

import dataclasses

import jax
import numpy as np
import pytest

from har_jax import config
from har_jax.errors import UserError
from har_jax.train import output_layer, short, side_encoder
from har_jax.train.objective import Classify
from har_jax.train.run import Run
from har_jax.variables import Variables, split, split_statistics

_TRAINING = config.Training(epochs=1000, max_steps=40, batch=16, learning_rate=0.01)


@pytest.fixture(scope='module')
def objective(tiny) -> Classify:
  changed = {'patch_size': 4, 'stem': (8, 16), 'log_std': False, 'invariant_features': False, 'depth': 1}
  return Classify(
    dataclasses.replace(tiny, head=(), window_statistics=True, pooling='mean', side_width=8, **changed), 2
  )


@pytest.fixture(scope='module')
def run(objective, drawn) -> Run:
  """Sines of one amplitude whose halves differ in pace: slow first in class 0, fast first in class 1."""
  rng, samples = np.random.default_rng(0), objective.model.window_samples
  label = np.arange(32, dtype=np.int32) % 2
  pace = np.where((np.arange(samples) < samples // 2)[None] == (label == 0)[:, None], 0.3, 1.5)
  signal = np.sin(np.cumsum(pace, axis=1) + rng.uniform(0, 6, (32, 1)))[..., None].repeat(6, axis=2)
  windows = {'signal': signal.astype(np.float32), 'label': label, 'origin': np.zeros((32, 2), np.float32)}
  statistics, rest = split_statistics(dict(drawn(objective.init)))
  trainable, frozen = split(rest, lambda path: '/head/' in path or '/side_encoder/' in path)
  return Run(trainable, statistics, frozen, windows, windows, 3, None, 'a run')


@pytest.fixture(scope='module')
def trained(objective, run) -> Variables:
  return side_encoder.train(objective, run, _TRAINING)


def _separation(objective: Classify, run: Run, leaves: Variables) -> float:
  """The variance between the classes over the whole variance, of the side encoder's features."""
  held, width = run.trainable | run.statistics | run.frozen | leaves, objective.model.width
  features = np.asarray(jax.jit(objective.features)(held, run.windows['signal']))[:, width : width + 8]
  means = np.stack([features[run.windows['label'] == label].mean(axis=0) for label in (0, 1)])
  return float(means.var(axis=0).sum() / features.var(axis=0).sum())


def test_its_features_come_to_separate_the_classes(objective, run, trained):
  assert trained.keys() == {path for path in run.trainable if '/side_encoder/' in path}
  assert _separation(objective, run, trained) > 3 * _separation(objective, run, {}) > 0


def test_neither_the_frozen_encoder_nor_the_drawn_head_takes_part(objective, run, trained):
  broken = {path: np.full_like(leaf, np.nan) for path, leaf in run.frozen.items()}
  head = {path: leaf if '/side_' in path else leaf + 1 for path, leaf in run.trainable.items()}
  again = side_encoder.train(objective, dataclasses.replace(run, frozen=broken, trainable=head), _TRAINING)
  for path, leaf in trained.items():
    np.testing.assert_array_equal(again[path], leaf)


def test_it_takes_the_steps_of_the_training_with_the_runs_seed(objective, run, monkeypatch):
  calls = []

  def record(*arguments, **options):
    calls.append(options | {'start': arguments[1]})
    return original(*arguments, **options)

  original = short.train
  monkeypatch.setattr(short, 'train', record)
  for seed in (3, 4):
    side_encoder.train(
      objective, dataclasses.replace(run, seed=seed), dataclasses.replace(_TRAINING, max_steps=7)
    )
  assert [(call['steps'], call['total'], call['seed']) for call in calls] == [(7, 7, 3), (7, 7, 4)]
  assert not any(call['pretrained'] for call in calls)  # its own rate is that of new weights
  first, second = (call['start']['params/head/dense_0/kernel'] for call in calls)
  assert np.abs(first - second).max() > 0.01
  own = {path.replace('/side_', '/'): leaf for path, leaf in run.trainable.items() if '/side_' in path}
  for call in calls:
    assert all(np.array_equal(call['start'][path], leaf) for path, leaf in own.items())


def test_it_trains_alone_in_the_precision_of_the_whole(objective, run):
  precision = config.Precision(dtype='bfloat16')
  alone, _ = side_encoder._alone(dataclasses.replace(objective, precision=precision), run.trainable, 0)
  assert alone.precision == precision
  assert (alone.model.width, alone.model.window_samples, alone.classes) == (8, 128, 2)


def test_the_head_is_fitted_to_the_trained_features(objective, run, trained):
  training = dataclasses.replace(_TRAINING, num_evals=1)
  (result,) = output_layer.train(objective, [run], training=training, pretrained=True, progress=False)
  held = run.trainable | run.statistics | run.frozen | trained
  expected = trained | output_layer.fit(objective, held, run.windows)
  assert result.variables.keys() == expected.keys()
  for path, leaf in expected.items():
    np.testing.assert_array_equal(result.variables[path], leaf)


def test_a_loss_that_is_not_finite_is_said(objective, run):
  windows = run.windows | {'signal': run.windows['signal'] * np.float32(np.inf)}
  with pytest.raises(UserError, match='a run: the loss is not finite; a lower learning rate may help'):
    side_encoder.train(objective, dataclasses.replace(run, windows=windows), _TRAINING)


def test_the_memory_of_a_step_does_not_count_the_frozen_encoder(objective, run):
  wide = Classify(dataclasses.replace(objective.model, width=16 * objective.model.width), 2)
  small, large = (
    side_encoder.memory_bytes(case, run.trainable, _TRAINING, run.windows) for case in (objective, wide)
  )
  weights = sum(leaf.nbytes for path, leaf in run.trainable.items() if '/side_encoder/' in path)
  assert 3 * weights < small == large  # with Adam's two averages
  # Windows are a part of what the compiler plans, which depends on the batch, not on how many there are.
  few = {name: array[:1] for name, array in run.windows.items()}
  assert side_encoder.memory_bytes(objective, run.trainable, _TRAINING, few) == small

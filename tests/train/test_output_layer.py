"""The fit of a linear head: against scikit-learn on the same inputs, and as a run that is resumed."""

import dataclasses
import pathlib
from typing import Any

import jax
import numpy as np
import pytest
import scipy.linalg
from sklearn.linear_model import LogisticRegression

from har_jax import config
from har_jax.datasets.batches import Batch
from har_jax.errors import Stopped
from har_jax.model import head_input_widths
from har_jax.signal import statistics
from har_jax.train import output_layer, side_encoder
from har_jax.train.evaluation import predict
from har_jax.train.objective import Classify
from har_jax.train.run import Run
from har_jax.variables import Variables, split, split_statistics


@pytest.fixture(scope='module')
def model(tiny) -> config.Model:
  changed = {'patch_size': 4, 'stem': (8, 16), 'log_std': False, 'invariant_features': False}
  return dataclasses.replace(tiny, depth=1, head=(), window_statistics=True, **changed)


@pytest.fixture(scope='module', params=[(2, 0), (3, 8)])
def case(request, model, drawn) -> tuple[Classify, Variables, Batch]:
  classes, side_width = request.param
  rng = np.random.default_rng(0)
  label = np.arange(24, dtype=np.int32) % classes
  signal = rng.normal(0, 0.2 + label[:, None, None], (24, model.window_samples, 6)).astype(np.float32)
  objective = Classify(dataclasses.replace(model, side_width=side_width), classes)
  return objective, dict(drawn(objective.init)), {'signal': signal, 'label': label}


def _features(objective: Classify, held: Variables, windows: Batch) -> np.ndarray:
  return np.asarray(jax.jit(objective.features)(held, windows['signal']), np.float64)


def test_the_heads_input_ends_in_the_statistics_in_physical_units(case):
  objective, held, windows = case
  features = _features(objective, held, windows)
  physical = windows['signal'] * np.repeat([9.80665, 1.0], 3)
  expected = statistics.window_statistics(physical, objective.model.rate_hz)
  assert features.shape[1] == sum(head_input_widths(objective.model))
  np.testing.assert_allclose(features[:, -expected.shape[1] :], expected, atol=5e-3)


def _directions(parts: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
  """The inverse fourth root of the covariance within classes, half shrunk to the identity."""
  within = np.zeros((parts.shape[1], parts.shape[1]))
  for label in set(labels):
    own = labels == label
    within += weights[own].sum() * np.cov(parts[own], rowvar=False, aweights=weights[own], ddof=0)
  mixed = within / within.diagonal().mean() / 2 + np.eye(len(within)) / 2
  root = scipy.linalg.fractional_matrix_power(mixed, -0.25).real  # it has rounding errors as imaginary parts
  return root * np.sqrt(parts.var(axis=0).sum() / (parts @ root).var(axis=0).sum())


def test_directions_in_which_windows_of_a_class_differ_count_less():
  # The second input differs within classes, and the first between them.
  inputs = np.array([[-1.0, -0.3], [-1.0, 0.3], [1.0, -0.3], [1.0, 0.3]])
  transformed, found = output_layer._within_classes(inputs, np.array([0, 0, 1, 1]), np.ones(4))
  # Variances relative to their mean are 0 and 2; half of them and half of one: 0.5 and 1.5.
  expected = np.diag([0.5**-0.25, 1.5**-0.25])
  expected *= np.sqrt(1.09 / (0.5**-0.5 + 0.09 * 1.5**-0.5))
  np.testing.assert_allclose(found, expected, atol=1e-12)
  np.testing.assert_allclose(transformed, inputs @ expected, atol=1e-12)


def test_one_window_of_each_class_leaves_the_inputs_as_they_are():
  inputs = np.random.default_rng(0).normal(size=(3, 5))
  transformed, directions = output_layer._within_classes(inputs, np.arange(3), np.ones(3))
  np.testing.assert_array_equal(transformed, inputs)
  np.testing.assert_array_equal(directions, np.eye(5))


@pytest.mark.parametrize('times', [1, 4])
def test_a_fit_is_logistic_regression_on_limited_features_of_half_the_statistics_variance(case, times):
  """Repeated windows weigh more, and one on average."""
  objective, held, windows = case
  counts = np.where(np.arange(24) < 6, times, 1)
  repeated = {name: np.repeat(array, counts, axis=0)[::-1] for name, array in windows.items()}
  fitted = held | output_layer.fit(objective, held, repeated)
  features, weights = _features(objective, held, windows), counts / counts.mean()
  mean = weights @ features / 24
  deviations = np.sqrt(weights @ (features - mean) ** 2 / 24)
  pooled, of_side, of_window = head_input_widths(objective.model)
  variances = [0.5 / pooled] * pooled + [0.125 / (of_side or 1)] * of_side + [1 / of_window] * of_window
  parts = (features - mean) / np.where(deviations > 1e-6, deviations, np.inf)
  assert (np.abs(parts) > 2).any()
  parts = np.clip(parts, -2, 2) * np.sqrt(variances)
  is_of_side = np.repeat([False, True, False], [pooled, of_side, of_window])
  frozen = parts[:, ~is_of_side]
  parts[:, ~is_of_side] = frozen @ _directions(frozen, windows['label'], weights)
  model = LogisticRegression(C=10.0, max_iter=1000).fit(parts, windows['label'], sample_weight=weights)
  found = jax.nn.softmax(predict(objective, fitted, windows), axis=1)
  np.testing.assert_allclose(found, model.predict_proba(parts), atol=2e-4)
  assert (found.argmax(axis=1) == windows['label']).mean() > 0.9


def _run(case: tuple[Classify, Variables, Batch], folder: pathlib.Path | None) -> Run:
  _, held, windows = case
  counted, rest = split_statistics(held)
  trainable, frozen = split(rest, lambda path: '/head/' in path or '/side_encoder/' in path)
  windows = windows | {'origin': np.zeros((len(windows['label']), 2), np.float32)}
  return Run(trainable, counted, frozen, windows, windows, 0, folder, 'a run')


def test_a_fitted_run_is_resumed_and_stops_when_told(case, tmp_path, monkeypatch):
  objective, run = case[0], _run(case, tmp_path)

  def train(**options: Any) -> Any:
    (trained,) = output_layer.train(
      objective, [run], training=config.Training(max_steps=6), pretrained=True, progress=False, **options
    )
    return trained

  with pytest.raises(Stopped, match='a run: stopped before its fit'):
    train(stop=lambda: True)
  first = train()
  assert first.step == 1
  assert first.history[0]['macro_f1'] > 0.9
  monkeypatch.setattr(output_layer, 'fit', lambda *_: pytest.fail('it is fitted already'))
  monkeypatch.setattr(side_encoder, 'train', lambda *_: pytest.fail('it is trained already'))
  again = train()
  for path, leaf in first.variables.items():
    np.testing.assert_array_equal(again.variables[path], leaf)


def test_the_statistics_are_at_the_rate_of_the_model(model, drawn):
  slow = dataclasses.replace(model, rate_hz=25)
  signal = np.random.default_rng(0).normal(0, 1, (4, slow.window_samples, 6)).astype(np.float32)
  objective = Classify(slow, 2)
  features = _features(objective, dict(drawn(objective.init)), {'signal': signal})
  physical = signal * np.float32([9.80665] * 3 + [1] * 3)
  expected = statistics.window_statistics(physical, 25)
  np.testing.assert_allclose(features[:, -expected.shape[1] :], expected, rtol=1e-3, atol=1e-3)
  assert not np.allclose(expected, statistics.window_statistics(physical, 50), atol=0.1)


def test_an_input_that_is_constant_in_training_never_counts():
  features = np.random.default_rng(0).normal(size=(20, 5))
  features[:, 2] = 7
  mean, scale = output_layer.standardization(features, (3, 0, 2))
  assert scale[2] == 0 < scale[[0, 1, 3, 4]].min()
  np.testing.assert_allclose(mean, features.mean(axis=0))

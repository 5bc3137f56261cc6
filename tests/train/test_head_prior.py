"""What a base's head tells a linear head that is fitted to few windows."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from har_jax import config
from har_jax.model import head_input_widths
from har_jax.train import output_layer
from har_jax.train.evaluation import predict
from har_jax.train.head_prior import HeadPrior
from har_jax.train.objective import Classify

_LABELS = np.array([0, 1, 2])
# The first class has one of the base's names, the second none, the third two.
_IS_SAME = np.array([[True, False, False, False], [False] * 4, [False, False, True, True]])


@pytest.fixture(scope='module')
def stem_model(tiny) -> config.Model:
  changed = {'patch_size': 4, 'stem': (8, 16), 'log_std': False, 'invariant_features': False}
  return dataclasses.replace(tiny, depth=1, **changed)


@pytest.fixture(scope='module')
def prior(stem_model, drawn) -> HeadPrior:
  objective = Classify(stem_model, 4)
  return HeadPrior(objective, dict(drawn(objective.init)), 2.0, _IS_SAME)


def _answers(prior: HeadPrior, features: np.ndarray) -> np.ndarray:
  return (
    np.asarray(prior.objective.classify(prior.variables, jnp.asarray(features, jnp.float32)), np.float64) / 2
  )


def _centered(logits: np.ndarray) -> np.ndarray:
  return logits - logits.mean(axis=-1, keepdims=True)


def test_near_the_training_windows_the_logits_are_those_of_the_base_by_names_and_windows(prior):
  """The head is linear near one point: all windows are there."""
  rng = np.random.default_rng(0)
  point = rng.standard_normal(sum(head_input_widths(prior.objective.model)))
  near = point + 1e-3 * rng.standard_normal((4, len(point)))
  kernel, bias = prior.logits(near, np.array([0, 1, 2, 2]))
  answers = _answers(prior, near)
  share = np.exp(answers) / np.exp(answers).sum(axis=1, keepdims=True)
  of_classes = np.stack(
    [
      (share[0] + [1, 0, 0, 0]) / 2,
      share[1],
      (share[2] + share[3] + [0, 0, 0.5, 0.5]) / 3,
    ]
  )
  elsewhere = point + 1e-3 * rng.standard_normal((5, len(point)))
  expected = 0.3 / (4 / 3) * _centered(_answers(prior, elsewhere)) @ of_classes.T
  np.testing.assert_allclose(elsewhere @ kernel + bias, expected, atol=1e-5)
  assert np.ptp(expected, axis=0).max() > 1e-4
  assert np.ptp(expected, axis=1).max() > 5e-3


def test_far_windows_have_the_mean_slope(prior):
  rng = np.random.default_rng(1)
  features = 2 * rng.standard_normal((3, sum(head_input_widths(prior.objective.model))))
  kernel, bias = prior.logits(features, _LABELS)
  step = 1e-2 * rng.standard_normal(features.shape[1])
  # By differences: all windows move alike, and only the logits' mean counts.
  moved = [_centered(_answers(prior, features + sign * step)).mean(axis=0) for sign in (1, -1)]
  answers = _answers(prior, features)
  share = np.exp(answers) / np.exp(answers).sum(axis=1, keepdims=True)
  names = _IS_SAME / np.maximum(_IS_SAME.sum(axis=1, keepdims=True), 1)
  of_classes = (share + names) / (share + names).sum(axis=1, keepdims=True)
  np.testing.assert_allclose(step @ kernel, 0.3 * of_classes @ (moved[0] - moved[1]) / 2, atol=1e-4)
  at_mean = 0.3 * of_classes @ _centered(answers).mean(axis=0)
  np.testing.assert_allclose(features.mean(axis=0) @ kernel + bias, at_mean, atol=1e-6)


def test_more_windows_count_less_and_many_not_at_all(prior):
  features = np.random.default_rng(2).standard_normal((3, sum(head_input_widths(prior.objective.model))))

  def repeated(times: int) -> np.ndarray | None:
    found = prior.logits(np.tile(features, (times, 1)), np.tile(_LABELS, times))
    return None if found is None else found[0]

  no_name = dataclasses.replace(prior, is_same=np.zeros_like(_IS_SAME))
  assert no_name.logits(features, _LABELS) is None
  # The second class has no name, so more of the same windows change its weight alone.
  one, two, six = (repeated(times)[:, 1] for times in (1, 2, 6))
  np.testing.assert_allclose(two, one / 2, rtol=1e-4)
  np.testing.assert_allclose(six, one / 6, rtol=1e-4)
  # The first one's name counts as one window of two, then as one of three.
  assert not np.allclose(repeated(2)[:, 0], repeated(1)[:, 0] / 2, rtol=1e-3)
  assert repeated(7) is None
  uneven = np.repeat(_LABELS, [10, 1, 1])  # four of each on average
  assert prior.logits(np.repeat(features, [10, 1, 1], axis=0), uneven) is not None


def test_a_fit_adds_them_to_its_logits(prior, stem_model, drawn):
  objective = Classify(dataclasses.replace(stem_model, head=(), window_statistics=True), 3)
  held = dict(drawn(objective.init))
  rng = np.random.default_rng(0)
  label = np.arange(6, dtype=np.int32) % 3
  signal = rng.normal(0, 0.2 + label[:, None, None], (6, stem_model.window_samples, 6)).astype(np.float32)
  windows = {'signal': signal, 'label': label}
  plain, informed = (held | output_layer.fit(objective, held, windows, given) for given in (None, prior))
  widths = head_input_widths(objective.model)
  scale, mean = (np.asarray(plain[path]) for path in (output_layer.SCALE, output_layer.MEAN))
  outputs = [predict(objective.with_hidden, variables, windows) for variables in (plain, informed)]
  inputs = objective.hidden(outputs[0])
  np.testing.assert_array_equal(objective.hidden(outputs[1]), inputs)
  features = np.where(scale > 0, inputs / np.where(scale > 0, scale, 1), 0) + mean
  raw = np.asarray(jax.jit(objective.features)(plain, signal), np.float64)[:, : widths[0]]
  kernel, bias = prior.logits(raw, label)
  added = outputs[1][:, -3:] - outputs[0][:, -3:]
  np.testing.assert_allclose(added, features[:, : widths[0]] @ kernel + bias, atol=1e-3)
  assert np.abs(added).max() > 0.01

"""The weights of an ensemble, by hand and by a general minimizer."""

import numpy as np
import pytest
from scipy import optimize, special

from har_jax.experiments import fitting

_NAMES = ('encoder', 'forest', 'rocket')


def _drawn(windows: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
  """Probabilities of three members, the last of which is best, and labels of three classes."""
  rng = np.random.default_rng(0)
  labels = rng.integers(0, 3, windows)
  logits = rng.standard_normal((3, windows, 3)) + np.eye(3)[labels] * np.array([0.5, 1.0, 2.0])[:, None, None]
  return dict(zip(_NAMES, special.softmax(logits, axis=2), strict=True)), labels


@pytest.mark.parametrize('windows', [40, 2000])
def test_weights_minimize_the_log_loss_with_a_prior_of_100_windows_at_2_1_1(windows):
  members, labels = _drawn(windows)
  likelihood = np.stack([member[np.arange(windows), labels] for member in members.values()])

  def loss(free: np.ndarray) -> float:
    weights = special.softmax(np.r_[0.0, free])
    return -np.log(weights @ likelihood).sum() - 100 * np.array([0.5, 0.25, 0.25]) @ np.log(weights)

  expected = special.softmax(np.r_[0.0, optimize.minimize(loss, np.zeros(2), tol=1e-10).x])
  fitted = fitting._fit_weights(members, labels)
  assert [fitted[name] for name in _NAMES] == pytest.approx(expected, abs=1e-4)
  assert (fitted['rocket'] > 0.5) == (windows == 2000)


def test_without_windows_the_weights_are_2_1_1():
  none = np.empty((0, 3))
  temperature, weights = fitting.fit_members(none, {'forest': none, 'rocket': none}, np.empty(0, int))
  assert (temperature, weights) == (1.0, {'encoder': 0.5, 'forest': 0.25, 'rocket': 0.25})


def test_an_overconfident_encoder_gets_its_temperature_before_it_is_weighted():
  members, labels = _drawn(2000)
  others = {'forest': members['forest'], 'rocket': members['encoder']}
  logits = np.log(members['rocket'])  # the best member
  plain, expected = fitting.fit_members(logits, others, labels)
  temperature, weights = fitting.fit_members(5 * logits, others, labels)
  assert temperature == pytest.approx(5 * plain, rel=1e-2)
  assert weights == pytest.approx(expected, abs=1e-2)


def test_the_mean_is_weighted_by_member():
  members = {'encoder': np.array([[1.0, 0.0]]), 'forest': np.array([[0.2, 0.8]])}
  np.testing.assert_allclose(fitting.average(members, {'encoder': 0.75, 'forest': 0.25}), [[0.8, 0.2]])

"""Contrast: its loss by hand, and what it learns from."""

import jax
import jax.numpy as jnp
import numpy as np

from har_jax import config
from har_jax.train.objective import Contrastive

_MODEL = config.Model(patch_size=16, width=24, mlp_dim=48, blocks=1, decoder_depth=1, num_heads=2, head=(16,))


class _OfPoints(Contrastive):
  """Given points for windows, and no view but the one."""

  def _view(self, signal, origin, key):
    return signal

  def _embed(self, variables, signal):
    return signal


def _points(angles: list[float]) -> jax.Array:
  return jnp.stack([jnp.cos(jnp.array(angles)), jnp.sin(jnp.array(angles))], axis=1)


def _losses(
  subject: list[int],
  recording: list[int],
  start_s: tuple[float, float, float] = (0.0, 0.0, 0.0),
  weight: tuple[float, float, float] = (1.0, 1.0, 1.0),
) -> np.ndarray:
  batch = {
    'signal': _points([0.0, 1.0, 2.5]),
    'near': _points([0.2, 1.5, 3.0]),
    'subject': jnp.array(subject),
    'recording': jnp.array(recording),
    'start_s': jnp.array(start_s),
    'origin': jnp.zeros((3, 2)),
    'weight': jnp.array(weight),
  }
  losses, statistics = _OfPoints(_MODEL, temperature=0.5).losses({}, batch, jax.random.key(0))
  assert statistics == {}
  return np.asarray(losses)


def _missed(angle: float, partner: float, others: list[float]) -> float:
  alike = [np.exp(np.cos(angle - other) / 0.5) for other in (partner, *others)]
  return -np.log(alike[0] / sum(alike))


def _told_from(*others: float) -> float:
  return (_missed(0.0, 0.2, list(others)) + _missed(0.2, 0.0, list(others))) / 2


def test_a_pair_is_told_from_both_points_of_each_window_of_its_persons_other_recordings():
  np.testing.assert_allclose(_losses([0, 0, 0], [0, 1, 2])[0], _told_from(1.0, 1.5, 2.5, 3.0), rtol=1e-5)


def test_nobody_is_told_from_anybody_else():
  np.testing.assert_allclose(_losses([0, 1, 0], [0, 1, 2])[0], _told_from(2.5, 3.0), rtol=1e-5)
  np.testing.assert_allclose(_losses([0, 1, 2], [0, 1, 2]), 0.0, atol=1e-6)  # nothing to tell them from


def test_windows_of_its_own_recording_are_told_from_it_from_twenty_seconds_on():
  near, far = (
    _losses([0, 0, 0], [0, 0, 0], (30.0, 10.5, 0.0)),
    _losses([0, 0, 0], [0, 0, 0], (0.0, 20.0, 40.0)),
  )
  np.testing.assert_allclose(near[0], _told_from(2.5, 3.0), rtol=1e-5)
  np.testing.assert_allclose(far[0], _told_from(1.0, 1.5, 2.5, 3.0), rtol=1e-5)


def test_what_fills_a_batch_up_is_nobody_to_be_told_from():
  filled = _losses([0, 0, 0], [0, 1, 2], weight=(1.0, 1.0, 0.0))
  np.testing.assert_allclose(filled[0], _told_from(1.0, 1.5), rtol=1e-5)


def test_views_are_turned_and_rolled_each_its_own_way_and_gradients_are_finite():
  objective = Contrastive(_MODEL)
  variables = objective.init(jax.random.key(0))
  signal = jnp.asarray(np.random.default_rng(0).standard_normal((4, 128, 6)).astype(np.float32))
  batch = {
    'signal': signal,
    'near': signal,
    'subject': jnp.array([0, 0, 0, 1]),
    'recording': jnp.array([0, 0, 1, 2]),
    'start_s': jnp.array([0.0, 40.0, 0.0, 0.0]),
    'origin': jnp.zeros((4, 2)),
    'weight': jnp.ones(4),
  }

  def mean(variables, key):
    return objective.losses(variables, batch, key)[0].mean()

  gradient = jax.grad(mean)(variables, jax.random.key(1))
  assert all(np.isfinite(leaf).all() for leaf in gradient.values())
  moved = {path for path, leaf in gradient.items() if np.abs(leaf).max() > 1e-8}
  assert {'params/encoder/embed/kernel', 'params/project_1/kernel'} <= moved
  # Of the same window twice the two views differ, and so do those of another key.
  first, second = (
    objective._view(signal, batch['origin'], key) for key in jax.random.split(jax.random.key(2))
  )
  assert np.abs(first - second).mean() > 0.1
  lengths = [np.linalg.norm(view[..., :3], axis=-1).sum(axis=1) for view in (signal, first, second)]
  np.testing.assert_allclose(lengths[1:], [lengths[0]] * 2, rtol=1e-4)  # turned, and nothing lost

"""Contrastive pretraining: InfoNCE within subject, by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from har_jax import config
from har_jax.train.objective import Contrastive

_MODEL = config.Model(patch_size=16, width=24, mlp_dim=48, depth=1, decoder_depth=1, num_heads=2, head=(16,))


class _OfUnitVectors(Contrastive):
  """Takes unit vectors for windows, without augmentation or encoder."""

  def _augment(self, signal, origin, key):
    return signal

  def _project(self, variables, signal):
    return signal


_losses_of = jax.jit(_OfUnitVectors(_MODEL, temperature=0.5).losses, static_argnames='training')


def _unit_vectors(angles: list[float]) -> jax.Array:
  return jnp.stack([jnp.cos(jnp.array(angles)), jnp.sin(jnp.array(angles))], axis=1)


def _losses(
  subject: list[int],
  recording: list[int],
  start_s: tuple[float, float, float] = (0.0, 0.0, 0.0),
  weight: tuple[float, float, float] = (1.0, 1.0, 1.0),
) -> np.ndarray:
  batch = {
    'signal': _unit_vectors([0.0, 1.0, 2.5]),
    'near': _unit_vectors([0.2, 1.5, 3.0]),
    'subject': jnp.array(subject),
    'recording': jnp.array(recording),
    'start_s': jnp.array(start_s),
    'origin': jnp.zeros((3, 2)),
    'weight': jnp.array(weight),
  }
  losses, statistics = _losses_of({}, batch, jax.random.key(0), training=config.Training())
  assert statistics == {}
  return np.asarray(losses)


def _info_nce(angle: float, partner: float, others: list[float]) -> float:
  similarities = [np.exp(np.cos(angle - other) / 0.5) for other in (partner, *others)]
  return -np.log(similarities[0] / sum(similarities))


def _pair_loss(*others: float) -> float:
  return (_info_nce(0.0, 0.2, list(others)) + _info_nce(0.2, 0.0, list(others))) / 2


def test_negatives_are_both_windows_of_the_subjects_other_pairs():
  np.testing.assert_allclose(_losses([0, 0, 0], [0, 1, 2])[0], _pair_loss(1.0, 1.5, 2.5, 3.0), rtol=1e-5)


def test_windows_of_other_subjects_are_no_negatives():
  np.testing.assert_allclose(_losses([0, 1, 0], [0, 1, 2])[0], _pair_loss(2.5, 3.0), rtol=1e-5)
  np.testing.assert_allclose(_losses([0, 1, 2], [0, 1, 2]), 0.0, atol=1e-6)  # no negatives


def test_negatives_of_the_same_recording_start_20_s_apart_or_more():
  near, far = (
    _losses([0, 0, 0], [0, 0, 0], (30.0, 10.5, 0.0)),
    _losses([0, 0, 0], [0, 0, 0], (0.0, 20.0, 40.0)),
  )
  np.testing.assert_allclose(near[0], _pair_loss(2.5, 3.0), rtol=1e-5)
  np.testing.assert_allclose(far[0], _pair_loss(1.0, 1.5, 2.5, 3.0), rtol=1e-5)


def test_padding_is_no_negative():
  filled = _losses([0, 0, 0], [0, 1, 2], weight=(1.0, 1.0, 0.0))
  np.testing.assert_allclose(filled[0], _pair_loss(1.0, 1.5), rtol=1e-5)


def test_the_windows_of_a_pair_are_turned_and_shifted_each_in_its_own_way():
  signal = jnp.asarray(np.random.default_rng(0).standard_normal((4, 128, 6)).astype(np.float32))
  batch = {'signal': signal, 'near': signal, 'origin': jnp.zeros((4, 2)), 'weight': jnp.ones(4)}
  batch |= {name: jnp.arange(4.0) for name in ('subject', 'recording', 'start_s')}

  def views(key: jax.Array) -> list[jax.Array]:
    made = []

    class Recording(Contrastive):
      def _project(self, variables, signal):
        made.append(signal)
        return signal[:, 0]

    Recording(_MODEL).losses({}, batch, key, config.Training())
    return made

  first, second = jax.jit(views)(jax.random.key(1))
  assert np.abs(first - second).mean() > 0.1
  lengths = [np.linalg.norm(view[..., :3], axis=-1).sum(axis=1) for view in (signal, first, second)]
  np.testing.assert_allclose(lengths[1:], [lengths[0]] * 2, rtol=1e-4)  # rotation and shift preserve them


@pytest.mark.slow
def test_gradients_are_finite_and_reach_the_encoder(drawn):
  objective = Contrastive(_MODEL)
  variables = drawn(objective.init)
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
    return objective.losses(variables, batch, key, config.Training())[0].mean()

  gradient = jax.jit(jax.grad(mean))(variables, jax.random.key(1))
  assert all(np.isfinite(leaf).all() for leaf in gradient.values())
  trained = {path for path, leaf in gradient.items() if np.abs(leaf).max() > 1e-8}
  assert {'params/encoder/embed/kernel', 'params/project_1/kernel'} <= trained

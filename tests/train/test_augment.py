"""Augmentation keeps what a window holds, and reaches the step that asks for it."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from har_jax import config
from har_jax.data import normalization
from har_jax.train import augment, optimizer
from har_jax.train.objective import Classify
from har_jax.train.step import start, training_step


def test_a_rolled_window_is_the_same_circle_begun_elsewhere():
  signal = np.random.default_rng(0).standard_normal((64, 128, 6)).astype(np.float32)
  rolled = np.asarray(augment.circular_shift(jnp.asarray(signal), jax.random.key(0)))
  starts = [
    int(np.flatnonzero((window == after[0]).all(axis=1))[0])
    for window, after in zip(signal, rolled, strict=True)
  ]
  for window, after, begin in zip(signal, rolled, starts, strict=True):
    np.testing.assert_array_equal(after, np.roll(window, -begin, axis=0))
  assert len(set(starts)) > 40  # of 64 drawn from 128


def _turned(degrees: float, *, origin: tuple[float, float] = (0.0, 0.0)) -> tuple[np.ndarray, np.ndarray]:
  signal = np.random.default_rng(0).standard_normal((512, 8, 6)).astype(np.float32)
  origins = np.tile(np.float32(origin), (512, 1))
  turned = augment.rotate(jnp.asarray(signal), jnp.asarray(origins), jax.random.key(0), degrees)
  return signal, np.asarray(turned)


def test_a_turned_window_keeps_lengths_and_what_both_sensors_are_to_one_another():
  origin = (-0.5, 0.1)
  signal, turned = _turned(40.0, origin=origin)
  before, after = (
    each.reshape(512, 16, 3) - np.tile(np.float32(origin), 8)[:, None] for each in (signal, turned)
  )
  # Every scalar product among a window's vectors, so all lengths and all angles between them.
  products = np.einsum('bij,bkj->bik', before, before)
  np.testing.assert_allclose(np.einsum('bij,bkj->bik', after, after), products, atol=2e-5)
  handed = np.cross(before[:, 0], before[:, 1])
  turned_alike = np.einsum('bj,bj->b', np.cross(after[:, 0], after[:, 1]), after[:, 2])
  np.testing.assert_allclose(
    turned_alike, np.einsum('bj,bj->b', handed, before[:, 2]), atol=2e-5
  )  # no mirror


@pytest.mark.parametrize('degrees', [2.0, 10.0])
def test_windows_turn_about_each_axis_by_the_angle_asked_for(degrees: float):
  signal, turned = _turned(degrees)
  found = [
    Rotation.align_vectors(after.reshape(-1, 3), before.reshape(-1, 3))[0].as_rotvec(degrees=True)
    for before, after in zip(signal, turned, strict=True)
  ]
  np.testing.assert_allclose(np.std(found, axis=0), degrees, rtol=0.1)
  np.testing.assert_allclose(np.mean(found, axis=0), 0.0, atol=0.15 * degrees)


def test_a_normalized_window_is_turned_about_where_its_sensors_read_nought():
  signals = np.random.default_rng(1).normal([1, 2, 9, 0.1, 0.2, 0.3], 1.0, (16, 128, 6))
  normalizer = normalization.fit(signals)
  key = jax.random.key(3)
  here = augment.rotate(jnp.asarray(normalizer(signals)), jnp.asarray(normalizer.origins(16)), key, 30.0)
  there = augment.rotate(jnp.asarray(signals, jnp.float32), jnp.zeros((16, 2)), key, 30.0)
  np.testing.assert_allclose(here, normalizer(np.asarray(there)), atol=1e-5)


class _FirstSample(Classify):
  """A window's loss is its first sample."""

  def losses(
    self, variables: Any, batch: dict, key: jax.Array, shard_over_batch: Any
  ) -> tuple[jax.Array, dict]:
    return batch['signal'][:, 0, 0] + 0 * variables['w'], {}


@pytest.mark.parametrize('knobs', [{'roll': True}, {'rotation': 5.0}, {}], ids=str)
def test_a_step_changes_windows_where_its_training_says_so_anew_each_time(knobs: dict[str, Any]):
  training = config.Training(**knobs)
  step = training_step(_FirstSample(config.Model(), 2), training, pretrained=False)
  signal = jnp.tile(jnp.arange(128.0)[None, :, None], (1, 1, 6))
  batch = {'signal': signal + 1, 'origin': jnp.zeros((1, 2)), 'weight': jnp.ones(1)}
  state = start({'w': jnp.zeros(())}, {}, optimizer.build(training, pretrained=False))
  losses = []
  for _ in range(8):
    state, loss = step(state, {}, batch, jax.random.key(0), jnp.int32(8))
    losses.append(float(loss))
  assert len(set(losses)) > 5 if knobs else losses == [1.0] * 8

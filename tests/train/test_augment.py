"""Augmentation keeps what a window holds, and reaches the step that asks for it."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from har_jax import config
from har_jax.train import augment, optimizer
from har_jax.train.objective import Classify
from har_jax.train.step import start, training_step


def test_a_rolled_window_is_the_same_circle_begun_elsewhere():
  signal = np.random.default_rng(0).standard_normal((64, 128, 6)).astype(np.float32)
  rolled = np.asarray(augment.roll(jnp.asarray(signal), jax.random.key(0)))
  starts = [
    int(np.flatnonzero((window == after[0]).all(axis=1))[0])
    for window, after in zip(signal, rolled, strict=True)
  ]
  for window, after, begin in zip(signal, rolled, starts, strict=True):
    np.testing.assert_array_equal(after, np.roll(window, -begin, axis=0))
  assert len(set(starts)) > 40  # of 64 drawn from 128


class _FirstSample(Classify):
  """A window's loss is its first sample."""

  def losses(self, variables: Any, batch: dict, key: jax.Array, per_window: Any) -> tuple[jax.Array, dict]:
    return batch['signal'][:, 0, 0] + 0 * variables['w'], {}


@pytest.mark.parametrize('roll', [True, False])
def test_a_step_rolls_where_its_training_says_so_anew_each_time(roll: bool):
  training = config.Training(roll=roll)
  step = training_step(_FirstSample(config.Model(), 2), training, pretrained=False)
  signal = jnp.tile(jnp.arange(128.0)[None, :, None], (1, 1, 6))
  batch = {'signal': signal, 'weight': jnp.ones(1)}
  state = start({'w': jnp.zeros(())}, {}, optimizer.build(training, pretrained=False))
  losses = []
  for _ in range(8):
    state, loss = step(state, {}, batch, jax.random.key(0), jnp.int32(8))
    losses.append(float(loss))
  assert len(set(losses)) > 5 if roll else losses == [0.0] * 8

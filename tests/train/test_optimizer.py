"""Learning rates over a run and per variable, weight decay and clipping."""

import jax.numpy as jnp
import numpy as np
import pytest

from har_jax import config
from har_jax.train import optimizer

_AT_PEAK = {'step': jnp.int32(0), 'total_steps': jnp.int32(10**9)}  # without warm-up
_TRAINABLE = {
  'params/encoder/block_0/up/kernel': jnp.ones((2, 2)),
  'params/encoder/block_0/up/bias': jnp.ones(2),
  'params/encoder/positions': jnp.ones((1, 2, 2)),
  'params/head/dense_0/kernel': jnp.ones((2, 2)),
  'lora/encoder/block_0/up/a': jnp.ones((2, 2)),
  'lora/encoder/block_0/up/b': jnp.ones((2, 2)),
}


def _first_updates(gradient: float, *, pretrained: bool = True, **fields: float) -> dict[str, float]:
  rates = {'learning_rate': 0.1, 'encoder_learning_rate': 0.02, 'grad_clip_norm': 0.0, 'warmup': 0.0}
  training = config.Training(**(rates | fields))
  transform = optimizer.build(training, pretrained=pretrained)
  gradients = {path: jnp.full_like(leaf, gradient) for path, leaf in _TRAINABLE.items()}
  updates, _ = transform.update(gradients, transform.init(_TRAINABLE), _TRAINABLE, **_AT_PEAK)
  return {path: float(update.reshape(-1)[0]) for path, update in updates.items()}


def test_the_rate_has_a_linear_warmup_and_a_cosine_decay():
  fractions = [float(optimizer.rate_fraction(jnp.int32(i), jnp.int32(10), 0.2)) for i in range(10)]
  expected = [0.5] + [0.5 * (1 + np.cos(np.pi * (p - 0.2) / 0.8)) for p in np.arange(2, 11) / 10]
  np.testing.assert_allclose(fractions, expected, atol=1e-6)
  assert fractions[1] == 1
  assert fractions[-1] == pytest.approx(0, abs=1e-6)


def test_without_warmup_the_rate_only_falls():
  fractions = [float(optimizer.rate_fraction(jnp.int32(i), jnp.int32(10), 0.0)) for i in range(10)]
  assert np.isfinite(fractions).all()
  assert (np.diff(fractions) < 0).all()


def test_only_a_pretrained_encoders_own_weights_use_its_rate():
  # Adam's first step is the rate, whatever the gradient's size.
  updates = _first_updates(3.0, weight_decay=0.0)
  for path, update in updates.items():
    assert update == pytest.approx(-0.02 if path.startswith('params/encoder/') else -0.1, rel=1e-4)
  updates = _first_updates(3.0, weight_decay=0.0, pretrained=False)
  assert list(updates.values()) == pytest.approx([-0.1] * 6, rel=1e-4)


def test_only_matrices_decay():
  updates = _first_updates(0.0, weight_decay=0.5)
  assert updates == pytest.approx(
    {
      'params/encoder/block_0/up/kernel': -0.02 * 0.5,
      'params/encoder/block_0/up/bias': 0,
      'params/encoder/positions': 0,
      'params/head/dense_0/kernel': -0.1 * 0.5,
      'lora/encoder/block_0/up/a': -0.1 * 0.5,
      'lora/encoder/block_0/up/b': -0.1 * 0.5,
    }
  )


def test_gradients_are_clipped_by_their_global_norm():
  training = config.Training(grad_clip_norm=1.0, warmup=0.0)
  transform = optimizer.build(training, pretrained=True)
  small = {path: jnp.full_like(leaf, 1e-8) for path, leaf in _TRAINABLE.items()}
  one_large = small | {'lora/encoder/block_0/up/a': jnp.full((2, 2), 1e8)}
  alone, _ = transform.update(small, transform.init(_TRAINABLE), _TRAINABLE, **_AT_PEAK)
  clipped, _ = transform.update(one_large, transform.init(_TRAINABLE), _TRAINABLE, **_AT_PEAK)
  path = 'params/encoder/block_0/up/bias'
  # Adam's first step is g / (|g| + 1e-8): 1/2 at 1e-8, and almost 0 once clipping has scaled it down.
  assert float(alone[path][0]) == pytest.approx(-0.5 * training.encoder_learning_rate, rel=1e-3)
  assert abs(float(clipped[path][0])) < 1e-3 * training.encoder_learning_rate

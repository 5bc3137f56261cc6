"""The convolutional stem, beside a convolution of another library."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal

from har_jax.model import stem

_features = jax.jit(stem.invariant_features)


@pytest.mark.parametrize(('size', 'stride'), [(7, 2), (5, 2), (3, 1)])
def test_neighbors_times_a_kernel_is_a_convolution(size, stride):
  rng = np.random.default_rng(0)
  signal, kernel = rng.standard_normal((128, 2)), rng.standard_normal((size, 2))
  cut = jax.jit(stem._neighbors, static_argnums=(1, 2, 3))(jnp.asarray(signal)[None], size, stride, 'float32')
  found = np.asarray(cut)[0] @ kernel.reshape(-1)
  expected = sum(scipy.signal.correlate(signal[:, c], kernel[:, c], mode='same') for c in range(2))
  np.testing.assert_allclose(found, np.asarray(expected)[::stride], rtol=1e-4, atol=1e-4)


def test_neighbors_are_cast_first_and_their_gradients_added_in_float32():
  rng = np.random.default_rng(0)
  x, dy = (jnp.asarray(rng.standard_normal(shape), jnp.float32) for shape in ((2, 8, 3), (2, 4, 15)))
  half, pull = jax.vjp(lambda x: stem._neighbors(x, 5, 2, 'bfloat16'), x)
  whole, pull_whole = jax.vjp(lambda x: stem._shifted(x, 5, 2), x)
  np.testing.assert_array_equal(half, whole.astype(jnp.bfloat16))
  (gradient,), dy = pull(dy.astype(jnp.bfloat16)), dy.astype(jnp.bfloat16).astype(jnp.float32)
  assert gradient.dtype == jnp.float32
  np.testing.assert_array_equal(gradient, *pull_whole(dy))


def test_a_stage_is_two_convolutions_beside_a_shortcut(drawn):
  module, rng = stem.Stem((3,), 2), np.random.default_rng(0)
  signal = jnp.asarray(rng.standard_normal((1, 16, 6)), jnp.float32)
  variables = drawn(lambda key: module.init(key, signal))
  params = jax.tree.map(np.asarray, variables['params'])

  def convolved(x: np.ndarray, name: str) -> np.ndarray:
    kernel = params[name]['kernel'].reshape(-1, x.shape[1], params[name]['kernel'].shape[1])
    columns = [
      sum(scipy.signal.correlate(axis, column, mode='same') for axis, column in zip(x.T, one.T, strict=True))
      for one in np.moveaxis(kernel, 2, 0)
    ]
    return np.stack(columns, axis=1) + params[name]['bias']

  def normalized(y: np.ndarray, name: str) -> np.ndarray:
    scale = params[name]['scale'] / np.sqrt(y.var(axis=1, keepdims=True) + 1e-6)
    return (y - y.mean(axis=1, keepdims=True)) * scale + params[name]['bias']

  x = (np.concatenate([signal, _features(signal)], axis=2)[0] - stem.MEAN) / stem.STD
  y = np.maximum(normalized(convolved(x, 'down_0')[::2], 'norm_down_0'), 0)
  y = normalized(convolved(y, 'conv_0'), 'norm_conv_0')
  shortcut = (x[::2] + x[1::2]) / 2 @ params['shortcut_0']['kernel'] + params['shortcut_0']['bias']
  expected = np.maximum(y + shortcut, 0) @ params['project']['kernel'] + params['project']['bias']
  np.testing.assert_allclose(jax.jit(module.apply)(variables, signal)[0], expected, rtol=1e-4, atol=1e-4)


def test_invariant_features_are_norms_and_parts_along_and_across_gravity():
  signal = np.tile(np.float32([3, 0, 4, 0, 2, 0]), (1, 8, 1))
  found = np.asarray(_features(signal))[0, 0]
  np.testing.assert_allclose(found, [5, 2, 5, 0, 0, 2], atol=2e-3)


def test_gravity_is_the_mean_of_the_visible_samples():
  signal = np.repeat(np.float32([1, -7]), 8)[None, :, None] * np.ones(6, np.float32)
  found = np.asarray(_features(signal, np.array([[True, False]])))
  np.testing.assert_array_equal(found[:, :8], _features(signal[:, :8]))


def test_a_zero_signal_has_finite_gradients():
  module, signal = stem.Stem((4,), 5), jnp.zeros((1, 128, 6))
  variables = jax.jit(module.init)(jax.random.key(0), signal)
  gradient = jax.jit(jax.grad(lambda signal: module.apply(variables, signal).sum()))(signal)
  assert np.isfinite(gradient).all()

"""The product of dense layers equals a plain one, forward and backward."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from har_jax import nf4, products
from har_jax.model.product import low_rank_product, product


@pytest.mark.parametrize('widths', [(7, 4), (4, 7)])
@pytest.mark.parametrize('leading', [(), (5,), (2, 3), (2, 3, 4)])
def test_gradients_equal_those_of_a_plain_product(leading, widths):
  rng = np.random.default_rng(0)
  shapes = ((*leading, widths[0]), widths, (*leading, widths[1]))
  x, w, dy = (jnp.asarray(rng.standard_normal(shape)) for shape in shapes)
  ours, pull = jax.vjp(product, x, w)
  plain, pull_plain = jax.vjp(jnp.matmul, x, w)
  np.testing.assert_allclose(ours, plain, rtol=1e-6)
  for gradient, expected in zip(pull(dy), pull_plain(dy), strict=True):
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-6)


def test_under_vmap_each_run_has_its_own_gradient():
  rng = np.random.default_rng(1)
  x, w = (jnp.asarray(rng.standard_normal(shape)) for shape in ((3, 5, 7), (7, 4)))
  gradients = jax.vmap(jax.grad(lambda w, x: jnp.sum(product(x, w) ** 2)), in_axes=(None, 0))(w, x)
  for gradient, one in zip(gradients, x, strict=True):
    np.testing.assert_allclose(gradient, 2 * one.T @ (one @ w), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('packed', [False, True])
@pytest.mark.parametrize('rank', [1, 5])  # the gradient through the rows, and through the kernel
def test_the_product_with_a_low_rank_sum_equals_its_definition(rank, packed):
  rng = np.random.default_rng(1)
  shapes = (2, 3, 8), (8, 6), (8, rank), (rank, 6), (2, 3, 6)
  x, w, left, right, dy = (jnp.asarray(rng.standard_normal(shape), jnp.float32) for shape in shapes)
  weights = nf4.quantize(w) if packed else w
  kernel = nf4.dequantize(weights) if packed else w

  ours, pull = jax.vjp(lambda *each: low_rank_product(each[0], weights, *each[1:]), x, left, right)
  plain, pull_plain = jax.vjp(lambda x, left, right: x @ (kernel + left @ right), x, left, right)
  np.testing.assert_allclose(ours, plain, atol=1e-5)
  for gradient, expected in zip(pull(dy), pull_plain(dy), strict=True):
    np.testing.assert_allclose(gradient, expected, atol=2e-5)


def test_products_in_bfloat16_are_computed_in_float32_and_rounded_once(monkeypatch):
  # The form that is fast with JAX 0.10. Later versions round within the product.
  monkeypatch.setattr(products, '_RESULT', jnp.float32)
  rng = np.random.default_rng(2)
  x, w, dy = (jnp.asarray(rng.standard_normal(shape), jnp.bfloat16) for shape in ((5, 7), (7, 4), (5, 4)))
  ours, pull = jax.vjp(product, x, w)
  exact = [np.asarray(array, np.float64) for array in (x, w, dy)]
  for result, expected in zip(
    (ours, *pull(dy)), (exact[0] @ exact[1], exact[2] @ exact[1].T, exact[0].T @ exact[2]), strict=True
  ):
    assert result.dtype == jnp.bfloat16
    np.testing.assert_array_equal(result, jnp.asarray(expected, jnp.bfloat16))
  assert 'tensor<5x4xf32>' in jax.jit(product).lower(x, w).as_text()

"""Random masking: the number of hidden tokens, and their distribution."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from har_jax.model import masking

_draw_mask = jax.jit(masking.draw_mask, static_argnums=(1, 2, 3))


@pytest.mark.parametrize(('tokens', 'hidden'), [(8, 6), (4, 1), (16, 12), (2, 1)])
def test_the_configured_number_of_tokens_is_hidden(tokens, hidden):
  visible, mask = _draw_mask(jax.random.key(1), 50, tokens, hidden)
  assert visible.shape == (50, tokens - hidden)
  np.testing.assert_array_equal(mask.sum(axis=1), hidden)
  for indices, hides in zip(visible, mask, strict=True):
    np.testing.assert_array_equal(indices, np.flatnonzero(~np.asarray(hides)))  # True: hidden


def test_every_token_is_hidden_equally_often():
  windows, fraction = 4000, 6 / 8
  _, mask = _draw_mask(jax.random.key(0), windows, 8, 6)
  deviation = np.sqrt(windows * fraction * (1 - fraction))  # of a binomial count
  assert np.abs(mask.sum(axis=0) - windows * fraction).max() < 4.5 * deviation


def test_windows_and_keys_hide_different_tokens():
  _, mask = _draw_mask(jax.random.key(0), 20, 8, 6)
  _, other = _draw_mask(jax.random.key(1), 20, 8, 6)
  assert len(np.unique(mask, axis=0)) > 5
  assert not np.array_equal(mask, other)


def test_scattering_gathered_tokens_restores_them():
  tokens = jax.random.normal(jax.random.key(0), (3, 8, 5))
  visible, mask = _draw_mask(jax.random.key(1), 3, 8, 6)
  scattered = masking.scatter_tokens(
    jnp.full_like(tokens, 7), masking.gather_tokens(tokens, visible), visible
  )
  np.testing.assert_array_equal(scattered, np.where(np.asarray(mask)[:, :, None], 7, tokens))

"""Random masking of tokens.   b batch, t tokens, v visible tokens, d width."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key, UInt


def draw_mask(
  key: Key[Array, ''] | UInt[Array, '2'], batch: int, tokens: int, hidden: int
) -> tuple[Int[Array, 'b v'], Bool[Array, 'b t']]:
  """Hides `hidden` random tokens of each window.

  Returns the indices of the visible tokens, ascending, and the mask (True: hidden from the encoder).
  """
  order = jnp.argsort(jax.random.uniform(key, (batch, tokens)), axis=1)
  visible = jnp.sort(order[:, hidden:], axis=1)
  return visible, ~is_visible(visible, tokens)


def is_visible(visible: Int[Array, 'b v'], tokens: int) -> Bool[Array, 'b t']:
  """True at the visible tokens."""
  hidden = jnp.zeros((len(visible), tokens), bool)
  return hidden.at[jnp.arange(len(visible))[:, None], visible].set(True)


def gather_tokens(tokens: Float[Array, 'b t d'], indices: Int[Array, 'b v']) -> Float[Array, 'b v d']:
  """Takes each window's tokens at its indices."""
  return jnp.take_along_axis(tokens, indices[:, :, None], axis=1)


def scatter_tokens(
  filler: Float[Array, 'b t d'], tokens: Float[Array, 'b v d'], indices: Int[Array, 'b v']
) -> Float[Array, 'b t d']:
  """The filler, with each window's tokens written at its indices."""
  return filler.at[jnp.arange(len(indices))[:, None], indices].set(tokens)

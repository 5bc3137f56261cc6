"""Initial weights have the bits of Flax's initializers."""

import flax.linen as nn
import jax
import numpy as np
import pytest

from har_jax import initializers

_SHAPES = ((1, 1), (6, 4), (256, 256), (257, 256))  # below, at and above a draw's 65,536 numbers


@pytest.mark.parametrize('shape', _SHAPES)
@pytest.mark.parametrize(
  ('ours', 'theirs'),
  [  # op by op, as models are drawn; one program rounds a product of three otherwise
    (initializers.xavier_uniform, nn.initializers.xavier_uniform()),
    (initializers.normal(0.02), nn.initializers.normal(0.02)),
    (initializers.zeros, nn.initializers.zeros),
    (initializers.ones, nn.initializers.ones),
  ],
  ids=('uniform', 'normal', 'zeros', 'ones'),
)
def test_weights_are_those_of_flax(ours, theirs, shape):
  key = jax.random.key(3)
  drawn, expected = ours(key, shape), theirs(key, shape)
  assert drawn.dtype == expected.dtype
  np.testing.assert_array_equal(drawn, expected)


def test_shapes_of_one_size_share_a_program():
  shapes: set[tuple[int, ...]] = set()

  def sampler(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    shapes.add(shape)
    return jax.random.uniform(key, shape)

  for shape in ((3, 5), (7, 11), (256, 256)):
    initializers.draw(sampler, jax.random.key(0), shape)
  assert shapes == {(1 << 16,)}
